"""A file in the making: written and synced before it gets the name it is meant for."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets

_UNNAMED: int | None = getattr(os, "O_TMPFILE", None)
_DESCRIPTORS = "/proc/self/fd"
_NO_UNNAMED = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.EPERM})
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class Draft:
    """A new file in an open folder. It has no name where the system can do without, so that a killed process leaves
    nothing behind; else, and for the moment of a replacement, it is called `.a3s-*.tmp`.

    `mode` is what the umask is taken from. All verbs raise OSError; `close` removes what got no name.
    """

    def __init__(self, folder: int, mode: int) -> None:
        self._folder = folder
        self._name: str | None = None
        self.descriptor = self._open(mode)

    def write(self, content: bytes) -> None:
        """Append `content`."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def create(self, name: str) -> None:
        """Make it the file `name`, which must not exist: FileExistsError."""
        try:
            self._link(name)
        except OSError as error:
            if self._name is None or error.errno not in _NO_HARD_LINKS:
                raise
            self._rename_to_free(self._name, name)
            return
        self._forget()

    def replace(self, name: str) -> None:
        """Make it the file `name`, in the place of what was there."""
        if self._name is None:
            unused = _unused()
            self._link(unused)
            self._name = unused
        os.rename(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._name = None

    def close(self) -> None:
        """Let go of it; a draft that became no file is removed."""
        os.close(self.descriptor)
        self._forget()

    def _open(self, mode: int) -> int:
        if _UNNAMED is not None and os.path.isdir(_DESCRIPTORS):  # noqa: PTH112  # asked on each write
            try:
                return os.open(".", os.O_WRONLY | _UNNAMED | os.O_CLOEXEC, mode, dir_fd=self._folder)
            except OSError as error:
                if error.errno not in _NO_UNNAMED:
                    raise
        name = _unused()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, mode, dir_fd=self._folder)
        self._name = name
        return descriptor

    def _link(self, name: str) -> None:
        if self._name is None:
            source = f"{_DESCRIPTORS}/{self.descriptor}"
            os.link(source, name, dst_dir_fd=self._folder, follow_symlinks=True)
        else:
            os.link(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def _rename_to_free(self, own: str, name: str) -> None:
        """For file systems without hard links: another program may create `name` in between."""
        with contextlib.suppress(FileNotFoundError):
            os.lstat(name, dir_fd=self._folder)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        os.rename(own, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._name = None

    def _forget(self) -> None:
        if self._name is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._name, dir_fd=self._folder)
            self._name = None


def _unused() -> str:
    return f".a3s-{secrets.token_hex(8)}.tmp"
