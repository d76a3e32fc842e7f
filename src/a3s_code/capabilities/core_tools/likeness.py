"""Where a text nearly stands: for a model that remembered a line not quite as it is."""

from __future__ import annotations

import difflib
import heapq
from dataclasses import dataclass

MAX_LINES = 20_000
MAX_SHOWN = 12
LINE_CHARACTERS = 200
CUTOFF = 0.5
CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class Likeness:
    """A place: the number of its first line, from 1, its lines, and in words how they differ."""

    number: int
    lines: list[str]
    difference: str

    def render(self) -> str:
        rows = [f"{number:>6}\t{line[:LINE_CHARACTERS]}" for number, line in enumerate(self.lines, self.number)]
        return f"{self.difference}:\n" + "\n".join(rows)


def find_nearest(text: str, wanted: str) -> Likeness | None:
    """The lines of `text` that are most like `wanted`; None where nothing is."""
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")[:MAX_LINES]]
    aims = [line.removesuffix("\r") for line in wanted.strip("\r\n").split("\n")]
    plain = ["".join(line.split()) for line in lines]
    plain_aims = ["".join(line.split()) for line in aims]
    if not any(plain_aims):
        return None
    size = len(aims)
    for start in range(len(lines) - size + 1):
        if plain[start] == plain_aims[0] and plain[start : start + size] == plain_aims:
            found = lines[start : start + size]
            difference = "These lines are there" if found == aims else "Only the blanks differ there"
            return Likeness(start + 1, found[:MAX_SHOWN], difference)
    place = max(range(size), key=lambda index: len(plain_aims[index]))
    best = _most_like(lines, aims[place])
    if best is None:
        return None
    start = max(best - place, 0)
    if size > MAX_SHOWN:
        start = max(start, best - MAX_SHOWN // 2)
    return Likeness(start + 1, lines[start : start + min(size + 2, MAX_SHOWN)], "Nearest lines")


def _most_like(lines: list[str], aim: str) -> int | None:
    """The index of the line most like `aim`, indentation aside."""
    first: dict[str, int] = {}
    for index, line in enumerate(lines):
        first.setdefault(line.strip()[:LINE_CHARACTERS], index)
    wanted = aim.strip()[:LINE_CHARACTERS]
    pairs = _pairs(wanted)

    def likeness(line: str) -> float:
        own = _pairs(line)
        return len(own & pairs) / (len(own) + len(pairs) or 1)

    # Comparing in earnest is slow, so only the most promising lines are.
    matcher = difflib.SequenceMatcher(b=wanted, autojunk=False)
    best, score = None, CUTOFF
    for line in heapq.nlargest(CANDIDATES, first, key=likeness):
        matcher.set_seq1(line)
        if matcher.ratio() > score:
            best, score = first[line], matcher.ratio()
    return best


def _pairs(line: str) -> set[str]:
    return {line[place : place + 2] for place in range(len(line) - 1)}
