"""Deadline: the seconds a run may take, whatever it waits for."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from a3s_code.errors import RunLimit

_LOOK_AGAIN = 0.05
_PATIENCE = 10.0
"""Seconds that another cancellation may take to clean up, once the time is up."""


class Deadline:
    """An async context manager that ends the work inside it with RunLimit("time") after `limit_ms`.

    The work is cancelled at whatever it awaits and may clean up as long as it has to. A cancellation from outside is
    never swallowed: where one is under way too, it goes on as CancelledError. A task that is being cancelled already,
    by anybody, is left to its cleanup for up to 10 seconds; where the work handles that cancellation itself, as it does
    with a timeout of its own, it is cancelled right after. Another error that the work ends with goes on as it is.
    Without a limit nothing is started. Serves once.
    """

    def __init__(self, limit_ms: int | None) -> None:
        self._limit_ms = limit_ms
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._before = 0
        self._patience = _PATIENCE
        self._up = False
        self._cut = False

    def check(self) -> None:
        """Raise RunLimit when the time is up: for work that may have swallowed the cancellation. Costs nothing."""
        if self._up:
            raise self._limit()

    async def __aenter__(self) -> Self:
        if self._limit_ms is not None:
            self._task = asyncio.current_task()
            assert self._task is not None
            self._before = self._task.cancelling()
            self._timer = asyncio.get_running_loop().call_later(self._limit_ms / 1000, self._expire)
        return self

    def _expire(self) -> None:
        task = self._task
        if task is None:
            return
        self._up = True
        if task.cancelling() > self._before and self._patience > 0:
            self._patience -= _LOOK_AGAIN
            self._timer = task.get_loop().call_later(_LOOK_AGAIN, self._expire)
            return
        self._cut = task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if task is None or not self._cut:
            return
        others = task.uncancel() > self._before
        if not others and (kind is None or issubclass(kind, asyncio.CancelledError)):
            raise self._limit() from error

    def _limit(self) -> RunLimit:
        seconds = (self._limit_ms or 0) / 1000
        return RunLimit("time", f"the run used its {seconds:g} s (max_execution_time_ms)")
