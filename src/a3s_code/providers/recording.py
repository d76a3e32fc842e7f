"""A model that writes down what it is asked and what it answers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from a3s_code.errors import ModelError
from a3s_code.kernel.messages import Piece, Reply
from a3s_code.kernel.ports import ChatModel, Prompt
from a3s_code.providers.transcript import FORMAT, Places, digest, plain_reply, plain_request


class RecordingModel:
    """Passes everything on to `model` and keeps each exchange in the JSON file `path`.

    Give it the `workspace`, so that its path is written as {WORKSPACE} and the recording can be replayed elsewhere. The
    file is whole after each exchange, and holds of each request only what is new since the one before.
    """

    def __init__(self, model: ChatModel, path: str | Path, *, workspace: str | Path | None = None) -> None:
        self._model = model
        self._path = Path(path)
        self._places = Places(workspace)
        self._exchanges: list[dict[str, Any]] = []
        self._last: dict[str, Any] = {"system": None, "messages": []}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._model.name

    async def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
        """As ChatModel.stream of the recorded model; a ModelError is recorded too."""
        exchange = self._begin(plain_request(prompt, self._places))
        pieces = self._model.stream(prompt)
        try:
            async for piece in pieces:
                if isinstance(piece, Reply):
                    await asyncio.to_thread(self._end, exchange, "reply", plain_reply(piece, self._places))
                yield piece
        except ModelError as error:
            said = {
                "type": type(error).__name__,
                "message": error.message,
                "status": error.status,
                "retryable": error.retryable,
            }
            await asyncio.to_thread(self._end, exchange, "error", said)
            raise
        finally:
            if (close := getattr(pieces, "aclose", None)) is not None:
                await close()

    def _begin(self, request: dict[str, Any]) -> dict[str, Any]:
        messages = request["messages"]
        with self._lock:
            before = self._last["messages"]
            kept = 0
            while kept < min(len(before), len(messages)) and before[kept] == messages[kept]:
                kept += 1
            exchange: dict[str, Any] = {
                "turn": len(self._exchanges) + 1,
                "digest": digest(request),
                "tools": request["tools"],
                "kept_messages": kept,
                "messages": messages[kept:],
            }
            if request["system"] != self._last["system"]:
                exchange["system"] = request["system"]
            self._last = request
            self._exchanges.append(exchange)
        return exchange

    def _end(self, exchange: dict[str, Any], outcome: str, value: dict[str, Any]) -> None:
        with self._lock:
            exchange[outcome] = value
            recording = {"format": FORMAT, "model": self.name, "exchanges": self._exchanges}
            text = json.dumps(recording, indent=2, ensure_ascii=False) + "\n"
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_name(self._path.name + ".part")
            draft.write_text(text, encoding="utf-8")
            draft.replace(self._path)
