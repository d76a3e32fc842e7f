"""A model that fails at random, in the ways that models do."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

from a3s_code.errors import (
    ContextOverflow,
    InvalidOption,
    ModelAuthError,
    ModelError,
    ModelProtocolError,
    ModelRateLimit,
    ModelRequestError,
    ModelTimeout,
    ModelUnavailable,
)
from a3s_code.kernel.messages import Delta, Piece, ReasoningDelta, TextDelta, ToolInputDelta
from a3s_code.kernel.ports import ChatModel, Prompt

_TEXT = (TextDelta("half of an answer "), TextDelta("that was never fini"))
_THOUGHT = (ReasoningDelta("half of a thou"),)
_CALL = (*_TEXT, ToolInputDelta('{"path": "half/of/a'))


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail: what is said first, and the error that follows, or None for an end without a reply."""

    error: Callable[[str], ModelError] | None
    said: tuple[Delta, ...] = ()


def _limit(retry_after: float | None = None) -> Callable[[str], ModelError]:
    return lambda provider: ModelRateLimit("too many requests", provider=provider, retry_after=retry_after)


def _unavailable(message: str, status: int | None, retry_after: float | None = None) -> Callable[[str], ModelError]:
    return lambda provider: ModelUnavailable(message, provider=provider, status=status, retry_after=retry_after)


def _of(kind: type[ModelError], message: str, status: int | None = None) -> Callable[[str], ModelError]:
    return lambda provider: kind(message, provider=provider, status=status)


_OVERLOADED = _unavailable("overloaded", 529)
_CUT = _of(ModelProtocolError, "the answer was cut off", 200)
_GARBAGE = _of(ModelProtocolError, "the answer is not in the wire format", 200)
_SILENCE = _of(ModelTimeout, "the model fell silent")

RETRYABLE: Mapping[str, Fault] = {
    "rate_limit": Fault(_limit()),
    "rate_limit_retry_after": Fault(_limit(7.0)),
    "request_timeout": Fault(_unavailable("the request took too long", 408)),
    "conflict": Fault(_unavailable("conflict", 409)),
    "server_error": Fault(_unavailable("internal error", 500)),
    "unavailable": Fault(_unavailable("unavailable", 503)),
    "unavailable_retry_after": Fault(_unavailable("unavailable", 503, 3.0)),
    "overloaded": Fault(_OVERLOADED),
    "no_connection": Fault(_unavailable("connection refused", None)),
    "no_first_token": Fault(_of(ModelTimeout, "no first token")),
    "no_answer": Fault(None),
    "garbage": Fault(_GARBAGE),
    "overloaded_in_text": Fault(_OVERLOADED, _TEXT),
    "garbage_in_text": Fault(_GARBAGE, _TEXT),
    "silence_in_text": Fault(_SILENCE, _TEXT),
    "silence_in_tool_call": Fault(_SILENCE, _CALL),
    "cut_in_text": Fault(_CUT, _TEXT),
    "cut_in_reasoning": Fault(_CUT, _THOUGHT),
    "cut_in_tool_call": Fault(_CUT, _CALL),
    "end_in_text": Fault(None, _TEXT),
    "end_in_tool_call": Fault(None, _CALL),
}
"""Faults after which the same request may succeed, by name."""

FINAL: Mapping[str, Fault] = {
    "bad_request": Fault(_of(ModelRequestError, "bad request", 400)),
    "overflow": Fault(_of(ContextOverflow, "the prompt is too long", 400)),
    "auth": Fault(_of(ModelAuthError, "invalid key", 401)),
    "forbidden": Fault(_of(ModelAuthError, "no right to this model", 403)),
    "not_found": Fault(_of(ModelRequestError, "no such model", 404)),
    "too_large": Fault(_of(ModelRequestError, "the request is too large", 413)),
    "unprocessable": Fault(_of(ModelRequestError, "unprocessable", 422)),
    "quota": Fault(lambda provider: ModelRateLimit("the quota is used up", provider=provider, retryable=False)),
}
"""Faults that no retry mends, by name."""


class FaultyModel:
    """Passes calls on to `model`, but lets each fail with probability `p`, in one of the ways named in `faults`.

    Without names it is any of RETRYABLE; those of FINAL are used where they are named. A call that is to fail does not
    reach `model`, so a script or recording there loses no reply: what is said before the fault is made up. `calls`
    counts the calls, `injected` the faults by name. The same seed gives the same faults to the same order of calls.
    Raises InvalidOption for an unknown name.
    """

    def __init__(self, model: ChatModel, *, p: float = 0.3, seed: int = 0, faults: Sequence[str] | None = None) -> None:
        known = {**RETRYABLE, **FINAL}
        self._faults = tuple(RETRYABLE if faults is None else faults)
        if unknown := [name for name in self._faults if name not in known]:
            raise InvalidOption(f"there is no fault {unknown[0]!r}", field="faults", hint=f"use {', '.join(known)}")
        if not self._faults and p:
            raise InvalidOption("there is no fault to choose from", field="faults")
        self._known = known
        self._model = model
        self._p = p
        self._random = random.Random(seed)  # noqa: S311 - the seed makes it repeatable
        self._lock = threading.Lock()
        self.calls = 0
        self.injected: Counter[str] = Counter()

    @property
    def name(self) -> str:
        return self._model.name

    def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
        """As ChatModel.stream of the model, or a fault."""
        with self._lock:
            self.calls += 1
            if self._random.random() >= self._p:
                return self._model.stream(prompt)
            name = self._random.choice(self._faults)
            self.injected[name] += 1
        return self._fail(self._known[name])

    async def _fail(self, fault: Fault) -> AsyncIterator[Piece]:
        await asyncio.sleep(0)
        for delta in fault.said:
            yield delta
            await asyncio.sleep(0)
        if fault.error is not None:
            raise fault.error(self.name.partition("/")[0])
