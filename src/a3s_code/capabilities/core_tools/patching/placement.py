"""Where the lines of a hunk stand in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from a3s_code.capabilities.core_tools.patching.change import Hunk

MAX_PLACES = 10
MAX_STEPS = 100_000_000


class Misplaced(Exception):
    """A hunk has no place, or not one; `kind` is not_found or invalid_argument, `missing` the text to look for."""

    def __init__(self, reason: str, kind: str, missing: str = "") -> None:
        super().__init__(reason)
        self.kind = kind
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Placement:
    """A hunk at `index`, `offset` lines from where the diff states it; `blanks` where only line endings' blanks differ.

    The lines count from 0. Without a stated line `offset` is 0.
    """

    hunk: Hunk
    index: int
    offset: int = 0
    blanks: bool = False


class Ground:
    """The lines of a file, without line ends, in which hunks are placed one after the other."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._exact = list(lines)
        self._loose: list[str] | None = None
        self._indices: dict[bool, dict[str, list[int]]] = {}
        self._steps = 0

    def place_all(self, hunks: Sequence[Hunk]) -> list[Placement]:
        """The places of `hunks`, in order; raises Misplaced."""
        placed: list[Placement] = []
        cursor = drift = 0
        for number, hunk in enumerate(hunks, 1):
            try:
                placement = self._place(hunk, cursor, drift)
            except Misplaced as wrong:
                which = f"hunk {number}" if len(hunks) > 1 else "the hunk"
                raise Misplaced(f"{which}: {wrong}", wrong.kind, wrong.missing) from None
            placed.append(placement)
            cursor, drift = placement.index + len(hunk.old), placement.offset
        return placed

    def _place(self, hunk: Hunk, cursor: int, drift: int) -> Placement:
        if not hunk.old:
            return self._place_insertion(hunk, cursor)
        stated = [] if hunk.start is None else list(dict.fromkeys((hunk.start + drift, hunk.start)))
        for loose in (False, True):
            lines, old = self._lines(loose), _loosen(hunk.old) if loose else hunk.old
            there = [place for place in stated if self._stands(lines, old, place, hunk, cursor)]
            found = there or self._search(lines, old, hunk, cursor, loose=loose)
            if len(found) > 1:
                raise Misplaced(self._ambiguity(found), "invalid_argument")
            if found:
                offset = 0 if hunk.start is None else found[0] - hunk.start
                return Placement(hunk, found[0], offset, loose)
        raise Misplaced(self._absence(hunk, cursor), "not_found", "\n".join(hunk.old))

    def _place_insertion(self, hunk: Hunk, cursor: int) -> Placement:
        """Lines to add without one around them: only where nothing has to be guessed."""
        end = len(self._exact)
        if not end or hunk.at_end or hunk.start == end:
            return Placement(hunk, end)
        if hunk.start == 0:
            return Placement(hunk, 0)
        if hunk.anchors and hunk.start is None:
            anchors = self._anchors(hunk, cursor)
            if len(anchors) > 1:
                raise Misplaced(self._ambiguity(anchors), "invalid_argument")
            return Placement(hunk, anchors[0] + 1)
        reason = "it adds lines, but holds no line around them by which their place could be checked"
        raise Misplaced(reason, "invalid_argument")

    def _stands(self, lines: list[str], old: list[str], place: int, hunk: Hunk, cursor: int) -> bool:
        if place < cursor or (hunk.at_end and place + len(old) != len(lines)):
            return False
        return lines[place : place + len(old)] == old

    def _search(self, lines: list[str], old: list[str], hunk: Hunk, cursor: int, *, loose: bool) -> list[int]:
        """Where `old` stands; where there are anchors, only the next place from each."""
        if hunk.at_end:
            place = len(lines) - len(old)
            return [place] if self._stands(lines, old, place, hunk, cursor) else []
        if not hunk.anchors:
            return list(islice(self._matches(lines, old, cursor, loose=loose), MAX_PLACES + 1))
        starts = self._anchors(hunk, cursor)
        nexts = (next(self._matches(lines, old, start, loose=loose), None) for start in starts)
        return list(dict.fromkeys(place for place in nexts if place is not None))

    def _anchors(self, hunk: Hunk, cursor: int) -> list[int]:
        """The line of the last anchor, once for each place of the first; the others stand next after the one before."""
        starts: list[int] = []
        for number, anchor in enumerate(hunk.anchors):
            if not number:
                starts = self._find_line(anchor, cursor, MAX_PLACES + 1)
            else:
                starts = [place for start in starts for place in self._find_line(anchor, start + 1, 1)]
            if not starts:
                raise Misplaced(f"there is no line {anchor[:200]!r} after line {cursor}", "not_found", anchor)
        return list(dict.fromkeys(starts))

    def _find_line(self, anchor: str, start: int, most: int) -> list[int]:
        """The lines from `start` that are `anchor`, else those that begin with it; indentation aside."""
        tests: tuple[Callable[[str], bool], ...] = (anchor.__eq__, lambda line: line.startswith(anchor))
        for test in tests:
            self._spend((len(self._exact) - start) * 10)
            places = (place for place in range(start, len(self._exact)) if test(self._exact[place].strip()))
            if found := list(islice(places, most)):
                return found
        return []

    def _matches(self, lines: list[str], old: list[str], start: int, *, loose: bool) -> Iterator[int]:
        index = self._index(lines, loose=loose)
        rare = min(range(len(old)), key=lambda place: len(index.get(old[place], ())))
        for found in index.get(old[rare], ()):
            place = found - rare
            if place >= start:
                self._spend(len(old) + 20)
                if lines[place : place + len(old)] == old:
                    yield place

    def _index(self, lines: list[str], *, loose: bool) -> dict[str, list[int]]:
        if loose not in self._indices:
            index: dict[str, list[int]] = {}
            for place, line in enumerate(lines):
                index.setdefault(line, []).append(place)
            self._indices[loose] = index
        return self._indices[loose]

    def _lines(self, loose: bool) -> list[str]:
        if not loose:
            return self._exact
        if self._loose is None:
            self._loose = _loosen(self._exact)
        return self._loose

    def _spend(self, steps: int) -> None:
        """A file of many equal lines would take for ever."""
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise Misplaced("too many places of the file look like it; make a smaller patch", "invalid_argument")

    def _ambiguity(self, places: list[int]) -> str:
        numbers = ", ".join(str(place + 1) for place in places[:MAX_PLACES])
        more = ", ..." if len(places) > MAX_PLACES else ""
        return f"its lines stand at several places, at lines {numbers}{more}. Give more lines around the change"

    def _absence(self, hunk: Hunk, cursor: int) -> str:
        if hunk.new and next(self._matches(self._exact, hunk.new, 0, loose=False), None) is not None:
            return "its old lines are not there, but its new lines are: it may have been applied before"
        if cursor and next(self._matches(self._exact, hunk.old, 0, loose=False), None) is not None:
            return "its lines stand only before the hunk above; hunks must be in the order of the file"
        where = " at the end of the file" if hunk.at_end else ""
        return f"its lines are not there{where}"


def _loosen(lines: Iterable[str]) -> list[str]:
    return [line.rstrip() for line in lines]
