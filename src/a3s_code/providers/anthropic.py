"""Anthropic Messages: requests joined from cached fragments, answers read event by event."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

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
from a3s_code.providers.wire import NOTHING_SAID, HeadCache, base64_text, dumps, joined, text_of

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
        self._heads = HeadCache(self._head)

    def request(self, prompt: Prompt) -> bytes:
        head = self._heads.get(prompt.system, prompt.tools)
        return b"".join((self._settings, head, b',"messages":[', joined(prompt.messages, self._fragment), b"]}"))

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

    def _fragment(self, message: Message) -> bytes:
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
        blocks = [block for part in message.parts if (block := self._block(part)) is not None]
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
                return block.encode() if block and model == self._endpoint.name else None
            case ToolCall():
                return dumps({"type": "tool_use", "id": _id(part.id), "name": part.name, "input": dict(part.arguments)})
            case Observation():
                return dumps(_result(part))
            case _:
                return None


class MessagesReader:
    """Reads one answer in the Messages format."""

    def __init__(self, assembly: Assembly) -> None:
        self.complete = False
        self.ended = False
        self._assembly = assembly
        self._blocks: dict[int, dict[str, Any]] = {}
        self._slots: dict[int, Thought | Called] = {}

    def event(self, name: str, payload: dict[str, Any]) -> Sequence[Delta]:
        match payload.get("type") or name:
            case "content_block_delta":
                return self._delta(payload.get("index", 0), payload.get("delta") or {})
            case "content_block_start":
                return self._start(payload.get("index", 0), payload.get("content_block") or {})
            case "content_block_stop":
                self._close(payload.get("index", 0))
            case "message_start":
                message = payload.get("message") or {}
                self._assembly.answer_id = message.get("id")
                self._count(message.get("usage"))
            case "message_delta":
                self._stop((payload.get("delta") or {}).get("stop_reason"))
                self._count(payload.get("usage"))
            case "message_stop":
                self.complete = self.ended = True
            case "error":
                raise failures.from_report(self._assembly.endpoint, payload, self._assembly.headers)
            case _:
                pass
        return ()

    def whole(self, payload: dict[str, Any]) -> Sequence[Delta]:
        assembly = self._assembly
        if payload.get("type") == "error" or payload.get("error"):
            raise failures.from_report(assembly.endpoint, payload, assembly.headers)
        blocks = payload.get("content")
        if not isinstance(blocks, list):
            raise failures.broken(assembly.endpoint, f"{assembly.endpoint.name} sent no content", assembly.headers)
        assembly.answer_id = payload.get("id")
        deltas: list[Delta] = []
        for index, block in enumerate(blocks):
            deltas += self._start(index, block)
            self._close(index)
        self._stop(payload.get("stop_reason"))
        self._count(payload.get("usage"))
        self.complete = self.ended = True
        return deltas

    def _start(self, index: int, block: dict[str, Any]) -> Sequence[Delta]:
        match block.get("type"):
            case "text":
                return self._assembly.text(text_of(block.get("text")))
            case "tool_use":
                call = self._slots[index] = self._assembly.call(block.get("id") or "", block.get("name") or "")
                if block.get("input"):
                    written = dumps(block["input"]).decode()
                    call.pieces.append(written)
                    return (ToolInputDelta(written),)
            case "thinking" | "redacted_thinking":
                self._blocks[index] = dict(block)
                thought = self._slots[index] = self._assembly.thought()
                if block.get("thinking"):
                    thought.pieces.append(block["thinking"])
                    return (ReasoningDelta(block["thinking"]),)
            case _:
                pass
        return ()

    def _delta(self, index: int, delta: dict[str, Any]) -> Sequence[Delta]:
        match delta.get("type"):
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

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Later counts are totals and replace earlier ones; what a later one leaves out stays."""
        if not usage:
            return
        known = self._assembly.usage
        self._assembly.usage = Usage(
            usage.get("input_tokens") or known.input_tokens,
            usage.get("output_tokens") or known.output_tokens,
            usage.get("cache_read_input_tokens") or known.cache_read_tokens,
            usage.get("cache_creation_input_tokens") or known.cache_write_tokens,
        )


def _settings(endpoint: ModelEndpoint, settings: ModelSettings) -> dict[str, Any]:
    body: dict[str, Any] = {"model": endpoint.model, "max_tokens": settings.max_output_tokens or DEFAULT_MAX_TOKENS}
    if settings.temperature is not None:
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
