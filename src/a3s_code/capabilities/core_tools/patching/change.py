"""What a patch says is to be done: to which file, and which lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from a3s_code.errors import ArgumentError

ChangeKind = Literal["added", "updated", "deleted", "moved"]
MAX_CHARACTERS = 1_000_000
MAX_LINES = 100_000
MAX_FILES = 100
MAX_HUNKS = 2000


class Malformed(ArgumentError):
    """A diff that cannot be read; the number of the line, from 1, is in the message."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        where = "diff" if line is None else f"diff, line {line}"
        super().__init__(f"{where}: {reason}. Nothing was done.", issues=(("diff", "a patch", reason),))


class Row(NamedTuple):
    r"""One line of a hunk: " ", "-" or "+", the line without its end, and whether that was written as `\r\n`; None for
    an empty line that lost even its blank."""

    sign: str
    text: str
    returns: bool | None = False


EMPTY = Row(" ", "", None)


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that stand together in a file, and what becomes of them.

    `start` is the index of the first old line as the diff states it,
    of the place to insert at where it has none; None where it does not say. `anchors` are lines that stand before it.
    `open_end` tells whether the last new line ends the file without a line end; None where the diff does not say.
    `miscounted` is set where the header gave other numbers of lines.
    """

    rows: tuple[Row, ...]
    start: int | None = None
    anchors: tuple[str, ...] = ()
    at_end: bool = False
    open_end: bool | None = None
    miscounted: bool = False

    @property
    def old(self) -> list[str]:
        return [row.text for row in self.rows if row.sign != "+"]

    @property
    def new(self) -> list[str]:
        return [row.text for row in self.rows if row.sign != "-"]

    def count(self, sign: str) -> int:
        return sum(row.sign == sign for row in self.rows)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to one file. `target` is where a moved one goes. `executable` sets or takes the mode bits.

    `hunks` of a deleted file must cover all of it, unless `unseen` says that it goes whatever it holds.
    """

    kind: ChangeKind
    path: str
    target: str | None = None
    hunks: tuple[Hunk, ...] = ()
    executable: bool | None = None
    unseen: bool = False


@dataclass(slots=True)
class Draught:
    """The rows of a hunk while they are read."""

    rows: list[Row] = field(default_factory=list[Row])
    old_open: int | None = None
    new_open: int | None = None

    def add(self, sign: str, text: str) -> None:
        self.rows.append(Row(sign, text.removesuffix("\r"), text.endswith("\r")))

    def mark_open(self, line: int) -> None:
        r"""Take `\ No newline at end of file` for the last row."""
        if not self.rows:
            raise Malformed("it marks a missing line end where there is no line", line)
        place = len(self.rows) - 1
        sign, text, returns = self.rows[place]
        if returns:  # not half of a line end, then, but the last character of the file
            self.rows[place] = Row(sign, text + "\r")
        if sign != "+":
            self.old_open = place
        if sign != "-":
            self.new_open = place

    def finish(
        self,
        line: int,
        start: int | None = None,
        *,
        anchors: tuple[str, ...] = (),
        at_end: bool = False,
        miscounted: bool = False,
    ) -> Hunk:
        """The hunk that began at `line`; raises Malformed where its rows are none."""
        for place, signs in ((self.old_open, " -"), (self.new_open, " +")):
            if place is not None and any(row.sign in signs for row in self.rows[place + 1 :]):
                raise Malformed("a line without line end is followed by another", line)
        if all(row.sign == " " for row in self.rows):
            raise Malformed("a hunk has no line that starts with + or -", line)
        marked = self.old_open is not None or self.new_open is not None
        open_end = self.new_open is not None if marked else None
        return Hunk(tuple(self.rows), start, anchors, at_end or marked, open_end, miscounted)
