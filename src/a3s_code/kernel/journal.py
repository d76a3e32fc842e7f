"""The journal: writes down what happens in one session, in order, and says when it is safe.

Facts are noted as they happen and committed in batches, one entry a commit. A session without a store has the journal
UNKEPT, which costs nothing.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from a3s_code.errors import A3SError, SessionExists, SessionInUse, StoreError, UnknownSession, UsageError
from a3s_code.kernel.attribution import blame_store, describe
from a3s_code.kernel.facts import Fact
from a3s_code.kernel.packing import References, pack, sealed_summary, write
from a3s_code.kernel.pieces import collected, is_piece
from a3s_code.kernel.store import BEGINNING, Commit, Entry, SessionStore, seal

PIECES_SECONDS = 0.04
"""How long pieces of a text may wait for further ones, so that not each of them is a commit of its own."""

PATIENCE_SECONDS = 60.0
"""How long a store may take for one verb before it counts as failing."""
LITTLE_PATIENCE_SECONDS = 2.0
"""The same for a store that was failing the last time."""

T = TypeVar("T")
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
    upto: int
    told: bool = False


class StoredJournal:
    """The journal of a session that a store keeps. `header` is the first fact of a new one.

    `automatic` False keeps what is noted in memory until `save`. `summarize` describes the session for listings. When
    the store fails, or does not answer for `patience` seconds, `failed` is told once, the session goes on, and all that
    is not stored is tried again with the next fact. The pieces of a streamed text wait up to 40 ms for further ones.
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
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._store = store
        self._session_id = session_id
        self._header = header
        self._summarize = summarize
        self._automatic = automatic
        self._patience = patience
        self.failed: Callable[[A3SError], None] = _ignore
        self._opened = self._failing = False
        self._new = True
        self._writer: int | None = None
        self._opening = asyncio.Lock()
        self._head = BEGINNING
        self._number = 0
        self._references = References()
        self._pending: list[_Noted] = []
        self._unsent: deque[_Unsent] = deque()
        self._lock = threading.Lock()
        self._pump: asyncio.Task[None] | None = None
        self._urgent: asyncio.Event | None = None
        self._process = os.getpid()
        self._wrote_at = 0.0
        self._taken = self._sealed = self._tried = self._stored = 0
        self._failure: A3SError | None = None
        self._again = False
        self._waiting: list[Future[None]] = []

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
            except (SessionInUse, SessionExists):
                raise
            except A3SError as error:
                self._failing = True
                self._begin()
                self.failed(error)
            else:
                self._begin()

    def follow(self, entries: Sequence[Entry], facts: Iterable[Fact], *, claimed: bool = True) -> None:
        """Go on behind what is stored; `facts` are all packed facts in it. A session that is not claimed, since its
        store could not be written, is claimed before the first commit."""
        self._opened, self._new, self._writer = True, False, os.getpid() if claimed else None
        if entries:
            self._head, self._number = entries[-1].digest, entries[-1].number + 1
        for fact in facts:
            self._references.add(fact)

    def _begin(self) -> None:
        self._opened = True
        self.note(self._header)

    async def _claim(self) -> None:
        if self._writer is None and self._new:
            await self._claim_new()
        elif self._writer is None:
            await self._answer(self._store.claim(self._session_id))
            self._writer = os.getpid()
        elif self._writer != os.getpid():
            raise SessionInUse(
                f"session {self._session_id} is open in process {self._writer}, of which this one is a fork",
                pid=self._writer,
            )

    async def _claim_new(self) -> None:
        """Become the writer of a session that must not be there yet."""
        await self._answer(self._store.claim(self._session_id))
        try:
            await self._answer(self._store.load(self._session_id, 0))
        except UnknownSession:
            self._writer = os.getpid()
            return
        except BaseException:
            await self._answer(self._store.release(self._session_id))
            raise
        await self._answer(self._store.release(self._session_id))
        raise SessionExists(
            f"the store holds a session {self._session_id} already", hint="agent.resume_session() opens it"
        )

    async def _answer(self, verb: Awaitable[T]) -> T:
        """What the store answers; raises StoreError where it does not, or raises what it may not raise."""
        seconds = min(LITTLE_PATIENCE_SECONDS, self._patience) if self._failing else self._patience
        limit = asyncio.timeout(seconds)
        try:
            with blame_store():
                async with limit:
                    return await verb
        except StoreError as error:
            if limit.expired():
                raise StoreError(f"the session store did not answer within {seconds:g} s") from error
            raise

    def note(self, fact: Fact, then: Then | None = None) -> None:
        if not self._opened:
            # Somebody else has this session, or it is closed: what happens here is not its story.
            if then is not None:
                then(False)
            return
        try:
            loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        with self._lock:
            self._pending.append(_Noted(fact, then, loop) if self._automatic else _Noted(fact, None, None))
            self._taken += 1
            if self._automatic and loop is not None:
                self._start(loop, urgent=not is_piece(fact))
        if not self._automatic and then is not None:
            then(False)

    async def settled(self) -> None:
        target = self._taken if self._automatic else 0
        while self._tried < target:
            await self._try()

    async def save(self) -> None:
        """Make all that was noted durable; raises StoreError where that fails."""
        target, failure = self._taken, self._failure
        while self._stored < target:
            if self._failure is not failure:
                if isinstance(self._failure, UsageError):
                    raise self._failure
                raise StoreError(
                    f"session {self._session_id} could not be saved", hint="its store fails; nothing is lost in memory"
                ) from self._failure
            self._again = True
            await self._try()

    async def close(self) -> None:
        """Finish what was begun, and be the writer no more; what is noted later is not taken."""
        try:
            await self.settled()
        finally:
            self._opened = False
            if self._writer is not None:
                self._writer = None
                try:
                    await self._answer(self._store.release(self._session_id))
                except A3SError as error:
                    self.failed(error)

    async def _try(self) -> None:
        """Return when what is there now was given to the store, or who did so was cut off."""
        future = Future[None]()
        with self._lock:
            self._waiting.append(future)
            self._start(asyncio.get_running_loop(), urgent=True)
        await asyncio.shield(asyncio.wrap_future(future))

    def _start(self, loop: asyncio.AbstractEventLoop, *, urgent: bool) -> None:
        """See to it that what is pending is written; called with the lock held."""
        pump = self._pump
        if pump is None or not pump.get_loop().is_running() or self._process != os.getpid():
            # One whose loop stands still, or stayed behind in the process that this is a fork of, will not do it.
            self._process = os.getpid()
            self._urgent = asyncio.Event()
            self._pump = pump = loop.create_task(self._write_all())
        if not urgent or self._urgent is None:
            return
        if pump.get_loop() is loop:
            self._urgent.set()
        else:
            with suppress(RuntimeError):
                pump.get_loop().call_soon_threadsafe(self._urgent.set)

    async def _write_all(self) -> None:
        task = asyncio.current_task()
        try:
            while True:
                await self._wait_for_more()
                with self._lock:
                    if self._pump is not task:
                        return
                    batch, self._pending = self._pending, []
                    if not batch and not self._again:
                        self._pump = None
                        return
                    self._again = False
                if batch:
                    self._enter(batch)
                await self._send()
                self._wake()
        finally:
            with self._lock:
                if self._pump is task:
                    self._pump = None
            self._wake()

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

    def _enter(self, batch: list[_Noted]) -> None:
        """Make the batch the next to be sent. Where that fails, which is a mistake of ours, it is told, and nobody
        waits for what cannot come."""
        self._sealed += len(batch)
        try:
            self._unsent.append(_Unsent(self._seal(batch), batch, self._sealed))
        except Exception as error:  # noqa: BLE001 - a pump that ends here would end the session
            self._report(StoreError(f"what happened cannot be written down: {describe(error)}"))
            for item in batch:
                item.tell(durable=False)
            self._tried = self._sealed

    def _seal(self, batch: list[_Noted]) -> Commit:
        """The batch as the next entry of the session."""
        found: dict[str, bytes] = {}
        facts = [pack(fact, found) for fact in collected([item.fact for item in batch])]
        new = {digest: content for digest, content in found.items() if digest not in self._references}
        dropped = [digest for fact in facts for digest in self._references.add(fact)]
        dropped = [digest for digest in dropped if digest not in self._references]
        entry = seal(self._head, self._number, write(facts))
        self._head, self._number = entry.digest, self._number + 1
        summary = {**self._summarize(), "entries": self._number, "head": entry.digest.hex()}
        return Commit(self._session_id, entry, sealed_summary(summary), new, dropped)

    async def _send(self) -> None:
        """Send what is unsent, in order, up to the first that the store does not take."""
        pump = self._pump
        try:
            await self._claim()
            while self._unsent:
                await self._answer(self._store.append(self._unsent[0].commit))
                if self._pump is not pump:
                    return  # it took so long that another loop does this now
                sent = self._unsent.popleft()
                self._stored = sent.upto
                self._failing = False
                self._tell(sent, durable=True)
        except A3SError as error:
            self._report(error)
        self._wrote_at = asyncio.get_running_loop().time()

    def _report(self, error: A3SError) -> None:
        self._failure = error
        for unsent in self._unsent:
            self._tell(unsent, durable=False)
        if not self._failing:
            self._failing = True
            self.failed(error)

    def _tell(self, unsent: _Unsent, *, durable: bool) -> None:
        if unsent.told:
            return
        unsent.told = True
        for item in unsent.noted:
            item.tell(durable)
        self._tried = unsent.upto

    def _wake(self) -> None:
        """Let those who wait see how far it is."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.set_result(None)


def _ignore(error: A3SError) -> None:
    """Nobody wants to know."""
