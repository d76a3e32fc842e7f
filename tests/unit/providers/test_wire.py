"""What both wire formats owe every server, whatever stands in a conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Image, Message, Observation, Reasoning, Reply, Text, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.kernel.validity import distinct
from a3s_code.providers.anthropic import Messages
from a3s_code.providers.endpoint import Api, ModelEndpoint
from a3s_code.providers.openai import ChatCompletions
from a3s_code.providers.wire import dumps
from a3s_code.testing import Canned, LoopbackServer, prompt_violations, violations

APIS = pytest.mark.parametrize("api", ["anthropic", "openai"])
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
TOOLS = (ToolSpec("read", "Read.", SCHEMA), ToolSpec("bash", "Run.", SCHEMA))
THOUGHT = '{"type":"thinking","thinking":"Hm.","signature":"c2ln"}'
NUL = "\0"


def request(api: Api, prompt: Prompt, **given: Any) -> bytes:
    endpoint = ModelEndpoint("acme", "m", api, "http://127.0.0.1:1/v1")
    wire = Messages if api == "anthropic" else ChatCompletions
    return wire(endpoint, ModelSettings(**given)).request(prompt)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a\0b", '"a\ufffdb"'),
        ("\0\0", '"\ufffd\ufffd"'),
        ({"k\0": ["\0"]}, '{"k\ufffd":["\ufffd"]}'),
        ("a\\u0000b", r'"a\\u0000b"'),
        ("\\\0", '"\\\\\ufffd"'),
        ("\\\\u0000\0", '"\\\\\\\\u0000\ufffd"'),
        ("\ud83d\0", '"\ufffd\ufffd"'),
    ],
    ids=ascii,
)
def test_nul_becomes_the_replacement_character_and_words_about_it_stay(value: Any, written: str) -> None:
    assert dumps(value).decode() == written


@settings(derandomize=True, max_examples=300)
@given(st.text(st.sampled_from('\\u0\0ad\ud83d\ude42"\n1'), max_size=14))
def test_no_text_becomes_an_escaped_nul_or_half_a_surrogate_pair(text: str) -> None:
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert json.loads(dumps({text: text})) == {joined.replace("\0", "\ufffd"): joined.replace("\0", "\ufffd")}


@APIS
def test_nowhere_in_a_request_stands_nul_or_half_a_surrogate_pair(api: Any) -> None:
    odd = f"x{NUL}\ud83d"
    tool = ToolSpec("read", odd, {"type": "object", "properties": {odd: {"description": odd}}})
    history = [
        Message.user(odd, (Image("image/png", b"\0\0"),)),
        Message("assistant", (Text(odd), ToolCall("t1", "read", {odd: [odd, {"deep": odd}]}))),
        Message("tool", (Observation("t1", "read", odd),)),
    ]
    assert violations(api, request(api, Prompt(odd, history, (tool,)))) == []


@APIS
@pytest.mark.parametrize("name", ["functions.read", "read file", "", "x" * 200, "ä", f"re{NUL}ad"], ids=ascii)
@pytest.mark.parametrize("call_id", ["call_1", "a.b:c", "x" * 100, "ü"], ids=ascii)
def test_names_and_ids_that_a_model_made_up_are_sent_as_providers_take_them(api: Any, name: str, call_id: str) -> None:
    history = [
        Message.user("go"),
        Message("assistant", (ToolCall(call_id, name, {}),)),
        Message("tool", (Observation(call_id, name, "no such tool", exit_code=1),)),
    ]
    assert violations(api, request(api, Prompt("", history, TOOLS))) == []


def test_a_model_that_thinks_gets_no_temperature() -> None:
    body = request("anthropic", Prompt("", [Message.user("hi")]), temperature=0.5, thinking_budget=2000)
    assert b"temperature" not in body
    assert violations("anthropic", body) == []


def loop_of(*parts: Any) -> Prompt:
    call = ToolCall("t1", "read", {})
    history = [
        Message.user("go"),
        Message("assistant", (*parts, call)),
        Message("tool", (Observation("t1", "read", "x"),)),
    ]
    return Prompt("", history, TOOLS)


@pytest.mark.parametrize(
    ("parts", "thinks"),
    [
        ((Reasoning("Hm.", "acme/m", THOUGHT),), True),
        ((Reasoning("Hm.", "other/m", THOUGHT),), False),
        ((Text("I look."),), False),
        ((), False),
    ],
    ids=["its own turn", "a turn of another model", "text first", "no thought"],
)
def test_a_turn_that_another_model_began_is_gone_on_with_without_thinking(parts: Any, thinks: bool) -> None:
    body = request("anthropic", loop_of(*parts), thinking_budget=2000)
    assert violations("anthropic", body) == []
    assert ("thinking" in json.loads(body)) is thinks


def test_the_next_request_of_the_user_thinks_again() -> None:
    prompt = loop_of()
    history = [*prompt.messages, Message("assistant", (Text("Done."),)), Message.user("and now?")]
    body = request("anthropic", Prompt("", history, TOOLS), thinking_budget=2000)
    assert violations("anthropic", body) == []
    assert "thinking" in json.loads(body)


@pytest.mark.parametrize("parts", [(), (Text("I see."),)], ids=["alone", "after text"])
def test_no_message_ends_in_a_thought(parts: Any) -> None:
    history = [
        Message.user("go"),
        Message("assistant", (*parts, Reasoning("Hm.", "acme/m", THOUGHT))),
        Message.user("go on"),
    ]
    assert violations("anthropic", request("anthropic", Prompt("", history))) == []


@APIS
def test_blocks_of_the_other_format_are_left_out(api: Any) -> None:
    signed = '{"call":"t1","extra_content":{"google":{}}}'
    blocks = [Reasoning("", "acme/m", block) for block in (signed, THOUGHT, "no JSON" if api == "anthropic" else "{}")]
    assert violations(api, request(api, loop_of(*blocks))) == []


def piece(delta: Any, finish: str | None = None) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"


@pytest.mark.parametrize("finish", ["length", "content_filter"])
async def test_a_call_whose_arguments_never_began_is_not_one_without_arguments(finish: str, ask: Any) -> None:
    first = {"index": 0, "id": "a", "function": {"name": "read", "arguments": "{}"}}
    second = {"index": 1, "id": "b", "function": {"name": "bash", "arguments": ""}}
    with LoopbackServer(
        [Canned.sse(piece({"tool_calls": [first]}), piece({"tool_calls": [second]}, finish))]
    ) as server:
        reply: Reply = (await ask(server.endpoint(), Prompt("", [Message.user("go")], TOOLS))).reply
    assert [(call.name, call.arguments, call.malformed) for call in reply.message.calls] == [
        ("read", {}, None),
        ("bash", {}, ""),
    ]


@APIS
@pytest.mark.parametrize("call_id", ["", "call_1", "functions.read:0", "y" * 60])
async def test_an_id_that_comes_in_each_turn_is_made_unique(api: str, call_id: str, ask: Any) -> None:
    with LoopbackServer(lambda request: ToolCall(call_id, "read", {})) as server:
        history, taken = [Message.user("go")], set[str]()
        for _ in range(4):
            reply = (await ask(server.endpoint(api), Prompt("", history, TOOLS))).reply
            history.append(distinct(reply.message, taken))
            history.append(Message("tool", (Observation(history[-1].calls[0].id, "read", "x"),)))
    assert len({message.calls[0].id for message in history if message.calls}) == 4
    assert prompt_violations(Prompt("", history, TOOLS)) == []
