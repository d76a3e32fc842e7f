"""Searching files and lines, by the best engine there is.

Both engines find the same files, and the same lines for expressions that both know. They differ where expressions do:
only ripgrep knows classes like `\\p{L}`, and to its `^`, `$` and `.` a carriage return within a line is a line end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from a3s_code.system import ripgrep, scan
from a3s_code.system.globs import compile_glob
from a3s_code.system.matches import Found, Query, SearchError, sort_paths
from a3s_code.system.ripgrep import find_ripgrep

TIMEOUT_MS = 30_000
_NEWLINE = re.compile(r"\n|(?<!\\)(?:\\\\)*\\n")
_EXCLUSION = re.compile(r"\[\^(?:\\.|[^\]\\])*\]")

Finder = Callable[[], str | None]


async def list_files(
    root: Path, environment: Mapping[str, str], *, timeout_ms: int = TIMEOUT_MS, find: Finder = find_ripgrep
) -> tuple[list[str], bool]:
    """The regular files below `root`, sorted relative paths, and whether these are all or the time was up.

    Hidden files count; `.git`, what .gitignore files leave out, and links do not. Raises OSError.
    """
    program = find()
    if program is None:
        files, complete = await scan.list_files(root, timeout_ms)
    else:
        files, complete = await ripgrep.list_files(program, root, environment, timeout_ms)
    return sort_paths(files), complete


async def search(
    query: Query, environment: Mapping[str, str], *, timeout_ms: int = TIMEOUT_MS, find: Finder = find_ripgrep
) -> Found:
    """The lines that match, in the files that list_files would give; binary files have no lines.

    Raises SearchError for a pattern that does not compile, GlobError for a bad `only`, OSError.
    """
    if _NEWLINE.search(_EXCLUSION.sub("", query.pattern)):
        raise SearchError("a pattern cannot match a line end; each line is searched by itself")
    if not query.root.is_dir():
        query = replace(query, only=None)
    wanted = _filter(query.only)
    program = find()
    if program is None:
        return await scan.search(query, environment, timeout_ms, wanted)
    return await ripgrep.search(program, query, environment, timeout_ms, wanted)


def _everything(_: str) -> bool:
    return True


def _filter(only: str | None) -> Callable[[str], bool]:
    if only is None:
        return _everything
    pattern = only.removeprefix("!")
    keeps = not only.startswith("!")
    expression = compile_glob(pattern)
    if "/" in pattern:
        return lambda path: (expression.fullmatch(path) is not None) == keeps
    return lambda path: (expression.fullmatch(path.rpartition("/")[2]) is not None) == keeps
