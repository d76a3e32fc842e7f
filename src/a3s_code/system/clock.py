"""Time and ids from the system."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any


class SystemClock:
    """The wall clock, held back where the system sets it back; ids are random. Usable from any thread."""

    def __init__(self) -> None:
        self._last_ms = 0
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """Milliseconds since 1970, never going backwards."""
        with self._lock:
            self._last_ms = max(self._last_ms, time.time_ns() // 1_000_000)
            return self._last_ms

    async def sleep(self, seconds: float) -> None:
        """Return when that much time has passed."""
        await asyncio.sleep(seconds)

    def new_id(self, kind: str) -> str:
        """`kind-` and 32 hexadecimal digits."""
        return f"{kind}-{uuid.uuid4().hex}"


class _Waiting:
    """A clock of the host that cannot wait: it waits as the system does."""

    def __init__(self, clock: Any) -> None:
        self.now_ms: Callable[[], int] = clock.now_ms
        self.new_id: Callable[[str], str] = clock.new_id

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def completed(clock: Any) -> Any:
    """The host's clock; one without `sleep` gets the system's."""
    return clock if callable(getattr(clock, "sleep", None)) else _Waiting(clock)
