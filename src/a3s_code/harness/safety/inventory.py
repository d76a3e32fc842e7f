"""Looks in folders for what a pattern covers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from a3s_code.harness.safety.patterns import PathPattern

ENTRY_LIMIT = 50_000


def holds_match(folder: str, pattern: PathPattern) -> bool:
    """Whether something beneath `folder` is covered; True also where there is too much to look through."""
    for base in _spelled_alike(pattern):
        if base == folder or base.startswith(folder.rstrip("/") + "/"):
            if not pattern.wild or _search(base, lambda entry: pattern.matches(entry.path)):
                return True
        elif folder.startswith(base.rstrip("/") + "/") and _search(folder, lambda entry: pattern.matches(entry.path)):
            return True
    return False


def holds_inode(pattern: PathPattern, identity: os.stat_result) -> bool:
    """Whether a covered file is the file of `identity` under another name; True also where there is too much to look
    through."""
    wanted = identity.st_ino

    def same(entry: os.DirEntry[str]) -> bool:
        return entry.inode() == wanted and pattern.matches(entry.path)

    for base in _spelled_alike(pattern):
        if not pattern.wild and os.path.samestat(Path(base).stat(), identity):
            return True
        if _search(base, same):
            return True
    return False


def _spelled_alike(pattern: PathPattern) -> list[str]:
    """The folders or files that exist under the pattern's fixed part, whatever the case of its letters."""
    if Path(pattern.base).exists():
        return [pattern.base]
    found = ["/"]
    for segment in pattern.base.split("/")[1:]:
        exact = [f"{folder.rstrip('/')}/{segment}" for folder in found]
        found = [path for path in exact if os.path.lexists(path)] or [
            entry.path for folder in found for entry in _entries(folder) if entry.name.casefold() == segment.casefold()
        ]
    return [path for path in found if Path(path).exists()]


def _search(start: str, wanted: Callable[[os.DirEntry[str]], bool]) -> bool:
    waiting = [start]
    seen = 0
    while waiting:
        for entry in _entries(waiting.pop()):
            seen += 1
            if seen > ENTRY_LIMIT or wanted(entry):
                return True
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
    return False


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder; none where it is a file, or cannot be read, for then nobody reads beneath it."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return
