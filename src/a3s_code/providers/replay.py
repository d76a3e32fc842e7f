"""A model that plays a recording back, and says where a run leaves it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from a3s_code.errors import ConfigError, ModelError, ReplayMismatch
from a3s_code.kernel.messages import Delta, Reply
from a3s_code.kernel.ports import Prompt
from a3s_code.providers.endpoint import Match
from a3s_code.providers.scripted import deltas_of
from a3s_code.providers.transcript import (
    FORMAT,
    Places,
    called_names,
    digest,
    first_difference,
    plain_request,
    read_reply,
)


class ReplayModel:
    """Answers as the recording at `path` did.

    `match` "exact" wants each request to be the recorded one, but for paths, times, durations and versions; "turn"
    wants only the same number of requests, with the same tools called before each. Else: ReplayMismatch, and nothing
    is answered. {WORKSPACE} in a reply becomes `workspace`. The file is read at the first call.
    """

    def __init__(
        self,
        path: str | Path,
        match: Match = "exact",
        *,
        workspace: str | Path | None = None,
        name: str | None = None,
    ) -> None:
        self._path = Path(path)
        self._match = match
        self._places = Places(workspace)
        self._name = name or f"replay/{self._path.stem}"
        self._open: list[dict[str, Any]] | None = None
        self._total = 0
        self._asked = 0
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta | Reply]:
        """As ChatModel.stream; raises ReplayMismatch where the run leaves the recording, and recorded errors."""
        exchange = await asyncio.to_thread(self._next, plain_request(prompt, self._places))
        if "error" in exchange:
            raise _recorded_error(exchange["error"], self._name)
        if "reply" not in exchange:
            raise self._mismatch(exchange["turn"], "the recording holds no reply to it")
        reply = read_reply(exchange["reply"], self._places)
        for delta in deltas_of(reply.message.parts):
            yield delta
        yield reply

    def _next(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if self._open is None:
                self._open = _read(self._path)
                self._total = len(self._open)
            self._asked += 1
            if not self._open:
                raise self._mismatch(self._asked, f"the recording ends after {self._total} requests")
            exchange = self._find(self._open, request)
            self._open.remove(exchange)
            return exchange

    def _find(self, waiting: list[dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
        """The exchange that answers `request`: the next one, or a later one where sessions run side by side."""
        first = waiting[0]
        if self._match == "turn":
            then, now = called_names(first["request"]["messages"]), called_names(request["messages"])
            if then != now:
                expected, got = ", ".join(then) or "no calls", ", ".join(now) or "no calls"
                raise self._mismatch(first["turn"], f"the calls before it differ: expected {expected}, got {got}")
            return first
        mark = digest(request)
        for exchange in waiting:
            if exchange["digest"] == mark:
                return exchange
        difference = first_difference(first["request"], request)
        if difference is None:
            return first
        raise self._mismatch(first["turn"], difference)

    def _mismatch(self, turn: int, what: str) -> ReplayMismatch:
        return ReplayMismatch(
            f"request {turn} leaves the recording {self._path.name}: {what}",
            provider=self._name.partition("/")[0],
            hint="record it again if the change is wanted",
        )


def _read(path: Path) -> list[dict[str, Any]]:
    """The exchanges of a recording, each with its whole request."""
    try:
        recording = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"there is no recording at {path}", hint="make one with RecordingModel") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"the recording {path} cannot be read: {error}", file=str(path)) from error
    if not isinstance(recording, dict) or recording.get("format") != FORMAT:
        raise ConfigError(f"{path} is no recording in the format {FORMAT}", file=str(path))
    exchanges: list[dict[str, Any]] = []
    system = ""
    messages: list[dict[str, Any]] = []
    for exchange in recording["exchanges"]:
        system = exchange.get("system", system)
        messages = messages[: exchange["kept_messages"]] + exchange["messages"]
        request = {"system": system, "tools": exchange["tools"], "messages": messages}
        exchanges.append({**exchange, "request": request})
    return exchanges


def _recorded_error(said: dict[str, Any], provider: str) -> ModelError:
    kinds = {kind.__name__: kind for kind in ModelError.__subclasses__()}
    kind = kinds.get(said["type"], ModelError)
    error = kind(said["message"], provider=provider.partition("/")[0], status=said["status"])
    error.retryable = said["retryable"]
    return error
