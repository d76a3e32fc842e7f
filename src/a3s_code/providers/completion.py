"""An answer in the Chat Completions format, read as leniently as its many servers need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import Delta, ReasoningDelta, StopReason, ToolInputDelta
from a3s_code.providers import failures
from a3s_code.providers.assembly import Assembly, Called
from a3s_code.providers.wire import count_of, dumps, id_of, loads, text_of

_STOPS: dict[str, StopReason] = {
    "stop": "end",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "model_context_window_exceeded": "context_overflow",
}


class CompletionReader:
    """Reads one answer. Its end is a finish_reason; the token counts, where they are sent, come after it.

    Some servers give a finish_reason to each call, or before the last piece: what follows one makes the answer
    incomplete again, until the next finish_reason or `[DONE]`.
    """

    def __init__(self, assembly: Assembly) -> None:
        self.complete = False
        self.ended = False
        self._finished = False
        self._assembly = assembly
        self._calls: dict[int, Called] = {}
        self._latest = 0

    def event(self, name: str, payload: dict[str, Any]) -> Sequence[Delta]:
        if name == "error" or payload.get("error"):
            raise failures.from_report(self._assembly.endpoint, payload, self._assembly.headers)
        return self._read(payload, "delta")

    def whole(self, payload: dict[str, Any]) -> Sequence[Delta]:
        assembly = self._assembly
        if payload.get("error"):
            raise failures.from_report(assembly.endpoint, payload, assembly.headers)
        if not payload.get("choices"):
            raise failures.broken(assembly.endpoint, f"{assembly.endpoint.name} sent no choices", assembly.headers)
        if not isinstance(payload["choices"][0].get("message"), dict):
            raise failures.broken(assembly.endpoint, f"{assembly.endpoint.name} sent no message", assembly.headers)
        deltas = self._read(payload, "message")
        self.complete = self.ended = True
        return deltas

    def done(self) -> None:
        self.ended = True
        self.complete = self._finished

    def _read(self, payload: dict[str, Any], where: str) -> Sequence[Delta]:
        assembly = self._assembly
        if assembly.answer_id is None:
            assembly.answer_id = id_of(payload.get("id"))
        if usage := payload.get("usage") or (payload.get("x_groq") or {}).get("usage"):
            assembly.usage = _usage(usage)
        choices = payload.get("choices")
        if not choices:
            self.ended = bool(self.complete and usage)
            return ()
        choice = choices[0]
        # Some servers put the whole answer, as a message, into the one event of their stream.
        message = choice.get(where) or (not assembly.begun and choice.get("message")) or {}
        deltas: list[Delta] = []
        if thought := message.get("reasoning_content") or message.get("reasoning"):
            deltas += self._reasoning(thought)
        if content := message.get("content") or message.get("refusal"):
            deltas += self._content(content)
        if calls := message.get("tool_calls"):
            for entry in calls:
                deltas += self._call(entry)
        if self.complete and (thought or content or calls):
            self.complete = False
        if reason := choice.get("finish_reason"):
            self._finish(reason, payload)
        return deltas

    def _content(self, content: Any) -> Sequence[Delta]:
        if isinstance(content, str):
            return self._assembly.text(content)
        deltas: list[Delta] = []
        for part in content:
            if part.get("type") == "thinking":
                for piece in part.get("thinking") or ():
                    deltas += self._reasoning(piece.get("text"))
            else:
                deltas += self._assembly.text(text_of(part.get("text")))
        return deltas

    def _reasoning(self, piece: Any) -> Sequence[Delta]:
        if not (thought := text_of(piece)):
            return ()
        self._assembly.thought(joined=True).pieces.append(thought)
        return (ReasoningDelta(thought),)

    def _call(self, entry: dict[str, Any]) -> Sequence[Delta]:
        """One piece of a call. Servers leave out indexes and ids, and give the same index to several calls."""
        function = entry.get("function") or {}
        name, written, call_id = text_of(function.get("name")), function.get("arguments"), str(entry.get("id") or "")
        index = entry.get("index")
        call = self._calls.get(self._latest if index is None else index)
        if call is None or _another(call, call_id, name, indexed=index is not None):
            call = self._assembly.call(call_id, name)
            index = len(self._calls) if index is None else index
        self._latest = self._latest if index is None else index
        self._calls[self._latest] = call
        call.id = call.id or call_id
        call.name = call.name or name
        if entry.get("extra_content"):
            call.extra = dumps(entry["extra_content"]).decode()
        if not written:
            return ()
        piece = written if isinstance(written, str) else dumps(written).decode()
        call.pieces.append(piece)
        return (ToolInputDelta(piece),)

    def _finish(self, reason: str, payload: dict[str, Any]) -> None:
        if reason == "error":
            raise failures.from_report(self._assembly.endpoint, payload, self._assembly.headers)
        if self._assembly.stop in (None, "end", "tool_calls"):
            self._assembly.stop = _STOPS.get(reason, "end")
        self.complete = self._finished = True


def _another(call: Called, call_id: str, name: str, *, indexed: bool) -> bool:
    """Whether a piece with this id and name begins a call of its own, and does not go on with `call`."""
    if call_id and call.id:
        return call_id != call.id
    if indexed or not name or not call.name:
        return False
    try:
        loads("".join(call.pieces))
    except ValueError:
        return False
    return True


def _usage(counts: Any) -> Usage:
    """The counts as we keep them: here the prompt's include what the cache gave and took."""
    if not isinstance(counts, dict):
        return Usage()
    details = counts.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    prompt = count_of(counts.get("prompt_tokens"))
    cached = details.get("cached_tokens") or counts.get("prompt_cache_hit_tokens") or counts.get("cached_tokens")
    read, written = count_of(cached), count_of(details.get("cache_write_tokens"))
    return Usage(max(0, prompt - read - written), count_of(counts.get("completion_tokens")), read, written)
