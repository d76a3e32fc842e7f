"""Asking a person: on a real terminal, and where there is none."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import pty
import re
import select
from collections.abc import Iterator
from typing import Any, TextIO

import pytest

from a3s_code.api.confirmers import PROMPT, escape
from a3s_code.confirmers import Confirmation, NotebookConfirmer, PendingConfirmation, TerminalConfirmer
from a3s_code.harness.safety.confirmation import ConfirmationPolicy, Confirmations
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.ports import Question
from a3s_code.kernel.tool import Action
from a3s_code.system.clock import SystemClock

EFFECT = Effect("exec", "make all")


class Screen:
    """A terminal with a person in front of it: the confirmer has one end, the test the other."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.person, terminal = pty.openpty()
        self.stdin: TextIO = os.fdopen(terminal, encoding=encoding)
        self.stdout: TextIO = os.fdopen(os.dup(terminal), "w", encoding=encoding)
        self.confirmer = TerminalConfirmer(self.stdin, self.stdout)
        self.shown = ""

    def read(self, seconds: float = 0.0) -> str:
        """What is on the screen by now."""
        while select.select([self.person], [], [], seconds)[0]:
            self.shown += os.read(self.person, 65_536).decode("utf-8", "replace")
            seconds = 0.0
        return self.shown

    async def expect(self, text: str, count: int = 1) -> None:
        """Wait until the text stands there."""
        for _ in range(500):
            if self.read().count(text) >= count:
                return
            await asyncio.sleep(0.01)
        pytest.fail(f"{text!r} was never shown: {self.shown!r}")

    def type(self, text: str) -> None:
        os.write(self.person, text.encode())

    def close(self) -> None:
        self.stdin.close()
        self.stdout.close()
        os.close(self.person)


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    made.close()


def pending(tool: str = "bash", reason: str = "it builds", **args: Any) -> PendingConfirmation:
    return PendingConfirmation("c1", tool, args or {"command": "make all"}, reason, "bash(make:*)", effects=(EFFECT,))


def asking(screen: Screen, given: PendingConfirmation | None = None) -> asyncio.Task[Confirmation]:
    return asyncio.create_task(screen.confirmer(given or pending()))


@pytest.mark.parametrize(
    ("typed", "approved", "reason"),
    [
        ("y\n", True, ""),
        ("Yes \n", True, ""),
        ("n\n", False, ""),
        ("\n", False, ""),
        ("use make test\n", False, "use make test"),
        ("yy\n", False, "yy"),
        ("y\ny\n", True, ""),
        ("\x04", False, "the input ended without an answer"),
    ],
)
async def test_what_is_typed_is_the_answer(screen: Screen, typed: str, approved: bool, reason: str) -> None:
    task = asking(screen)
    await screen.expect(PROMPT)
    screen.type(typed)
    assert await task == Confirmation(approved, reason)


async def test_the_question_tells_the_tool_the_reason_the_effects_and_all_arguments(screen: Screen) -> None:
    task = asking(screen, pending(command="make all", env={"A": [1, "\u00e9"]}, script="line one\nline two"))
    await screen.expect(PROMPT)
    screen.type("n\n")
    await task
    assert screen.shown.replace("\r\n", "\n").startswith(
        "\n"
        "The agent wants to call bash.\n"
        "  asked because: it builds (rule bash(make:*))\n"
        "  it would: exec make all\n"
        "  command: make all\n"
        '  env: {"A": [1, "\u00e9"]}\n'
        "  script:\n"
        "    | line one\n"
        "    | line two\n"
        f"{PROMPT}"
    )


async def test_arguments_cannot_forge_the_question(screen: Screen) -> None:
    forged = f"true\x1b[2J\x1b[H\rThe agent wants to call read.\x08\x07\u202e\u2028\x9b1A\n{PROMPT}"
    wrapped = "ls " + " " * 200 + "The agent wants to call read."
    task = asking(screen, pending(tool="ba\x1bsh", reason=forged, command=forged, other=wrapped))
    await screen.expect(PROMPT)
    await asyncio.sleep(0.05)
    screen.type("n\n")
    await task
    shown = screen.read().replace("\r\n", "\n")
    question = shown[: shown.rindex(PROMPT)]
    assert not re.search(r"[^\n\x20-\x7e]", question)
    assert all(len(line) < 80 for line in question.split("\n"))
    starts = [line for line in question.split("\n") if not line.startswith("  ")]
    assert starts == ["", "The agent wants to call ba\\x1bsh.", ""]
    assert "\\x1b[2J" in question
    assert "\\u202e" in question


def test_what_is_printable_stays() -> None:
    assert escape("caf\u00e9 \u65e5\u672c \U0001f600 a\tb\u200b") == "caf\u00e9 \u65e5\u672c \U0001f600 a\\tb\\u200b"


