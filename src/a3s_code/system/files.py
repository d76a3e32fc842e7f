"""Files opened by their real path, and written whole or not at all.

A real path holds no link, so every component is opened without following one: what turned into a link since the path
was resolved is refused by the kernel, not followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Literal

ABSENT = ""
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

EntryKind = Literal["file", "folder", "link", "other"]
_KINDS = {stat.S_IFDIR: "folder", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFLNK: "link"}


class NotRegular(OSError):
    """What stands at a path is no regular file; `kind` is folder, FIFO, socket, link or device."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"a {kind}, not a regular file")
        self.kind = kind


class FileChanged(OSError):
    """A file is not, or no longer, what its writer saw."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder; `target` is where a link points, as written in it."""

    name: str
    kind: EntryKind
    target: str = ""


def digest(content: bytes) -> str:
    """The SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def open_regular(real: Path) -> Iterator[BufferedReader]:
    """A regular file for reading. Never waits: a FIFO or a device is refused unopened. Raises OSError, NotRegular."""
    with open_folder(real.parent) as folder:
        require_regular(os.stat(real.name or ".", dir_fd=folder, follow_symlinks=False).st_mode)
        descriptor = os.open(real.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor, not a path
        require_regular(os.fstat(descriptor).st_mode)
        yield file


def read_bytes(real: Path, limit: int) -> bytes:
    """The content of a regular file; raises FileTooLarge above `limit` bytes, else as open_regular."""
    with open_regular(real) as file:
        content = file.read(limit + 1)
        if len(content) > limit:
            raise FileTooLarge(max(os.fstat(file.fileno()).st_size, len(content)), limit)
        return content


class FileTooLarge(OSError):
    """A file above the size that may be read at once; `size` and `limit` in bytes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes, which is more than {limit}")
        self.size = size
        self.limit = limit


def list_folder(real: Path) -> list[Entry]:
    """The names in a folder, in no order; raises OSError."""
    with open_folder(real) as folder:
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        try:
            with os.scandir(descriptor) as found:
                return [_entry(item, descriptor) for item in found]
        finally:
            os.close(descriptor)


def write_atomic(real: Path, content: bytes, *, expected: str | None = None, mode: int | None = None) -> None:
    """Replace the file at `real` by `content`, so that a reader, or a crash, sees the old or the new file whole.

    `expected` is the digest the file must still have (ABSENT: it must not exist, None: whatever); else FileChanged. An
    existing file keeps its mode and owner unless `mode` is given; missing folders are made. Raises OSError, NotRegular.
    """
    with open_folder(real.parent, create=True) as folder:
        before = _stat(real.name, folder)
        if before is not None:
            require_regular(before.st_mode)
            # The rename below would get around the mode of a read-only file.
            if not os.access(real.name, os.W_OK, dir_fd=folder):
                raise PermissionError("the file is read-only")
        name = f".a3s-{secrets.token_hex(8)}.tmp"
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor, not a path
                file.write(content)
                file.flush()
                _copy_owner(descriptor, before, mode)
                os.fsync(descriptor)
            _require_digest(real, expected)
            os.rename(name, real.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(name, dir_fd=folder)
            raise
        _sync(folder)


@contextlib.contextmanager
def open_folder(real: Path, *, create: bool = False) -> Iterator[int]:
    """A descriptor of a folder, for dir_fd; with `create` what is missing of the path is made. Raises OSError."""
    descriptor = os.open("/", _FOLDER)
    try:
        for name in real.parts[1:]:
            try:
                below = os.open(name, _FOLDER, dir_fd=descriptor)
            except FileNotFoundError:
                if not create:
                    raise
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=descriptor)
                below = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _stat(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def require_regular(mode: int) -> None:
    """Raises NotRegular unless `mode`, an st_mode, is that of a regular file."""
    if not stat.S_ISREG(mode):
        raise NotRegular(_KINDS.get(stat.S_IFMT(mode), "device"))


def _require_digest(real: Path, expected: str | None) -> None:
    if expected is None:
        return
    try:
        with open_regular(real) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        found = ABSENT
    if found != expected:
        raise FileChanged("the file was changed while it was being written, by another program or session")


def _copy_owner(descriptor: int, before: os.stat_result | None, mode: int | None) -> None:
    if before is not None:
        own = os.fstat(descriptor)
        if (own.st_uid, own.st_gid) != (before.st_uid, before.st_gid):
            with contextlib.suppress(PermissionError):  # only root may give a file away; the content matters more
                os.fchown(descriptor, before.st_uid, before.st_gid)
        mode = stat.S_IMODE(before.st_mode) if mode is None else mode
    if mode is not None:
        os.fchmod(descriptor, mode)


def _sync(folder: int) -> None:
    """Make the rename last through a power cut, where the folder may be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _entry(item: os.DirEntry[str], folder: int) -> Entry:
    if item.is_symlink():
        try:
            return Entry(item.name, "link", os.readlink(item.name, dir_fd=folder))
        except OSError:
            return Entry(item.name, "link", "?")
    if item.is_dir(follow_symlinks=False):
        return Entry(item.name, "folder")
    return Entry(item.name, "file" if item.is_file(follow_symlinks=False) else "other")
