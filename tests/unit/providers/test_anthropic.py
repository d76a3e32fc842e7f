from __future__ import annotations

import json
from typing import Any

import pytest

from a3s_code.errors import ModelProtocolError
from a3s_code.kernel.contracts import ModelSettings, Usage
from a3s_code.kernel.messages import Image, Message, Observation, Reasoning, Reply, Text, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers.anthropic import Messages
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.testing import Canned, LoopbackServer

ENDPOINT = ModelEndpoint("anthropic", "claude", base_url="http://127.0.0.1:1")
MARK = {"type": "ephemeral"}
PNG = Image("image/png", b"\x89PNG")


def body(prompt: Prompt, endpoint: ModelEndpoint = ENDPOINT, **settings: Any) -> dict[str, Any]:
    return dict(json.loads(Messages(endpoint, ModelSettings(**settings)).request(prompt)))


def spelled(*messages: Message, endpoint: ModelEndpoint = ENDPOINT) -> Any:
    return body(Prompt("", list(messages)), endpoint)["messages"]


def test_a_whole_request_as_it_goes_out(tools: tuple[ToolSpec, ...]) -> None:
    history = [
        Message.user("Fix it ä🙂"),
        Message("assistant", (Text("I look."), ToolCall("toolu_1", "read", {"path": "a.py"}))),
        Message("tool", (Observation("toolu_1", "read", "print(1)"),)),
    ]
    request = Messages(ENDPOINT, ModelSettings(temperature=0.5)).request(Prompt("Be brief.", history, tools))
    assert request == (
        b'{"model":"claude","max_tokens":8192,"temperature":0.5,"stream":true,"cache_control":{"type":"ephemeral"},'
        b'"tools":[{"name":"read","description":"Read a file.","input_schema":{"type":"object","properties":{"path":'
        b'{"type":"string"}},"required":["path"]}},{"name":"bash","description":"Run a command.","input_schema":'
        b'{"type":"object","properties":{"command":{"type":"string"},"seconds":{"type":"integer"}}}}],'
        b'"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],'
        b'"messages":[{"role":"user","content":"Fix it \xc3\xa4\xf0\x9f\x99\x82"},'
        b'{"role":"assistant","content":[{"type":"text","text":"I look."},'
        b'{"type":"tool_use","id":"toolu_1","name":"read","input":{"path":"a.py"}}]},'
        b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"print(1)"}]}]}'
    )


def test_results_stand_in_order_with_their_failures_and_images() -> None:
    results = (
        Observation("a", "read", "no such file", exit_code=1, error_kind="not_found"),
        Observation("b", "read", "a picture", images=(PNG,)),
        Observation("c", "bash", ""),
        Observation("d", "read", "", images=(PNG,)),
    )
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
    assert spelled(Message("tool", results)) == [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "no such file", "is_error": True},
                {
                    "type": "tool_result",
                    "tool_use_id": "b",
                    "content": [{"type": "text", "text": "a picture"}, {"type": "image", "source": source}],
                },
                {"type": "tool_result", "tool_use_id": "c"},
                {"type": "tool_result", "tool_use_id": "d", "content": [{"type": "image", "source": source}]},
            ],
        }
    ]


def test_images_of_the_user_go_before_the_text() -> None:
    (message,) = spelled(Message.user("what is it?", (PNG,)))
    assert [part["type"] for part in message["content"]] == ["image", "text"]


def test_blank_text_is_dropped_and_no_message_is_empty() -> None:
    call = ToolCall("a", "read", {})
    assert spelled(
        Message("assistant", (Text("  \n"), call)),
        Message("assistant", (Text(""),)),
        Message("assistant", ()),
        Message.user(""),
    ) == [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "read", "input": {}}]},
        {"role": "assistant", "content": [{"type": "text", "text": "(no text)"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "(no text)"}]},
        {"role": "user", "content": "(no text)"},
    ]


def test_a_malformed_call_goes_back_without_arguments() -> None:
    (message,) = spelled(Message("assistant", (ToolCall("a", "read", {}, malformed='{"path'),)))
    assert message["content"][0]["input"] == {}


def test_ids_of_other_providers_are_made_fit() -> None:
    calls = Message("assistant", (ToolCall("functions.read:0", "read", {}),))
    results = Message("tool", (Observation("functions.read:0", "read", "x"),))
    assistant, user = spelled(calls, results)
    assert assistant["content"][0]["id"] == user["content"][0]["tool_use_id"] == "functions_read_0"


