"""The one thread of a process that has a database open: it writes what is queued in one transaction, and reads.

Of each directory there is one such thread, however many stores, threads and event loops use it. It starts with the
first work, and closes the database when there was none for a while.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from a3s_code.errors import StoreError
from a3s_code.kernel.store import Commit
from a3s_code.stores.archive import Archive
from a3s_code.stores.ownership import NAME as LOCK_NAME
from a3s_code.stores.ownership import Ownership, open_lock
from a3s_code.stores.repair import check_log, copy_log, drop_copy, finish, rebuild, remains
from a3s_code.stores.tables import NAME, Damaged, explain, forbids_writing, make, open_store, refuses_its_head
from a3s_code.stores.witness import NoWitness

T = TypeVar("T")

IDLE_SECONDS = 20.0
_FORK_SECONDS = 5.0


class Waiter:
    """Somebody on an event loop who awaits an outcome."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[Any] = self.loop.create_future()


@dataclass(frozen=True, slots=True)
class Write:
    """A commit that is to be stored."""

    waiter: Waiter
    commit: Commit


@dataclass(frozen=True, slots=True)
class Ask:
    """Other work on the archive. `reads`: it changes nothing. Without `work` it is a farewell: where no user is left,
    it is answered when all is closed."""

    waiter: Waiter
    work: Callable[[Archive], Any] | None
    reads: bool = False


Job = Write | Ask
Told = tuple[Waiter, Any, BaseException | None]


