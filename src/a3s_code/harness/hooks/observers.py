"""What hooks are told without being waited for: one queue for each event loop, worked off in order."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from a3s_code.harness.hooks.calling import HookFault, call_hook
from a3s_code.kernel.events import HookFailed
from a3s_code.kernel.hook import Hook
from a3s_code.kernel.ports import Emit

MOST_WAITING = 10_000


@dataclass(frozen=True, slots=True)
class Notice:
    """What one hook is to be told."""

    hook: Hook
    payload: Mapping[str, Any]
    emit: Emit
    context: contextvars.Context


class Observers:
    """The queue of one event loop. Its task lives as long as there is something to tell."""

    def __init__(self) -> None:
        self._waiting: deque[Notice] = deque()
        self._task: asyncio.Task[None] | None = None
        self._beside: set[asyncio.Task[None]] = set()

    def tell(self, notice: Notice) -> None:
        """Put it in the queue, or begin at once where the hook is not waited for; never waits."""
        loop = asyncio.get_running_loop()
        if notice.hook.config.async_execution:
            task = loop.create_task(_deliver(notice))
            self._beside.add(task)
            task.add_done_callback(self._beside.discard)
            return
        if len(self._waiting) >= MOST_WAITING:
            _report(notice, f"left out: {MOST_WAITING} notices wait already")
            return
        self._waiting.append(notice)
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._work_off())

    async def drain(self, seconds: float) -> None:
        """Wait until all is told; what is not by then is left out, and its hooks' events say so."""
        tasks = {task for task in (self._task, *self._beside) if task is not None and not task.done()}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1)
        while self._waiting:
            _report(self._waiting.popleft(), "left out: the session was closed")

    async def _work_off(self) -> None:
        while self._waiting:
            await _deliver(self._waiting.popleft())


async def _deliver(notice: Notice) -> None:
    try:
        await call_hook(notice.hook, notice.payload, notice.context)
    except HookFault as fault:
        _report(notice, str(fault))
    except asyncio.CancelledError:
        _report(notice, "left out: the session was closed")
        raise


def _report(notice: Notice, error: str) -> None:
    notice.emit(HookFailed(notice.hook.name, notice.hook.event_type, error, gating=False))
