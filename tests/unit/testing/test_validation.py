from __future__ import annotations

import copy
import time
from typing import Any

import httpx2
import pytest

from a3s_code.kernel.messages import Image, Message, Observation, Reasoning, Text, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.testing import LoopbackServer, prompt_violations, violations

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
PNG = "iVBORw0KGgo="
MARK = {"type": "ephemeral"}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}


def use(call_id: str = "t1", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "read", "input": {"path": "a"}, **fields}


def result(call_id: str = "t1", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": "x", **fields}


def image(**source: Any) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG, **source}}


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def call(call_id: str = "c1", arguments: str = "{}", name: str = "read", **fields: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **fields}


def function(name: str = "read", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "Read.", "parameters": SCHEMA, **fields}}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks) if blocks else "Go."}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def calling(*calls: Any, content: Any = None) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def answer(call_id: str = "c1", content: Any = "x") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


ANTHROPIC: dict[str, Any] = {
    "model": "claude",
    "max_tokens": 4096,
    "stream": True,
    "cache_control": MARK,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}],
    "tools": [{"name": "read", "description": "Read.", "input_schema": SCHEMA}],
    "messages": [
        user(image(), said("Go.")),
        assistant(THOUGHT, said("I look."), use(), use("t2")),
        user(result(), result("t2", content=[said("a picture"), image()], is_error=True), said("Go on.")),
        assistant(said("Done.")),
        user(),
    ],
}
OPENAI: dict[str, Any] = {
    "model": "m",
    "max_tokens": 100,
    "stream": True,
    "stream_options": {"include_usage": True},
    "tools": [function()],
    "messages": [
        {"role": "system", "content": "Be brief."},
        user({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}, said("Go.")),
        calling(call(), call("c2", '{"path": "ä"}', extra_content={"google": {}})),
        answer(),
        answer("c2", [said("y")]),
        {"role": "assistant", "content": "Done."},
        user(),
    ],
}


def spoken(*messages: Any, **fields: Any) -> dict[str, Any]:
    """A Messages request with this conversation."""
    return {**ANTHROPIC, "messages": list(messages), **fields}


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    """A Chat Completions request with this conversation."""
    return {**OPENAI, "messages": list(messages), **fields}


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


def tooled(**fields: Any) -> dict[str, Any]:
    return spoken(user(), tools=[{**ANTHROPIC["tools"][0], **fields}])


def test_a_request_with_everything_in_it_is_valid() -> None:
    assert violations("anthropic", ANTHROPIC) == []
    assert violations("openai", OPENAI) == []


