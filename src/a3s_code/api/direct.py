"""Direct calls: tools that the host calls itself, tracked so that closing the session stops them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from a3s_code.api.requests import fit_keys
from a3s_code.errors import InvalidRequest
from a3s_code.kernel.events import AgentEvent
from a3s_code.kernel.executor import Caller, ToolExecutor
from a3s_code.kernel.journal import UNKEPT, Journal
from a3s_code.kernel.messages import Observation, ToolCall
from a3s_code.kernel.pairing import interrupted
from a3s_code.kernel.ports import Clock
from a3s_code.kernel.tool import ToolCatalog

OnEvent = Callable[[AgentEvent], None]
LOG = logging.getLogger("a3s_code")


class DirectCalls:
    """Makes the host's own calls through the executor, and can stop those that go on."""

    def __init__(self, catalog: ToolCatalog, executor: ToolExecutor, clock: Clock, journal: Journal = UNKEPT) -> None:
        self._catalog = catalog
        self._executor = executor
        self._clock = clock
        self._journal = journal
        self._going_on: dict[asyncio.Task[Observation], Future[None]] = {}

    async def call(self, name: str, args: Mapping[str, Any] | None, on_event: OnEvent | None) -> Observation:
        """Carry out one call; raises InvalidRequest for what is no call at all."""
        if not isinstance(name, str):
            raise InvalidRequest(f"a tool is called by its name, not by {type(name).__name__}")
        if args is not None and not isinstance(args, Mapping):
            raise InvalidRequest(f"the arguments of {name} are {type(args).__name__}, not a dict")
        if on_event is not None and not callable(on_event):
            raise InvalidRequest(f"on_event is {type(on_event).__name__}, not a function")
        tool = self._catalog.get(name)
        given = dict(args or {}) if tool is None else fit_keys(tool.spec, args or {})
        call = ToolCall(self._clock.new_id("call"), name, given)
        await self._journal.open()
        seen = await self._run(call, Caller("host", guarded(on_event)))
        await self._journal.settled()
        return seen

    async def stop(self) -> None:
        """Cancel all calls that go on, and wait until nothing of them is left."""
        ended = list(self._going_on.items())
        for task, _ in ended:
            task.get_loop().call_soon_threadsafe(task.cancel)
        for _, future in ended:
            await asyncio.shield(asyncio.wrap_future(future))

    async def _run(self, call: ToolCall, caller: Caller) -> Observation:
        task = asyncio.create_task(self._executor.execute(call, caller))
        ended = self._going_on[task] = Future[None]()
        task.add_done_callback(lambda _: self._going_on.pop(task))
        task.add_done_callback(lambda _: ended.set_result(None))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        return interrupted(call) if task.cancelled() else task.result()


def guarded(on_event: OnEvent | None) -> OnEvent:
    """The callback, so that what it raises is logged and cannot lose the result of a call."""

    def tell(event: AgentEvent) -> None:
        try:
            if on_event is not None:
                on_event(event)
        except Exception:
            LOG.exception("on_event raised on %s", event.type)

    return tell
