"""A folder for temporary files, one for each owner, gone when the owner or this interpreter ends."""

from __future__ import annotations

import atexit
import contextlib
import os
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


def remove(owner: str | None = None) -> None:
    """Remove the folder of `owner`, or of everybody, with what is in it."""
    with _lock:
        if _process != os.getpid():
            return
        places = [_folders.pop(name) for name in list(_folders) if owner in (None, name)]
    for place in places:
        shutil.rmtree(place, ignore_errors=True)
        if place.exists():
            _make_removable(place)
            shutil.rmtree(place, ignore_errors=True)


def _make_removable(place: Path) -> None:
    # Some tools take the right to write from what they keep.
    for folder, _, _ in os.walk(place):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o700)
