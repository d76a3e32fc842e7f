"""A model that makes the same call again and again."""

from __future__ import annotations

from typing import Any

import pytest

from a3s_code.errors import InvalidOption, RunLimit
from a3s_code.harness.safety.repetition import MOST_KEPT, RepetitionGuard
from a3s_code.kernel.messages import Observation, ToolCall
from a3s_code.kernel.tool import ToolOutput


class Play:
    """Makes calls through a guard as a run does."""

    def __init__(self, threshold: int | None = 3) -> None:
        self.guard = RepetitionGuard(threshold)
        self.count = 0

    def __call__(
        self, name: str, result: str = "same", *, changes: bool = False, **arguments: Any
    ) -> ToolOutput | None:
        """The guard's advice, or None where the call was carried out with that result."""
        self.count += 1
        call = ToolCall(f"c{self.count}", name, arguments)
        advice = self.guard.check(call)
        if advice is None:
            self.guard.note(call, Observation(call.id, name, result), changes)
        return advice


def test_the_third_same_call_is_answered_by_advice_and_the_fifth_ends_the_run() -> None:
    play = Play()
    assert play("grep", pattern="x") is None
    assert play("grep", pattern="x") is None
    third = play("grep", pattern="x")
    assert third is not None
    assert (third.exit_code, third.error_kind) == (1, "failed")
    assert third.metadata == {"guard": "duplicate_tool_call", "duplicate_count": 3, "threshold": 3}
    fourth = play("grep", pattern="x")
    assert fourth is not None
    assert fourth.metadata["duplicate_count"] == 4
    with pytest.raises(RunLimit) as caught:
        play("grep", pattern="x")
    assert caught.value.limit == "repetition"


def test_cosmetic_changes_make_no_other_call_of_one_that_only_looks() -> None:
    play = Play()
    for pattern in ("foo bar", "Foo.*Bar"):
        assert play("grep", pattern=pattern, path="./src") is None
    assert play("grep", pattern="foo-bar", path="src/") is not None


def test_other_numbers_and_other_marks_alone_are_other_calls() -> None:
    play = Play()
    for offset in range(10):
        assert play("read", path="a", offset=offset) is None
    for mark in "{}()[]<>;":
        assert play("grep", pattern=mark) is None


def test_calls_that_change_something_are_the_same_only_with_the_same_arguments() -> None:
    play = Play()
    for old, new in (("{", "}"), ("(", ")"), ("[", "]"), ("a b", "a  b"), ("a  b", "a\tb")):
        assert play("edit", "edited", changes=True, old_string=old, new_string=new) is None


def test_edit_and_test_in_turn_go_on_for_ever() -> None:
    play = Play()
    for number in range(20):
        assert play("edit", "edited", changes=True, new_string=str(number)) is None
        assert play("bash", "1 failed", changes=True, command="pytest") is None
        assert play("read", "text", path="a") is None


def test_a_poll_whose_output_changes_goes_on_for_ever() -> None:
    play = Play()
    for number in range(20):
        assert play("bash", "line\n" * number, changes=True, command="sleep 5; cat log") is None
        assert play("git", f"{number} files changed", command="status") is None


def test_two_calls_in_turn_are_no_progress() -> None:
    play = Play()
    advice = [play("bash", changes=True, command=command) for command in ("make", "ls") * 4]
    assert None not in advice[6:]


def test_a_test_run_that_only_takes_another_time_is_the_same() -> None:
    play = Play()
    assert play("bash", "1 failed in 0.12s", changes=True, command="pytest") is None
    assert play("bash", "1 failed in 1.40s", changes=True, command="pytest") is None
    assert play("bash", "1 failed in 0.31s", changes=True, command="pytest") is not None


def test_news_lets_a_refused_call_through_again() -> None:
    play = Play()
    for _ in range(2):
        play("read", path="a")
    assert play("read", path="a") is not None
    assert play("write", "written", changes=True, path="a", content="new") is None
    assert play("read", path="a") is None


def test_failures_count_as_successes_do() -> None:
    guard = RepetitionGuard()
    for number in range(2):
        call = ToolCall(f"c{number}", "read", {"path": "gone"})
        assert guard.check(call) is None
        guard.note(call, Observation(call.id, "read", "no such file", 1, "not_found"), changed=False)
    assert guard.check(ToolCall("c3", "read", {"path": "gone"})) is not None


@pytest.mark.parametrize("threshold", [None, 0])
def test_without_a_threshold_everything_goes_through(threshold: int | None) -> None:
    play = Play(threshold)
    assert [play("ls") for _ in range(9)] == [None] * 9


@pytest.mark.parametrize("threshold", [1, -3])
def test_a_threshold_that_would_refuse_first_calls_is_none(threshold: int) -> None:
    with pytest.raises(InvalidOption) as caught:
        RepetitionGuard(threshold)
    assert caught.value.field == "duplicate_tool_call_threshold"


def test_what_was_called_long_ago_is_forgotten_and_odd_arguments_are_taken() -> None:
    play = Play()
    for number in (0, 0, *range(1, MOST_KEPT + 1)):
        assert play("read", path=f"f{number}") is None
    assert play("read", path="f0") is None
    assert play("odd", value={1, 2}, text="\ud800", nested=[{"a": None}]) is None


def test_arguments_that_are_no_json_are_never_taken_for_the_same() -> None:
    play, deep = Play(), [1]
    for _ in range(2_000):
        deep = [deep]  # type: ignore[list-item]  # a list in a list
    for _ in range(6):
        assert play("odd", value=deep) is None
        assert play("odd", changes=True, value={1: 2, "a": 3}) is None


def test_calls_made_at_once_are_warned_of_before_the_run_ends() -> None:
    guard = RepetitionGuard()
    together = [ToolCall(f"c{number}", "ls", {}) for number in range(8)]
    assert [guard.check(call) for call in together] == [None] * 8
    for call in together:
        guard.note(call, Observation(call.id, "ls", "same"), changed=False)
    assert guard.check(ToolCall("c8", "ls", {})) is not None
    assert guard.check(ToolCall("c9", "ls", {})) is not None
    with pytest.raises(RunLimit):
        guard.check(ToolCall("c10", "ls", {}))


def test_a_name_is_looked_for_as_it_may_be_written() -> None:
    play = Play()
    for pattern in ("getUser", "get_user", "GetUser"):
        assert play("grep", "No matches.", pattern=pattern) is None
