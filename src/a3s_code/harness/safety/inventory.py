"""Looks in folders for what a pattern covers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from a3s_code.harness.safety.patterns import PathPattern

ENTRY_LIMIT = 50_000
# A folder may change once more within the grain of its time stamp, which is 2 s at worst.
_GRAIN_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class _Listing:
    """The entries of one folder, as paths and inodes, at the state that `stamp` names."""

    stamp: tuple[int, int, int]
    entries: tuple[tuple[str, int], ...]
    inodes: frozenset[int]
    folders: tuple[str, ...]


_NOTHING = _Listing((0, 0, 0), (), frozenset(), ())


class Inventory:
    """Searches folders; remembers what a folder holds until the folder changes.

    A search that meets more than `limit` entries gives up and answers None.
    """

    def __init__(self, limit: int = ENTRY_LIMIT) -> None:
        self._limit = limit
        self._listings: dict[str, _Listing] = {}
        self._held = 0

    def holds_match(self, folder: str, pattern: PathPattern) -> bool | None:
        """Whether something beneath `folder` is covered."""
        answer: bool | None = False
        for base in _spelled_alike(pattern):
            if base == folder or base.startswith(folder.rstrip("/") + "/"):
                found = self._search(base, _covered_by(pattern)) if pattern.wild else True
            elif folder.startswith(base.rstrip("/") + "/"):
                found = self._search(folder, _covered_by(pattern))
            else:
                continue
            if found:
                return True
            answer = None if found is None else answer
        return answer

    def holds_inode(self, pattern: PathPattern, identity: os.stat_result) -> bool | None:
        """Whether a covered file is the file of `identity` under another name."""
        wanted = identity.st_ino

        def same(listing: _Listing) -> bool:
            return wanted in listing.inodes and any(
                inode == wanted and pattern.matches(path) for path, inode in listing.entries
            )

        answer: bool | None = False
        for base in _spelled_alike(pattern):
            if not pattern.wild and os.path.samestat(Path(base).stat(), identity):
                return True
            found = self._search(base, same)
            if found:
                return True
            answer = None if found is None else answer
        return answer

    def _search(self, start: str, wanted: Callable[[_Listing], bool]) -> bool | None:
        waiting = [start]
        seen = 0
        while waiting:
            listing = self._list(waiting.pop())
            if wanted(listing):
                return True
            seen += len(listing.entries)
            if seen > self._limit:
                return None
            waiting.extend(listing.folders)
        return False

    def _list(self, folder: str) -> _Listing:
        """The entries of a folder; none where it is a file, or cannot be read, for then nobody reads beneath it."""
        try:
            state = Path(folder).stat()
            stamp = (state.st_dev, state.st_ino, state.st_ctime_ns)
            known = self._listings.get(folder)
            if known is not None and known.stamp == stamp:
                return known
            listing = _scan(folder, stamp, self._limit)
        except OSError:
            return _NOTHING
        if state.st_ctime_ns < time.time_ns() - _GRAIN_NS:
            self._remember(folder, listing)
        return listing

    def _remember(self, folder: str, listing: _Listing) -> None:
        if self._held + len(listing.entries) > 2 * self._limit:
            self._listings.clear()
            self._held = 0
        self._listings[folder] = listing
        self._held += len(listing.entries) + 1


def _covered_by(pattern: PathPattern) -> Callable[[_Listing], bool]:
    return lambda listing: any(pattern.matches(path) for path, _ in listing.entries)


def _scan(folder: str, stamp: tuple[int, int, int], limit: int) -> _Listing:
    with os.scandir(folder) as scanned:
        found = list(islice(scanned, limit + 1))
    entries = tuple((entry.path, entry.inode()) for entry in found)
    folders = tuple(entry.path for entry in found if entry.is_dir(follow_symlinks=False))
    return _Listing(stamp, entries, frozenset(inode for _, inode in entries), folders)


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


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return