class Writer:
    """The thread of one directory. `users` are the stores that use it; without any it does not stay."""

    def __init__(self, directory: Path, ownership: Ownership, idle_seconds: float = IDLE_SECONDS) -> None:
        self.directory = directory
        self.ownership = ownership
        self.users: WeakSet[object] = WeakSet()
        self.at_work = threading.Lock()
        self._idle_seconds = idle_seconds
        self._archive: Archive | None = None
        self._inode = 0
        self._jobs: deque[Job] = deque()
        self._farewells: list[Told] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def idle(self) -> bool:
        return self._thread is None

    def submit(self, job: Job) -> None:
        with self._wake:
            self._jobs.append(job)
            if self._thread is not None:
                self._wake.notify()
                return
            thread = threading.Thread(target=self._work, name="a3s-code-store", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                self._jobs.clear()
                raise StoreError(f"the store in {self.directory} cannot be used: {error}") from error
            self._thread = thread

    def _work(self) -> None:
        while True:
            jobs = self._next()
            if jobs is None:
                break
            with self.at_work:
                if jobs:
                    self._do(jobs)
                else:
                    self._shut()
            if self.users:
                self._part()
        _retire(self)
        self._part()

    def _part(self) -> None:
        with self._wake:
            told, self._farewells = self._farewells, []
        _tell(told)

    def _next(self) -> list[Job] | None:
        """What is queued. Nothing where there was none for a while; None where there is nothing open either."""
        with self._wake:
            if not self._jobs and self._archive is not None:
                self._wake.wait(self._idle_seconds if self.users else 0)
            if not self._jobs and self._archive is None:
                self._thread = None
                return None
            jobs = list(self._jobs)
            self._jobs.clear()
            return jobs

    def _do(self, jobs: Sequence[Job]) -> None:
        for kind, group in groupby(jobs, type):
            if kind is Write:
                _tell(self._write([job for job in group if isinstance(job, Write)]))
            else:
                asked = [job for job in group if isinstance(job, Ask)]
                with self._wake:
                    self._farewells += [(job.waiter, None, None) for job in asked if job.work is None]
                _tell([self._answer(job.work, job) for job in asked if job.work is not None])

    def _write(self, jobs: Sequence[Write]) -> list[Told]:
        """Store the commits together. Whatever is raised, each of them is told."""
        try:
            outcomes = self._attempt(lambda archive: archive.write(job.commit for job in jobs))
        except Exception as error:  # noqa: BLE001 - it is raised again, where the commit is awaited
            if len(jobs) == 1:
                return [(jobs[0].waiter, None, error)]
            # One that is too large for the disk must not take the others with it.
            return [told for job in jobs for told in self._write([job])]
        return [(job.waiter, None, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]

    def _answer(self, work: Callable[[Archive], Any], job: Ask) -> Told:
        """Do the work. Whatever is raised, the waiter is told."""
        try:
            return job.waiter, self._attempt(work, job.reads), None
        except Exception as error:  # noqa: BLE001 - it is raised again, where the work is awaited
            return job.waiter, None, error

    def _attempt(self, work: Callable[[Archive], T], reads: bool = False) -> T:
        """Do the work; where it meets damage, or reads what cannot be written, once more on what can be read."""
        try:
            return self._once(work)
        except Damaged as damage:
            obstacle = self._repaired(str(damage))
            if obstacle is not None and not reads:
                raise StoreError(f"the store in {self.directory} is damaged: {damage}", hint=obstacle) from damage
        except StoreError as error:
            if not reads or not forbids_writing(error.__cause__) or not (self.directory / NAME).is_file():
                raise
            return self._on_remains(work, str(error))
        try:
            if obstacle is not None:
                return self._on_remains(work, f"{self.directory / NAME} is damaged; {obstacle}")
            return self._once(work)
        except Damaged as damage:
            raise StoreError(f"the store in {self.directory} is damaged again and again: {damage}") from damage

    def _once(self, work: Callable[[Archive], T]) -> T:
        try:
            return work(self._opened())
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            # Where the disk is full the connection is as good as before, and a new one would take some room.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
                self._shut()
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> Exception:
        """The error as it is raised."""
        if refuses_its_head(error, self.directory / NAME):
            return Damaged(str(error))
        return explain(error, self.directory)

    def _opened(self) -> Archive:
        database = self.directory / NAME
        if self._archive is not None and _inode(database) != self._inode:
            self._shut()
        if self._archive is not None:
            return self._archive
        with self.ownership.door():
            alone = self.ownership.enter()
            try:
                archive = self._open_or_rebuild(database, alone)
            except BaseException:
                self.ownership.leave()
                raise
            self._archive, self._inode = archive, _inode(database)
        return archive

    def _open_or_rebuild(self, database: Path, alone: bool) -> Archive:
        """What is found damaged at the door is repaired before anybody else comes in."""
        try:
            return self._open(database, alone)
        except (Damaged, sqlite3.DatabaseError, UnicodeDecodeError) as error:
            damage = self._explained(error)
            if not alone or not isinstance(damage, Damaged):
                raise damage from error
            self._rebuild(str(damage))
            return self._open(database, alone)

    def _open(self, database: Path, alone: bool) -> Archive:
        if alone:
            finish(self.directory)
        unclean = alone and copy_log(self.directory)
        if not database.exists():
            if unclean or self.ownership.witness.counts():
                raise Damaged("the database is missing")
            make(database)
        elif not database.is_file():
            raise StoreError(f"{database} is no file", hint="take it away, or choose another directory")
        elif not database.stat().st_size:
            raise Damaged("the database is empty")
        if unclean:
            check_log(database, self.ownership.witness)
        archive = Archive(open_store(database), self.ownership.witness)
        if unclean:
            drop_copy(self.directory)
        return archive

    def _shut(self) -> None:
        if self._archive is not None:
            with suppress(sqlite3.Error):
                self._archive.close()
            self._archive = None
            self.ownership.leave()

    def _repaired(self, why: str) -> str | None:
        """Replace the damaged file; None, or what is in the way."""
        self._shut()
        try:
            with self.ownership.door():
                alone = self.ownership.enter()
                try:
                    if not alone:
                        return f"it can be repaired once process {self.ownership.other()} has closed it"
                    self._rebuild(why)
                finally:
                    self.ownership.leave()
        except (sqlite3.Error, OSError, StoreError) as error:
            return f"it could not be repaired: {explain(error, self.directory)}"
        return None

    def _rebuild(self, why: str) -> None:
        witness = self.ownership.witness
        rebuild(self.directory, why, witness.counts())
        with closing(Archive(open_store(self.directory / NAME), NoWitness())) as archive:
            witness.reset(archive.check())

    def _on_remains(self, work: Callable[[Archive], T], whereabouts: str) -> T:
        try:
            connection = remains(self.directory, whereabouts, self.ownership.witness.counts())
        except (sqlite3.Error, OSError) as error:
            raise explain(error, self.directory) from error
        archive = Archive(connection, NoWitness())
        try:
            return work(archive)
        finally:
            archive.close()


_REGISTRY = threading.Lock()
_writers: dict[tuple[int, int], Writer] = {}
_at_fork: list[Writer] = []
_watching_forks = False


@contextmanager
def writer_of(directory: Path, user: object) -> Iterator[Writer]:
    """The writer of a directory, which is made where it is missing. To be left quickly."""
    try:
        with _REGISTRY:
            writer = _find(directory)
            writer.users.add(user)
            yield writer
    except OSError as error:
        raise explain(error, directory) from error


def leave(user: object) -> list[Writer]:
    """Release what a store has claimed, everywhere; the writers that it used."""
    with _REGISTRY:
        used = [writer for writer in _writers.values() if user in writer.users]
        for writer in used:
            writer.ownership.release_all(user)
            writer.users.discard(user)
    return used


def _find(directory: Path) -> Writer:
    """The file that the locks are on is known by its inode: while it is open here, no other file gets that."""
    _watch_forks()
    lock = directory / LOCK_NAME
    try:
        status = lock.stat()
    except FileNotFoundError:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    else:
        known = _writers.get((status.st_dev, status.st_ino))
        if known is not None:
            known.directory = directory
            known.ownership.look_again(lock)
            return known
    descriptor = open_lock(lock)
    status = os.fstat(descriptor)
    writer = _writers[status.st_dev, status.st_ino] = Writer(directory, Ownership(descriptor))
    return writer


def _retire(writer: Writer) -> None:
    """Close the lock file where nobody needs it."""
    with _REGISTRY:
        key = next((key for key, known in _writers.items() if known is writer), None)
        if key is not None and writer.idle and not writer.users and not writer.ownership.claimed:
            del _writers[key]
            writer.ownership.close()


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _tell(outcomes: Sequence[Told]) -> None:
    """Hand each outcome to its loop; those of one loop together."""
    for loop in {waiter.loop for waiter, _, _ in outcomes}:
        told = [outcome for outcome in outcomes if outcome[0].loop is loop]
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, told)


def _settle(told: Sequence[Told]) -> None:
    for waiter, value, error in told:
        if waiter.outcome.done():
            continue
        if error is None:
            waiter.outcome.set_result(value)
        else:
            waiter.outcome.set_exception(error)


def _watch_forks() -> None:
    global _watching_forks  # handlers cannot be taken back, so they are set once, by the first store
    if not _watching_forks:
        os.register_at_fork(before=_pause, after_in_parent=_go_on, after_in_child=_begin_anew)
        _watching_forks = True


def _pause() -> None:
    """Let the writers end what they do: SQLite's own locks must not be held in a child that has no such thread."""
    _REGISTRY.acquire()
    _at_fork[:] = [writer for writer in _writers.values() if writer.at_work.acquire(timeout=_FORK_SECONDS)]


def _go_on() -> None:
    for writer in _at_fork:
        writer.at_work.release()
    _at_fork.clear()
    _REGISTRY.release()


def _begin_anew() -> None:
    """In a child: the parent's connections are the parent's, and stay as they are, unclosed in its threads' frames."""
    for writer in _writers.values():
        writer.ownership.close()
    _writers.clear()
    _at_fork.clear()
    _REGISTRY.release()
