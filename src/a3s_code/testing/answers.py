"""Replies as a server sends them: both wire formats, whole and streamed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import Part, Reasoning, Reply, StopReason, Text, ToolCall
from a3s_code.providers.scripted import deltas_of, written
from a3s_code.providers.wire import dumps

Api = Literal["anthropic", "openai"]

_ANTHROPIC_STOPS: Mapping[StopReason, str] = {
    "end": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
    "pause": "pause_turn",
    "context_overflow": "model_context_window_exceeded",
}
_OPENAI_STOPS: Mapping[StopReason, str] = {
    "end": "stop",
    "tool_calls": "tool_calls",
    "length": "length",
    "content_filter": "content_filter",
    "pause": "stop",
    "context_overflow": "length",
}


def whole(reply: Reply, api: Api, number: int) -> bytes:
    """The body of a plain answer."""
    return dumps(_message(reply, number) if api == "anthropic" else _completion(reply, number))


def streamed(reply: Reply, api: Api, number: int) -> bytes:
    """The body of a streamed answer."""
    if api == "anthropic":
        return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), dumps(e)) for e in _events(reply, number))
    chunks = b"".join(b"data: %s\n\n" % dumps(chunk) for chunk in _chunks(reply, number))
    return chunks + b"data: [DONE]\n\n"


def _message(reply: Reply, number: int) -> dict[str, Any]:
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [_block(part) for part in reply.message.parts],
        "stop_reason": _ANTHROPIC_STOPS[reply.stop],
        "stop_sequence": None,
        "usage": _anthropic_usage(reply.usage),
    }


def _block(part: Part) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case ToolCall():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": dict(part.arguments)}
        case Reasoning(block=str(block)):
            return dict(json.loads(block))
        case Reasoning(text):
            signature = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
            return {"type": "thinking", "thinking": text, "signature": signature}
        case _:
            raise TypeError(f"an answer holds no {type(part).__name__}")


def _events(reply: Reply, number: int) -> Iterator[dict[str, Any]]:
    started = {**_anthropic_usage(reply.usage), "output_tokens": 1}
    message = {**_message(reply, number), "content": [], "stop_reason": None, "usage": started}
    yield {"type": "message_start", "message": message}
    for index, part in enumerate(reply.message.parts):
        opening, deltas = _block_events(part)
        yield {"type": "content_block_start", "index": index, "content_block": opening}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": _ANTHROPIC_STOPS[reply.stop], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": reply.usage.output_tokens}}
    yield {"type": "message_stop"}


def _block_events(part: Part) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    block = _block(part)
    pieces = _pieces(part)
    match block["type"]:
        case "text":
            return {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces]
        case "tool_use":
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
            return {**block, "input": {}}, deltas
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {**block, "thinking": "", "signature": ""}, deltas
        case _:
            return block, []


def _completion(reply: Reply, number: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.message.text or None}
    if thought := "".join(part.text for part in reply.message.parts if isinstance(part, Reasoning)):
        message["reasoning_content"] = thought
    if reply.message.calls:
        message["tool_calls"] = [_call(call) for call in reply.message.calls]
    choice = {"index": 0, "message": message, "finish_reason": _OPENAI_STOPS[reply.stop]}
    return {**_envelope(reply, number, "chat.completion"), "choices": [choice], "usage": _openai_usage(reply.usage)}


def _chunks(reply: Reply, number: int) -> Iterator[dict[str, Any]]:
    envelope = _envelope(reply, number, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    calls = 0
    for part in reply.message.parts:
        match part:
            case Text():
                yield from (chunk({"content": piece}) for piece in _pieces(part))
            case Reasoning():
                yield from (chunk({"reasoning_content": piece}) for piece in _pieces(part))
            case ToolCall():
                opening = _call(part)
                opening["function"]["arguments"] = ""
                yield chunk({"tool_calls": [{"index": calls, **opening}]})
                for piece in _pieces(part):
                    yield chunk({"tool_calls": [{"index": calls, "function": {"arguments": piece}}]})
                calls += 1
            case _:
                raise TypeError(f"an answer holds no {type(part).__name__}")
    yield chunk({}, _OPENAI_STOPS[reply.stop])
    yield {**envelope, "choices": [], "usage": _openai_usage(reply.usage)}


def _envelope(reply: Reply, number: int, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{number}", "object": kind, "created": 0, "model": reply.model}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": written(call)}}


def _pieces(part: Part) -> list[str]:
    return [delta.text for delta in deltas_of((part,))]


def _anthropic_usage(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }


def _openai_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
    }
