"""Resilience: a model that asks again, or asks another one, before a turn is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from math import ceil
from random import Random

from a3s_code.errors import (
    ContextOverflow,
    InvalidOption,
    ModelCircuitOpen,
    ModelError,
    ModelProtocolError,
    ModelRequestError,
    ModelTimeout,
    ReplayMismatch,
)
from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.estimation import Gauge, text_bytes
from a3s_code.kernel.messages import (
    Piece,
    ReasoningDelta,
    Reply,
    Retry,
    TextDelta,
    ToolInputDelta,
)
from a3s_code.kernel.ports import ChatModel, Clock, Prompt
from a3s_code.providers.breaker import Admission, Breakers
from a3s_code.providers.patience import Patience
from a3s_code.providers.wire import estimated_tokens

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
LONGEST_RETRY_AFTER = 120.0


class ResilientModel:
    """Asks the first of `models`, again and again where that can help, then the next of them.

    A turn makes at most `max_attempts` calls in all. Of those that are left each model gets its even share, rounded
    up: 8 for one model, 4 and 4 for two, 7 for the second where the first refused at once. Before a further call comes
    a Retry, then the wait: 0.5 s, doubling up to 30 s, of which up to a half is taken off at random, but never less
    than the provider's Retry-After.

    An error that is not `retryable` costs a model one call. The next model is asked, at once, where this one has no
    calls left, wants more than 120 s of waiting, is kept away from by its breaker, or failed for good; not where it
    refused the request itself (400, 413, 422, ContextOverflow), as every model would. When nobody is left, the error
    of the last call is raised. An answer without an end is a ModelProtocolError; `total_timeout_ms` bounds each call
    from the request to the Reply, where the time that the consumer takes does not count. What is no ModelError passes
    through untouched.
    """

    def __init__(
        self,
        models: Sequence[ChatModel],
        *,
        clock: Clock,
        breakers: Breakers,
        max_attempts: int = 8,
        total_timeout_ms: int | None = None,
        random: Random | None = None,
    ) -> None:
        if not models:
            raise InvalidOption("a resilient model needs at least one model", field="models")
        if max_attempts < 1:
            raise InvalidOption("max_attempts must be at least 1", field="max_attempts")
        self._models = tuple(models)
        self._clock = clock
        self._breakers = breakers
        self._max_attempts = max_attempts
        self._seconds = None if total_timeout_ms is None else total_timeout_ms / 1000
        self._random = random or Random()  # noqa: S311 - a delay is no secret

    @property
    def name(self) -> str:
        """The first model's name."""
        return self._models[0].name

    async def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
        """As ChatModel.stream, with a Retry before each further call."""
        turn = _Turn(self._models, self._breakers, self._max_attempts, self._random)
        seen: list[Piece] = []
        try:
            while True:
                seen = []
                pieces: AsyncIterator[Piece] | None = None
                try:
                    pieces = self._ask(turn.next(), prompt)
                    async for piece in pieces:
                        seen.append(piece)
                        yield piece
                    turn.expect_reply(seen)
                    return
                except ModelError as error:
                    retry = turn.failed(error, prompt, seen)
                finally:
                    await _close(pieces)
                yield retry
                if retry.delay_ms:
                    await self._clock.sleep(retry.delay_ms / 1000)
        finally:
            turn.close(seen)

    def _ask(self, model: ChatModel, prompt: Prompt) -> AsyncIterator[Piece]:
        stream = model.stream(prompt)
        return stream if self._seconds is None else _bounded(stream, self._seconds, model.name)


