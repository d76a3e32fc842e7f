"""Validity: whatever a model or a host gave, what stands in a history can be sent."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code import AsyncAgent
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Image, Message, Observation, Part, Reasoning, Text, ToolCall
from a3s_code.kernel.pairing import interrupted
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.validity import (
    LARGEST_IMAGE,
    LONGEST_ID,
    NO_IMAGE,
    NOTHING_EARLIER,
    distinct,
    flaw_of,
    legible,
    mended,
    says_nothing,
    sendable,
)
from a3s_code.providers.anthropic import Messages
from a3s_code.providers.endpoint import Api, ModelEndpoint
from a3s_code.providers.openai import ChatCompletions
from a3s_code.testing import ScriptedModel
from a3s_code.testing.validation import prompt_violations, violations

PICTURE = Image("image/png", b"\x89PNG")


def calling(*ids: str, name: str = "read") -> Message:
    return Message("assistant", tuple(ToolCall(call_id, name, {}) for call_id in ids))


def answering(*ids: str) -> Message:
    return Message("tool", tuple(Observation(call_id, "read", f"result of {call_id}") for call_id in ids))


def ids_of(message: Message) -> list[str]:
    return [call.id for call in message.calls]


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("plain", "plain"),
        ("Grüße, 世界 \U0001f600", "Grüße, 世界 \U0001f600"),
        ("a\0b\0", "a\ufffdb\ufffd"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("both halves \ud83d\ude00", "both halves \ufffd\ufffd"),
        ("\0\ud83d", "\ufffd\ufffd"),
    ],
)
def test_text_is_legible_and_stays_where_it_was(given_text: str, shown: str) -> None:
    assert legible(given_text) == shown
    assert legible(shown) is shown


def test_a_message_with_nothing_to_change_comes_back_itself() -> None:
    call = ToolCall("call_1", "read", MappingProxyType({"path": "ä", "deep": [{"n": 1.5, "ok": (True, None)}]}))
    thought = Reasoning("hm", "p/m", '{"type":"thinking"}')
    for message in (
        Message("assistant", (thought, Text("so"), call)),
        Message("user", (PICTURE, Text("look"))),
        Message("tool", (Observation("call_1", "read", "ok", images=(PICTURE,)),)),
    ):
        assert sendable(message) is message
        assert distinct(message, set()) is message


def test_every_text_of_a_message_is_made_legible() -> None:
    call = ToolCall("c", "re\0ad", {"k\0": ["\ud800", {"in\0": "x\0"}]}, "{\0")
    assert sendable(Message("assistant", (Text("t\0"), Reasoning("r\0", "p/m"), call))).parts == (
        Text("t\ufffd"),
        Reasoning("r\ufffd", "p/m"),
        ToolCall("c", "re_ad", {"k\ufffd": ["\ufffd", {"in\ufffd": "x\ufffd"}]}, "{\ufffd"),
    )
    seen = Observation("c", "re\0ad", "o\0", 1, "failed", {"kept": "as it is"}, (PICTURE,))
    assert sendable(Message("tool", (seen,))).parts == (
        Observation("c", "re_ad", "o\ufffd", 1, "failed", {"kept": "as it is"}, (PICTURE,)),
    )


def test_arguments_become_json_whatever_a_host_put_in() -> None:
    deep: dict[str, Any] = {}
    at = deep
    for _ in range(5_000):
        at["in"] = at = {}
    odd: dict[Any, Any] = {
        "nan": math.nan,
        "inf": [-math.inf],
        3: "key",
        "set": {1},
        "bytes": b"x",
        "deep": deep,
        "huge": 10**5_000,
    }
    message = sendable(Message("assistant", (ToolCall("c", "read", odd),)))
    plain = json.loads(json.dumps(dict(message.calls[0].arguments), allow_nan=False))
    assert {key: plain[key] for key in ("nan", "inf", "3", "set", "bytes")} == {
        "nan": "nan",
        "inf": ["-inf"],
        "3": "key",
        "set": "{1}",
        "bytes": "b'x'",
    }
    assert plain["huge"] == "[a number of 16,610 bits]"
    assert sendable(message) is message


@pytest.mark.parametrize(
    ("made_up", "sent"),
    [("read", "read"), ("read file!", "read_file_"), ("функция", "_" * 7), ("", "unnamed"), ("x" * 1000, "x" * 64)],
)
def test_a_made_up_name_of_a_tool_is_sendable(made_up: str, sent: str) -> None:
    message = sendable(Message("assistant", (ToolCall("c", made_up, {}),)))
    assert message.calls[0].name == sent


def test_parts_that_a_role_cannot_have_go() -> None:
    call, seen, thought = ToolCall("c", "read", {}), Observation("c", "read", "x"), Reasoning("hm", "p/m")
    everything: tuple[Part, ...] = (Text("t"), PICTURE, call, seen, thought)
    assert sendable(Message("user", everything)).parts == (Text("t"), PICTURE)
    assert sendable(Message("assistant", everything)).parts == (Text("t"), call, thought)
    assert sendable(Message("tool", everything)).parts == (seen,)


def test_ids_that_are_taken_are_made_anew_in_the_message_and_over_the_conversation() -> None:
    taken: set[str] = set()
    first = distinct(calling("a", "a", "b"), taken)
    second = distinct(calling("b", "c"), taken)
    assert ids_of(first)[0] == "a"
    assert ids_of(first)[2] == "b"
    assert ids_of(second)[1] == "c"
    assert len(set(ids_of(first) + ids_of(second))) == 5
    assert distinct(first, set()) is first


def test_ids_are_told_apart_after_every_formats_spelling() -> None:
    first, second = ids_of(distinct(calling("functions.read:0", "functions_read_0"), set()))
    assert first == "functions.read:0"
    assert re.sub(r"\W", "_", first) != re.sub(r"[^a-zA-Z0-9_-]", "_", second)


@pytest.mark.parametrize("odd", ["", "x" * 41, "y" * 100_000, "a b\n", "\0", "\ud800", "é" * 50, '"'])
def test_ids_that_cannot_be_sent_are_made_anew(odd: str) -> None:
    found = ids_of(distinct(calling(odd, odd), set()))
    assert len(set(found)) == 2
    assert all(re.fullmatch(rf"[!-~]{{1,{LONGEST_ID}}}", call_id) for call_id in found)
    assert found == ids_of(distinct(calling(odd, odd), set())), "the same list gives the same ids"


def test_an_id_that_is_no_text_is_made_anew() -> None:
    nameless: Any = None
    assert ids_of(distinct(calling(nameless, nameless), set())) == ["call", "call-2"]


def test_what_a_model_wants_back_with_a_call_follows_its_new_id() -> None:
    def extra(call_id: str, value: str) -> Reasoning:
        return Reasoning("", "google/gemini", f'{{"call":"{call_id}","extra_content":{{"signature":"{value}"}}}}')

    thinking = Reasoning("hm", "p/m", '{"type":"thinking","thinking":"call","signature":"s"}')
    said = Message(
        "assistant", (thinking, extra("x", "1"), ToolCall("x", "ls", {}), extra("x", "2"), ToolCall("x", "ls", {}))
    )
    fresh = distinct(said, set())
    assert fresh.parts[:3] == said.parts[:3]
    assert fresh.parts[3] == extra(ids_of(fresh)[1], "2")
    wire = ChatCompletions(ModelEndpoint(provider="google", model="gemini", api="openai"), ModelSettings())
    sent = json.loads(wire.request(Prompt("", [fresh])))["messages"][0]["tool_calls"]
    assert [call["extra_content"]["signature"] for call in sent] == ["1", "2"]


@pytest.mark.parametrize(
    ("message", "empty"),
    [
        (Message("assistant", ()), True),
        (Message("assistant", (Text(" \n"),)), True),
        (Message("assistant", (Reasoning("only for the reader", "p/m"),)), True),
        (Message("assistant", (Reasoning("", "p/m", "{}"), Text("\n"))), True),
        (Message("assistant", (Reasoning("", "p/m", "{}"), Text("."))), False),
        (Message("assistant", (Text("."),)), False),
        (calling("a"), False),
        (Message.user(" "), False),
        (answering("a"), False),
    ],
)
def test_what_says_nothing(message: Message, empty: bool) -> None:
    assert says_nothing(message) is empty


def test_what_was_only_thought_at_the_end_of_a_reply_does_not_go_back() -> None:
    before, after = Reasoning("first", "p/m", "{}"), Reasoning("last", "p/m", "{}")
    said = (before, Text("so"), after, Text(" "))
    assert sendable(Message("assistant", said)).parts == (before, Text("so"), Reasoning("last", "p/m"), Text(" "))


def test_a_valid_history_is_not_touched() -> None:
    history = [Message.user("go"), calling("a", "b"), answering("a", "b"), Message("assistant", (Text("done"),))]
    assert list(map(id, mended(history))) == list(map(id, history))
    assert mended([]) == []


def test_results_keep_to_their_calls_when_ids_are_made_anew() -> None:
    history = [Message.user("go")]
    for turn in range(3):
        history += [calling("call_1"), Message("tool", (Observation("call_1", "read", f"result {turn}"),))]
    whole = mended(history)
    assert [message.text for message in whole if message.role == "tool"] == ["result 0", "result 1", "result 2"]
    assert whole[:3] == history[:3]
    assert all(ids_of(asked) == [seen_id(answer)] for asked, answer in zip(whole[1::2], whole[2::2], strict=True))
    assert len({ids_of(asked)[0] for asked in whole[1::2]}) == 3


def seen_id(message: Message) -> str:
    part = message.parts[0]
    assert isinstance(part, Observation)
    return part.call_id


def test_taken_ids_are_those_of_the_whole_session() -> None:
    taken: set[str] = set()
    mended([Message.user("go"), calling("call_1"), answering("call_1")], taken)
    assert ids_of(distinct(calling("call_1"), taken)) != ["call_1"]


def test_a_history_begins_with_a_user_and_holds_no_empty_message() -> None:
    greeting = Message("assistant", (Text("Hello"),))
    empty = Message("assistant", (Text(""),))
    assert mended([answering("a"), greeting, empty, Message("user", ()), Message.user("go")]) == [
        Message.user(NOTHING_EARLIER),
        greeting,
        Message.user("go"),
    ]


def test_results_in_a_users_message_are_results() -> None:
    mixed = Message("user", (*answering("a").parts, Text("go on")))
    assert mended([Message.user("go"), calling("a"), mixed]) == [
        Message.user("go"),
        calling("a"),
        answering("a"),
        Message.user("go on"),
    ]


def test_a_block_that_is_no_json_is_not_sent() -> None:
    for block in ("{broken", "[1]", "null", "\0", "\ud800", '{"a":"\\ud800"}', "[" * 100_000):
        message = Message("assistant", (Reasoning("hm", "p/m", block), Text("so")))
        assert mended([Message.user("go"), message])[1].parts == (Reasoning("hm", "p/m"), Text("so"))


@pytest.mark.parametrize(
    "image",
    [Image("image/svg+xml", b"<svg/>"), Image("image/png", b""), Image("image/png", b"x" * (LARGEST_IMAGE + 1))],
    ids=["kind", "empty", "large"],
)
def test_an_image_that_no_model_takes_is_left_out_and_told(image: Image) -> None:
    asked = sendable(Message.user("look", (image, PICTURE)))
    assert asked.parts == (Text(NO_IMAGE), PICTURE, Text("look"))
    seen = sendable(Message("tool", (Observation("1", "read", "two", images=(PICTURE, image)),)))
    assert seen.parts == (Observation("1", "read", f"two\n{NO_IMAGE}", images=(PICTURE,)),)
    largest = Message.user("look", (Image("image/png", b"x" * LARGEST_IMAGE),))
    assert sendable(largest) is largest
    assert prompt_violations(Prompt("", (largest,))) == []


NOT_TEXT: Any = None
FLAWED: list[Any] = [
    "text",
    {"role": "user", "content": "hi"},
    Message("system", (Text("x"),)),  # type: ignore[arg-type]  # what a host may give
    Message("user", ("x",)),  # type: ignore[arg-type]  # as above
    Message("user", (Text(NOT_TEXT),)),
    Message("assistant", (ToolCall("c", NOT_TEXT, {}),)),
    Message("assistant", (ToolCall("c", "read", NOT_TEXT),)),
    Message("tool", (Observation("c", "read", NOT_TEXT),)),
    Message("user", (Image("image/png", NOT_TEXT),)),
    Message("user", NOT_TEXT),
    Message("tool", (Observation("c", "read", "x", NOT_TEXT),)),
    Message("tool", (Observation("c", "read", "x", images=NOT_TEXT),)),
    Message("tool", (Observation("c", "read", "x", images=("picture",)),)),  # type: ignore[arg-type]  # as above
    Message("assistant", (Reasoning("x", "p/m", 5),)),  # type: ignore[arg-type]  # as above
]


@pytest.mark.parametrize("flawed", FLAWED, ids=range(len(FLAWED)))
def test_what_is_no_message_is_told(flawed: Any) -> None:
    assert flaw_of(flawed)
    with pytest.raises(TypeError):
        mended([flawed])
    assert flaw_of(Message.user("hi")) is None


TEXTS = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=()), max_size=8),
    st.sampled_from(["", " ", "\0", "\ud83d", "\ud83d\ude00", "ok", "x" * 70]),
)
IDS = st.one_of(TEXTS, st.sampled_from(["a", "a_b", "a.b", "call_1", "call_1-2", "abcdefghi", "x" * 50]))
ODDS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=3))
VALUES = st.recursive(
    ODDS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner)), max_leaves=6
)
SEALED = '{"type":"redacted_thinking","data":"sealed"}'


def wanted_back(call_id: str) -> str:
    call_id = legible(call_id)
    return json.dumps({"call": call_id, "extra_content": {"signature": "s"}}, ensure_ascii=False, separators=(",", ":"))


PARTS = st.one_of(
    st.builds(Text, TEXTS),
    st.builds(Image, st.just("image/png"), st.just(b"x")),
    st.builds(Reasoning, TEXTS, st.just("test/anthropic"), st.sampled_from([None, SEALED])),
    st.builds(Reasoning, TEXTS, st.just("test/openai"), IDS.map(wanted_back)),
    st.builds(ToolCall, IDS, TEXTS, st.dictionaries(TEXTS, VALUES, max_size=2), st.one_of(st.none(), TEXTS)),
    st.builds(Observation, IDS, TEXTS, TEXTS),
)
MESSAGES = st.builds(Message, st.sampled_from(["user", "assistant", "tool"]), st.lists(PARTS, max_size=4).map(tuple))


def flaws(messages: Sequence[Message]) -> list[str]:
    """What a strict provider of any kind would refuse in the request that these messages are sent as."""
    found: list[str] = []
    formats: Sequence[tuple[str, Api, Any]] = (
        ("test", "anthropic", Messages),
        ("test", "openai", ChatCompletions),
        ("mistral", "openai", ChatCompletions),
    )
    for provider, api, wire in formats:
        endpoint = ModelEndpoint(provider=provider, model=api, api=api)
        body = wire(endpoint, ModelSettings()).request(Prompt("Be brief.", messages))
        found += (f"{provider} {api}: {flaw}" for flaw in violations(api, body))
    return found


def test_a_strict_provider_refuses_what_is_not_mended() -> None:
    assert flaws([Message.user("x"), calling("a"), answering("a")]) == []
    for messages in (
        [Message.user("x"), calling("a")],
        [Message.user("x"), calling("a"), answering("b")],
        [Message.user("x"), calling("a", "a"), answering("a", "a")],
    ):
        assert len({flaw.partition(":")[0] for flaw in flaws(messages)}) == 3
        assert flaws(mended(messages)) == []


@settings(max_examples=250, derandomize=True, deadline=None, database=None)
@given(st.lists(MESSAGES, max_size=6))
def test_any_list_of_messages_is_mended_to_a_valid_history(messages: list[Message]) -> None:
    whole = mended([*messages, Message.user("go")])
    assert flaws(whole) == []
    assert list(map(id, mended(whole))) == list(map(id, whole)), "mending is done once"


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.lists(st.lists(PARTS, max_size=4).map(lambda parts: Message("assistant", tuple(parts))), max_size=6))
def test_replies_taken_in_one_by_one_make_a_valid_history(replies: list[Message]) -> None:
    taken: set[str] = set()
    history = [Message.user("go")]
    for reply in replies:
        kept = sendable(distinct(reply, taken))
        if says_nothing(kept):
            continue
        history.append(kept)
        if kept.calls:
            history.append(sendable(Message("tool", tuple(map(interrupted, kept.calls)))))
        assert list(map(id, mended(history))) == list(map(id, history))
    assert flaws([*history, Message.user("go on")]) == []


async def test_a_model_that_names_every_call_the_same_completes_a_run_of_five_turns(tmp_path: Path) -> None:
    tmp_path.joinpath("a.txt").write_text("text")
    turns: list[Any] = [
        [f"turn {n}", ToolCall("call_1", "read", {"file_path": "a.txt", "offset": n})] for n in range(1, 5)
    ]
    model = ScriptedModel([*turns, "done"])
    async with AsyncAgent.create("") as agent, agent.session(tmp_path, model=model) as session:
        result = await session.send("go")
        events = [record.event for record in await session.run_events(result.run_id)]
        history = await session.history()
    assert (result.text, result.status, result.turns) == ("done", "completed", 5)
    started = [event.id for event in events if event.type == "tool_start"]
    assert len(set(started)) == len(started) == 4
    assert flaws(history) == []


async def test_a_call_of_a_made_up_tool_is_answered_under_the_name_that_was_meant(tmp_path: Path) -> None:
    model = ScriptedModel([ToolCall("c", "read file!", {}), "done"])
    async with AsyncAgent.create("") as agent, agent.session(tmp_path, model=model) as session:
        await session.send("go")
        history = await session.history()
    assert [call.name for message in history for call in message.calls] == ["read_file_"]
    assert "'read file!'" in history[2].text
    assert "read" in history[2].text.partition("Nearest:")[2]


def test_the_plain_path_is_cheap() -> None:
    """In calls of Python functions, which a busy machine does not change."""
    call = ToolCall("call_1", "write", {"file_path": "a.py", "content": "x" * 100_000})
    message = Message("assistant", (Text("text"), call))
    count = 0

    def hear(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(hear)
    try:
        sendable(distinct(message, set()))
    finally:
        sys.setprofile(None)
    assert count < 40
