"""Files opened by their real path, and written whole or not at all.

A real path holds no link, so every component is opened without following one: what turned into a link since the path
was resolved is refused by the kernel, not followed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Literal, Self

from a3s_code.system.draft import Draft
from a3s_code.system.folderlock import locked

ABSENT = ""
CHANGED = "the file was changed while it was being written, by another program or session"
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ACCESS_LIST = "system.posix_acl_access"

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
        descriptor = os.open(real.name, _FILE, dir_fd=folder)
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
    with _listing(real) as (found, descriptor):
        return [_entry(item, descriptor) for item in found]


def list_names(real: Path, most: int) -> list[str]:
    """Up to `most` names in a folder, in no order; raises OSError."""
    with _listing(real) as (found, _):
        return [item.name for item in itertools.islice(found, most)]


@contextlib.contextmanager
def _listing(real: Path) -> Iterator[tuple[Iterator[os.DirEntry[str]], int]]:
    with open_folder(real) as folder:
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        try:
            with os.scandir(descriptor) as found:
                yield found, descriptor
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Written:
    """What a write left behind: `links` other names of the old file, which keep the old content, and the folders that
    were made for the new one, outermost first."""

    links: int = 0
    made: tuple[Path, ...] = ()


class Staged:
    """A new content for the file at `real`, written and synced beside it, not yet in its place. A context manager: what
    was not committed is removed, folders that were made for it too.

    `expected` is the digest the file must have at the commit (ABSENT: it must not exist, None: whatever). An existing
    file keeps its mode, owner and extended attributes unless `mode` is given. Raises OSError, NotRegular.
    """

    def __init__(self, real: Path, content: bytes, *, expected: str | None = None, mode: int | None = None) -> None:
        self._real, self._expected, self._mode = real, expected, mode
        self._made: list[Path] = []
        self._committed = False
        with contextlib.ExitStack() as stack:
            stack.callback(self._remove_folders)
            self._folder = stack.enter_context(open_folder(real.parent, create=True, made=self._made))
            self._seen = _stat(real.name, self._folder)
            _require_replaceable(real.name, self._folder, self._seen)
            # What replaces a private file must not be readable by others before it has its mode.
            self._draft = Draft(self._folder, 0o666 if self._seen is None and mode is None else 0o600)
            stack.callback(self._draft.close)
            self._draft.write(content)
            _copy_manner(self._draft.descriptor, self._seen, mode, _attributes(real.name, self._folder, self._seen))
            os.fsync(self._draft.descriptor)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def commit(self) -> Written:
        """Put it in place, so that a reader, or a crash, sees the old or the new file whole.

        The comparison and the rename are one step to all who use this class, in any process. A program that takes no
        lock is noticed up to the moment before the rename; what it writes into the old file in the few microseconds
        after that is lost. Raises FileChanged, OSError, NotRegular: then the file is as it was.
        """
        name, folder = self._real.name, self._folder
        with locked(folder):
            _require_same_folder(self._real.parent, folder)
            before = _stat(name, folder)
            if before is not None:
                _require_replaceable(name, folder, before)
            _require_digest(name, folder, self._expected)
            if before is not None and _manner(before) != _manner(self._seen):
                _copy_manner(self._draft.descriptor, before, self._mode, _attributes(name, folder, before))
            if before is None:
                self._create(name)
            else:
                self._draft.replace(name)
            self._committed = True
        _sync(folder)
        return Written(before.st_nlink - 1 if before is not None else 0, tuple(self._made))

    def _create(self, name: str) -> None:
        try:
            self._draft.create(name)
        except FileExistsError:
            raise FileChanged(CHANGED) from None

    def _remove_folders(self) -> None:
        if not self._committed:
            remove_folders(self._made)


def write_atomic(real: Path, content: bytes, *, expected: str | None = None, mode: int | None = None) -> Written:
    """Replace the file at `real` by `content`, whole or not at all: Staged and committed at once."""
    with Staged(real, content, expected=expected, mode=mode) as staged:
        return staged.commit()


def delete_file(real: Path, *, expected: str) -> None:
    """Remove a regular file that still has the digest `expected`; raises FileChanged, OSError, NotRegular."""
    with open_folder(real.parent) as folder:
        with locked(folder):
            _require_same_folder(real.parent, folder)
            require_regular(os.stat(real.name, dir_fd=folder, follow_symlinks=False).st_mode)
            _require_digest(real.name, folder, expected)
            os.unlink(real.name, dir_fd=folder)
        _sync(folder)


def remove_folders(made: Sequence[Path]) -> None:
    """Remove folders, outermost first in `made`, as far as they are empty."""
    with contextlib.suppress(OSError):
        for real in reversed(made):
            with open_folder(real.parent) as folder:
                os.rmdir(real.name, dir_fd=folder)


@contextlib.contextmanager
def open_folder(real: Path, *, create: bool = False, made: list[Path] | None = None) -> Iterator[int]:
    """A descriptor of a folder, for dir_fd; with `create` what is missing of the path is made, and added to `made`.
    Raises OSError."""
    descriptor = os.open("/", _FOLDER)
    try:
        for depth, name in enumerate(real.parts[1:], 2):
            try:
                below = os.open(name, _FOLDER, dir_fd=descriptor)
            except FileNotFoundError:
                if not create:
                    raise
                if _make_folder(name, descriptor) and made is not None:
                    made.append(Path(*real.parts[:depth]))
                below = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _make_folder(name: str, folder: int) -> bool:
    """Whether it was made; False where somebody else was quicker."""
    try:
        os.mkdir(name, dir_fd=folder)
    except FileExistsError:
        return False
    return True


def _stat(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name or ".", dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def require_regular(mode: int) -> None:
    """Raises NotRegular unless `mode`, an st_mode, is that of a regular file."""
    if not stat.S_ISREG(mode):
        raise NotRegular(_KINDS.get(stat.S_IFMT(mode), "device"))


def _require_replaceable(name: str, folder: int, found: os.stat_result | None) -> None:
    if found is None:
        return
    require_regular(found.st_mode)
    # A rename would get around the mode of a read-only file.
    if not os.access(name, os.W_OK, dir_fd=folder):
        raise PermissionError(errno.EACCES, "the file is read-only")


def _require_same_folder(real: Path, folder: int) -> None:
    """Raises FileChanged where the path leads to another folder than the one that was opened, or to none."""
    try:
        with open_folder(real) as now:
            same = os.path.samestat(os.fstat(now), os.fstat(folder))
    except (FileNotFoundError, NotADirectoryError):
        same = False
    if not same:
        raise FileChanged("its folder was moved or replaced meanwhile")


def _require_digest(name: str, folder: int, expected: str | None) -> None:
    if expected is None:
        return
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        found = ABSENT
    else:
        with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor, not a path
            require_regular(os.fstat(descriptor).st_mode)
            found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise FileChanged(CHANGED)


def _manner(found: os.stat_result | None) -> tuple[int, int, int] | None:
    return None if found is None else (found.st_mode, found.st_uid, found.st_gid)


def _attributes(name: str, folder: int, before: os.stat_result | None) -> dict[str, bytes]:
    """The extended attributes that belong to a file's owner: its own and its access list."""
    if before is None or not hasattr(os, "listxattr"):
        return {}
    kept: dict[str, bytes] = {}
    with contextlib.suppress(OSError):
        descriptor = os.open(name, _FILE, dir_fd=folder)
        try:
            for key in os.listxattr(descriptor):
                if key.startswith("user.") or key == _ACCESS_LIST:
                    kept[key] = os.getxattr(descriptor, key)
        finally:
            os.close(descriptor)
    return kept


def _copy_manner(
    descriptor: int, before: os.stat_result | None, mode: int | None, attributes: Mapping[str, bytes]
) -> None:
    if before is not None:
        own = os.fstat(descriptor)
        if (own.st_uid, own.st_gid) != (before.st_uid, before.st_gid):
            with contextlib.suppress(PermissionError):  # only root may give a file away; the content matters more
                os.fchown(descriptor, before.st_uid, before.st_gid)
        if mode is None:
            mode = stat.S_IMODE(before.st_mode)
    if mode is not None:
        os.fchmod(descriptor, mode)
    for key, value in attributes.items():
        with contextlib.suppress(OSError):  # a file system that lists attributes may still take none
            os.setxattr(descriptor, key, value)


def _sync(folder: int) -> None:
    """Make the change last through a power cut, where the folder may be opened."""
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
