"""Where a command writes: a terminal with colours, or any other stream, with the same lines."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

Tone = Literal["plain", "strong", "quiet", "good", "bad", "warn", "code", "mark"]
Span = tuple[str, Tone]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

PLAIN_WIDTH = 100
WIDEST = 110


@dataclass(frozen=True, slots=True)
class Signs:
    """The marks a screen can show: one call, the calls of a group, a refusal, a rule, a cut, a separator."""

    call: str
    first: str
    middle: str
    last: str
    denied: str
    rule: str
    cut: str
    dot: str


ASCII = Signs("-", "/", "|", "\\", "x", "-", "...", "-")
UNICODE = Signs("•", "╭", "│", "╰", "✗", "─", "…", "·")


class Screen(Protocol):
    """Takes spans of text; a context manager that leaves the terminal as it found it."""

    @property
    def width(self) -> int:
        """Columns to use."""
        ...

    @property
    def signs(self) -> Signs: ...

    @property
    def paced(self) -> bool:
        """Whether somebody watches the text as it comes."""
        ...

    def write(self, *spans: Span) -> None:
        """Add to the current line; spans may hold newlines. Other control characters are left out."""
        ...

    def wait(self, label: str) -> None:
        """Say what is being waited for, where that can be taken away again, until the next write."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PlainScreen:
    """Lines of text for a pipe, a file or a log. What the stream's encoding lacks is written as `?`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._encoding = out.encoding or "utf-8"

    @property
    def width(self) -> int:
        return PLAIN_WIDTH

    @property
    def signs(self) -> Signs:
        return ASCII

    @property
    def paced(self) -> bool:
        return False

    def write(self, *spans: Span) -> None:
        text = "".join(_CONTROL.sub("", text) for text, _ in spans)
        self._out.write(text.encode(self._encoding, "replace").decode(self._encoding))
        if "\n" in text:
            self._out.flush()

    def wait(self, label: str) -> None:
        self._out.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class RichScreen:
    """A terminal."""

    STYLES: Mapping[Tone, str] = {
        "plain": "",
        "strong": "bold",
        "quiet": "dim",
        "good": "green",
        "bad": "red",
        "warn": "yellow",
        "code": "cyan",
        "mark": "bright_black",
    }

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    @property
    def width(self) -> int:
        return min(self._console.width, WIDEST)

    @property
    def signs(self) -> Signs:
        return UNICODE

    @property
    def paced(self) -> bool:
        return True

    def write(self, *spans: Span) -> None:
        from rich.text import Text

        self._rest()
        text = Text.assemble(*((_CONTROL.sub("", text), self.STYLES[tone]) for text, tone in spans))
        self._console.print(text, end="", soft_wrap=True, highlight=False)

    def wait(self, label: str) -> None:
        from rich.text import Text

        self._rest()
        self._status = self._console.status(
            Text(_CONTROL.sub("", label), "dim", no_wrap=True, overflow="ellipsis"), spinner="dots"
        )
        self._status.start()

    def _rest(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rest()


def open_screen(*, plain: bool = False) -> Screen:
    """The screen that suits standard output: a RichScreen for a capable terminal with `rich` installed."""
    capable = sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    if plain or not capable or (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        return PlainScreen(sys.stdout)
    if importlib.util.find_spec("rich") is None:
        return PlainScreen(sys.stdout)
    from rich.console import Console

    return RichScreen(Console(highlight=False))
