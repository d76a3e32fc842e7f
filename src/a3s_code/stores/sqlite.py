"""Sessions in one SQLite file of a directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from a3s_code.kernel.store import Commit, Listing, Stored
from a3s_code.stores.archive import Archive
from a3s_code.stores.repair import log_of
from a3s_code.stores.tables import NAME
from a3s_code.stores.writer import Ask, Waiter, Write, leave, writer_of

T = TypeVar("T")


class FileSessionStore:
    """Keeps sessions in `sessions.db` of a directory, each commit on the disk before `append` returns.

    Any number of stores, threads, event loops and processes may use one directory; a session has one writer. A damaged
    file is kept aside, and what can be read of it goes on. Nothing is opened or made before the first verb. Raises
    StoreError, UnknownSession, SessionInUse; StoreVersionError where a newer version of this library wrote the file.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = Path(directory).expanduser().absolute()

    def __repr__(self) -> str:
        return f"FileSessionStore({str(self._directory)!r})"

    @property
    def directory(self) -> Path:
        return self._directory

    async def claim(self, session_id: str) -> None:
        with writer_of(self._directory, self) as writer:
            writer.ownership.claim(session_id, self)

    async def release(self, session_id: str) -> None:
        with writer_of(self._directory, self) as writer:
            writer.ownership.release(session_id, self)

    async def append(self, commit: Commit) -> None:
        waiter = Waiter()
        with writer_of(self._directory, self) as writer:
            writer.ownership.keep(commit.session_id, self)
            writer.submit(Write(waiter, commit))
        await waiter.outcome

    async def load(self, session_id: str, after: int = -1) -> Stored:
        return await self._ask(lambda archive: archive.load(session_id, after), reads=True)

    async def cut(self, session_id: str, length: int, reason: str) -> None:
        await self._ask(lambda archive: archive.cut(session_id, length, reason))

    async def blobs(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        return await self._ask(lambda archive: archive.blobs(digests), reads=True)

    async def sessions(self) -> Sequence[Listing]:
        found = await self._ask(Archive.sessions, reads=True)
        with writer_of(self._directory, self) as writer:
            return [Listing(name, summary, writer.ownership.writer(name)) for name, summary in found]

    async def delete(self, session_id: str) -> bool:
        await self.claim(session_id)
        try:
            return await self._ask(lambda archive: archive.delete(session_id))
        finally:
            await self.release(session_id)

    async def gc(self) -> int:
        """Drop what no session refers to and give room back to the disk; how many bytes the files became smaller."""
        before = self.size()
        await self._ask(Archive.collect)
        return max(before - self.size(), 0)

    def size(self) -> int:
        """The bytes of the database and its log, at this moment."""
        files = [self._directory / NAME, log_of(self._directory / NAME)]
        return sum(file.stat().st_size for file in files if file.exists())

    async def close(self) -> None:
        for writer in leave(self):
            waiter = Waiter()
            writer.submit(Ask(waiter, None))
            await waiter.outcome

    async def _ask(self, work: Callable[[Archive], T], reads: bool = False) -> T:
        waiter = Waiter()
        with writer_of(self._directory, self) as writer:
            writer.submit(Ask(waiter, work, reads))
        outcome: T = await waiter.outcome
        return outcome
