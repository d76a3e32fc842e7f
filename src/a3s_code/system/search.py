"""Searching files and lines, by the best engine there is.

Both engines find the same lines: an expression means the same to them, and what only one of them knows goes to that
one. A line ends at a line feed, so that a carriage return before it belongs to the line, though it is not shown.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from a3s_code.system import ripgrep, scan
from a3s_code.system.expressions import Pattern
from a3s_code.system.globs import compile_glob
from a3s_code.system.matches import Found, Query, sort_paths
from a3s_code.system.patterns import parse
from a3s_code.system.ripgrep import find_ripgrep
from a3s_code.system.threads import finish
from a3s_code.system.walk import is_plain, walk

TIMEOUT_MS = 30_000
MAX_FILES = 1_000_000
MAX_NAMED_BYTES = 64 * 1024
JUDGED_AT_ONCE = 500

Finder = Callable[[], str | None]
Test = Callable[[str], bool]


async def list_files(root: Path, *, wanted: Test | None = None, timeout_ms: int = TIMEOUT_MS) -> tuple[list[str], bool]:
    """The regular files below `root`, sorted relative paths, and whether these are all: not when the time was up.

    Hidden files count; `.git`, what ignore files leave out, and links do not. At most MAX_FILES.
    """
    stop = threading.Event()
    ends_at = time.monotonic() + timeout_ms / 1000

    def look() -> tuple[list[str], bool]:
        files: list[str] = []
        for path in walk(root, stop, ends_at):
            if wanted is None or wanted(path):
                files.append(path)
                if len(files) > MAX_FILES:
                    return sort_paths(files[:MAX_FILES]), False
        return sort_paths(files), time.monotonic() < ends_at

    return await finish(asyncio.to_thread(look), stop.set)


async def part(root: Path, files: Sequence[str], hides: Test, ends_at: float) -> tuple[list[str], list[str], bool]:
    """`files` that may be shown, those that `hides` says may not, and whether there was time to ask for each."""
    kept: list[str] = []
    hidden: list[str] = []
    folder = str(root).rstrip("/")
    for start in range(0, len(files), JUDGED_AT_ONCE):
        if time.monotonic() >= ends_at:
            return kept, hidden, False
        for path in files[start : start + JUDGED_AT_ONCE]:
            (hidden if hides(f"{folder}/{path}") else kept).append(path)
        await asyncio.sleep(0)
    return kept, hidden, True


async def search(
    query: Query,
    environment: Mapping[str, str],
    *,
    timeout_ms: int = TIMEOUT_MS,
    find: Finder = find_ripgrep,
    hides: Test | None = None,
) -> Found:
    """The lines that match, in the files that list_files would give; binary files have no lines.

    Files below the root that `hides` says yes to, of their real path, are not opened. Raises SearchError for a pattern
    that means nothing, GlobError for a bad `only`, OSError.
    """
    pattern = parse(query.pattern, ignore_case=query.ignore_case)
    ends_at = time.monotonic() + timeout_ms / 1000
    program = None if pattern.beyond else find()
    if not query.root.is_dir():
        return await _search_file(replace(query, only=None), pattern, environment, program, ends_at)
    wanted = _filter(query.only)
    if program is not None and hides is None and await _is_plain(query.root, ends_at):
        found = await ripgrep.search(program, query, pattern, environment, _left(ends_at), wanted)
        if found is not None:
            return found
    files, complete = await list_files(query.root, wanted=wanted, timeout_ms=_left(ends_at))
    hidden: list[str] = []
    if hides is not None:
        files, hidden, judged = await part(query.root, files, hides, ends_at)
        complete &= judged
    found = None
    if program is not None and complete and _can_name(hidden) and await _is_plain(query.root, ends_at):
        allowed = set(files).__contains__
        found = await ripgrep.search(program, query, pattern, environment, _left(ends_at), allowed, hidden)
    if found is None:
        found = await scan.search(query, pattern, files, environment, _left(ends_at))
    return replace(found, complete=found.complete and complete, hidden=len(hidden))


async def _search_file(
    query: Query, pattern: Pattern, environment: Mapping[str, str], program: str | None, ends_at: float
) -> Found:
    name = query.root.name
    found = None
    if program is not None and ripgrep.can_name(name):
        found = await ripgrep.search(program, query, pattern, environment, _left(ends_at), name.__eq__)
    return found or await scan.search(query, pattern, [name], environment, _left(ends_at))


async def _is_plain(root: Path, ends_at: float) -> bool:
    stop = threading.Event()
    return await finish(asyncio.to_thread(is_plain, root, stop, ends_at), stop.set)


def _can_name(paths: Sequence[str]) -> bool:
    return sum(map(len, paths)) <= MAX_NAMED_BYTES and all(map(ripgrep.can_name, paths))


def _left(ends_at: float) -> int:
    return max(round((ends_at - time.monotonic()) * 1000), 1)


def _filter(only: str | None) -> Test:
    if only is None:
        return _everything
    pattern = only.removeprefix("!")
    keeps = not only.startswith("!")
    expression = compile_glob(pattern)
    if "/" in pattern:
        return lambda path: (expression.fullmatch(path) is not None) == keeps
    return lambda path: (expression.fullmatch(path.rpartition("/")[2]) is not None) == keeps


def _everything(_: str) -> bool:
    return True
