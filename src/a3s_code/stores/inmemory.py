"""Sessions in this process, gone with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from a3s_code.errors import StoreError
from a3s_code.kernel.store import BEGINNING, Commit, Entry, Listing, Stored
from a3s_code.stores.acceptance import in_use, unknown, why_refused


@dataclass(slots=True)
class _Session:
    entries: list[Entry] = field(default_factory=list[Entry])
    summary: bytes = b""
    blobs: set[str] = field(default_factory=set[str])


class MemorySessionStore:
    """Keeps sessions as long as the object lives; for tests, and for hosts that keep nothing. Thread-safe.

    It keeps every promise of a store but the disk's. Claims hold within this process.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._blobs: dict[str, bytes] = {}
        self._claims: set[str] = set()
        self._lock = threading.Lock()

    async def claim(self, session_id: str) -> None:
        with self._lock:
            if session_id in self._claims:
                raise in_use(session_id, os.getpid())
            self._claims.add(session_id)

    async def release(self, session_id: str) -> None:
        with self._lock:
            self._claims.discard(session_id)

    async def append(self, commit: Commit) -> None:
        with self._lock:
            session = self._sessions.get(commit.session_id, _Session())
            entries, number = session.entries, commit.entry.number
            if commit.session_id not in self._sessions and number:
                raise unknown(commit.session_id)
            stored = entries[number].digest if 0 <= number < len(entries) else None
            refusal = why_refused(commit, len(entries), entries[-1].digest if entries else BEGINNING, stored)
            if refusal is not None:
                raise refusal
            if stored is None:
                self._sessions[commit.session_id] = session
                entries.append(commit.entry)
                session.summary = commit.summary
                session.blobs = (session.blobs - set(commit.dropped)) | commit.blobs.keys()
                self._blobs.update(commit.blobs)
                self._drop_unreferred(commit.dropped)

    async def load(self, session_id: str, after: int = -1) -> Stored:
        with self._lock:
            session = self._known(session_id)
            return Stored(session.entries[max(after + 1, 0) :], session.summary)

    async def cut(self, session_id: str, length: int, reason: str) -> None:
        with self._lock:
            session = self._known(session_id)
            if not 0 <= length <= len(session.entries):
                raise StoreError(f"session {session_id!r} has {len(session.entries)} entries, so none can be {length}")
            del session.entries[length:]

    async def blobs(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        with self._lock:
            return {digest: self._blobs[digest] for digest in digests if digest in self._blobs}

    async def sessions(self) -> Sequence[Listing]:
        with self._lock:
            return [
                Listing(session_id, session.summary, os.getpid() if session_id in self._claims else None)
                for session_id, session in self._sessions.items()
            ]

    async def delete(self, session_id: str) -> bool:
        with self._lock:
            if session_id in self._claims:
                raise in_use(session_id, os.getpid())
            session = self._sessions.pop(session_id, None)
            if session is not None:
                self._drop_unreferred(session.blobs)
            return session is not None

    async def close(self) -> None:
        with self._lock:
            self._claims.clear()

    def _known(self, session_id: str) -> _Session:
        session = self._sessions.get(session_id)
        if session is None:
            raise unknown(session_id)
        return session

    def _drop_unreferred(self, digests: Iterable[str]) -> None:
        referred = set().union(*(session.blobs for session in self._sessions.values()))
        for digest in set(digests) - referred:
            self._blobs.pop(digest, None)
