"""Searching by Python, for machines without ripgrep."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from a3s_code.system import linescan
from a3s_code.system.child import Command
from a3s_code.system.matches import Found, Line, Query, SearchError, cut_line, limit_lines, sort_paths
from a3s_code.system.process import run
from a3s_code.system.text import readable
from a3s_code.system.threads import finish
from a3s_code.system.walk import walk

KEEP_BYTES = 256 * 1024 * 1024


async def list_files(root: Path, timeout_ms: int) -> tuple[list[str], bool]:
    """The regular files below `root`, unsorted, and whether these are all."""
    stop = threading.Event()
    deadline = time.monotonic() + timeout_ms / 1000
    files = await finish(asyncio.to_thread(lambda: list(walk(root, stop, deadline))), stop.set)
    return files, time.monotonic() < deadline


async def search(query: Query, environment: Mapping[str, str], timeout_ms: int, wanted: Callable[[str], bool]) -> Found:
    """Look through the files one after the other, in a process that can be stopped."""
    started = time.monotonic()
    if query.root.is_dir():
        folder = query.root
        files, complete = await list_files(folder, timeout_ms)
    else:
        folder, files, complete = query.root.parent, [query.root.name], True
    request = {
        "root": str(folder),
        "files": sort_paths(path for path in files if wanted(path)),
        "pattern": query.pattern,
        "ignore_case": query.ignore_case,
        "context": query.context,
        "limit": query.limit,
    }
    # -S: without site-packages, whose start-up files could run anything and take time.
    argv = (sys.executable, "-I", "-S", str(linescan.__file__))
    command = Command(argv, folder, environment, stdin=json.dumps(request).encode(), merge=False)
    left = max(timeout_ms - round((time.monotonic() - started) * 1000), 1)
    done = await run(command, timeout_ms=left, keep_bytes=KEEP_BYTES)
    if done.exit_code != 0 and not done.timed_out:
        raise SearchError(f"the search failed: {done.errors.text.strip()[-300:]}")
    return _found(done.output.head + done.output.tail, query, complete=complete and not done.timed_out)


def _found(output: bytes, query: Query, *, complete: bool) -> Found:
    lines: list[Line] = []
    total = skipped = 0
    for answer in _answers(output):
        if isinstance(answer, list):
            path, count, found = answer
            total += count
            lines += (Line(path, number, cut_line(readable(text)), matched) for number, text, matched in found)
        elif "error" in answer:
            raise SearchError(answer["error"])
        else:
            skipped = answer["skipped"]
    return Found(limit_lines(lines, query), total, complete, skipped)


def _answers(output: bytes) -> Iterator[Any]:
    # A last line without its end was cut by the deadline.
    for line in output.split(b"\n")[:-1]:
        yield json.loads(line)
