"""What ended commands left running, until its owner or this interpreter ends."""

from __future__ import annotations

import atexit
import os
import threading

from a3s_code.system.launch import Launched, end

END_SECONDS = 1.5

_kept: list[tuple[str, Launched]] = []
_lock = threading.Lock()
_process: int | None = None


def keep(owner: str, program: Launched) -> None:
    """Hold on to a program of which something goes on."""
    global _process  # one process, one table
    with _lock:
        if _process != os.getpid():
            for _, other in _kept:
                other.forget()  # after a fork: the parent's programs are not ours
            _kept.clear()
            _process = os.getpid()
            atexit.register(end_owned)
        _kept.append((owner, program))


def prune() -> None:
    """Let go of what has ended by itself meanwhile."""
    if _kept and _process == os.getpid():
        with _lock:
            _kept[:] = [(owner, program) for owner, program in _kept if not _has_ended(program)]


def holds(owner: str) -> bool:
    """Whether anything that commands of `owner` left running is kept here."""
    return any(whose == owner for whose, _ in tuple(_kept))


def end_owned(owner: str | None = None) -> None:
    """End what the commands of `owner`, or of everybody, left running; waits for its death, at most 2 seconds."""
    if _process != os.getpid():
        return
    with _lock:
        ending = [entry for entry in _kept if owner in (None, entry[0])]
        _kept[:] = [entry for entry in _kept if entry not in ending]
    end([program for _, program in ending], END_SECONDS)
    for whose, program in ending:
        if not program.reap():
            keep(whose, program)


def _has_ended(program: Launched) -> bool:
    if program.hear():
        return False
    if program.lost:
        program.kill()
    return program.reap()
