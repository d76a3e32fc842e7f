"""The text of a file after the hunks of a patch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from a3s_code.capabilities.core_tools.patching.change import Hunk, Row
from a3s_code.capabilities.core_tools.patching.placement import Ground, Placement
from a3s_code.system.text import line_end, split_lines

Line = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Revision:
    """The new text and where the hunks were placed."""

    text: str
    placements: tuple[Placement, ...]


def revise(text: str, hunks: Sequence[Hunk]) -> Revision:
    r"""`text` with `hunks`, of which there is one at least, applied; raises Misplaced.

    Lines that are not removed keep their bytes. A new line takes the line end of the line it replaces, else of the line
    before it; but a diff that has lines with `\r` and lines without means them, and gets them as written.
    """
    end = line_end(text)
    if end == "\r" and any("\r" in row.text for hunk in hunks for row in hunk.rows):
        end = "\n"  # to git, and so in its diffs, such a file is a single line
    separator = end[-1]
    lines = [_part(line, separator) for line in split_lines(text, separator)]
    placements = Ground([body for body, _ in lines]).place_all(hunks)
    literal = _is_literal(hunks, lines)
    revised: list[Line] = []
    done = 0
    for placement in placements:
        revised += lines[done : placement.index]
        done = placement.index + len(placement.hunk.old)
        revised += _replace(placement.hunk, lines, placement.index, literal=literal)
    revised += lines[done:]
    is_open = _is_open(lines, revised, placements)
    return Revision(_join(revised, end, is_open=is_open), tuple(placements))


def new_text(hunks: Sequence[Hunk]) -> str:
    """The text of a file that is added, as written."""
    text = "".join(row.text + ("\r\n" if row.returns else "\n") for hunk in hunks for row in hunk.rows)
    return text[:-1] if any(hunk.open_end for hunk in hunks) else text


def _part(line: str, separator: str) -> Line:
    body = line.removesuffix(separator)
    end = line[len(body) :]
    if end == "\n" and body.endswith("\r"):
        return body[:-1], "\r\n"
    return body, end


def _is_literal(hunks: Sequence[Hunk], lines: Sequence[Line]) -> bool:
    """Whether the line ends of the diff are meant."""
    return not lines or len({row.returns for hunk in hunks for row in hunk.rows} - {None}) == 2


def _replace(hunk: Hunk, lines: Sequence[Line], index: int, *, literal: bool) -> list[Line]:
    """The new lines of a hunk that stands at `index`."""
    result: list[Line] = []
    removed: list[str] = []
    added: list[Row] = []

    def flush() -> None:
        for place, row in enumerate(added):
            if literal:
                end = "\r\n" if row.returns else "\n"
            else:
                end = removed[min(place, len(removed) - 1)] if removed else _end_before(result, lines, index)
            result.append((row.text, end))
        removed.clear()
        added.clear()

    place = index
    for row in hunk.rows:
        if row.sign == "+":
            added.append(row)
            continue
        if row.sign == " ":
            flush()
            result.append(lines[place])
        else:
            removed.append(lines[place][1])
        place += 1
    flush()
    return result


def _end_before(result: Sequence[Line], lines: Sequence[Line], index: int) -> str:
    if result:
        return result[-1][1]
    if index:
        return lines[index - 1][1]
    return lines[0][1] if lines else ""


def _is_open(lines: Sequence[Line], revised: Sequence[Line], placements: Sequence[Placement]) -> bool:
    """Whether the last line is to have no line end: as the diff says, else a new last line as the old one had it."""
    last = placements[-1]
    if last.hunk.open_end is not None:
        return last.hunk.open_end
    new = [row.sign for row in last.hunk.rows if row.sign != "-"]
    if new[-1:] == ["+"] and last.index + len(last.hunk.old) == len(lines):
        return bool(lines) and not lines[-1][1]
    return bool(revised) and not revised[-1][1]


def _join(lines: list[Line], default: str, *, is_open: bool) -> str:
    parts: list[str] = []
    before = ""
    for body, end in lines:
        before = end or before or default
        parts += (body, before)
    if parts and is_open:
        parts.pop()
    return "".join(parts)
