"""How long an answer is waited for."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Patience:
    """A limit on each wait for bytes, entered around the wait; the time between two waits does not count.

    `seconds` is what the first wait gets. A wait that takes longer ends with TimeoutError. There is one timer for all
    of an answer's waits, since setting one for each costs as much as reading a chunk does; `close` stops it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._deadline = self._heard_at + seconds
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._struck = False

    def __enter__(self) -> None:
        self._deadline += self._loop.time() - self._heard_at
        self._waiting = asyncio.current_task()
        assert self._waiting is not None, "only a task can be interrupted"
        self._cancelling = self._waiting.cancelling()
        if self._timer is None or self._timer.when() > self._deadline:
            self._set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._waiting = self._waiting, None
        self._heard_at = self._loop.time()
        if self._struck and task is not None:
            self._struck = False
            # Cancelled by the timer alone: no more cancellations are open than were on entering.
            if task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
                raise TimeoutError from error

    def renew(self) -> None:
        """Give the next waits the full time again, from the end of the last one."""
        self._deadline = self._heard_at + self._seconds

    def shorten(self, seconds: float) -> None:
        """Give the next waits no more than `seconds` together."""
        self._deadline = min(self._deadline, self._heard_at + seconds)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self.close()
        self._timer = self._loop.call_at(self._deadline, self._strike)

    def _strike(self) -> None:
        self._timer = None
        if self._waiting is None:
            return
        if self._loop.time() < self._deadline:
            self._set()
            return
        self._struck = True
        self._waiting.cancel()
