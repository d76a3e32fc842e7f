"""What a search is asked and what it finds; the same for every engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

LINE_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Query:
    """Lines wanted: those that `pattern`, a regular expression, matches somewhere.

    `root` is a folder or one file, a real path. `only` is a file pattern: without a slash it means the name in any
    folder, with one the path from the root; a leading `!` turns it round. At most `limit` matching lines are given.
    """

    root: Path
    pattern: str
    ignore_case: bool = False
    only: str | None = None
    context: int = 0
    limit: int = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file, without its end, cut at LINE_CHARACTERS; `path` is relative to the root, `number` from 1."""

    path: str
    number: int
    text: str
    matched: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """The lines, by path and number, with their context. `total` counts all matching lines, given or not.

    Not `complete`: the time was up, or there were too many files. `skipped` counts files that were too large to search,
    `hidden` those left out for a rule; `slow` are some on which the expression took too long.
    """

    lines: tuple[Line, ...] = ()
    total: int = 0
    complete: bool = True
    skipped: int = 0
    hidden: int = 0
    slow: tuple[str, ...] = ()


class SearchError(ValueError):
    """A pattern that does not compile, or an engine that failed; the message is for the one who asked."""


def sort_paths(paths: Iterable[str]) -> list[str]:
    """Relative paths in the order of a tree."""
    return sorted(paths, key=tree_order)


def tree_order(path: str) -> str:
    """A key that keeps a folder's content together: its separator comes before any character of a name."""
    return path.replace("/", "\0")


def cut_line(text: str) -> str:
    """`text` without its line end, shortened."""
    text = text.removesuffix("\n").removesuffix("\r")
    if len(text) <= LINE_CHARACTERS:
        return text
    return f"{text[:LINE_CHARACTERS]}[line cut at {LINE_CHARACTERS} characters]"


def limit_lines(lines: Sequence[Line], query: Query) -> tuple[Line, ...]:
    """`lines` up to the last context of the last match that the limit admits."""
    matches = (place for place, line in enumerate(lines) if line.matched)
    last = next(itertools.islice(matches, query.limit - 1, None), None)
    if last is None:
        return tuple(lines)
    end = lines[last].number + query.context
    rest = (line for line in lines[last + 1 :] if line.path == lines[last].path and line.number <= end)
    return (*lines[: last + 1], *(replace(line, matched=False) for line in rest))
