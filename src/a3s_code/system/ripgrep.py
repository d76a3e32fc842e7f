"""Searching by ripgrep, the fast engine."""

from __future__ import annotations

import heapq
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from a3s_code.system.child import Command
from a3s_code.system.expressions import Pattern
from a3s_code.system.ignore import repository
from a3s_code.system.matches import LINE_CHARACTERS, Found, Line, Query, cut_line, limit_lines, tree_order
from a3s_code.system.process import Completed, run
from a3s_code.system.spelling import in_rust

# Hidden files too, and of all ignore files only .gitignore and a repository's own: what the other engine does.
OPTIONS = ("--no-config", "--hidden", "--no-messages", "--no-ignore-dot", "--no-ignore-global", "--glob=!.git")
KEEP_BYTES = 256 * 1024 * 1024
# Four bytes are the longest character: what is longer than this has more characters than are shown.
COLUMNS = 4 * (LINE_CHARACTERS + 1)
_COUNT = re.compile(rb"([^\0]+)\0(\d+)\r?\n")
_ROW = re.compile(rb"([^\0]+)\0(\d+)([:-])([^\n]*)\n")
_PLAIN_NAME = re.compile(r"(?:[\w.?-]|\*(?!\*)|\{[\w.?-]*(?:,[\w.?-]*)+\})+")


def find_ripgrep() -> str | None:
    """The program: on the PATH, or beside this interpreter, where the `search` extra puts it."""
    found = shutil.which("rg")
    if found is not None and Path(found).is_absolute():
        return found
    beside = Path(sys.executable or "python").with_name("rg")
    return str(beside) if os.access(beside, os.X_OK) else None


async def search(
    program: str,
    query: Query,
    pattern: Pattern,
    environment: Mapping[str, str],
    timeout_ms: int,
    wanted: Callable[[str], bool],
    without: Sequence[str] = (),
) -> Found | None:
    """Count all matching lines first, in parallel; then fetch the lines of the first files, enough for the limit.

    Of the files below the root those that are `wanted` and are not among `without`, which are not opened. None where
    this ripgrep does not take the expression, or the root's name.
    """
    started = time.monotonic()
    folder, where = _where(query)
    matching = _matching(query, pattern)
    argv = (program, *OPTIONS, *_repository_option(folder), *matching, *map(_leave_out, without), "--count", "--null")
    done = await _run((*argv, *where), folder, environment, timeout_ms)
    if done.exit_code == 2 and done.errors.text:
        return None
    counts = {_path(name): int(number) for name, number in _COUNT.findall(done.output.head + done.output.tail)}
    counts = {path: number for path, number in counts.items() if wanted(path)}
    first = _first_files(counts, query.limit)
    left = timeout_ms - round((time.monotonic() - started) * 1000)
    if not first or left <= 0:
        return Found((), sum(counts.values()), complete=not done.timed_out)
    fetched = await _run(
        (program, *_fetching(query), *matching, "--", *(f"./{path}" for path in first)), folder, environment, left
    )
    lines = limit_lines(_lines(fetched.output.head + fetched.output.tail, first), query)
    return Found(lines, sum(counts.values()), complete=not (done.timed_out or fetched.timed_out))


def can_name(path: str) -> bool:
    """Whether a path can stand in a pattern of ripgrep's command line."""
    return path.isprintable()  # no lone surrogate, no line end


async def _run(argv: tuple[str, ...], cwd: Path, environment: Mapping[str, str], timeout_ms: int) -> Completed:
    return await run(Command(argv, cwd, environment, merge=False), timeout_ms=timeout_ms, keep_bytes=KEEP_BYTES)


def _repository_option(folder: Path) -> tuple[str, ...]:
    return () if repository(folder) else ("--no-require-git",)


def _where(query: Query) -> tuple[Path, tuple[str, ...]]:
    if query.root.is_dir():
        return query.root, ("--", "./")
    # As a find, not as an argument: ripgrep prints binary files that are named to it.
    return query.root.parent, ("--max-depth=1", f"--glob=/{_quoted(query.root.name)}", "--", "./")


def _leave_out(path: str) -> str:
    return f"--glob=!/{_quoted(path)}"


def _quoted(path: str) -> str:
    return re.sub(r"([\\*?\[\]{}! ])", r"\\\1", path)


def _matching(query: Query, pattern: Pattern) -> tuple[str, ...]:
    options = [f"--regexp={in_rust(pattern)}"]
    # Types narrow a search down and, unlike globs, bring no ignored file back. They know names only, which is enough
    # here: the paths are looked at afterwards.
    name = (query.only or "").rpartition("/")[2]
    if _PLAIN_NAME.fullmatch(name) and not (query.only or "").startswith("!"):
        options += [f"--type-add=wanted:{name}", "--type=wanted"]
    return tuple(options)


def _fetching(query: Query) -> tuple[str, ...]:
    return (
        *OPTIONS,
        "--with-filename",
        "--line-number",
        "--null",
        "--no-heading",
        "--color=never",
        "--no-context-separator",
        f"--max-columns={COLUMNS}",
        "--max-columns-preview",
        f"--context={query.context}",
        f"--max-count={query.limit}",
    )


def _first_files(counts: Mapping[str, int], limit: int) -> list[str]:
    first: list[str] = []
    found = 0
    for path in heapq.nsmallest(limit, counts, key=tree_order):
        if found >= limit:
            break
        first.append(path)
        found += counts[path]
    return first


def _lines(output: bytes, order: list[str]) -> list[Line]:
    by_path: dict[str, list[Line]] = {path: [] for path in order}
    for line in _rows(output):
        by_path.setdefault(line.path, []).append(line)
    return [line for lines in by_path.values() for line in lines]


def _rows(output: bytes) -> Iterator[Line]:
    for name, number, sign, written in _ROW.findall(output):
        yield Line(_path(name), int(number), cut_line(written.decode("utf-8", "backslashreplace")), sign == b":")


def _path(name: bytes) -> str:
    return os.fsdecode(name.removeprefix(b"./"))
