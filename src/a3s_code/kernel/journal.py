"""The journal: writes down what happens in one session, in order, and says when it is safe.

Facts are noted as they happen and committed in batches, one entry a commit. A session without a store has the journal
UNKEPT, which costs nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from a3s_code.errors import A3SError, SessionExists, SessionInUse, StoreError, UnknownSession
from a3s_code.kernel.attribution import describe, is_foreign
from a3s_code.kernel.facts import Fact
from a3s_code.kernel.packing import pack, references, write
from a3s_code.kernel.pieces import collected, is_piece
from a3s_code.kernel.store import BEGINNING, Commit, Entry, SessionStore, seal

PIECES_SECONDS = 0.04
"""How long pieces of a text may wait for further ones, so that not each of them is a commit of its own."""

Then = Callable[[bool], None]


class Journal(Protocol):
    """Where a session notes its facts."""

    @property
    def kept(self) -> bool:
        """Whether anything becomes of what is noted."""
        ...

    def note(self, fact: Fact, then: Then | None = None) -> None:
        """Take the fact down, in order; may be called from any thread. `then` is called on the event loop of the
        caller: with True when it is durable, with False when the store did not take it."""
        ...

    async def open(self) -> None:
        """Called before the first fact of a process is noted. Raises SessionInUse, SessionExists."""
        ...

    async def settled(self) -> None:
        """Return when what was noted so far is durable, or the store has failed to take it."""
        ...


class Unkept:
    """The journal of a session without a store."""

    kept = False

    def note(self, fact: Fact, then: Then | None = None) -> None:
        """Nothing is taken down."""

    async def open(self) -> None:
        """There is nothing to open."""

    async def settled(self) -> None:
        """There is nothing to wait for."""


UNKEPT = Unkept()


@dataclass(frozen=True, slots=True)
class _Noted:
    fact: Fact
    then: Then | None
    loop: asyncio.AbstractEventLoop | None

    def tell(self, durable: bool) -> None:
        if self.then is None:
            return
        if self.loop is None or self.loop is asyncio.get_running_loop():
            self.then(durable)
        else:
            with suppress(RuntimeError):  # that loop has ended, and with it whoever listened
                self.loop.call_soon_threadsafe(self.then, durable)


@dataclass(slots=True)
class _Unsent:
    commit: Commit
    noted: list[_Noted]
    told: bool = False


@dataclass(slots=True)
class _References:
    """Which blobs the session refers to, and which of them only as artifacts, which may be dropped."""

    held: set[str] = field(default_factory=set[str])
    artifacts: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, fact: Mapping[str, Any]) -> list[str]:
        """Take in a packed fact; gives the digests that are needed no more."""
        if fact["k"] == "artifact":
            self.artifacts[fact["uri"]] = next(references(fact["text"]), "")
        elif fact["k"] == "dropped":
            digest = self.artifacts.pop(fact["uri"], "")
            if digest and digest not in self.held and digest not in self.artifacts.values():
                return [digest]
        else:
            self.held.update(references(fact))
        return []

    def __contains__(self, digest: str) -> bool:
        return digest in self.held or digest in self.artifacts.values()


class StoredJournal:
    """The journal of a session that a store keeps. `header` is the first fact of a new one.

    `automatic` False keeps what is noted in memory until `save`. `summarize` describes the session for listings. When
    the store fails, `failed` is told once, the session goes on, and all that is not stored is tried again with the next
    fact. The pieces of a streamed text wait up to 40 ms for further ones.
    """

    kept = True

    def __init__(
        self,
        store: SessionStore,
        session_id: str,
        header: Fact,
        summarize: Callable[[], Mapping[str, Any]],
        *,
        automatic: bool = True,
    ) -> None:
        self._store = store
        self._session_id = session_id
        self._header = header
        self._summarize = summarize
        self._automatic = automatic
        self.failed: Callable[[A3SError], None] = _ignore
        self._opened = self._failing = False
        self._writer: int | None = None
        self._opening = asyncio.Lock()
        self._head = BEGINNING
        self._number = 0
        self._references = _References()
        self._pending: list[_Noted] = []
        self._unsent: deque[_Unsent] = deque()
        self._lock = threading.Lock()
        self._pump: asyncio.Task[None] | None = None
        self._urgent: asyncio.Event | None = None
        self._wrote_at = 0.0
        self._taken = self._done = 0
        self._waiting: list[tuple[int, Future[None]]] = []

    async def open(self) -> None:
        """Become the writer of a new session, whose first fact is the header.

        Raises SessionInUse and SessionExists, and then writes nothing at all. A store that fails is told of, and tried
        again with each fact.
        """
        async with self._opening:
            if self._opened:
                return
            if not self._automatic:
                self._begin()
                return
            try:
                await self._claim_new()
            except StoreError as error:
                self._failing = True
                self._begin()
                self.failed(error)
            else:
                self._begin()

    def follow(self, entries: Sequence[Entry], facts: Iterable[Fact]) -> None:
        """Go on behind what is stored in a session that is claimed already; `facts` are all packed facts in it."""
        self._opened, self._writer = True, os.getpid()
        if entries:
            self._head, self._number = entries[-1].digest, entries[-1].number + 1
        for fact in facts:
            self._references.add(fact)

    def _begin(self) -> None:
        self._opened = True
        self.note(self._header)

    async def _claim(self) -> None:
        if self._writer is None:
            await self._claim_new()
        elif self._writer != os.getpid():
            raise SessionInUse(
                f"session {self._session_id} is open in process {self._writer}, of which this one is a fork",
                pid=self._writer,
            )

    async def _claim_new(self) -> None:
        """Become the writer of a session that must not be there yet."""
        await self._store.claim(self._session_id)
        try:
            await self._store.load(self._session_id, 0)
        except UnknownSession:
            self._writer = os.getpid()
            return
        except BaseException:
            await self._store.release(self._session_id)
            raise
        await self._store.release(self._session_id)
        raise SessionExists(
            f"the store holds a session {self._session_id} already", hint="agent.resume_session() opens it"
        )

    def note(self, fact: Fact, then: Then | None = None) -> None:
        if not self._opened:
            # Somebody else has this session, or it could not be opened: what happens here is not its story.
            if then is not None:
                then(False)
            return
        try:
            loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        with self._lock:
            if self._automatic:
                self._pending.append(_Noted(fact, then, loop))
                self._taken += 1
            else:
                self._pending.append(_Noted(fact, None, None))
            if self._automatic and loop is not None:
                self._start(loop, urgent=not is_piece(fact))
        if not self._automatic and then is not None:
            then(False)

    async def settled(self) -> None:
        if self._automatic:
            await self._settle(asyncio.get_running_loop())

    async def save(self) -> None:
        """Make all that was noted durable; raises StoreError where that fails."""
        with self._lock:
            self._taken += 0 if self._automatic else len(self._pending)
        await self._claim()
        await self._settle(asyncio.get_running_loop())
        if self._unsent and self._pump is None:
            await self._send()
        if self._unsent:
            raise StoreError(
                f"session {self._session_id} could not be saved", hint="its store fails; nothing is lost in memory"
            )

    async def close(self) -> None:
        """Finish what was begun, and be the writer no more."""
        try:
            await self.settled()
        finally:
            if self._writer is not None:
                self._writer = None
                await self._store.release(self._session_id)

    async def _settle(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if self._done >= self._taken:
                return
            future = Future[None]()
            self._waiting.append((self._taken, future))
            self._start(loop, urgent=True)
        await asyncio.shield(asyncio.wrap_future(future))

    def _start(self, loop: asyncio.AbstractEventLoop, *, urgent: bool) -> None:
        """See to it that what is pending is written; called with the lock held."""
        if self._pump is None or self._pump.get_loop().is_closed():
            self._urgent = asyncio.Event()
            self._pump = loop.create_task(self._write_all())
        if not urgent or self._urgent is None:
            return
        if self._pump.get_loop() is loop:
            self._urgent.set()
        else:
            with suppress(RuntimeError):
                self._pump.get_loop().call_soon_threadsafe(self._urgent.set)

    async def _write_all(self) -> None:
        task = asyncio.current_task()
        try:
            while True:
                await self._wait_for_more()
                with self._lock:
                    batch, self._pending = self._pending, []
                    if not batch:
                        self._pump = None
                        return
                self._unsent.append(_Unsent(self._seal(batch), batch))
                await self._send()
                self._tell_waiting(len(batch))
        finally:
            with self._lock:
                if self._pump is task:
                    # Cut off, as at the end of an event loop; what is unsent goes out with the next fact.
                    self._pump = None
                    self._done = self._taken
            self._tell_waiting(0)

    async def _wait_for_more(self) -> None:
        """While there are but pieces of a text, wait a little for further ones."""
        urgent = self._urgent
        assert urgent is not None
        left = PIECES_SECONDS - (asyncio.get_running_loop().time() - self._wrote_at)
        if left > 0 and self._pending and not urgent.is_set() and all(is_piece(item.fact) for item in self._pending):
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await urgent.wait()
        urgent.clear()

    def _seal(self, batch: list[_Noted]) -> Commit:
        """The batch as the next entry of the session."""
        found: dict[str, bytes] = {}
        facts = [pack(fact, found) for fact in collected([item.fact for item in batch])]
        new = {digest: content for digest, content in found.items() if digest not in self._references}
        dropped = [digest for fact in facts for digest in self._references.add(fact)]
        entry = seal(self._head, self._number, write(facts))
        self._head, self._number = entry.digest, self._number + 1
        summary = {**self._summarize(), "entries": self._number, "head": entry.digest.hex()}
        return Commit(self._session_id, entry, sealed_summary(summary), new, dropped)

    async def _send(self) -> None:
        """Send what is unsent, in order, up to the first that the store does not take."""
        try:
            await self._claim()
            while self._unsent:
                await self._store.append(self._unsent[0].commit)
                sent = self._unsent.popleft()
                self._failing = False
                if not sent.told:
                    for item in sent.noted:
                        item.tell(durable=True)
        except BaseException as error:
            if not is_foreign(error):
                raise
            self._report(error)
        self._wrote_at = asyncio.get_running_loop().time()

    def _report(self, error: BaseException) -> None:
        for unsent in self._unsent:
            if not unsent.told:
                unsent.told = True
                for item in unsent.noted:
                    item.tell(durable=False)
        if not self._failing:
            self._failing = True
            if not isinstance(error, A3SError):
                error = StoreError(f"the session store raised {describe(error)}")
            self.failed(error)

    def _tell_waiting(self, done: int) -> None:
        with self._lock:
            self._done += done
            over = [future for target, future in self._waiting if target <= self._done]
            self._waiting = [item for item in self._waiting if item[0] > self._done]
        for future in over:
            future.set_result(None)


def sealed_summary(summary: Mapping[str, Any]) -> bytes:
    """A summary as JSON text, with a hash over it, so that a damaged one is not believed."""
    body = write(summary)
    return hashlib.sha256(body).hexdigest().encode() + body


def read_summary(text: bytes) -> bytes | None:
    """The JSON text of a summary; None where it is not what was sealed."""
    seal_of, body = text[:64], text[64:]
    return body if hashlib.sha256(body).hexdigest().encode() == seal_of else None


def _ignore(error: A3SError) -> None:
    """Nobody wants to know."""
