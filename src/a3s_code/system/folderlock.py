"""One writer at a time in a folder, across threads and processes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

WAIT_SECONDS = 10.0
FIRST_PAUSE = 0.0005
LONGEST_PAUSE = 0.02
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF, errno.ENOSYS})


@contextlib.contextmanager
def locked(folder: int) -> Iterator[None]:
    """Hold the lock of an open folder; raises BlockingIOError when another program does not let go of it.

    It is an advisory lock (flock) on the folder itself: nothing is left in it, and the lock of a killed process is
    gone. Where there is none to be had (a folder that may not be listed, some network file systems) the body runs
    without.
    """
    descriptor = _open(folder)
    if descriptor is None:
        yield
        return
    try:
        held = _take(descriptor)
        try:
            yield
        finally:
            if held:
                # A child forked meanwhile shares the lock, and closing our descriptor would leave it to that child.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _open(folder: int) -> int | None:
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except PermissionError:
        return None


def _take(descriptor: int) -> bool:
    """Whether the lock was taken; False where the file system has none."""
    end, pause = time.monotonic() + WAIT_SECONDS, FIRST_PAUSE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise BlockingIOError(errno.EAGAIN, "the folder is locked by another program") from None
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return False
        else:
            return True
