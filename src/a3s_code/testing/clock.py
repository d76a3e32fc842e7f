"""A clock that a test moves, and that never makes it wait."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from collections import Counter


class FakeClock:
    """A Clock whose time stands still but for sleep() and advance(); ids depend on `seed` alone.

    A sleeper yields to its event loop once and then wakes, which moves the time to when it is due. Of several who sleep
    at the same moment the one who is due first wakes first, whoever lay down first where that is the same, so each of
    them wakes at its own time. The time never goes back: who is due already when it is moved past wakes at what it is.
    `slept` holds the seconds of each sleep, in the order they began. Usable from any thread.
    """

    def __init__(self, start_ms: int = 1_767_225_600_000, seed: int = 0) -> None:
        self.slept: list[float] = []
        self._now_ms = float(start_ms)
        self._seed = seed
        self._ids: Counter[str] = Counter()
        self._asleep: list[tuple[float, int]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(self._now_ms)

    def new_id(self, kind: str) -> str:
        """`kind-` and 32 hexadecimal digits: the seed, and which id of its kind this is."""
        with self._lock:
            self._ids[kind] += 1
            return f"{kind}-{self._seed & 0xFFFFFFFF:08x}{self._ids[kind]:024x}"

    def advance(self, seconds: float) -> None:
        """Move the time on."""
        with self._lock:
            self._now_ms += max(0.0, seconds) * 1000

    async def sleep(self, seconds: float) -> None:
        """Return when that much time has passed on this clock, which takes no time."""
        with self._lock:
            self.slept.append(seconds)
            mine = (self._now_ms + max(0.0, seconds) * 1000, next(self._order))
            heapq.heappush(self._asleep, mine)
        try:
            await asyncio.sleep(0)
            while not self._wake(mine):  # noqa: ASYNC110 - the next to wake may sleep in another event loop
                await asyncio.sleep(0)
        finally:
            with self._lock:
                self._asleep.remove(mine)
                heapq.heapify(self._asleep)

    def _wake(self, sleeper: tuple[float, int]) -> bool:
        with self._lock:
            if self._asleep[0] != sleeper:
                return False
            self._now_ms = max(self._now_ms, sleeper[0])
            return True
