from __future__ import annotations

import json
from typing import Any

import pytest

from a3s_code.errors import ModelProtocolError, ModelUnavailable
from a3s_code.kernel.contracts import ModelSettings, Usage
from a3s_code.kernel.messages import Image, Message, Observation, Reasoning, Reply, Text, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.openai import ChatCompletions
from a3s_code.testing import Canned, LoopbackServer

ENDPOINT = ModelEndpoint("local", "qwen", base_url="http://127.0.0.1:1")
PNG = Image("image/png", b"\x89PNG")
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}


def body(prompt: Prompt, endpoint: ModelEndpoint = ENDPOINT, **settings: Any) -> dict[str, Any]:
    return dict(json.loads(ChatCompletions(endpoint, ModelSettings(**settings)).request(prompt)))


def spelled(*messages: Message, endpoint: ModelEndpoint = ENDPOINT) -> Any:
    return body(Prompt("", list(messages)), endpoint)["messages"]


def chunks(*deltas: dict[str, Any], finish: str | None = "stop", done: bool = True, **fields: Any) -> Canned:
    told = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    if finish is not None:
        told.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **fields})
    pieces = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in told]
    return Canned.sse(*pieces, *([b"data: [DONE]\n\n"] if done else []))


def call(arguments: Any = None, **fields: Any) -> dict[str, Any]:
    function = {key: fields.pop(key) for key in ("name",) if key in fields}
    return {"tool_calls": [{**fields, "function": {**function, "arguments": arguments}}]}


def read(arguments: Any, **fields: Any) -> dict[str, Any]:
    return call(arguments, name="read", **fields)


def test_a_whole_request_as_it_goes_out(tools: tuple[ToolSpec, ...]) -> None:
    history = [
        Message.user("Fix it ä🙂"),
        Message("assistant", (Text("I look."), ToolCall("call_1", "read", {"path": "a.py"}))),
        Message("tool", (Observation("call_1", "read", "print(1)"),)),
    ]
    settings = ModelSettings(temperature=0.5, max_output_tokens=100)
    assert ChatCompletions(ENDPOINT, settings).request(Prompt("Be brief.", history, tools[:1])) == (
        b'{"model":"qwen","max_tokens":100,"temperature":0.5,"stream":true,"stream_options":{"include_usage":true},'
        b'"tools":[{"type":"function","function":{"name":"read","description":"Read a file.","parameters":'
        b'{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}}}],'
        b'"messages":[{"role":"system","content":"Be brief."},'
        b'{"role":"user","content":"Fix it \xc3\xa4\xf0\x9f\x99\x82"},'
        b'{"role":"assistant","content":"I look.","tool_calls":[{"id":"call_1","type":"function","function":'
        b'{"name":"read","arguments":"{\\"path\\":\\"a.py\\"}"}}]},'
        b'{"role":"tool","tool_call_id":"call_1","content":"print(1)"}]}'
    )


def test_images_of_results_follow_in_a_user_message() -> None:
    results = (
        Observation("a", "read", "a picture", images=(PNG,)),
        Observation("b", "bash", "", exit_code=1),
        Observation("c", "read", "", images=(PNG, PNG)),
    )
    assert spelled(Message("tool", results)) == [
        {"role": "tool", "tool_call_id": "a", "content": "a picture"},
        {"role": "tool", "tool_call_id": "b", "content": "(no output)"},
        {"role": "tool", "tool_call_id": "c", "content": "(no output)"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Images that read (a) gave:"},
                PICTURE,
                {"type": "text", "text": "Images that read (c) gave:"},
                PICTURE,
                PICTURE,
            ],
        },
    ]


def test_images_of_the_user_are_data_urls() -> None:
    assert spelled(Message.user("what is it?", (PNG,))) == [
        {"role": "user", "content": [PICTURE, {"type": "text", "text": "what is it?"}]}
    ]


def test_blank_text_is_dropped_and_no_message_is_empty() -> None:
    messages = spelled(
        Message("assistant", (Text(" "), ToolCall("a", "read", {}))),
        Message("assistant", (Reasoning("Hm", "local/qwen"),)),
        Message.user(""),
    )
    assert [message["content"] for message in messages] == [None, "(no text)", "(no text)"]


def test_a_malformed_call_goes_back_without_arguments() -> None:
    (message,) = spelled(Message("assistant", (ToolCall("a", "read", {}, malformed='{"path'),)))
    assert message["tool_calls"][0]["function"] == {"name": "read", "arguments": "{}"}


