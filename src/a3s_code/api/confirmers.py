"""Confirmers: ready-made ways to ask a person, for the option on_confirm."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import os
import select
import sys
import termios
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from a3s_code.harness.safety.confirmation import PendingConfirmation
from a3s_code.kernel.contracts import Confirmation
from a3s_code.toolkit.threads import run_in_thread

MOST_LINES = 200
MOST_CHARACTERS = 16_384
MOST_TYPED = 4_096
GLANCE_SECONDS = 0.1
_WIDTH = 80
_NARROWEST = 20
_CONTINUED = "    . "

_asking = threading.Lock()
"""Held while a person is asked: there is one terminal, and one person in front of it."""


class TerminalConfirmer:
    """Asks on the terminal: `on_confirm=TerminalConfirmer()`.

    Shows the tool, all its arguments, the reason and the effects, then waits for y or n; any other text is a no with
    that text as the reason. Questions are asked one at a time. Without a terminal the answer is no, and so it is
    at the end of the input. Characters that could move the cursor or hide text are shown as escapes; what was typed
    before the question stood there does not count. A question that is settled elsewhere, or whose time is up, is
    taken back.

    `stdin` and `stdout` are text files with a descriptor; by default those of the process, or its standard error where
    the output is no terminal.
    """

    def __init__(self, stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
        self._stdin = stdin
        self._stdout = stdout

    async def __call__(self, pending: PendingConfirmation) -> Confirmation:
        """The person's answer."""
        withdrawn = threading.Event()
        try:
            return await run_in_thread(lambda: self._ask(pending, withdrawn))
        finally:
            withdrawn.set()

    def _ask(self, pending: PendingConfirmation, withdrawn: threading.Event) -> Confirmation:
        stdin = _terminal(self._stdin or sys.stdin)
        stdout = _terminal(self._stdout) if self._stdout else _terminal(sys.stdout) or _terminal(sys.stderr)
        if stdin is None or stdout is None:
            return Confirmation(approved=False, reason="there is no terminal to ask on")
        while not _asking.acquire(timeout=GLANCE_SECONDS):
            if withdrawn.is_set():
                return _TAKEN_BACK
        try:
            return _question(_Terminal(stdin, stdout, withdrawn), pending)
        finally:
            _asking.release()


class NotebookConfirmer:
    """Asks in a notebook: `on_confirm=NotebookConfirmer()`.

    In a cell that awaits, with ipywidgets installed, it shows two buttons. Elsewhere it asks by `ask`, which is
    input() unless given: while a blocking call goes on, no button could be noticed.
    """

    def __init__(self, ask: Callable[[str], str] = input) -> None:
        self._ask = ask

    async def __call__(self, pending: PendingConfirmation) -> Confirmation:
        """The person's answer."""
        here = threading.current_thread() is threading.main_thread()
        if here and all(importlib.util.find_spec(name) is not None for name in ("ipywidgets", "IPython")):
            return await _press(pending)
        return await run_in_thread(lambda: self._type(pending))

    def _type(self, pending: PendingConfirmation) -> Confirmation:
        text = "\n".join(describe_call(pending))
        with _asking:
            try:
                return _read(self._ask(f"{text}\n{PROMPT}"))
            except EOFError:
                return _NO_ANSWER


PROMPT = "Allow this call? [y/N, or why not] "
_NO_ANSWER = Confirmation(approved=False, reason="the input ended without an answer")
_TAKEN_BACK = Confirmation(approved=False, reason="the question was taken back")


def describe_call(pending: PendingConfirmation) -> Iterator[str]:
    """A call in lines of printable text: the tool, the reason, the effects, all arguments."""
    yield f"The agent wants to call {escape(pending.tool_name)}."
    if pending.reason:
        rule = f" (rule {escape(pending.rule)})" if pending.rule else ""
        yield f"  asked because: {escape(pending.reason)}{rule}"
    for effect in pending.effects:
        yield f"  it would: {escape(effect.kind)} {escape(effect.target)}"
    for name, value in pending.args.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_plain)
        lines = text.split("\n")
        if len(lines) == 1:
            yield f"  {escape(str(name))}: {escape(text)}"
        else:
            yield f"  {escape(str(name))}:"
            yield from (f"    | {escape(line)}" for line in lines)


