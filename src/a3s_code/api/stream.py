"""Streams: the events of a run as they happen, for both kinds of caller."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from a3s_code.api.portal import portal
from a3s_code.api.results import AgentResult
from a3s_code.kernel.events import AgentEvent
from a3s_code.kernel.state import Run
from a3s_code.kernel.trace import Subscriber

DROP_SECONDS = 5
Finish = Callable[[], Awaitable[AgentResult]]


class AsyncRunStream:
    """The events of one run, then its result. Iterate it once; leaving early, or dropping it, cancels the run, and so
    does cancelling the wait for an event.

    The run goes on from the moment stream() was called. A failed run ends the iteration after its error event;
    `result()` raises the error.
    """

    def __init__(self, run: Run, finish: Finish) -> None:
        self._run = run
        self._finish = finish
        self._events: deque[AgentEvent] = deque()
        self._more = asyncio.Event()
        run.log.subscribe(_into(self._events, self._more))

    @property
    def run_id(self) -> str:
        return self._run.id

    def __aiter__(self) -> AsyncIterator[AgentEvent]:
        return _Events(self)

    async def _next(self) -> AgentEvent:
        while not self._events:
            if self._run.log.finished:
                raise StopAsyncIteration
            self._more.clear()
            try:
                await self._more.wait()
            except asyncio.CancelledError:
                # Whoever is told of it still holds the iterator, which therefore is not dropped.
                await self._run.terminate()
                raise
        return self._events.popleft()

    async def result(self) -> AgentResult:
        """Wait for the end and give the result; raises what made the run fail."""
        return await self._finish()

    async def cancel(self) -> None:
        """Stop the run and wait until nothing of it is left."""
        await self._run.terminate()

    def __del__(self) -> None:
        self._run.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cancel()


def _into(events: deque[AgentEvent], more: asyncio.Event) -> Subscriber:
    """A subscriber that does not hold the stream, so that a stream nobody holds is dropped."""

    def take(event: AgentEvent) -> None:
        events.append(event)
        more.set()

    return take


def _until_the_end(run: Run, events: SimpleQueue[AgentEvent | None]) -> Subscriber:
    """The same for a blocking stream; None stands for the end."""

    def take(event: AgentEvent) -> None:
        events.put(event)
        if run.log.finished:
            events.put(None)

    return take


class _Events:
    """The iterator of a stream. Dropping it before the end, as `break` does, cancels the run."""

    def __init__(self, stream: AsyncRunStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AgentEvent:
        return await self._stream._next()

    def __del__(self) -> None:
        self._stream._run.cancel()


class RunStream:
    """The events of one run for a blocking caller, then its result. Iterate it once; leaving early, dropping it,
    or Ctrl-C cancels the run.

    A failed run ends the iteration after its error event; `result()` raises the error.
    """

    def __init__(self, run: Run, finish: Finish) -> None:
        self._run = run
        self._finish = finish
        self._events: SimpleQueue[AgentEvent | None] = SimpleQueue()
        self._over = False
        run.log.subscribe(_until_the_end(run, self._events))

    @property
    def run_id(self) -> str:
        return self._run.id

    def __iter__(self) -> Iterator[AgentEvent]:
        return _BlockingEvents(self)

    def _next(self) -> AgentEvent:
        try:
            event = None if self._over else self._events.get()
        except KeyboardInterrupt:
            # Whoever catches it still holds the iterator, which therefore is not dropped.
            self.cancel()
            raise
        if event is None:
            self._over = True
            raise StopIteration
        return event

    def result(self) -> AgentResult:
        """Wait for the end and give the result; raises what made the run fail."""

        async def finish() -> AgentResult:
            return await self._finish()

        return portal().call(finish)

    def cancel(self) -> None:
        """Stop the run and wait until nothing of it is left; from a tool of the run itself, without waiting."""
        portal().call(self._run.terminate)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def __del__(self) -> None:
        self._run.cancel()


class _BlockingEvents:
    """The iterator of a blocking stream. Dropping it before the end, as `break` does, cancels the run."""

    def __init__(self, stream: RunStream) -> None:
        self._stream = stream

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> AgentEvent:
        return self._stream._next()

    def __del__(self) -> None:
        run = self._stream._run
        # The collector may run this on any thread, the run's own among them, which must not wait for itself.
        if run.cancel() and threading.get_ident() != run.thread:
            with suppress(TimeoutError):
                run.done.result(DROP_SECONDS)