def test_reasoning_does_not_go_back() -> None:
    (message,) = spelled(Message("assistant", (Reasoning("Hm", "local/qwen"), Text("Yes."))))
    assert message == {"role": "assistant", "content": "Yes."}


@pytest.mark.parametrize(("provider", "key"), [("openai", "max_completion_tokens"), ("groq", "max_tokens")])
def test_the_output_limit_has_its_own_name_at_openai(provider: str, key: str) -> None:
    request = body(Prompt("", [Message.user("hi")]), ModelEndpoint(provider, "m"), max_output_tokens=7)
    assert request[key] == 7
    assert "max_tokens" not in body(Prompt("", [Message.user("hi")]), ModelEndpoint(provider, "m"))


def test_a_plain_answer_is_asked_for_without_stream_options() -> None:
    request = body(Prompt("", [Message.user("hi")]), ModelEndpoint("openai", "m", stream=False))
    assert "stream" not in request
    assert "stream_options" not in request


def test_mistral_gets_ids_of_its_own_kind_and_no_stream_options() -> None:
    endpoint = ModelEndpoint("mistral", "m")
    calls = Message("assistant", (ToolCall("call_1", "read", {}), ToolCall("abcDEF123", "read", {})))
    results = Message("tool", (Observation("call_1", "read", "x"), Observation("abcDEF123", "read", "y")))
    assistant, first, second = spelled(calls, results, endpoint=endpoint)
    made = assistant["tool_calls"][0]["id"]
    assert made == first["tool_call_id"]
    assert len(made) == 9
    assert made.isalnum()
    assert assistant["tool_calls"][1]["id"] == second["tool_call_id"] == "abcDEF123"
    assert "stream_options" not in body(Prompt("", [calls]), endpoint)
    assert spelled(calls)[0]["tool_calls"][0]["id"] == "call_1"


def test_without_tool_calls_tools_are_described_and_calls_are_text(tools: tuple[ToolSpec, ...]) -> None:
    endpoint = ModelEndpoint("local", "m", base_url="http://127.0.0.1:1", tool_calls=False)
    history = [
        Message("assistant", (Text("See:"), ToolCall("a", "read", {"path": "x"}))),
        Message("tool", (Observation("a", "read", "text", images=(PNG,)),)),
    ]
    request = body(Prompt("", history, tools), endpoint)
    assert "tools" not in request
    system, assistant, results = request["messages"]
    assert '{"name":"bash","description":"Run a command."' in system["content"]
    assert assistant["content"] == 'See:<tool_call>\n{"name":"read","arguments":{"path":"x"}}\n</tool_call>\n'
    assert results["content"] == [
        PICTURE,
        {"type": "text", "text": '<tool_response name="read">\ntext\n</tool_response>'},
    ]


async def test_a_model_without_tool_calls_calls_in_text(ask: Any, tools: tuple[ToolSpec, ...]) -> None:
    with LoopbackServer(['<tool_call>\n{"name": "read", "arguments": {"path": "x"}}\n</tool_call>']) as server:
        heard = await ask(server.endpoint(tool_calls=False), Prompt("", [Message.user("go")], tools))
    assert [(made.name, made.arguments) for made in heard.reply.message.calls] == [("read", {"path": "x"})]


@pytest.mark.parametrize("stream", [True, False])
async def test_reasoning_comes_apart_from_text(stream: bool, ask: Any) -> None:
    said = Reply(Message("assistant", (Reasoning("Let me see ...", ""), Text("Done."))), "end", Usage(5, 6))
    with LoopbackServer([said]) as server:
        heard = await ask(server.endpoint(stream=stream))
    assert (heard.reasoning, heard.text) == ("Let me see ...", "Done.")
    assert heard.reply.message.parts == (Reasoning("Let me see ...", "loopback/test"), Text("Done."))


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_both_names_of_reasoning_are_read(name: str, ask: Any) -> None:
    with LoopbackServer([chunks({name: "a"}, {name: "b"}, {"content": "c"})]) as server:
        heard = await ask(server.endpoint())
    assert (heard.reasoning, heard.text) == ("ab", "c")


