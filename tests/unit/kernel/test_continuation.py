"""Continuation: which replies are answers, and how often a model is asked to go on."""

from __future__ import annotations

from typing import Any

import pytest

from a3s_code.errors import ModelProtocolError
from a3s_code.kernel.continuation import ANNOUNCED, EMPTY, ONLY_REASONING, Continuation
from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import Message, Part, Reasoning, Reply, Text, ToolCall
from a3s_code.kernel.notice import is_notice, notice


def reply(*parts: Part | str, stop: Any = "end") -> Reply:
    made = tuple(Text(part) if isinstance(part, str) else part for part in parts)
    return Reply(Message("assistant", made), stop, Usage(), "acme/one", "req-1")


def call(malformed: str | None = None) -> ToolCall:
    return ToolCall("c1", "read", {}, malformed)


THOUGHT = Reasoning("hm", "acme/one")


@pytest.mark.parametrize(
    "answer",
    [
        "Done.",
        "Let me know if that is enough",
        "I will look at the parser next",
        "The two causes:\n- one\n- two",
        "These are the files:\nsrc/a.py:",
        "x" * 79 + ":",
        "Wait...",
        "no: not there",
    ],
)
def test_an_answer_stands(answer: str) -> None:
    assert Continuation().after(reply(answer)) is None


@pytest.mark.parametrize("written", ["Now the tests:", "x" * 78 + ":", "  Now the tests: \n", "接下来运行测试："])  # noqa: RUF001
def test_one_short_line_with_a_colon_is_asked_to_go_on(written: str) -> None:
    asked = Continuation().after(reply(written))
    assert asked == notice(ANNOUNCED)
    assert is_notice(asked)


@pytest.mark.parametrize("parts", [(), ("",), (" \n\t",), ("", " ")])
@pytest.mark.parametrize("stop", ["end", "length", "tool_calls"])
def test_an_empty_reply_is_asked_to_go_on(parts: tuple[str, ...], stop: str) -> None:
    assert Continuation().after(reply(*parts, stop=stop)) == notice(EMPTY)


def test_a_reply_that_the_output_limit_cut_stands_where_it_has_text() -> None:
    assert Continuation().after(reply("Now the tests:", stop="length")) is None


@pytest.mark.parametrize("stop", ["pause", "content_filter", "context_overflow"])
def test_what_the_provider_stopped_is_left_to_others(stop: str) -> None:
    watch = Continuation(max_turns=0)
    assert watch.after(reply(stop=stop)) is None
    assert watch.after(reply("Now:", stop=stop)) is None


def test_the_same_line_twice_in_a_row_is_the_answer() -> None:
    watch = Continuation()
    assert watch.after(reply("Now the tests:")) is not None
    assert watch.after(reply("Now the tests:")) is None


def test_lines_that_go_on_announcing_are_asked_max_turns_times() -> None:
    watch = Continuation(max_turns=3)
    asked = [watch.after(reply(f"Now step {step}:")) for step in range(4)]
    assert [message is not None for message in asked] == [True, True, True, False]


def test_replies_that_stay_empty_fail_the_run() -> None:
    watch = Continuation(max_turns=3)
    for _ in range(3):
        assert watch.after(reply()) == notice(EMPTY)
    with pytest.raises(ModelProtocolError, match="held nothing") as caught:
        watch.after(reply())
    assert (caught.value.provider, caught.value.request_id) == ("acme", "req-1")


@pytest.mark.parametrize("watch", [Continuation(enabled=False), Continuation(max_turns=0)])
def test_without_continuation_a_line_stands_and_an_empty_reply_fails(watch: Continuation) -> None:
    assert watch.after(reply("Now the tests:")) is None
    with pytest.raises(ModelProtocolError, match="no answer"):
        watch.after(reply(" "))


@pytest.mark.parametrize("between", [reply(call()), reply("An answer.")])
def test_progress_starts_the_count_anew(between: Reply) -> None:
    watch = Continuation(max_turns=1)
    for _ in range(5):
        assert watch.after(reply()) is not None
        assert watch.after(between) is None


def test_reasoning_alone_is_asked_for_text_once() -> None:
    watch = Continuation()
    assert watch.after(reply(THOUGHT)) == notice(ONLY_REASONING)
    with pytest.raises(ModelProtocolError, match="only reasoning"):
        watch.after(reply(THOUGHT))


def test_reasoning_with_text_or_calls_is_no_silence() -> None:
    watch = Continuation(max_turns=0)
    assert watch.after(reply(THOUGHT, "Done.")) is None
    assert watch.after(reply(THOUGHT, call())) is None


def test_replies_of_nothing_but_malformed_calls_fail_after_max_parse_retries() -> None:
    watch = Continuation(max_parse_retries=2)
    assert watch.after(reply(call("{"))) is None
    assert watch.after(reply("text", call("{"), call("["))) is None
    with pytest.raises(ModelProtocolError, match=r"3 replies in a row.*read.*'\{\"path\": nope'"):
        watch.after(reply(call('{"path": nope')))


def test_what_the_model_wrote_is_shortened() -> None:
    with pytest.raises(ModelProtocolError) as caught:
        Continuation(max_parse_retries=0).after(reply(call("{" + "x" * 5_000)))
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("between", [reply(call(), call("{")), reply("Done.")])
def test_one_good_call_or_an_answer_forgives_the_malformed_ones(between: Reply) -> None:
    watch = Continuation(max_parse_retries=1)
    for _ in range(4):
        assert watch.after(reply(call("{"))) is None
        assert watch.after(between) is None