VALID: dict[str, tuple[Any, dict[str, Any]]] = {
    "text as system": ("anthropic", spoken(user(), system="Be brief.")),
    "two messages of the user": ("anthropic", spoken(user(), user())),
    "two messages of the assistant": ("anthropic", spoken(user(), assistant(said("a")), assistant(said("b")), user())),
    "the assistant last": ("anthropic", spoken(user(), assistant(said("The answer is")))),
    "a result without content": ("anthropic", spoken(user(), assistant(use()), user(without(result(), "content")))),
    "a thought that is hidden": (
        "anthropic",
        spoken(user(), assistant({"type": "redacted_thinking", "data": "xyz"}, said("a")), user()),
    ),
    "thinking": ("anthropic", spoken(user(), thinking={"type": "enabled", "budget_tokens": 2000}, max_tokens=2001)),
    "thinking in a tool loop": (
        "anthropic",
        spoken(user(), assistant(THOUGHT, use()), user(result()), thinking={"type": "enabled", "budget_tokens": 1024}),
    ),
    "four marks": (
        "anthropic",
        spoken(user({**said("a"), "cache_control": MARK}, {**said("b"), "cache_control": MARK})),
    ),
    "an image by its address": ("anthropic", spoken(user(image(type="url", url="https://x.test/a.png"), said("?")))),
    "a surrogate pair": ("anthropic", spoken(user(said("\U0001f642")))),
    "words about escapes": ("anthropic", spoken(user(said("\\u0000 and \\ud83d are escapes")))),
    "no tools": ("openai", without(chat(user()), "tools")),
    "a developer": ("openai", chat({"role": "developer", "content": "x"}, user())),
    "text beside a call": ("openai", chat(user(), calling(call(), content="I look."), answer())),
    "empty text beside a call": ("openai", chat(user(), calling(call(), content=""), answer())),
    "results in another order": ("openai", chat(user(), calling(call(), call("c2")), answer("c2"), answer())),
    "an image by an address": (
        "openai",
        chat(user({"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}, said("?"))),
    ),
    "reasoning of a gateway": ("openai", chat(user(), reasoning={"max_tokens": 100})),
}


@pytest.mark.parametrize("name", VALID)
def test_what_the_apis_take_is_valid(name: str) -> None:
    api, body = VALID[name]
    assert violations(api, body) == []


REFUSED_MESSAGES: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown field": (spoken(user(), n=1), "n: no such field"),
    "no model": (without(ANTHROPIC, "model"), "model: is missing"),
    "a blank model": (spoken(user(), model=" "), "model: must be a name"),
    "no max_tokens": (without(ANTHROPIC, "max_tokens"), "max_tokens: is missing"),
    "max_tokens 0": (spoken(user(), max_tokens=0), "max_tokens: must be a whole number"),
    "max_tokens in text": (spoken(user(), max_tokens="9"), "max_tokens: must be a whole number"),
    "a stream in text": (spoken(user(), stream="yes"), "stream: must be true or false"),
    "a hot temperature": (spoken(user(), temperature=1.5), "temperature: must be a number from 0 to 1"),
    "temperature with thinking": (
        spoken(user(), temperature=0.5, thinking={"type": "enabled", "budget_tokens": 1024}),
        "temperature: must be 1 with thinking",
    ),
    "a small budget": (spoken(user(), thinking={"type": "enabled", "budget_tokens": 1000}), "from 1024 on"),
    "a budget over max_tokens": (
        spoken(user(), thinking={"type": "enabled", "budget_tokens": 4096}),
        "budget_tokens: must be below max_tokens",
    ),
    "unknown thinking": (spoken(user(), thinking={"type": "hard"}), "thinking: must be"),
    "no thought in a tool loop": (
        spoken(user(), assistant(use()), user(result()), thinking={"type": "enabled", "budget_tokens": 1024}),
        "must begin with a thought",
    ),
    "a blank system text": (spoken(user(), system=""), "system: must hold text"),
    "a blank system block": (spoken(user(), system=[said(" ")]), "system[0].text: is blank"),
    "an image as system": (spoken(user(), system=[image()]), "system[0]: must be a text block"),
    "tools as an object": (spoken(user(), tools={}), "tools: must be a list"),
    "two tools of one name": (spoken(user(), tools=ANTHROPIC["tools"] * 2), "several are called 'read'"),
    "a name with a dot": (tooled(name="a.b"), "tools[0].name: 'a.b' holds other characters"),
    "a long name": (tooled(name="x" * 129), "tools[0].name: longer than 128"),
    "a schema without a type": (tooled(input_schema={}), "input_schema: must be an object schema"),
    "a schema of text": (tooled(input_schema={"type": "string"}), "input_schema: must be an object schema"),
    "a schema with a choice": (tooled(input_schema={**SCHEMA, "anyOf": []}), "input_schema.anyOf: not allowed"),
    "properties as a list": (tooled(input_schema={"type": "object", "properties": []}), "must be an object of schemas"),
    "required as text": (tooled(input_schema={"type": "object", "required": "path"}), "must be a list of names"),
    "an unknown field of a tool": (tooled(parameters=SCHEMA), "tools[0].parameters: no such field"),
    "a description of nothing": (tooled(description=None), "tools[0].description: must be text"),
    "a choice without tools": (without(spoken(user(), tool_choice={"type": "auto"}), "tools"), "beside tools"),
    "a choice of another kind": (spoken(user(), tool_choice={"type": "never"}), "auto, any, tool or none"),
    "a forced call with thinking": (
        spoken(
            user(), tool_choice={"type": "any"}, max_tokens=4096, thinking={"type": "enabled", "budget_tokens": 2048}
        ),
        "auto or none with thinking",
    ),
    "an image too large in base64": (
        spoken(user(image(data="A" * (5 * 1024 * 1024 + 4)), said("?"))),
        "larger than 5242880 bytes in base64",
    ),
    "no messages": (spoken(), "messages: is empty"),
    "messages as an object": ({**ANTHROPIC, "messages": {}}, "messages: must be a list"),
    "the assistant first": (spoken(assistant(said("x")), user()), "the first message must be the user's"),
    "a role of the system": (spoken(user(), {"role": "system", "content": "x"}), "is neither user nor assistant"),
    "a role of the tool": (spoken(user(), {"role": "tool", "content": "x"}), "is neither user nor assistant"),
    "a message as text": (spoken(user(), "hi"), "messages[1]: is no object"),
    "a field of a message": (spoken({**user(), "name": "x"}), "messages[0].name: no such field"),
    "empty text": (spoken({"role": "user", "content": ""}), "messages[0].content: is empty"),
    "blank text": (spoken({"role": "user", "content": " \n"}), "messages[0].content: is empty"),
    "no blocks": (spoken({"role": "user", "content": []}), "and not empty"),
    "null for content": (spoken({"role": "user", "content": None}), "and not empty"),
    "a blank block": (spoken(user(said("\n"))), "content[0].text: is blank"),
    "a block of another kind": (spoken(user({"type": "image_url"})), "'image_url' is no kind of block"),
    "a field of a block": (spoken(user({**said("x"), "id": 7})), "content[0].id: no such field"),
    "a result of the assistant": (
        spoken(user(), assistant(result())),
        "a tool_result block in a message of the assistant",
    ),
    "a call of the user": (spoken(user(use())), "a tool_use block in a message of the user"),
    "an id with a colon": (spoken(user(), assistant(use("a:1")), user(result("a:1"))), "id: 'a:1' holds other"),
    "an empty id": (spoken(user(), assistant(use("")), user(result(""))), "id: '' holds other"),
    "a called name with a blank": (spoken(user(), assistant(use(name="a b")), user(result())), "name: 'a b' holds"),
    "input as text": (spoken(user(), assistant(use(input="{}")), user(result())), "input: must be an object"),
    "one id twice": (
        spoken(user(), assistant(use()), user(result()), assistant(use()), user(result())),
        "the tool_use id 't1' stands in several calls",
    ),
    "a call without a result": (
        spoken(user(), assistant(use()), user()),
        "'t1' has no tool_result in the next message",
    ),
    "a call at the end": (spoken(user(), assistant(use())), "'t1' has no tool_result in the next message"),
    "a result too late": (
        spoken(user(), assistant(use()), user(), user(result())),
        "the tool_result 't1' has no tool_use in the message before",
    ),
    "a result of nothing": (spoken(user(result())), "the tool_result 't1' has no tool_use"),
    "two results of a call": (
        spoken(user(), assistant(use()), user(result(), result())),
        "'t1' has several tool_results",
    ),
    "text before a result": (spoken(user(), assistant(use()), user(said("x"), result())), "must come first"),
    "a number as result": (spoken(user(), assistant(use()), user(result(content=7))), "must be text or a list"),
    "a blank block in a result": (spoken(user(), assistant(use()), user(result(content=[said("")]))), "is blank"),
    "a call in a result": (
        spoken(user(), assistant(use()), user(result(content=[use()]))),
        "text, images and documents",
    ),
    "an error in text": (
        spoken(user(), assistant(use()), user(result(is_error="no"))),
        "is_error: must be true or false",
    ),
    "a thought without signature": (
        spoken(user(), assistant({**THOUGHT, "signature": ""}, said("x")), user()),
        "a thought without its signature",
    ),
    "a thought at last": (spoken(user(), assistant(said("x"), THOUGHT), user()), "the last block is a thought"),
    "a space at last": (spoken(user(), assistant(said("The answer is "))), "ends in whitespace"),
    "a space at last in plain text": (spoken(user(), {"role": "assistant", "content": "x "}), "ends in whitespace"),
    "a picture of another kind": (spoken(user(image(media_type="image/svg+xml"))), "'image/svg+xml' is none of"),
    "a picture without data": (spoken(user(image(data=""))), "an image without data"),
    "a picture in other letters": (spoken(user(image(data="***"))), "data that is not base64"),
    "a large picture": (spoken(user(image(data="AAAA" * 1_800_000))), "an image larger than"),
    "too many pictures": (spoken(user(*[image()] * 101)), "more than 100 images"),
    "five marks": (spoken(user(*[{**said("a"), "cache_control": MARK}] * 3)), "more than 4 times"),
    "a mark of another kind": (spoken(user({**said("a"), "cache_control": {"type": "long"}})), "must be ephemeral"),
}
REFUSED_CHATS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown field": (chat(user(), system="x"), "system: no such field"),
    "no model": (without(OPENAI, "model"), "model: is missing"),
    "max_tokens 0": (chat(user(), max_tokens=0), "max_tokens: must be a whole number"),
    "both limits": (chat(user(), max_completion_tokens=9), "stands beside max_completion_tokens"),
    "a hot temperature": (chat(user(), temperature=3), "temperature: must be a number from 0 to 2"),
    "stream options without a stream": (chat(user(), stream=False), "stream_options: only with stream"),
    "a stream in text": (chat(user(), stream="yes"), "stream: must be true or false"),
    "no tools in the list": (chat(user(), tools=[]), "tools: must be a list of 1 to 128 tools"),
    "a choice without tools": (without(chat(user(), tool_choice="auto"), "tools"), "tool_choice: only with tools"),
    "a choice of another kind": (chat(user(), tool_choice="never"), "none, auto, required or an object"),
    "a tool as it is elsewhere": (chat(user(), tools=ANTHROPIC["tools"]), "must be an object with a function"),
    "a tool of no type": (chat(user(), tools=[without(function(), "type")]), "type: must be function"),
    "two tools of one name": (chat(user(), tools=[function(), function()]), "several are called 'read'"),
    "a name with a dot": (chat(user(), tools=[function("a.b")]), "name: 'a.b' holds other characters"),
    "a long name": (chat(user(), tools=[function("x" * 65)]), "name: longer than 64"),
    "a schema without a type": (chat(user(), tools=[function(parameters={})]), "parameters: must be an object schema"),
    "an unknown field of a tool": (chat(user(), tools=[function(input_schema={})]), "input_schema: no such field"),
    "no messages": (chat(), "messages: is empty"),
    "another role": (chat({"role": "human", "content": "x"}), "'human' is no role"),
    "a message as text": (chat("hi"), "messages[0]: is no object"),
    "a field of a message": (chat({**user(), "tool_call_id": "x"}), "tool_call_id: no such field"),
    "no content": (chat({"role": "user"}), "content: is missing"),
    "blank text": (chat({"role": "user", "content": " "}), "content: is empty"),
    "no parts": (chat({"role": "user", "content": []}), "and not empty"),
    "a blank part": (chat(user(said(""))), "content[0].text: is blank"),
    "a picture of the assistant": (
        chat(user(), assistant({"type": "image_url", "image_url": {"url": "https://x.test"}})),
        "must be one of text",
    ),
    "null without calls": (chat(user(), {"role": "assistant", "content": None}), "may be null only beside tool_calls"),
    "an empty list of calls": (
        chat(user(), calling(content="x")),
        "tool_calls: must be a list of calls, and not empty",
    ),
    "a call without an id": (chat(user(), calling(call("")), answer("")), "id: is missing"),
    "a long id": (chat(user(), calling(call("x" * 41)), answer("x" * 41)), "id: longer than 40"),
    "a call of no type": (chat(user(), calling(without(call(), "type")), answer()), "type: must be function"),
    "an index in a call": (chat(user(), calling(call(index=0)), answer()), "index: no such field"),
    "a called name with a blank": (chat(user(), calling(call(name="a b")), answer()), "name: 'a b' holds"),
    "arguments as an object": (
        chat(user(), calling({**call(), "function": {"name": "read", "arguments": {}}}), answer()),
        "arguments: must be text",
    ),
    "half of the arguments": (
        chat(user(), calling(call(arguments='{"path')), answer()),
        "not the text of a JSON object",
    ),
    "a list as arguments": (chat(user(), calling(call(arguments="[]")), answer()), "not the text of a JSON object"),
    "NUL in the arguments": (chat(user(), calling(call(arguments='{"a":"\\u0000"}')), answer()), "the character NUL"),
    "one id twice": (
        chat(user(), calling(call()), answer(), calling(call()), answer()),
        "the id 'c1' stands in several calls",
    ),
    "a call without a result": (chat(user(), calling(call()), user()), "the call 'c1' before it has no tool message"),
    "a call at the end": (chat(user(), calling(call())), "the call 'c1' before it has no tool message"),
    "a result too late": (chat(user(), calling(call()), user(), answer()), "no open call has the id 'c1'"),
    "a result of nothing": (chat(user(), answer()), "no open call has the id 'c1'"),
    "two results of a call": (chat(user(), calling(call()), answer(), answer()), "no open call has the id 'c1'"),
    "a result without an id": (chat(user(), {"role": "tool", "content": "x"}), "tool_call_id: is missing"),
    "an empty result": (chat(user(), calling(call()), answer(content="")), "content: is empty"),
    "a picture as result": (
        chat(user(), calling(call()), answer(content=[{"type": "image_url", "image_url": {"url": "https://x.test"}}])),
        "must be one of text",
    ),
    "a picture of another kind": (
        chat(user({"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,AAAA"}})),
        "'image/svg+xml' is none of",
    ),
    "a picture from a file": (
        chat(user({"type": "image_url", "image_url": {"url": "file:///a.png"}})),
        "neither a web address nor data",
    ),
}


