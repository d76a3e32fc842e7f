"""Ending a process and all that came of it.

The launcher knows all of its command's tree. This is for what runs without one, and for when a command has stopped or
killed its launcher: the process group takes most of a tree, and what left the group is found on Linux as a descendant,
before its parents die, by its session, and by a mark in its environment. An orphan that left the group and the session
and cleared its environment is not found.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

PROC = Path("/proc")
PARENT, SESSION = 1, 3
SWEEPS = 50
SWEEP_PAUSE = 0.01


def marked(mark: str) -> list[int]:
    """The processes of this user that have the entry `mark` ("NAME=value") in their environment; Linux only."""
    entry = mark.encode()
    return [pid for pid in _pids() if entry in _read(pid, "environ").split(b"\0")]


def kill_marked(mark: str) -> None:
    """Kill all processes with `mark` in their environment, and those they start meanwhile."""
    _sweep(lambda: marked(mark))


def kill_session(leader: int, *, leading: bool) -> None:
    """Kill what is left of the session that `leader` led, and those they start meanwhile; Linux only.

    Where it is known to lead no more, a process with its number is another, and the session that one's.
    """
    if not leading and _status(leader, SESSION) >= 0:
        return
    _sweep(lambda: [pid for pid in _pids() if _status(pid, SESSION) == leader])


def kill_tree(root: int) -> None:
    """Kill all that came of `root`, which gets their orphans, and then `root` itself; Linux only."""
    _sweep(lambda: descendants(root))
    with Hold(root) as hold:
        hold.kill()


def _sweep(find: Callable[[], list[int]]) -> None:
    for _ in range(SWEEPS):
        if not (found := find()):
            return
        with contextlib.ExitStack() as stack:
            holds = {pid: stack.enter_context(Hold(pid)) for pid in found}
            # Looked at again: a number may have passed to another process before it was held.
            for pid in find():
                if pid in holds:
                    holds[pid].kill()
        time.sleep(SWEEP_PAUSE)


def descendants(root: int) -> list[int]:
    """The children of `root`, their children, and so on, zombies left out; Linux only."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        if (parent := _status(pid, PARENT)) >= 0:
            children.setdefault(parent, []).append(pid)
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


def _status(pid: int, place: int) -> int:
    """A field of the process's status; -1 where it is not there, or no more than an entry in the process table."""
    # The fields after the name, which may itself hold blanks and brackets: state, parent, group, session, ...
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[place]) if len(fields) > place and fields[0] != b"Z" else -1


def _read(pid: int, name: str) -> bytes:
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""
