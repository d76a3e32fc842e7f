"""Answers distorted at random: a typed error or a reply whose every field is of its type, never anything else."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from a3s_code.errors import ModelError
from a3s_code.kernel.contracts import ModelSettings, Usage
from a3s_code.kernel.messages import Message, Reasoning, Reply, Text, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.kernel.validity import flaw_of
from a3s_code.providers.answer import Answer
from a3s_code.providers.anthropic import Messages
from a3s_code.providers.endpoint import Api, ModelEndpoint
from a3s_code.providers.openai import ChatCompletions
from a3s_code.testing import answers

PROMPT = Prompt("", (Message.user("hi"),), (ToolSpec("look", "Looks.", {"type": "object"}),))
THOUGHT = '{"type":"thinking","thinking":"Hm.","signature":"c2ln"}'
REPLY = Reply(
    Message(
        "assistant", (Reasoning("Hm.", "loopback/test", THOUGHT), Text("Grüße. "), ToolCall("1", "look", {"n": 1}))
    ),
    "tool_calls",
    Usage(100, 20, 5),
)
VALUES: tuple[Any, ...] = (None, 0, -1, True, [], {}, "", "x", [1], {"a": 1}, [[]], 3.5, 1e308, 10**30, "BIG")
BYTES = (b"\n", b"\r", b"\0", b"\xff", b'"', b"{", b"data: null\n\n", b"data: 1\n\n", b"data: []\n\n", b"\xef\xbb\xbf")


def answer_of(api: Api, headers: dict[str, str]) -> Answer:
    endpoint = ModelEndpoint("loopback", "test", api, "http://127.0.0.1:9/v1")
    wire = (Messages if api == "anthropic" else ChatCompletions)(endpoint, ModelSettings())
    answer = Answer(endpoint, wire, PROMPT, wire.request(PROMPT), 5.0)
    answer.begin(headers)
    return answer


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


def with_another_value(body: bytes, chance: random.Random) -> bytes:
    start, mark, payload = body.partition(b"data: ") if body.startswith((b"data", b"event")) else (b"", b"", body)
    if not payload.startswith(b"{"):
        return body
    value = json.loads(payload)
    container, key = chance.choice(list(places(value)))
    if chance.random() < 0.2 and isinstance(container, dict):
        del container[key]
    else:
        container[key] = chance.choice(VALUES)
    return start + mark + json.dumps(value).replace('"BIG"', chance.choice(("1e400", "-1e999", "NaN"))).encode()


def distorted(events: list[bytes], chance: random.Random) -> bytes:
    events = list(events)
    at = chance.randrange(len(events))
    match chance.choice(("value", "value", "value", "drop", "twice", "swap", "bytes", "flip")):
        case "value":
            events[at] = with_another_value(events[at], chance)
        case "drop":
            del events[at]
        case "twice":
            events.insert(at, events[at])
        case "swap":
            other = chance.randrange(len(events))
            events[at], events[other] = events[other], events[at]
        case "bytes":
            place = chance.randrange(len(events[at]) + 1)
            events[at] = events[at][:place] + chance.choice(BYTES) + events[at][place:]
        case _:
            place = chance.randrange(len(events[at]))
            events[at] = events[at][:place] + bytes([chance.randrange(256)]) + events[at][place + 1 :]
    return b"\n\n".join(events)


def read(answer: Answer, body: bytes, chance: random.Random) -> Reply:
    pieces: list[Any] = []
    while body:
        size = chance.choice((1, 7, 40, 10**6))
        pieces += answer.feed(body[:size])
        body = body[size:]
    pieces += answer.finish()
    *deltas, reply = pieces
    assert all(isinstance(delta.text, str) for delta in deltas)
    assert isinstance(reply, Reply)
    return reply


@pytest.mark.parametrize("api", ["anthropic", "openai"])
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_distorted_answer_is_a_typed_error_or_a_well_formed_reply(api: Api, streamed: bool) -> None:
    chance = random.Random(11)
    body = answers.streamed(REPLY, api, 1) if streamed else answers.whole(REPLY, api, 1)
    events = body.split(b"\n\n") if streamed else [body]
    headers = {"content-type": "text/event-stream" if streamed else "application/json"}
    counts: Counter[str] = Counter()
    for _ in range(700):
        try:
            reply = read(answer_of(api, headers), distorted([event for event in events if event], chance), chance)
        except ModelError:
            counts["typed"] += 1
            continue
        counts["answered"] += 1
        usage = reply.usage
        assert flaw_of(reply.message) is None
        assert isinstance(reply.request_id, str | None)
        assert all(
            type(count) is int and 0 <= count < 10**12
            for count in (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
        )
    print(f"{api} distorted: 700 answers, {counts['typed']} typed errors, {counts['answered']} replies, 0 others")
    assert min(counts.values()) > 50