def escape(text: str) -> str:
    """The text with every character that is not printed as itself, or that turns the writing round, as an escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _plain(value: Any) -> Any:
    return dict(value) if hasattr(value, "keys") else str(value)


class _Terminal:
    """A terminal while one question stands on it. Its reads end when the question is taken back."""

    def __init__(self, stdin: TextIO, stdout: TextIO, withdrawn: threading.Event) -> None:
        self._input = stdin.fileno()
        self._output = stdout
        self._withdrawn = withdrawn

    def show(self, lines: Iterable[str], prompt: str) -> None:
        """Show the lines, each broken where the terminal would break it, so that no part of one passes for a line."""
        width = max(_NARROWEST, os.get_terminal_size(self._output.fileno()).columns or _WIDTH)
        text = "\n".join(piece for line in lines for piece in _break(line, width - 1))
        encoding = self._output.encoding or "utf-8"
        self._output.write(f"\n{text}\n{prompt}".encode(encoding, "backslashreplace").decode(encoding))
        self._output.flush()

    def forget_typed(self) -> None:
        """Drop what was typed so far, for it was no answer to what is shown next."""
        termios.tcflush(self._input, termios.TCIFLUSH)

    def read_line(self) -> str | None:
        """The next line typed; None at the end of the input. Raises TimeoutError when the question is taken back."""
        typed = b""
        while not typed.endswith((b"\n", b"\r")):
            if self._withdrawn.is_set():
                raise TimeoutError
            if not select.select([self._input], [], [], GLANCE_SECONDS)[0]:
                continue
            piece = os.read(self._input, 1024)
            if not piece or len(typed) > MOST_TYPED:
                return None
            typed += piece
        return typed.decode("utf-8", "replace").strip()


def _break(line: str, width: int) -> Iterator[str]:
    """The line in pieces of at most `width` columns; those after the first are marked as such."""
    start = column = 0
    for place, char in enumerate(line):
        column += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if column > width:
            yield f"{_CONTINUED if start else ''}{line[start:place]}"
            start, column = place, len(_CONTINUED) + 2
    yield f"{_CONTINUED if start else ''}{line[start:]}"


def _question(terminal: _Terminal, pending: PendingConfirmation) -> Confirmation:
    lines = list(describe_call(pending))
    shown, left = _shorten(lines)
    try:
        terminal.forget_typed()
        terminal.show(shown, PROMPT)
        answer = terminal.read_line()
        while left and answer is not None and answer.lower() == "all":
            terminal.show(lines, PROMPT)
            answer, left = terminal.read_line(), 0
    except TimeoutError:
        terminal.show(["(no answer is needed any more)"], "")
        return _TAKEN_BACK
    except OSError as error:
        return Confirmation(approved=False, reason=f"the terminal failed: {error.strerror}")
    return _NO_ANSWER if answer is None else _read(answer)


def _shorten(lines: list[str]) -> tuple[list[str], int]:
    """As many lines as fit a screen or two, and how many characters are left out."""
    text = "\n".join(lines)
    if len(lines) <= MOST_LINES and len(text) <= MOST_CHARACTERS:
        return lines, 0
    shown = "\n".join(lines[:MOST_LINES])[:MOST_CHARACTERS]
    left = len(text) - len(shown)
    return [*shown.split("\n"), f"  [{left:,} more characters are not shown; type all to see them]"], left


def _read(answer: str) -> Confirmation:
    word = answer.strip()
    if word.lower() in ("y", "yes"):
        return Confirmation(approved=True)
    return Confirmation(approved=False, reason="" if word.lower() in ("", "n", "no") else word)


def _terminal(file: TextIO | None) -> TextIO | None:
    """The file, if it is a terminal."""
    try:
        return file if file is not None and file.isatty() else None
    except ValueError:  # it is closed
        return None


async def _press(pending: PendingConfirmation) -> Confirmation:
    """Buttons in the cell that runs."""
    widgets, display = importlib.import_module("ipywidgets"), importlib.import_module("IPython.display")
    pressed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    yes = widgets.Button(description="Allow", button_style="warning")
    no = widgets.Button(description="Refuse")
    why = widgets.Text(placeholder="why not")
    for button, approved in ((yes, True), (no, False)):
        button.on_click(lambda _, approved=approved: None if pressed.done() else pressed.set_result(approved))
    text = widgets.Textarea(
        "\n".join(describe_call(pending)), disabled=True, layout={"width": "100%", "height": "12em"}
    )
    row = widgets.HBox([yes, no, why])
    box = widgets.VBox([text, row])
    display.display(box)
    try:
        approved = await pressed
        return Confirmation(approved, "" if approved else str(why.value))
    finally:
        for widget in (box, row, text, yes, no, why):
            widget.close()