def test_reasoning_goes_back_byte_for_byte_to_its_model_and_to_no_other() -> None:
    block = '{"type":"thinking","thinking":"Hm,  ä \\ud83d\\ude42","signature":"c2ln/+=="}'
    message = Message("assistant", (Reasoning("Hm", "anthropic/claude", block), Text("Yes.")))
    prompt = Prompt("", [message])
    assert block.encode() in Messages(ENDPOINT, ModelSettings()).request(prompt)
    other = ModelEndpoint("anthropic", "claude-next", base_url="http://127.0.0.1:1")
    assert b"thinking" not in Messages(other, ModelSettings()).request(prompt)
    assert block.encode() in Messages(ENDPOINT, ModelSettings()).request(prompt)


def test_reasoning_without_a_block_is_not_sent() -> None:
    (message,) = spelled(Message("assistant", (Reasoning("Hm", "anthropic/claude"), Text("Yes."))))
    assert message["content"] == [{"type": "text", "text": "Yes."}]


def test_the_cache_mark_moves_to_the_last_tool_without_a_system_text(tools: tuple[ToolSpec, ...]) -> None:
    request = body(Prompt("", [Message.user("hi")], tools))
    assert [tool.get("cache_control") for tool in request["tools"]] == [None, MARK]
    assert "system" not in request
    assert request["cache_control"] == MARK


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 8192),
        ({"max_output_tokens": 500}, 500),
        ({"thinking_budget": 4000}, 8192),
        ({"thinking_budget": 10_000}, 18_192),
        ({"thinking_budget": 10_000, "max_output_tokens": 2000}, 12_000),
        ({"thinking_budget": 10_000, "max_output_tokens": 20_000}, 20_000),
    ],
)
def test_max_tokens_is_always_sent_and_larger_than_the_thinking_budget(settings: dict[str, int], expected: int) -> None:
    request = body(Prompt("", [Message.user("hi")]), **settings)
    assert request["max_tokens"] == expected
    budget = settings.get("thinking_budget")
    assert request.get("thinking") == (None if budget is None else {"type": "enabled", "budget_tokens": budget})


def test_earlier_bytes_never_change_as_the_conversation_grows(tools: tuple[ToolSpec, ...]) -> None:
    wire = Messages(ENDPOINT, ModelSettings())
    history = [Message.user("go")]
    before = wire.request(Prompt("sys", history, tools))
    for turn in range(5):
        history.append(Message("assistant", (ToolCall(f"t{turn}", "read", {"path": "x"}),)))
        history.append(Message("tool", (Observation(f"t{turn}", "read", "x" * turn),)))
        after = wire.request(Prompt("sys", history, tools))
        assert after.startswith(before[: -len(b"]}")])
        before = after


def test_a_message_is_encoded_once() -> None:
    wire = Messages(ENDPOINT, ModelSettings())
    message = Message.user("hello")
    wire.request(Prompt("", [message]))
    message.wire["anthropic"] = b'{"role":"user","content":"from the cache"}'
    assert b"from the cache" in wire.request(Prompt("", [message]))


def test_without_tool_calls_tools_are_described_and_calls_are_text(tools: tuple[ToolSpec, ...]) -> None:
    endpoint = ModelEndpoint("local", "m", api="anthropic", base_url="http://127.0.0.1:1", tool_calls=False)
    history = [
        Message("assistant", (ToolCall("a", "read", {"path": "x"}),)),
        Message("tool", (Observation("a", "read", "gone", exit_code=1),)),
    ]
    request = body(Prompt("Be brief.", history, tools), endpoint)
    assert "tools" not in request
    assert '{"name":"read","description":"Read a file."' in request["system"][0]["text"]
    assert request["messages"] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": '<tool_call>\n{"name":"read","arguments":{"path":"x"}}\n</tool_call>\n'}
            ],
        },
        {"role": "user", "content": '<tool_response name="read" failed="true">\ngone\n</tool_response>'},
    ]


def test_half_surrogate_pairs_do_not_stop_a_request() -> None:
    assert spelled(Message.user("a\ud83db")) == [{"role": "user", "content": "a\ufffdb"}]
    assert spelled(Message.user("a\ud83d\ude42b")) == [{"role": "user", "content": "a🙂b"}]


THINKING = Reasoning("I think, ", "loopback/test", '{"type":"thinking","thinking":"I think, ","signature":"EqQB+/=="}')
REDACTED = Reasoning("", "loopback/test", '{"type":"redacted_thinking","data":"Zm9v"}')


