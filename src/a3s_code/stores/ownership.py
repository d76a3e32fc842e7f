"""Who writes: byte-range locks on one small file beside the database.

The kernel frees such a lock when its process dies, whatever children of it live on, and says who holds it. But it
frees all locks of a process on a file as soon as the process closes any descriptor of it: so there is one descriptor
for each lock file and process, and where somebody else in the process has read the file, a copy of the folder say, the
locks are taken again with the next commit. A forked child inherits none of the locks and begins anew.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from a3s_code.errors import StoreError
from a3s_code.stores.acceptance import in_use
from a3s_code.stores.witness import Witness

NAME = "sessions.lock"
DOOR_SECONDS = 60.0
_DOOR, _PRESENT, _SESSIONS = 0, 1, 16
_PAUSE = 0.005
_TAKEN = {errno.EACCES, errno.EAGAIN}
_UNWRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}
_FLOCK = "qqihh" if sys.platform == "darwin" else "hhqqi4x"


class Ownership:
    """The locks of one lock file in this process. Thread-safe, but for `door` and presence, which are one thread's.

    On a file that may only be read no lock is taken: whatever wants one raises OSError.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._read_only = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        self.witness = Witness(descriptor)
        self._claims: dict[str, object] = {}
        self._lock = threading.Lock()

    @property
    def claimed(self) -> bool:
        return bool(self._claims)

    def claim(self, session_id: str, owner: object) -> None:
        """Make `owner` the session's writer; raises SessionInUse where somebody is."""
        with self._lock:
            if session_id in self._claims:
                raise in_use(session_id, os.getpid())
            place = _place(session_id)
            if not self._take(place):
                holder = self._holder(place)
                # Where it was let go of between the two looks, the second try gets it.
                if holder is not None or not self._take(place):
                    raise in_use(session_id, holder)
            self._claims[session_id] = owner

    def keep(self, session_id: str, owner: object) -> None:
        """Take the lock of a claimed session again if it was lost; raises StoreError where somebody was quicker."""
        with self._lock:
            if self._claims.get(session_id) is owner and not self._take(place := _place(session_id)):
                raise StoreError(
                    f"session {session_id!r} was taken over by process {self._holder(place)}",
                    hint="something in this process closed the store's lock file, which frees its locks",
                )

    def release(self, session_id: str, owner: object) -> None:
        with self._lock:
            if self._claims.get(session_id) is owner:
                self._free(_place(session_id))
                del self._claims[session_id]

    def release_all(self, owner: object) -> None:
        for session_id in [session_id for session_id, held in list(self._claims.items()) if held is owner]:
            self.release(session_id, owner)

    def writer(self, session_id: str) -> int | None:
        """The process that has the session claimed."""
        with self._lock:
            return os.getpid() if session_id in self._claims else self._holder(_place(session_id))

    @contextmanager
    def door(self) -> Iterator[None]:
        """One process at a time, of those that open, make or repair the database."""
        end = time.monotonic() + DOOR_SECONDS
        while not self._take(_DOOR):
            if time.monotonic() > end:
                raise StoreError(f"process {self._holder(_DOOR)} has been opening the store for too long")
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            self._free(_DOOR)

    def enter(self) -> bool:
        """Be one of those who have the database open; whether there is no other. Only behind the door."""
        alone = self._take(_PRESENT)
        fcntl.lockf(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, _PRESENT)
        return alone

    def leave(self) -> None:
        self._free(_PRESENT)

    def other(self) -> int | None:
        """A process that has the database open beside this one."""
        return self._holder(_PRESENT)

    def look_again(self, path: Path) -> None:
        """Take locks from now on, where the file could only be read and may be written by now."""
        if not self._read_only:
            return
        with suppress(OSError):
            # No lock of this process is on the file yet, so none is lost by closing a descriptor of it.
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            os.dup2(descriptor, self._descriptor, inheritable=False)
            os.close(descriptor)
            self._read_only = False

    def close(self) -> None:
        os.close(self._descriptor)

    def _take(self, place: int) -> bool:
        if self._read_only:
            raise OSError(errno.EROFS, "its files may only be read")
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            return False
        return True

    def _free(self, place: int) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, place)

    def _holder(self, place: int) -> int | None:
        """The other process that holds the lock; None where nobody does, or it cannot be told."""
        answer = fcntl.fcntl(self._descriptor, fcntl.F_GETLK, _question(place))
        if sys.platform == "darwin":
            _, _, pid, kind, _ = struct.unpack(_FLOCK, answer)
        else:
            kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
        return pid if kind != fcntl.F_UNLCK and pid > 0 else None


def open_lock(path: Path) -> int:
    """A descriptor of the lock file, which is made where it is missing; for reading where nothing else is allowed."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in _UNWRITABLE or not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _question(place: int) -> bytes:
    if sys.platform == "darwin":
        return struct.pack(_FLOCK, place, 1, 0, fcntl.F_WRLCK, os.SEEK_SET)
    return struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)


def _place(session_id: str) -> int:
    digest = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).digest()
    return _SESSIONS + int.from_bytes(digest[:8], "big") % (1 << 61)
