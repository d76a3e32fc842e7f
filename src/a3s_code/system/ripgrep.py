"""Searching by ripgrep, the fast engine."""

from __future__ import annotations

import base64
import heapq
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from a3s_code.system.child import Command
from a3s_code.system.ignore import repository
from a3s_code.system.matches import Found, Line, Query, SearchError, cut_line, limit_lines, tree_order
from a3s_code.system.process import Completed, run

# Hidden files too, and of all ignore files only .gitignore: what the other engine does.
OPTIONS = (
    "--no-config",
    "--hidden",
    "--no-messages",
    "--no-ignore-dot",
    "--no-ignore-global",
    "--no-ignore-exclude",
    "--glob=!.git",
)
KEEP_BYTES = 256 * 1024 * 1024
_COUNT = re.compile(rb"([^\0]+)\0(\d+)\r?\n")
_PLAIN_NAME = re.compile(r"(?:[\w.?-]|\*(?!\*)|\{[\w.?-]*(?:,[\w.?-]*)+\})+")
# Without the offset: it counts in the expression as ripgrep rewrote it.
_ERROR = re.compile(r"(?:error: |PCRE2: (?:error compiling pattern at offset \d+: )?)(.+)")


def find_ripgrep() -> str | None:
    """The program: on the PATH, or beside this interpreter, where the `search` extra puts it."""
    found = shutil.which("rg")
    if found is not None and Path(found).is_absolute():
        return found
    beside = Path(sys.executable or "python").with_name("rg")
    return str(beside) if os.access(beside, os.X_OK) else None


async def list_files(
    program: str, root: Path, environment: Mapping[str, str], timeout_ms: int
) -> tuple[list[str], bool]:
    """The regular files below `root`, unsorted, and whether these are all."""
    argv = (program, *OPTIONS, *_repository_option(root), "--files", "--null", "./")
    done = await _run(argv, root, environment, timeout_ms)
    names = done.output.head + done.output.tail
    return [_path(name) for name in names.split(b"\0") if name], not done.timed_out


async def search(
    program: str, query: Query, environment: Mapping[str, str], timeout_ms: int, wanted: Callable[[str], bool]
) -> Found:
    """Count all matching lines first, in parallel; then fetch the lines of the first files, enough for the limit."""
    started = time.monotonic()
    folder, where = _where(query)
    done = await _run(
        (program, *OPTIONS, *_repository_option(folder), *_pattern(query), "--count", "--null", *where),
        folder,
        environment,
        timeout_ms,
    )
    if done.exit_code == 2 and done.errors.text:
        raise SearchError(_explain(done.errors.text))
    counts = {_path(name): int(number) for name, number in _COUNT.findall(done.output.head + done.output.tail)}
    counts = {path: number for path, number in counts.items() if wanted(path)}
    first = _first_files(counts, query.limit)
    left = timeout_ms - round((time.monotonic() - started) * 1000)
    if not first or left <= 0:
        return Found((), sum(counts.values()), complete=not done.timed_out)
    argv = (program, *OPTIONS, *_pattern(query), "--json", f"--context={query.context}", f"--max-count={query.limit}")
    fetched = await _run((*argv, "--", *(f"./{path}" for path in first)), folder, environment, left)
    lines = limit_lines(_lines(fetched.output.head + fetched.output.tail, first), query)
    return Found(lines, sum(counts.values()), complete=not (done.timed_out or fetched.timed_out))


async def _run(argv: tuple[str, ...], cwd: Path, environment: Mapping[str, str], timeout_ms: int) -> Completed:
    return await run(Command(argv, cwd, environment, merge=False), timeout_ms=timeout_ms, keep_bytes=KEEP_BYTES)


def _repository_option(folder: Path) -> tuple[str, ...]:
    return () if repository(folder) else ("--no-require-git",)


def _where(query: Query) -> tuple[Path, tuple[str, ...]]:
    if query.root.is_dir():
        return query.root, ("--", "./")
    # As a find, not as an argument: ripgrep prints binary files that are named to it.
    name = re.sub(r"([\\*?\[\]{}!])", r"\\\1", query.root.name)
    return query.root.parent, ("--max-depth=1", f"--glob=/{name}", "--", "./")


def _pattern(query: Query) -> tuple[str, ...]:
    options = ["--engine=auto", "--crlf", f"--regexp={query.pattern}"]
    if query.ignore_case:
        options.append("--ignore-case")
    # Types narrow a search down and, unlike globs, bring no ignored file back. They know names only, which is enough
    # here: the paths are looked at afterwards.
    name = (query.only or "").rpartition("/")[2]
    if _PLAIN_NAME.fullmatch(name) and not (query.only or "").startswith("!"):
        options += [f"--type-add=wanted:{name}", "--type=wanted"]
    return tuple(options)


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
    for record in output.splitlines():
        entry = json.loads(record)
        if entry["type"] in ("match", "context"):
            found = entry["data"]
            path = _path(_bytes(found["path"]))
            text = _bytes(found["lines"]).decode("utf-8", "backslashreplace")
            line = Line(path, found["line_number"], cut_line(text), entry["type"] == "match")
            by_path.setdefault(path, []).append(line)
    return [line for lines in by_path.values() for line in lines]


def _bytes(value: Mapping[str, Any]) -> bytes:
    text = value.get("text")
    return text.encode() if isinstance(text, str) else base64.b64decode(value["bytes"])


def _path(name: bytes) -> str:
    return os.fsdecode(name.removeprefix(b"./"))


def _explain(errors: str) -> str:
    found = _ERROR.findall(errors)
    return found[-1] if found else errors.splitlines()[0].removeprefix("rg: ")
