"""The files below a folder, as git and ripgrep would find them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from a3s_code.system.ignore import Ignore, descend, enter, exclude, inherit, repository

LOOK_EVERY = 1024


def walk(root: Path, stop: threading.Event, deadline: float) -> Iterator[str]:
    """The regular files below `root`, as relative paths: hidden ones too, without `.git` and what is ignored.

    No link is followed. Inside a repository another one starts afresh, without the rules of the outer one. Ends early
    when `stop` is set or `deadline` (of time.monotonic) has passed.
    """
    top = repository(root)
    pending: list[tuple[str, Ignore | None]] = [("", inherit(root, top))]
    while pending and not stop.is_set() and time.monotonic() < deadline:
        prefix, ignore = pending.pop()
        entries = _entries(root / prefix, stop, deadline)
        if top is not None and prefix and any(entry.name == ".git" for entry in entries):
            ignore = exclude(root / prefix)
        ignore = enter(ignore, root / prefix)
        for place, entry in enumerate(entries):
            folder = entry.is_dir(follow_symlinks=False)
            if entry.name == ".git" or not (folder or entry.is_file(follow_symlinks=False)):
                continue
            if ignore is not None and ignore.ignores(entry.name, folder=folder):
                continue
            if folder:
                pending.append((f"{prefix}{entry.name}/", descend(ignore, entry.name)))
            else:
                yield prefix + entry.name
            if not place % LOOK_EVERY and (stop.is_set() or time.monotonic() >= deadline):
                return


def is_plain(root: Path, stop: threading.Event, deadline: float) -> bool:
    """Whether every ignore file that counts in a search of `root` is one that all programs read alike.

    Looks at folders only. False where the time was not enough to know.
    """
    top = repository(root)
    pending: list[tuple[str, Ignore | None]] = [("", inherit(root, top))]
    while pending:
        if stop.is_set() or time.monotonic() >= deadline:
            return False
        prefix, ignore = pending.pop()
        folder = root / prefix
        if prefix and (folder / ".git").exists():
            if top is None and ignore is not None:
                return False  # rules from outside any repository: versions of ripgrep differ
            ignore = ignore if top is None else exclude(folder)
        ignore = enter(ignore, folder)
        if ignore is not None and not ignore.plain:
            return False
        names = _folders(folder, stop, deadline)
        names = [name for name in names if ignore is None or not ignore.ignores(name, folder=True)]
        pending += [(f"{prefix}{name}/", descend(ignore, name)) for name in names]
    return True


def _folders(folder: Path, stop: threading.Event, deadline: float) -> list[str]:
    try:
        # Its own two names and one by each folder in it; where a file system does not count them it says 1.
        if folder.lstat().st_nlink == 2:
            return []
    except OSError:
        return []
    entries = _entries(folder, stop, deadline)
    return [entry.name for entry in entries if entry.name != ".git" and entry.is_dir(follow_symlinks=False)]


def _entries(folder: Path, stop: threading.Event, deadline: float) -> list[os.DirEntry[str]]:
    """What is in a folder, as far as the time reaches; nothing where it cannot be read."""
    entries: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                entries.append(entry)
                if not len(entries) % LOOK_EVERY and (stop.is_set() or time.monotonic() >= deadline):
                    break
    except OSError:
        pass
    return entries
