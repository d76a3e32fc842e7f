"""Streams: the events of a run as they happen, for both kinds of caller."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from a3s_code.api.portal import portal
from a3s_code.api.results import AgentResult
from a3s_code.kernel.events import AgentEvent
from a3s_code.kernel.state import Run

Finish = Callable[[], Awaitable[AgentResult]]


class AsyncRunStream:
    """The events of one run, then its result. Iterate it once; leaving early cancels the run.

    The run goes on from the moment stream() was called. A failed run ends the iteration after its error event;
    `result()` raises the error.
    """

    def __init__(self, run: Run, finish: Finish) -> None:
        self._run = run
        self._finish = finish
        self._events: deque[AgentEvent] = deque()
        self._more = asyncio.Event()
        run.log.subscribe(self._take)

    @property
    def run_id(self) -> str:
        return self._run.id

    def _take(self, event: AgentEvent) -> None:
        self._events.append(event)
        self._more.set()

    def __aiter__(self) -> AsyncIterator[AgentEvent]:
        return _Events(self)

    async def _next(self) -> AgentEvent:
        while not self._events:
            if self._run.ended:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._events.popleft()

    async def result(self) -> AgentResult:
        """Wait for the end and give the result; raises what made the run fail."""
        return await self._finish()

    async def cancel(self) -> None:
        """Stop the run and wait until nothing of it is left."""
        if self._run.cancel():
            await self._run.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cancel()


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
    """The events of one run for a blocking caller, then its result. Iterate it once; leaving early cancels the run.

    A failed run ends the iteration after its error event; `result()` raises the error.
    """

    def __init__(self, run: Run, finish: Finish) -> None:
        self._run = run
        self._finish = finish
        self._events: SimpleQueue[AgentEvent | None] = SimpleQueue()
        self._over = False
        run.log.subscribe(self._take)

    @property
    def run_id(self) -> str:
        return self._run.id

    def _take(self, event: AgentEvent) -> None:
        self._events.put(event)
        if self._run.ended:
            self._events.put(None)

    def __iter__(self) -> Iterator[AgentEvent]:
        try:
            while not self._over:
                if (event := self._events.get()) is None:
                    self._over = True
                else:
                    yield event
        finally:
            self.cancel()

    def result(self) -> AgentResult:
        """Wait for the end and give the result; raises what made the run fail."""

        async def finish() -> AgentResult:
            return await self._finish()

        return portal().call(finish)

    def cancel(self) -> None:
        """Stop the run and wait until nothing of it is left."""
        if self._run.cancel():
            portal().call(self._run.wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
