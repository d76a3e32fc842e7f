"""Ending a process and all that came of it.

The process group takes most of a tree. What left the group is found on Linux: as a descendant, before its parents die,
and by a mark in its environment, which also finds those that made themselves orphans. An orphan outside the group that
cleared its environment is not found.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

PROC = Path("/proc")
SWEEPS = 50
SWEEP_PAUSE = 0.01


def marked(mark: str) -> list[int]:
    """The processes of this user that have the entry `mark` ("NAME=value") in their environment; Linux only."""
    entry = mark.encode()
    return [pid for pid in _pids() if entry in _read(pid, "environ").split(b"\0")]


def kill_marked(mark: str) -> None:
    """Kill all processes with `mark` in their environment, and those they start meanwhile."""
    for _ in range(SWEEPS):
        found = marked(mark)
        if not found:
            return
        for pid in found:
            with Hold(pid) as hold:
                # Looked at again: the number may have passed to another process before it was held.
                if mark.encode() in _read(pid, "environ").split(b"\0"):
                    hold.kill()
        time.sleep(SWEEP_PAUSE)


def descendants(root: int) -> list[int]:
    """The children of `root`, their children, and so on; Linux only."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        # The fields after the name, which may itself hold blanks and brackets: state, parent, ...
        fields = _read(pid, "stat").rpartition(b")")[2].split()
        if len(fields) > 1:
            children.setdefault(int(fields[1]), []).append(pid)
    found: list[int] = []
    pending = [root]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def signal_group(leader: int, number: signal.Signals) -> None:
    """Signal the group of a leader that was not waited for yet, so that its number is still its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


class Hold:
    """A hold on one process: a signal sent through it cannot reach a later process with the same number."""

    def __init__(self, pid: int) -> None:
        self._descriptor = -1
        with contextlib.suppress(OSError):
            self._descriptor = os.pidfd_open(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def kill(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)


def _pids() -> Iterator[int]:
    try:
        names = os.listdir(PROC)  # noqa: PTH208  # names are all that is wanted
    except FileNotFoundError:
        return
    yield from (int(name) for name in names if name.isdigit())


def _read(pid: int, name: str) -> bytes:
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""
