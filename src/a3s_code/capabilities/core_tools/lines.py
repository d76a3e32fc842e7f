"""A text by lines: the part that was asked for, numbered, and a note on how to go on."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from a3s_code.system.text import readable

LINE_CHARACTERS = 2000
SHOWN_BYTES = 100 * 1024


@dataclass(frozen=True, slots=True)
class Window:
    """Lines `offset` + 1 and after, without line ends. `total` is None where the text goes on uncounted."""

    lines: list[str]
    offset: int
    total: int | None


def cut_text(text: str, offset: int, limit: int) -> Window:
    """The window of a whole text."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return Window(lines[offset : offset + limit], offset, len(lines))


def cut_pieces(pieces: Iterable[str], offset: int, limit: int) -> Window:
    """The window of a text too large to hold; its lines are shortened, and it is read no further than needed."""
    lines = _split(pieces)
    skipped = sum(1 for _ in itertools.islice(lines, offset))
    window = list(itertools.islice(lines, limit))
    ended = next(lines, None) is None
    return Window(window, offset, skipped + len(window) if ended else None)


def number_lines(window: Window) -> str:
    """The lines with their numbers, as far as SHOWN_BYTES reach, and where there is more a last line that says so."""
    shown = _number_plain(window) if _is_plain(window) else _number(window)
    end = window.offset + len(shown)
    if end != window.total or window.offset:
        of = "" if window.total is None else f" of {window.total}"
        more = "" if end == window.total else f"; continue with offset={end}"
        shown.append(f"[lines {window.offset + 1}-{end}{of}{more}]")
    return "\n".join(shown)


def _is_plain(window: Window) -> bool:
    """Whether the lines can be shown as they are, as those of most files can; one look at all of them is soon taken."""
    lines, whole = window.lines, "".join(window.lines)
    beside = max(6, len(str(window.offset + len(lines)))) + len("\t\n")
    fits = len(whole) + beside * len(lines) <= SHOWN_BYTES and max(map(len, lines), default=0) <= LINE_CHARACTERS
    return fits and whole.isascii() and "\r" not in whole


def _number_plain(window: Window) -> list[str]:
    return [f"{number:>6}\t{line}" for number, line in enumerate(window.lines, window.offset + 1)]


def _number(window: Window) -> list[str]:
    shown: list[str] = []
    room = SHOWN_BYTES
    for number, written in enumerate(window.lines, window.offset + 1):
        line = _shorten(readable(written.removesuffix("\r")))
        text = f"{number:>6}\t{line}"
        room -= (len(text) if text.isascii() else len(text.encode())) + 1
        if room < 0 and shown:
            break
        shown.append(text)
    return shown


def _shorten(line: str) -> str:
    if len(line) <= LINE_CHARACTERS:
        return line
    return f"{line[:LINE_CHARACTERS]}[line cut at {LINE_CHARACTERS} characters]"


def _split(pieces: Iterable[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        yield from whole
        rest = rest[: LINE_CHARACTERS + 1]
    if rest:
        yield rest