class _Turn:
    """The calls of one turn: whom to ask and, after a failure, whom next and how much later."""

    def __init__(self, models: Sequence[ChatModel], breakers: Breakers, max_attempts: int, random: Random) -> None:
        self._models = models
        self._breakers = breakers
        self._random = random
        self._calls = 0
        self._most = max_attempts
        self._most_here = 0
        self._failures_here = 0
        self._index = 0
        self._heard: ModelError | None = None
        self._admission: Admission | None = None

    def next(self) -> ChatModel:
        """The model to ask now; raises ModelCircuitOpen."""
        model = self._models[self._index]
        if self._admission is None:
            self._admission = self._breakers.admit(model.name)
            others = sum(not self._breakers.refuses(other.name) for other in self._models[self._index + 1 :])
            share = ceil((self._most - self._calls) / (1 + others))
            self._most_here = self._calls + (1 if self._admission.trial else share)
            self._failures_here = 0
        self._calls += 1
        return model

    def expect_reply(self, seen: Sequence[Piece]) -> None:
        """The stream came to its end; raises ModelProtocolError where that is not the end of a reply."""
        if not _replied(seen):
            name = self._models[self._index].name
            raise ModelProtocolError(f"{name} ended its answer before it was complete", provider=name.partition("/")[0])

    def failed(self, error: ModelError, prompt: Prompt, seen: Sequence[Piece]) -> Retry:
        """What follows; raises `error` where nothing does."""
        if _replied(seen):
            raise error
        asked = self._models[self._index].name
        delay = self._delay(error)
        if delay is None:
            self._leave(error)
            delay = 0.0
        name = self._models[self._index].name
        return Retry(self._calls + 1, ceil(delay * 1000), error, name, _spent(prompt, seen), asked)

    def close(self, seen: Sequence[Piece]) -> None:
        """The turn is over, with a reply or broken off."""
        if self._admission is None:
            return
        if _replied(seen):
            self._admission.answered()
        else:
            self._admission.release()

    def _delay(self, error: ModelError) -> float | None:
        """The seconds until this model is asked again; None for not in this turn."""
        self._failures_here += 1
        if not error.retryable or self._calls >= self._most_here:
            return None
        asked = error.retry_after or 0.0
        if asked > LONGEST_RETRY_AFTER:
            return None
        most = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(self._failures_here - 1, 16))
        return max(asked, most * (1 - self._random.random() / 2))

    def _leave(self, error: ModelError) -> None:
        """Go on to the next model; raises `error` where there is none, or no use in one."""
        if self._admission is not None:
            if error.retryable:
                self._admission.failed()
            else:
                self._admission.answered()
            self._admission = None
        self._index += 1
        if not isinstance(error, ModelCircuitOpen):
            self._heard = error
        if self._index == len(self._models) or self._calls >= self._most or _concerns_all(error):
            error = self._heard or error
            if self._calls > 1:
                names = ", ".join(model.name for model in self._models[: self._index])
                error.add_note(f"given up after {self._calls} calls of {names}")
            raise error


def _replied(seen: Sequence[Piece]) -> bool:
    return bool(seen) and isinstance(seen[-1], Reply)


def _concerns_all(error: ModelError) -> bool:
    """Whether another model would refuse the same request too, or must not be asked in place of a recording."""
    if isinstance(error, ModelRequestError):
        # A refusal in the midst of an answer has status 200, one of a host's own model may have none.
        return isinstance(error, ContextOverflow) or error.status in (None, 200, 400, 413, 422)
    return isinstance(error, ReplayMismatch)


async def _bounded(stream: AsyncIterator[Piece], seconds: float, name: str) -> AsyncIterator[Piece]:
    """The stream, given up with ModelTimeout after `seconds`; the time that the consumer takes does not count."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    patience = Patience(seconds)
    pieces = aiter(stream)
    try:
        while True:
            with patience:
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield piece
    except TimeoutError as error:
        if loop.time() - begun < seconds:
            raise
        raise ModelTimeout(
            f"{name} gave no whole reply within {seconds:g} s",
            provider=name.partition("/")[0],
            hint="raise llm_total_timeout_ms if the model is just slow",
        ) from error
    finally:
        patience.close()
        await _close(stream)


async def _close(pieces: AsyncIterator[Piece] | None) -> None:
    if (close := getattr(pieces, "aclose", None)) is not None:
        await close()


def _spent(prompt: Prompt, seen: Sequence[Piece]) -> Usage:
    """About what a failed call used up: nothing, as far as one can know, unless it had begun to answer."""
    said = 0
    for piece in seen:
        if isinstance(piece, TextDelta | ReasoningDelta | ToolInputDelta):
            said += text_bytes(piece.text)
        elif isinstance(piece, Retry):
            said = 0
    if not said:
        return Usage()
    return Usage(Gauge().estimate(prompt), estimated_tokens(said), estimated=True)