@pytest.mark.parametrize("stream", [True, False])
async def test_thinking_comes_apart_from_text_and_goes_back_as_it_came(stream: bool, ask: Any) -> None:
    said = Reply(Message("assistant", (THINKING, REDACTED, Text("Done."))), "end", Usage(5, 6))
    with LoopbackServer([said, "ok"]) as server:
        endpoint = server.endpoint("anthropic", stream=stream)
        heard = await ask(endpoint)
        assert heard.text == "Done."
        assert heard.reasoning == "I think, "
        assert heard.reply.message.parts == (THINKING, REDACTED, Text("Done."))
        await ask(endpoint, Prompt("", [Message.user("hi"), heard.reply.message, Message.user("go on")]))
        sent = server.requests[1].body
    assert str(THINKING.block).encode() in sent
    assert str(REDACTED.block).encode() in sent


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("wire", "stop"),
    [
        ("end_turn", "end"),
        ("stop_sequence", "end"),
        ("max_tokens", "length"),
        ("pause_turn", "pause"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "context_overflow"),
        ("something_new", "end"),
    ],
)
async def test_stop_reasons(wire: str, stop: str, stream: bool, ask: Any) -> None:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"type": "message", "content": [{"type": "text", "text": "x"}], "stop_reason": wire, "usage": usage}
    events = [
        {"type": "message_start", "message": {"usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x"}},
        {"type": "message_delta", "delta": {"stop_reason": wire}, "usage": usage},
        {"type": "message_stop"},
    ]
    canned = Canned.sse(*(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events))
    with LoopbackServer([canned if stream else Canned.json(message)]) as server:
        assert (await ask(server.endpoint("anthropic"))).reply.stop == stop


@pytest.mark.parametrize("stream", [True, False])
async def test_usage_is_told_apart_by_cache(stream: bool, ask: Any) -> None:
    with LoopbackServer([Reply(Message("assistant", (Text("x"),)), "end", Usage(11, 22, 33, 44))]) as server:
        heard = await ask(server.endpoint("anthropic", stream=stream))
    assert heard.reply.usage == Usage(11, 22, 33, 44)


def events(*payloads: dict[str, Any]) -> Canned:
    return Canned.sse(
        *(b"event: %s\ndata: %s\n\n" % (str(p["type"]).encode(), json.dumps(p).encode()) for p in payloads)
    )


async def test_usage_of_the_end_replaces_that_of_the_beginning(ask: Any) -> None:
    stream = events(
        {"type": "message_start", "message": {"usage": {"input_tokens": 10, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x"}},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 7, "cache_read_input_tokens": 3}},
        {"type": "message_stop"},
    )
    with LoopbackServer([stream]) as server:
        assert (await ask(server.endpoint("anthropic"))).reply.usage == Usage(10, 7, 3)


async def test_missing_usage_is_estimated_and_says_so(ask: Any) -> None:
    stream = events(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x" * 36}},
        {"type": "message_stop"},
    )
    with LoopbackServer([stream]) as server:
        usage = (await ask(server.endpoint("anthropic"), "y" * 3600)).reply.usage
    assert usage.estimated
    assert 1000 < usage.input_tokens < 1100
    assert usage.output_tokens == 10


async def test_pings_and_unknown_events_are_passed_over(ask: Any) -> None:
    stream = events(
        {"type": "ping"},
        {"type": "message_start", "message": {"id": "m1"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use", "id": "s"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "news"},
        {"type": "message_stop"},
    )
    with LoopbackServer([stream]) as server:
        heard = await ask(server.endpoint("anthropic"))
    assert heard.reply.message.parts == (Text("x"),)
    assert heard.reply.request_id == "m1"


async def test_a_stream_without_its_last_event_is_no_answer(ask: Any) -> None:
    stream = events(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "half"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    )
    with LoopbackServer([stream]) as server, pytest.raises(ModelProtocolError, match="cut its answer off"):
        await ask(server.endpoint("anthropic"))


async def test_a_refusal_without_text_is_a_state_and_no_error(ask: Any) -> None:
    refused = {"type": "message", "content": [], "stop_reason": "refusal", "usage": {"input_tokens": 5}}
    with LoopbackServer([Canned.json(refused)]) as server:
        reply = (await ask(server.endpoint("anthropic"))).reply
    assert (reply.stop, reply.message.parts, reply.usage) == ("content_filter", (), Usage(5))
