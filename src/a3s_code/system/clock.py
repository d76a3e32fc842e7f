"""Time and ids from the system."""

from __future__ import annotations

import threading
import time
import uuid


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

    def new_id(self, kind: str) -> str:
        """`kind-` and 32 hexadecimal digits."""
        return f"{kind}-{uuid.uuid4().hex}"