@pytest.mark.parametrize("name", REFUSED_MESSAGES)
def test_what_the_messages_api_refuses_is_found(name: str) -> None:
    body, words = REFUSED_MESSAGES[name]
    found = violations("anthropic", body)
    assert any(words in fault for fault in found), found


@pytest.mark.parametrize("name", REFUSED_CHATS)
def test_what_chat_completions_refuse_is_found(name: str) -> None:
    body, words = REFUSED_CHATS[name]
    found = violations("openai", body)
    assert any(words in fault for fault in found), found


@pytest.mark.parametrize("api", ["anthropic", "openai"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b'{"a": NaN}', "NaN is no JSON value"),
        (b"[]", "is no JSON object"),
        (b'{"a": "\xff"}', "is not UTF-8 at byte 7"),
        (b'{"a": "\xed\xa0\xbd"}', "is not UTF-8"),
        (b'{"a": "x\\u0000"}', "the character NUL"),
        (b'{"a": "\\\\\\u0000"}', "the character NUL"),
        (b'{"a": "\\ud83d"}', "half of a surrogate pair"),
        (b'{"a": "\\uDE42\\uD83D"}', "half of a surrogate pair"),
        (b'{"\\ud83dx": 1}', "half of a surrogate pair"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a": "' + b"x" * 33 * 1024 * 1024 + b'"}', "is larger than"),
    ],
    ids=lambda value: value[:30].decode("latin-1") if isinstance(value, bytes) else "",
)
def test_what_is_no_request_at_all_is_found(api: Any, body: bytes, words: str) -> None:
    found = violations(api, body)
    assert any(words in fault for fault in found), found