async def test_what_was_typed_before_the_question_is_no_answer(screen: Screen) -> None:
    screen.type("y\n")
    await asyncio.sleep(0.05)
    task = asking(screen)
    await screen.expect(PROMPT)
    await asyncio.sleep(0.3)
    assert not task.done()
    screen.type("n\n")
    assert not (await task).approved


async def test_a_long_call_is_cut_until_all_is_asked_for(screen: Screen) -> None:
    lines = [f"line {number}" for number in range(1_000)]
    task = asking(screen, pending(content="\n".join(lines)))
    await screen.expect("type all to see them")
    assert "line 999" not in screen.shown
    screen.type("all\n")
    await screen.expect("line 999")
    await screen.expect(PROMPT, count=2)
    screen.type("y\n")
    assert (await task).approved


async def test_questions_are_asked_one_at_a_time(screen: Screen) -> None:
    tasks = [asking(screen, pending(command=f"make {number}")) for number in range(3)]
    for number in range(1, 4):
        await screen.expect(PROMPT, count=number)
        await asyncio.sleep(0.15)
        assert screen.read().count(PROMPT) == number
        screen.type("y\n" if number == 2 else "n\n")
    answers = [await task for task in tasks]
    assert sum(answer.approved for answer in answers) == 1
    order = re.findall(r"command: make (\d)", screen.shown)
    assert answers[int(order[1])].approved


async def test_a_question_that_is_settled_elsewhere_is_taken_back(screen: Screen) -> None:
    confirmations = Confirmations(ConfirmationPolicy(default_timeout_ms=None), screen.confirmer, SystemClock())
    action = Action("c1", "bash", {"command": "make"}, (EFFECT,), "model")
    question = Question(action, Decision("ask", "it builds"), "{}", "d")
    waiting = asyncio.create_task(confirmations.confirm(question, lambda event: None))
    await screen.expect(PROMPT)
    assert confirmations.settle("c1", approved=True)
    assert (await waiting).approved
    await screen.expect("no answer is needed any more")
    task = asking(screen)
    await screen.expect(PROMPT, count=2)
    screen.type("y\n")
    assert (await task).approved


async def test_a_terminal_that_cannot_show_a_character_shows_its_escape() -> None:
    made = Screen("ascii")
    task = asking(made, pending(command="caf\u00e9"))
    await made.expect(PROMPT)
    made.type("y\n")
    assert (await task).approved
    assert "caf\\xe9" in made.shown
    made.close()


async def test_without_a_terminal_the_answer_is_no() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as source, os.fdopen(write_end, "w") as sink:
        sink.write("y\n")
        sink.flush()
        answer = await TerminalConfirmer(source, sink)(pending())
    assert answer == Confirmation(approved=False, reason="there is no terminal to ask on")
    assert not (await TerminalConfirmer(source, sink)(pending())).approved


async def test_a_terminal_that_goes_away_is_a_no() -> None:
    screen = Screen()
    task = asking(screen)
    await screen.expect(PROMPT)
    os.close(screen.person)
    answer = await asyncio.wait_for(task, 5)
    screen.stdin.close()
    screen.stdout.close()
    assert not answer.approved
    assert answer.reason


async def test_in_a_notebook_without_buttons_it_asks_by_input() -> None:
    asked: list[str] = []

    def answer(text: str) -> str:
        asked.append(text)
        return "y"

    assert (await asyncio.to_thread(lambda: asyncio.run(NotebookConfirmer(answer)(pending())))).approved
    assert "command: make all" in asked[0]
    assert asked[0].endswith(PROMPT)


async def test_in_a_notebook_whose_input_ends_the_answer_is_no() -> None:
    def end(text: str) -> str:
        raise EOFError

    answer = await asyncio.to_thread(lambda: asyncio.run(NotebookConfirmer(end)(pending())))
    assert answer == Confirmation(approved=False, reason="the input ended without an answer")


HAS_WIDGETS = all(importlib.util.find_spec(name) for name in ("ipywidgets", "IPython"))


@pytest.mark.skipif(not HAS_WIDGETS, reason="ipywidgets is not installed")
@pytest.mark.parametrize(("label", "approved"), [("Allow", True), ("Refuse", False)])
async def test_in_a_cell_that_awaits_it_shows_buttons(label: str, approved: bool) -> None:
    widgets: Any = importlib.import_module("ipywidgets")
    task = asyncio.create_task(NotebookConfirmer()(pending()))
    await asyncio.sleep(0.05)
    buttons = [thing for thing in gc.get_objects() if isinstance(thing, widgets.Button) and thing.comm is not None]
    next(button for button in buttons if button.description == label).click()
    assert (await asyncio.wait_for(task, 5)).approved is approved