async def test_content_may_come_in_typed_parts(ask: Any) -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    with LoopbackServer([chunks({"content": [thinking]}, {"content": [{"type": "text", "text": "yes"}]})]) as server:
        heard = await ask(server.endpoint())
    assert (heard.reasoning, heard.text) == ("hm", "yes")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("wire", "stop"),
    [
        ("stop", "end"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "end"),
        ("eos", "end"),
    ],
)
async def test_stop_reasons(wire: str, stop: str, stream: bool, ask: Any) -> None:
    whole = Canned.json({"choices": [{"message": {"content": "x"}, "finish_reason": wire}]})
    with LoopbackServer([chunks({"content": "x"}, finish=wire) if stream else whole]) as server:
        assert (await ask(server.endpoint())).reply.stop == stop


async def test_calls_end_a_turn_as_calls_whatever_the_server_says(ask: Any) -> None:
    with LoopbackServer([chunks(call("{}", id="a", index=0, name="read"), finish="stop")]) as server:
        assert (await ask(server.endpoint())).reply.stop == "tool_calls"


@pytest.mark.parametrize(
    ("deltas", "made"),
    [
        ([read("", id="a", index=0), call('{"n"', index=0), call(":1}", index=0)], [("a", {"n": 1})]),
        (
            [read("", id="a", index=0), read("", id="b", index=1), call('{"n":2}', index=1), call('{"n":1}', index=0)],
            [("a", {"n": 1}), ("b", {"n": 2})],
        ),
        ([read('{"n":', id="a"), call("1}")], [("a", {"n": 1})]),
        ([read('{"n":1}', id="a"), read('{"n":2}', id="b")], [("a", {"n": 1}), ("b", {"n": 2})]),
        ([read('{"n":1}', id="a", index=0), read('{"n":2}', id="b", index=0)], [("a", {"n": 1}), ("b", {"n": 2})]),
        ([read('{"n"', id="a", index=0), read(":1}", id="a", index=0)], [("a", {"n": 1})]),
        ([read({"n": 1}, id="a", index=0)], [("a", {"n": 1})]),
        ([read(None, id="a", index=0)], [("a", {})]),
    ],
    ids=[
        "in pieces",
        "side by side",
        "without index",
        "two without index",
        "two with one index",
        "id and name repeated",
        "arguments as an object",
        "no arguments",
    ],
)
async def test_pieces_of_calls_are_put_together(deltas: list[Any], made: list[Any], ask: Any) -> None:
    with LoopbackServer([chunks(*deltas)]) as server:
        reply = (await ask(server.endpoint())).reply
    assert [(one.id, one.arguments) for one in reply.message.calls] == made


async def test_missing_ids_are_made_and_differ(ask: Any) -> None:
    deltas = [call('{"n":1}', name="read"), call('{"n":2}', name="read"), call('{"n":3}', id="", name="read")]
    with LoopbackServer([chunks(*deltas)]) as server:
        calls = (await ask(server.endpoint())).reply.message.calls
    assert [one.arguments["n"] for one in calls] == [1, 2, 3]
    assert len({one.id for one in calls}) == 3
    assert all(one.id for one in calls)


@pytest.mark.parametrize("written", ['{"path": "x', "[1]", '"text"', "null", "{'a': 1}", '{"a": NaN}', '{"a":1}}'])
async def test_arguments_that_are_no_object_are_kept_as_malformed(written: str, ask: Any) -> None:
    with LoopbackServer([chunks(call(written, id="a", index=0, name="read"))]) as server:
        (made,) = (await ask(server.endpoint())).reply.message.calls
    assert (made.arguments, made.malformed) == ({}, written)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 4}, Usage(10, 4)),
        ({"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}}, Usage(4, 4, 6)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 3},
            },
            Usage(1, 4, 6, 3),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 4, "prompt_cache_hit_tokens": 6}, Usage(4, 4, 6)),
        ({"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": None}, Usage(10, 4)),
    ],
)
async def test_usage_counts_cached_tokens_apart(counts: dict[str, Any], usage: Usage, ask: Any) -> None:
    with LoopbackServer(
        [chunks({"content": "x"}, usage=counts), chunks({"content": "x"}, x_groq={"usage": counts})]
    ) as server:
        assert (await ask(server.endpoint())).reply.usage == usage
        assert (await ask(server.endpoint())).reply.usage == usage


@pytest.mark.parametrize("counts", [None, {}, {"prompt_tokens": 0, "completion_tokens": 0}])
async def test_missing_usage_is_estimated_and_says_so(counts: Any, ask: Any) -> None:
    image = Image("image/png", bytes(300_000))
    with LoopbackServer([chunks({"content": "x" * 36}, usage=counts)]) as server:
        prompt = Prompt("", [Message.user("y" * 3600, (image,))])
        usage = (await ask(server.endpoint(), prompt)).reply.usage
    assert usage.estimated
    assert 2500 < usage.input_tokens < 2700
    assert usage.output_tokens == 10