def test_a_valid_request_stays_as_it_is() -> None:
    before = copy.deepcopy((ANTHROPIC, OPENAI))
    violations("anthropic", ANTHROPIC)
    violations("openai", OPENAI)
    assert before == (ANTHROPIC, OPENAI)


TOOLS = (ToolSpec("read", "Read.", SCHEMA),)
HISTORY = (
    Message.user("Go.", (Image("image/png", b"\x89PNG"),)),
    Message(
        "assistant",
        (
            Reasoning("Hm.", "anthropic/c", '{"type":"thinking","thinking":"Hm.","signature":"c2ln"}'),
            Text("I look."),
            ToolCall("t1", "read", {"path": "a"}),
        ),
    ),
    Message("tool", (Observation("t1", "read", "x"),)),
)


def test_a_valid_prompt_is_valid_in_both_formats() -> None:
    assert prompt_violations(Prompt("Be brief.", HISTORY, TOOLS)) == []
    assert prompt_violations(Prompt("", [Message.user("hi")])) == []


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (Prompt("", []), "messages: is empty"),
        (Prompt("", HISTORY[:2]), "'t1'"),
        (Prompt("", (*HISTORY[:2], Message.user("Go on."), HISTORY[2])), "'t1'"),
        (Prompt("", (*HISTORY, *HISTORY[1:])), "several calls"),
        (Prompt("", HISTORY, (ToolSpec("a.b", "", SCHEMA),)), "'a.b' holds other characters"),
        (Prompt("", HISTORY, (ToolSpec("read", "", {}),)), "must be an object schema"),
        (Prompt("", [Message.user("?", (Image("image/bmp", b"BM"),))]), "'image/bmp' is none of"),
    ],
    ids=["nothing", "a call at the end", "a late result", "ids twice", "a tool's name", "a schema", "a picture"],
)
def test_an_invalid_prompt_is_found_in_both_formats(prompt: Prompt, words: str) -> None:
    found = prompt_violations(prompt)
    for api in ("anthropic", "openai"):
        assert any(fault.startswith(f"{api}: ") and words in fault for fault in found), found


