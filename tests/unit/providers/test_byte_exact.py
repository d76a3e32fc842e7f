"""Streamed text is the sent text, however it was cut on its way."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.kernel.messages import Message, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.testing import Canned, LoopbackServer

APIS = pytest.mark.parametrize("api", ["anthropic", "openai"])
WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["    ", "\t", "\n", "\r\n", "\n\n", "    return x\n", "a", "aa", "aaa", "🙂", "e\u0301", "\x00", "\u2028"]
    ),
    st.sampled_from(["```json\n", "{", '{"name": "', "<tool_call>", "```", "data: x\n\n", "[DONE]"]),
)
PIECES = st.lists(WORDS, min_size=1, max_size=12).filter(lambda pieces: bool("".join(pieces).strip()))


def streamed(api: str, pieces: list[str]) -> bytes:
    if api == "openai":
        events: list[Any] = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
        events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    else:
        events = [{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}]
        for piece in pieces:
            delta = {"type": "text_delta", "text": piece}
            events.append({"type": "content_block_delta", "index": 0, "delta": delta})
        events.append({"type": "message_stop"})
    end = random.Random(len(pieces)).choice(["\n", "\r\n", "\r"])
    ascii_only = len(pieces) % 2 == 0
    return b"".join(f"data: {json.dumps(event, ensure_ascii=ascii_only)}{end}{end}".encode() for event in events)


@APIS
@pytest.mark.parametrize("offered", [True, False])
@settings(derandomize=True, max_examples=60, deadline=None)
@given(pieces=PIECES, seed=st.integers(0, 2**16))
def test_streamed_text_is_the_sent_text(api: str, offered: bool, ask: Any, pieces: list[str], seed: int) -> None:
    body = streamed(api, pieces)
    cut: list[bytes] = []
    generator = random.Random(seed)
    while body:
        size = generator.choice([1, 1, 2, 3, 7, 40, 400])
        cut.append(body[:size])
        body = body[size:]
    tools = (ToolSpec("read", "", {"type": "object"}),) if offered else ()
    with LoopbackServer([Canned.sse(*cut)]) as server:
        heard = asyncio.run(ask(server.endpoint(api), Prompt("", [Message.user("hi")], tools)))
    assert heard.text == heard.reply.message.text == "".join(pieces)


@APIS
def test_one_byte_at_a_time_is_no_trouble(api: str, ask: Any) -> None:
    text = "def f(x):\n    return {\n        'ä': '🙂',\n    }\n" * 20
    with LoopbackServer([text], chunking=1) as server:
        heard = asyncio.run(ask(server.endpoint(api)))
    assert heard.text == heard.reply.message.text == text


@APIS
@pytest.mark.parametrize("stream", [True, False])
def test_a_printed_call_leaves_the_text_and_the_rest_is_exact(api: str, stream: bool, ask: Any) -> None:
    printed = 'First\n    this.\n```json\n{"name": "read", "arguments": {"path": "a"}}\n```\nThen that.'
    with LoopbackServer([printed, printed], chunking=random.Random(3)) as server:
        prompt = Prompt("", [Message.user("hi")], (ToolSpec("read", "", {"type": "object"}),))
        heard = asyncio.run(ask(server.endpoint(api, stream=stream), prompt))
        plain = asyncio.run(ask(server.endpoint(api, stream=stream)))
    assert heard.text == heard.reply.message.text == "First\n    this.\nThen that."
    assert [(call.name, call.arguments) for call in heard.reply.message.calls] == [("read", {"path": "a"})]
    assert heard.reply.stop == "tool_calls"
    assert plain.text == printed
    assert plain.reply.message.calls == ()


@APIS
@pytest.mark.parametrize("stream", [True, False])
def test_a_printed_call_beside_a_real_one_stays_text(api: str, stream: bool, ask: Any) -> None:
    printed = '{"name": "read", "arguments": {"path": "a"}}'
    with LoopbackServer([[printed, ToolCall("c", "read", {"path": "b"})]]) as server:
        prompt = Prompt("", [Message.user("hi")], (ToolSpec("read", "", {"type": "object"}),))
        heard = asyncio.run(ask(server.endpoint(api, stream=stream), prompt))
    assert heard.text == heard.reply.message.text == printed
    assert [call.arguments for call in heard.reply.message.calls] == [{"path": "b"}]
