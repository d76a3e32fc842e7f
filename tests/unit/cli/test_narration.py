"""A run is told call by call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from a3s_code.cli.narration import Narration
from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.events import (
    AgentEnd,
    AgentEvent,
    LimitReached,
    ModelRetry,
    PermissionDenied,
    TextDelta,
    TextWithdrawn,
    ToolEnd,
    ToolStart,
    TurnStart,
)

WORKSPACE = Path("/tmp/rooms")


def tell(shown: Any, *events: AgentEvent) -> list[str]:
    narration = Narration(shown.screen, WORKSPACE, "the model")
    for event in events:
        narration.tell(event)
    return [str(line) for line in shown.lines]


def start(call_id: str, name: str, origin: str = "model", **args: Any) -> ToolStart:
    return ToolStart(call_id, name, json.dumps(args), "", origin)


def end(call_id: str, name: str, output: str = "", exit_code: int = 0, error_kind: str | None = None) -> ToolEnd:
    return ToolEnd(call_id, name, output, exit_code, {}, error_kind)


def test_a_call_is_one_line_with_its_outcome(plain: Any) -> None:
    lines = tell(plain, start("1", "bash", command="make test"), end("1", "bash", "a\nall good\n"))
    assert lines == ["", "  - bash   make test                                      exit 0, all good"]


def test_calls_that_overlap_are_a_group_in_the_order_asked(plain: Any) -> None:
    lines = tell(
        plain,
        start("1", "read", file_path="a.py"),
        start("2", "grep", pattern="def f", path="src"),
        start("3", "glob", pattern="*.py"),
        end("3", "glob", "a.py\nb.py"),
        end("1", "read", "1\ta"),
        end("2", "grep", ""),
    )
    assert [" ".join(line.split()) for line in lines[1:]] == [
        "/ read a.py 1 line",
        "| grep def f in src 0 lines",
        "\\ glob *.py 2 lines",
    ]


def test_calls_one_after_the_other_are_no_group(plain: Any) -> None:
    lines = tell(
        plain, start("1", "ls", path="."), end("1", "ls", "a"), start("2", "ls", path="b"), end("2", "ls", "a")
    )
    assert [line.strip()[0] for line in lines if line] == ["-", "-"]


def test_a_refusal_names_its_reason_beneath_the_call(plain: Any) -> None:
    lines = tell(
        plain,
        start("1", "bash", command="git push"),
        PermissionDenied("1", "bash", "{}", "no rule allows it"),
        end("1", "bash", "Denied: no rule allows it", 1, "permission_denied"),
    )
    assert lines == ["", "  x bash   git push", "           denied: no rule allows it"]


def test_a_failed_tool_shows_what_was_wrong(plain: Any) -> None:
    lines = tell(plain, start("1", "read", file_path="x"), end("1", "read", "There is no x.\nHint", 1, "not_found"))
    assert lines[-1].endswith("There is no x.")


def test_a_command_that_fails_shows_its_exit_code(plain: Any) -> None:
    lines = tell(plain, start("1", "bash", command="false"), end("1", "bash", "oh", 3, "failed"))
    assert lines[-1].endswith("exit 3, oh")


def test_a_check_is_called_a_check(plain: Any) -> None:
    lines = tell(plain, start("1", "bash", "check", command="make test"), end("1", "bash", "OK"))
    assert lines[-1].split() == ["-", "check", "make", "test", "exit", "0,", "OK"]


def test_paths_are_shown_from_the_workspace(plain: Any) -> None:
    lines = tell(plain, start("1", "read", file_path="/tmp/rooms/src/a.py"), end("1", "read", "x"))
    assert lines[-1].split()[2] == "src/a.py"


def test_words_and_calls_stand_apart(plain: Any) -> None:
    lines = tell(
        plain,
        TurnStart(1),
        TextDelta("I look."),
        start("1", "ls", path="."),
        end("1", "ls", "a"),
        TextDelta("I see."),
        AgentEnd("I see.", Usage()),
    )
    assert [line.split()[:2] for line in lines] == [["I", "look."], [], ["-", "ls"], [], ["I", "see."]]


def test_what_goes_wrong_on_the_way_is_said(plain: Any) -> None:
    text = "\n".join(
        tell(
            plain,
            TextDelta("Half an ans"),
            TextWithdrawn(1, "the connection was cut"),
            ModelRetry(1, 1500, "overloaded"),
            LimitReached("turns", "the run used its 3 model calls"),
        )
    )
    assert "Half an ans\n" in text
    assert "the connection was cut" in text
    assert "asked again in 1.5 s" in text
    assert "the run used its 3 model calls" in text


@pytest.mark.parametrize("args", ["not json", "[1, 2]", '"text"', "{}", '{"odd": {"deep": 1}}', '{"command": "cut o…'])
def test_any_argument_text_can_be_shown(plain: Any, args: str) -> None:
    lines = tell(plain, ToolStart("1", "own_tool", args), end("1", "own_tool", "done"))
    assert args in lines[-1] or args in lines[-2]


@pytest.mark.parametrize("width", [30, 60, 79, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(terminal: Any, width: int) -> None:
    shown = terminal(width)
    lines = tell(
        shown,
        start("1", "bash", command="python3 -c 'print(1)'\n" * 9),
        end("1", "bash", "x" * 300, 1, "failed"),
        start("2", "bash", command="python3 -c " + "y" * 300),
        PermissionDenied("2", "bash", "{}", "no rule allows it, and the default is to deny what no rule allows"),
        end("2", "bash", "no", 1, "permission_denied"),
    )
    assert max(len(line) for line in lines if "\x1b" not in line) <= width
