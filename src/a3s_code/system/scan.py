"""Searching by Python, for machines without ripgrep, and for expressions that ripgrep does not know."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from a3s_code.system import linescan
from a3s_code.system.child import Command
from a3s_code.system.expressions import Pattern
from a3s_code.system.matches import LINE_CHARACTERS, Found, Line, Query, SearchError, cut_line, limit_lines
from a3s_code.system.process import run
from a3s_code.system.spelling import in_python, needles
from a3s_code.system.text import readable

KEEP_BYTES = 256 * 1024 * 1024
MAX_PROCESSES = 4
FILES_EACH = 500
TOGETHER = 64
SLOW_NAMED = 3
MAX_SPELLED = 4_000_000


async def search(
    query: Query, pattern: Pattern, files: Sequence[str], environment: Mapping[str, str], timeout_ms: int
) -> Found:
    """Look through `files`, sorted paths from the root or its own name, in processes that can be stopped.

    Raises SearchError where the expression means nothing to Python.
    """
    folder = query.root if query.root.is_dir() else query.root.parent
    words = needles(pattern)
    spelled = in_python(pattern, ascii_only=False)
    if len(spelled) > MAX_SPELLED:
        raise SearchError("the expression has too many parts")
    request = {
        "root": str(folder),
        "limit": query.limit,
        "scanner": {
            "ascii_only": in_python(pattern, ascii_only=True),
            "unicode": spelled,
            "words": words.words,
            "fold": words.fold,
            "whole": words.whole,
            "context": query.context,
            "cut": LINE_CHARACTERS,
        },
    }
    ends_at = time.monotonic() + timeout_ms / 1000
    parts = _deal(files, min(os.cpu_count() or 1, MAX_PROCESSES, 1 + len(files) // FILES_EACH))
    looks = (_look(request, part, folder, environment, ends_at) for part in parts)
    # All have ended before the first that failed is told.
    ended = await asyncio.gather(*looks, return_exceptions=True)
    return _join(query, files, [_whole(end) for end in ended])


def _whole(end: tuple[list[Any], bool] | BaseException) -> tuple[list[Any], bool]:
    if isinstance(end, BaseException):
        raise end
    return end


def _deal(files: Sequence[str], hands: int) -> list[list[str]]:
    """As many parts as there are processes, of neighbours by turns, so that each has of all."""
    parts: list[list[str]] = [[] for _ in range(hands)]
    for turn, start in enumerate(range(0, len(files), TOGETHER)):
        parts[turn % hands] += files[start : start + TOGETHER]
    return parts


async def _look(
    request: Mapping[str, Any], files: list[str], folder: Path, environment: Mapping[str, str], ends_at: float
) -> tuple[list[Any], bool]:
    """What one process answers, and whether it came to its end."""
    # -S: without site-packages, whose start-up files could run anything and take time.
    argv = (sys.executable, "-I", "-S", str(linescan.__file__))
    stdin = json.dumps({**request, "files": files}).encode()
    left = max(round((ends_at - time.monotonic()) * 1000), 1)
    done = await run(
        Command(argv, folder, environment, stdin=stdin, merge=False), timeout_ms=left, keep_bytes=KEEP_BYTES
    )
    if done.exit_code != 0 and not done.timed_out:
        raise SearchError(f"the search failed: {done.errors.text.strip()[-300:]}")
    return list(_answers(done.output.head + done.output.tail)), not done.timed_out


def _answers(output: bytes) -> Iterator[Any]:
    # A last line without its end was cut by the deadline.
    for line in output.split(b"\n")[:-1]:
        yield json.loads(line)


def _join(query: Query, files: Sequence[str], ended: Sequence[tuple[list[Any], bool]]) -> Found:
    lines: dict[str, list[Line]] = {}
    total = skipped = 0
    slow: list[str] = []
    for answer in itertools.chain.from_iterable(answers for answers, _ in ended):
        if isinstance(answer, list):
            path, count, found = answer
            total += count
            lines[path] = [Line(path, number, cut_line(readable(text)), matched) for number, text, matched in found]
        elif "error" in answer:
            raise SearchError(f"the expression is not valid: {answer['error']}")
        else:
            skipped += answer.get("skipped", 0)
            slow += [answer["slow"]] if "slow" in answer else []
    in_order = [line for path in files for line in lines.get(path, ())]
    return Found(
        limit_lines(in_order, query),
        total,
        complete=all(whole for _, whole in ended),
        skipped=skipped,
        slow=tuple(sorted(slow)[:SLOW_NAMED]),
    )
