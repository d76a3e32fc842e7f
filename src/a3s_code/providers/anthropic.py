"""Anthropic Messages: requests joined from cached fragments, answers read event by event."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from a3s_code.errors import ModelProtocolError
from a3s_code.kernel.contracts import ModelSettings, Usage
from a3s_code.kernel.messages import (
    Delta,
    Image,
    Message,
    Observation,
    Reasoning,
    ReasoningDelta,
    StopReason,
    Text,
    ToolCall,
    ToolInputDelta,
)
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers import failures, spoken
from a3s_code.providers.assembly import Assembly, Called, Thought
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.wire import (
    NOTHING_SAID,
    HeadCache,
    base64_text,
    count_of,
    dumps,
    id_of,
    joined,
    loads,
    sent_name,
    text_of,
)

DEFAULT_MAX_TOKENS = 8192
_CACHE = {"type": "ephemeral"}
_FOREIGN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_STOPS: dict[str, StopReason] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "pause_turn": "pause",
    "refusal": "content_filter",
    "model_context_window_exceeded": "context_overflow",
}


class Messages:
    """The Messages format as one endpoint is asked in it.

    The stable part of a request carries one cache mark; the moving end is marked by the request as a whole, so that
    no message changes when others follow it.
    """

    def __init__(self, endpoint: ModelEndpoint, settings: ModelSettings) -> None:
        self._endpoint = endpoint
        self._key = "anthropic" if endpoint.tool_calls else "anthropic-spoken"
        self._own_key = f"{self._key}:{endpoint.name}"
        self._settings = dumps(_settings(endpoint, settings))[:-1]
        self._thinks = bool(settings.thinking_budget)
        self._thoughtless = dumps(_settings(endpoint, replace(settings, thinking_budget=None)))[:-1]
        self._heads = HeadCache(self._head)

    def request(self, prompt: Prompt) -> bytes:
        head = self._heads.get(prompt.system, prompt.tools)
        settings = self._thoughtless if self._thinks and self._has_foreign_turn(prompt.messages) else self._settings
        end = b"]}" if prompt.calls or not self._shows_tools(prompt) else b'],"tool_choice":{"type":"none"}}'
        return b"".join((settings, head, b',"messages":[', joined(prompt.messages, self.fragment), end))

    def _shows_tools(self, prompt: Prompt) -> bool:
        return bool(prompt.tools) and self._endpoint.tool_calls

    def reader(self, assembly: Assembly) -> MessagesReader:
        return MessagesReader(assembly)

    def _head(self, system: str, tools: tuple[ToolSpec, ...]) -> bytes:
        if not self._endpoint.tool_calls:
            system, tools = spoken.describe(system, tools), ()
        head = b""
        if tools:
            shown = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.parameters} for tool in tools
            ]
            if not system:
                shown[-1]["cache_control"] = _CACHE
            head += b',"tools":' + dumps(shown)
        if system:
            head += b',"system":' + dumps([{"type": "text", "text": system, "cache_control": _CACHE}])
        return head

    def _has_foreign_turn(self, messages: Sequence[Message]) -> bool:
        """Whether the results that a request ends with answer a turn that does not begin with this model's own thought.

        A model that thinks takes no such turn; another model began it, and this one goes on without thinking.
        """
        if len(messages) < 2 or messages[-1].role != "tool":
            return False
        first = next(iter(messages[-2].parts), None)
        return not (isinstance(first, Reasoning) and first.block and first.model == self._endpoint.name)

    def fragment(self, message: Message) -> bytes:
        """One message as it stands in every request."""
        wire = message.wire
        found = wire.get(self._key) or wire.get(self._own_key)
        if found is None:
            own = any(isinstance(part, Reasoning) and part.block for part in message.parts)
            found = wire[self._own_key if own else self._key] = self._encode(message)
        return found

    def _encode(self, message: Message) -> bytes:
        if not self._endpoint.tool_calls:
            message = spoken.speak(message)
        if message.role != "assistant" and len(message.parts) == 1 and isinstance(part := message.parts[0], Text):
            return dumps({"role": "user", "content": part.text if part.text.strip() else NOTHING_SAID})
        parts = list(message.parts)
        # No message may end in a thought.
        while parts and isinstance(parts[-1], Reasoning):
            parts.pop()
        blocks = [block for part in parts if (block := self._block(part)) is not None]
        role = b"assistant" if message.role == "assistant" else b"user"
        content = b",".join(blocks) or dumps({"type": "text", "text": NOTHING_SAID})
        return b'{"role":"' + role + b'","content":[' + content + b"]}"

    def _block(self, part: object) -> bytes | None:
        match part:
            case Text(text):
                return dumps({"type": "text", "text": text}) if text.strip() else None
            case Image():
                return dumps(_image(part))
            case Reasoning(model=model, block=block):
                return block.encode() if block and model == self._endpoint.name and _is_thought(block) else None
            case ToolCall(call_id, name, values):
                return dumps({"type": "tool_use", "id": _id(call_id), "name": sent_name(name), "input": dict(values)})
            case Observation():
                return dumps(_result(part))
            case _:
                return None


class MessagesReader:
    """Reads one answer in the Messages format. Its end is message_stop, and by then each call must be closed."""

    def __init__(self, assembly: Assembly) -> None:
        self.complete = False
        self.ended = False
        self._assembly = assembly
        self._open: dict[int, str] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._slots: dict[int, Thought | Called] = {}

    def event(self, name: str, payload: dict[str, Any]) -> Sequence[Delta]:
        match payload.get("type") or name:
            case "content_block_delta":
                return self._delta(payload.get("index") or 0, payload.get("delta") or {})
            case "content_block_start":
                return self._start(payload.get("index") or 0, payload.get("content_block") or {})
            case "content_block_stop":
                self._close(payload.get("index") or 0)
            case "message_start":
                self._begin(payload.get("message") or {})
            case "message_delta":
                self._stop((payload.get("delta") or {}).get("stop_reason"))
                self._count(payload.get("usage"))
            case "message_stop":
                self._end()
            case kind:
                if kind == "error" or payload.get("error"):
                    raise failures.from_report(self._assembly.endpoint, payload, self._assembly.headers)
        return ()

    def done(self) -> None:
        self.ended = True

    def _begin(self, message: dict[str, Any]) -> None:
        if self._assembly.begun:
            raise self._broken("began its answer a second time")
        self._assembly.answer_id = id_of(message.get("id"))
        self._count(message.get("usage"))

    def _end(self) -> None:
        if "tool_use" in self._open.values():
            raise self._broken("ended its answer inside a call")
        for index in list(self._open):
            self._close(index)
        self.complete = self.ended = True

    def _broken(self, what: str) -> ModelProtocolError:
        return failures.broken(
            self._assembly.endpoint, f"{self._assembly.endpoint.name} {what}", self._assembly.headers
        )

    def whole(self, payload: dict[str, Any]) -> Sequence[Delta]:
        assembly = self._assembly
        if payload.get("type") == "error" or payload.get("error"):
            raise failures.from_report(assembly.endpoint, payload, assembly.headers)
        blocks = payload.get("content")
        if not isinstance(blocks, list):
            raise self._broken("sent no content")
        assembly.answer_id = id_of(payload.get("id"))
        deltas: list[Delta] = []
        for index, block in enumerate(blocks):
            deltas += self._start(index, block)
            self._close(index)
        self._stop(payload.get("stop_reason"))
        self._count(payload.get("usage"))
        self.complete = self.ended = True
        return deltas

    def _start(self, index: int, block: dict[str, Any]) -> Sequence[Delta]:
        kind = block.get("type")
        if "tool_use" in (kind, self._open.get(index)) and index in self._open:
            raise self._broken("began a block inside another one")
        self._open[index] = str(kind)
        match kind:
            case "text":
                return self._assembly.text(text_of(block.get("text")))
            case "tool_use":
                call = self._slots[index] = self._assembly.call(str(block.get("id") or ""), text_of(block.get("name")))
                if block.get("input"):
                    written = dumps(block["input"]).decode()
                    call.pieces.append(written)
                    return (ToolInputDelta(written),)
            case "thinking" | "redacted_thinking":
                self._blocks[index] = dict(block)
                thought = self._slots[index] = self._assembly.thought()
                if piece := text_of(block.get("thinking")):
                    thought.pieces.append(piece)
                    return (ReasoningDelta(piece),)
            case _:
                pass
        return ()

    def _delta(self, index: int, delta: dict[str, Any]) -> Sequence[Delta]:
        kind = delta.get("type")
        if index not in self._open:
            raise self._broken("sent a piece of a block that is not open")
        match kind:
            case "text_delta":
                return self._assembly.text(text_of(delta.get("text")))
            case "input_json_delta":
                piece = text_of(delta.get("partial_json"))
                if piece and isinstance(call := self._slots.get(index), Called):
                    call.pieces.append(piece)
                    return (ToolInputDelta(piece),)
            case "thinking_delta":
                piece = text_of(delta.get("thinking"))
                if piece and (thought := self._slots.get(index)) is not None:
                    thought.pieces.append(piece)
                    return (ReasoningDelta(piece),)
            case "signature_delta":
                block = self._blocks.get(index)
                if block is not None:
                    block["signature"] = (block.get("signature") or "") + (delta.get("signature") or "")
            case _:
                pass
        return ()

    def _close(self, index: int) -> None:
        self._open.pop(index, None)
        block = self._blocks.pop(index, None)
        thought = self._slots.get(index)
        if block is None or not isinstance(thought, Thought):
            return
        if block["type"] == "thinking":
            block["thinking"] = "".join(thought.pieces)
        thought.block = dumps(block).decode()

    def _stop(self, reason: str | None) -> None:
        if reason is not None:
            self._assembly.stop = _STOPS.get(reason, "end")

    def _count(self, usage: Any) -> None:
        """Later counts are totals and replace earlier ones; what a later one leaves out stays."""
        if not isinstance(usage, dict):
            return
        known = self._assembly.usage
        self._assembly.usage = Usage(
            count_of(usage.get("input_tokens")) or known.input_tokens,
            count_of(usage.get("output_tokens")) or known.output_tokens,
            count_of(usage.get("cache_read_input_tokens")) or known.cache_read_tokens,
            count_of(usage.get("cache_creation_input_tokens")) or known.cache_write_tokens,
        )


def _settings(endpoint: ModelEndpoint, settings: ModelSettings) -> dict[str, Any]:
    body: dict[str, Any] = {"model": endpoint.model, "max_tokens": settings.max_output_tokens or DEFAULT_MAX_TOKENS}
    # A model that thinks takes no temperature.
    if settings.temperature is not None and not settings.thinking_budget:
        body["temperature"] = settings.temperature
    if settings.thinking_budget:
        body["thinking"] = {"type": "enabled", "budget_tokens": settings.thinking_budget}
        if body["max_tokens"] <= settings.thinking_budget:
            body["max_tokens"] += settings.thinking_budget
    if endpoint.stream:
        body["stream"] = True
    body["cache_control"] = _CACHE
    return body


def _id(call_id: str) -> str:
    """The id as this API allows it; other providers' ids may hold dots and colons."""
    return _FOREIGN_ID.sub("_", call_id) or "call"


def _is_thought(block: str) -> bool:
    """Whether a model's own block is one of this format: the same model may have been asked in the other one."""
    try:
        return loads(block).get("type") in ("thinking", "redacted_thinking")
    except (ValueError, AttributeError):
        return False


def _image(image: Image) -> dict[str, Any]:
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": image.media_type, "data": base64_text(image)},
    }


def _result(result: Observation) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": _id(result.call_id)}
    if result.images:
        said = [{"type": "text", "text": result.output}] if result.output.strip() else []
        block["content"] = [*said, *map(_image, result.images)]
    elif result.output.strip():
        block["content"] = result.output
    if result.failed:
        block["is_error"] = True
    return block