def test_a_prompt_that_begins_with_the_assistant_is_refused_by_one_provider() -> None:
    (fault,) = prompt_violations(Prompt("", [Message("assistant", (Text("x"),)), Message.user("hi")]))
    assert fault == "anthropic: messages[0].role: the first message must be the user's"


def test_a_long_conversation_is_judged_in_no_time_at_each_further_call() -> None:
    messages = [Message.user("go")]
    begun = time.process_time()
    for turn in range(300):
        messages.append(Message("assistant", (ToolCall(f"t{turn}", "read", {"path": "x" * 100}),)))
        messages.append(Message("tool", (Observation(f"t{turn}", "read", "x" * 2000),)))
        assert prompt_violations(Prompt("system", messages, TOOLS)) == []
    assert time.process_time() - begun < 3


@pytest.mark.parametrize("api", ["anthropic", "openai"])
async def test_a_strict_server_refuses_an_invalid_request_and_keeps_what_it_found(api: Any) -> None:
    conversation = {"anthropic": spoken(user(), assistant(use())), "openai": chat(user(), calling(call()))}[api]
    with LoopbackServer(["the answer"]) as server, LoopbackServer(["the answer"], strict=False) as lenient:
        async with httpx2.AsyncClient() as client:
            refused = await client.post(server.endpoint(api).url, json=conversation)
            answered = await client.post(server.endpoint(api).url, json={**conversation, "messages": [user()]})
            unread = await client.post(lenient.endpoint(api).url, json={})
        (found,) = server.violations
        assert lenient.violations == []
    assert (refused.status_code, answered.status_code, unread.status_code) == (400, 200, 200)
    assert found == f"request 1: {refused.json()['error']['message']}"
    assert "1' " in found
