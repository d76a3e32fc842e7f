"""A folder for temporary files, one for each owner, gone when the owner or this interpreter ends."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import secrets
import shutil
import tempfile
import threading
from pathlib import Path

_folders: dict[str, Path] = {}
_lock = threading.Lock()
_process: int | None = None


def folder(owner: str) -> Path:
    """The real path of the owner's folder, made when it is not there; nobody else can look into it. Raises OSError."""
    global _process  # one process, one table
    with _lock:
        if _process != os.getpid():
            _folders.clear()  # after a fork: the parent's folders are not ours to remove
            _process = os.getpid()
            atexit.register(remove)
        place = _folders.get(owner)
        if place is None or not place.is_dir():
            place = _folders[owner] = Path(tempfile.mkdtemp(prefix="a3s-")).resolve()
        return place


def holds(owner: str) -> bool:
    """Whether the owner has a folder."""
    return owner in _folders and _process == os.getpid()


def remove(owner: str | None = None) -> None:
    """Remove the folder of `owner`, or of everybody, with what is in it."""
    with _lock:
        if _process != os.getpid():
            return
        places = [_folders.pop(name) for name in list(_folders) if owner in (None, name)]
    for place in places:
        _remove_tree(place)
        if place.exists():
            with contextlib.suppress(OSError):
                _flatten(place)
            _remove_tree(place)


def _remove_tree(place: Path) -> None:
    with contextlib.suppress(RecursionError):
        shutil.rmtree(place, ignore_errors=True)


def _flatten(place: Path) -> None:
    """Move every folder below `place` to its top, and give us the right to change what is in it.

    Some tools take that right away, and folders may be nested deeper than Python's stack.
    """
    place.chmod(0o700)
    name = secrets.token_hex(8)
    pending = _folders_in(place)
    for count in itertools.count():
        if not pending:
            return
        folder, top = pending.pop(), place / f"{name}-{count}"
        folder.chmod(0o700)
        folder.rename(top)
        pending += _folders_in(top)


def _folders_in(folder: Path) -> list[Path]:
    with os.scandir(folder) as found:
        return [Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False)]