async def test_a_stream_without_a_finish_reason_is_no_answer(ask: Any) -> None:
    with LoopbackServer(
        [chunks({"content": "half"}, finish=None), chunks({"content": "half"}, finish=None, done=False)]
    ) as server:
        for _ in range(2):
            with pytest.raises(ModelProtocolError, match="cut its answer off"):
                await ask(server.endpoint())


COUNTS = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 1}}


@pytest.mark.parametrize("last", [b"data: [DONE]\n\n", b"data: " + json.dumps(COUNTS).encode() + b"\n\n"])
async def test_a_break_after_the_last_chunk_does_no_harm(last: bytes, ask: Any) -> None:
    whole = chunks({"content": "x"}, done=False)
    with LoopbackServer([Canned.sse(*(whole.chunks or ()), last, cut=True)]) as server:
        assert (await ask(server.endpoint())).reply.message.text == "x"


async def test_a_break_before_the_last_chunk_may_have_lost_something(ask: Any) -> None:
    whole = chunks({"content": "x"}, done=False)
    with (
        LoopbackServer([Canned.sse(*(whole.chunks or ()), cut=True)]) as server,
        pytest.raises(ModelProtocolError, match="cut its answer off"),
    ):
        await ask(server.endpoint())


async def test_silence_and_a_clean_end_after_the_finish_reason_lose_nothing(ask: Any) -> None:
    whole = chunks({"content": "x"}, done=False)
    with LoopbackServer([whole, Canned.sse(*(whole.chunks or ()), 30)]) as server:
        for _ in range(2):
            reply = (await ask(server.endpoint(), settings=ModelSettings(timeout_ms=300))).reply
            assert reply.message.text == "x"
            assert reply.usage.estimated


async def test_an_error_as_finish_reason_is_an_error(ask: Any) -> None:
    with LoopbackServer([chunks({"content": "x"}, finish="error")]) as server, pytest.raises(ModelProtocolError):
        await ask(server.endpoint())


async def test_an_error_with_a_status_in_a_stream_is_the_error_of_that_status(ask: Any) -> None:
    broken = Canned.sse(b'data: {"error": {"code": 502, "message": "upstream died"}, "choices": []}\n\n')
    with LoopbackServer([broken]) as server, pytest.raises(ModelUnavailable, match="upstream died"):
        await ask(server.endpoint())


async def test_signatures_of_calls_go_back_to_the_model_that_made_them(ask: Any) -> None:
    signed = call('{"n":1}', id="a", name="read", extra_content={"google": {"thought_signature": "c2ln"}})
    with LoopbackServer([chunks(signed), "ok", "ok"]) as server:
        endpoint = server.endpoint()
        message = (await ask(endpoint)).reply.message
        prompt = Prompt("", [Message.user("go"), message, Message("tool", (Observation("a", "read", "x"),))])
        await ask(endpoint, prompt)
        await ask(server.endpoint(model="other"), prompt)
        own, foreign = (request.json["messages"][1]["tool_calls"][0] for request in server.requests[1:])
    assert own["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert "extra_content" not in foreign


async def test_a_server_that_ignores_stream_is_understood(ask: Any) -> None:
    whole = Canned.json({"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]})
    with LoopbackServer([whole]) as server:
        heard = await ask(server.endpoint(stream=True))
        assert server.requests[0].json["stream"] is True
    assert heard.text == heard.reply.message.text == "whole"


async def test_a_server_that_streams_unasked_is_understood(ask: Any) -> None:
    with LoopbackServer([chunks({"content": "in "}, {"content": "pieces"})]) as server:
        heard = await ask(server.endpoint(stream=False))
    assert heard.text == heard.reply.message.text == "in pieces"


def test_what_a_host_put_in_place_of_what_goes_back_with_a_call_is_left_out() -> None:
    wire = ChatCompletions(ModelEndpoint("acme", "m", "openai", "http://127.0.0.1:9/v1"), ModelSettings())
    for block in ('{"extra_content":{"s":1}}', '{"call":["1"],"extra_content":{"s":1}}'):
        message = Message("assistant", (Reasoning("", "acme/m", block), ToolCall("1", "read", {})))
        (call,) = json.loads(wire.fragment(message))["tool_calls"]
        assert "extra_content" not in call
