"""Doors: what a tool may ask of the executor while it runs. Further calls, and a decision on other arguments."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from a3s_code.kernel.contracts import Decision
from a3s_code.kernel.messages import Observation, ToolCall
from a3s_code.kernel.tool import Action


class Doors:
    """The doors of one call, closed when it ends. `execute`, `permit` and `changes` lead to the executor.

    While somebody goes through them the call's own time, which ends at `limit`, stands still: what is called has a
    limit of its own, and a person who is asked has none.
    """

    def __init__(
        self,
        action: Action,
        limit: asyncio.Timeout,
        is_open: Callable[[], bool],
        execute: Callable[[ToolCall], Awaitable[Observation]],
        permit: Callable[[ToolCall], Awaitable[Decision]],
        changes: Callable[[ToolCall], bool],
    ) -> None:
        self._execute = execute
        self._permit = permit
        self._changes = changes
        self._action = action
        self._limit = limit
        self._open = is_open
        self._loop = asyncio.get_running_loop()
        self._left = 0.0
        self._through = 0
        self._numbers = itertools.count(1)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Observation:
        call = ToolCall(f"{self._action.call_id}.{next(self._numbers)}", name, arguments)
        with self._standing_still():
            return await self._execute(call)

    def changes(self, name: str, arguments: Mapping[str, Any]) -> bool:
        return self._changes(ToolCall(self._action.call_id, name, arguments))

    async def permit(self, arguments: Mapping[str, Any]) -> Decision:
        call = ToolCall(f"{self._action.call_id}.{next(self._numbers)}", self._action.tool, arguments)
        with self._standing_still():
            return await self._permit(call)

    @contextmanager
    def _standing_still(self) -> Iterator[None]:
        """Stop the call's clock with the first who goes through, let it go on after the last.

        Raises LookupError where the call has ended.
        """
        if not self._open():
            raise LookupError(f"{self._action.tool} has ended, and makes no more calls")
        if asyncio.get_running_loop() is not self._loop:
            yield
            return
        if not self._through:
            self._left = (self._limit.when() or 0.0) - self._loop.time()
            self._set(None)
        self._through += 1
        try:
            yield
        finally:
            self._through -= 1
            if not self._through:
                self._set(self._loop.time() + self._left)

    def _set(self, when: float | None) -> None:
        with suppress(RuntimeError):  # it was reached already, or the call has ended meanwhile
            self._limit.reschedule(when)
