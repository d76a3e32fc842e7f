"""The clock that a test moves."""

from __future__ import annotations

import asyncio
import re
import threading
import time

import pytest

from a3s_code.kernel.ports import Clock
from a3s_code.testing import FakeClock


async def test_a_sleep_moves_the_time_and_takes_none() -> None:
    clock = FakeClock(start_ms=1_000)
    begun = time.monotonic()
    await clock.sleep(3600)
    await clock.sleep(0.25)
    assert time.monotonic() - begun < 1
    assert clock.now_ms() == 1_000 + 3_600_250
    assert clock.slept == [3600, 0.25]


async def test_time_stands_still_otherwise() -> None:
    clock = FakeClock(start_ms=5)
    await asyncio.sleep(0.02)
    assert clock.now_ms() == 5
    clock.advance(1.5)
    assert clock.now_ms() == 1_505
    clock.advance(-9)
    await clock.sleep(-9)
    assert clock.now_ms() == 1_505


async def test_sleepers_wake_in_the_order_in_which_they_are_due() -> None:
    clock = FakeClock(start_ms=0)
    woke: list[tuple[float, int]] = []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woke.append((seconds, clock.now_ms()))

    await asyncio.gather(*(sleep(seconds) for seconds in (5, 1, 3, 0, 4, 2)))
    assert woke == [(seconds, seconds * 1000) for seconds in (0, 1, 2, 3, 4, 5)]


async def test_of_those_due_at_once_the_first_to_lie_down_wakes_first() -> None:
    clock = FakeClock()
    woke: list[int] = []

    async def sleep(number: int) -> None:
        await clock.sleep(1)
        woke.append(number)

    await asyncio.gather(*map(sleep, range(10)))
    assert woke == list(range(10))


async def test_a_sleep_yields_to_the_others() -> None:
    clock = FakeClock()
    seen: list[str] = []

    async def work() -> None:
        seen.append("work")

    task = asyncio.create_task(work())
    await clock.sleep(1)
    seen.append("awake")
    await task
    assert seen == ["work", "awake"]


async def test_who_is_due_before_the_time_it_was_moved_to_wakes_then() -> None:
    clock = FakeClock(start_ms=0)
    sleeper = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    clock.advance(60)
    await sleeper
    assert clock.now_ms() == 60_000


async def test_a_cancelled_sleeper_holds_up_nobody() -> None:
    clock = FakeClock(start_ms=0)
    early = asyncio.create_task(clock.sleep(1))
    late = asyncio.create_task(clock.sleep(2))
    await asyncio.sleep(0)
    early.cancel()
    await asyncio.wait_for(late, 5)
    with pytest.raises(asyncio.CancelledError):
        await early
    assert clock.now_ms() == 2_000


def test_ids_are_the_same_in_each_run_and_fit_for_file_names() -> None:
    first, second, other = FakeClock(seed=7), FakeClock(seed=7), FakeClock(seed=8)
    kinds = ["run", "session", "run", "run", "event"]
    ids = [first.new_id(kind) for kind in kinds]
    assert ids == [second.new_id(kind) for kind in kinds]
    assert len({*ids, *(other.new_id(kind) for kind in kinds)}) == 2 * len(kinds)
    assert all(re.fullmatch(rf"{kind}-[0-9a-f]{{32}}", item) for kind, item in zip(kinds, ids, strict=True))


def test_it_is_a_clock_for_several_event_loops_at_once() -> None:
    clock: Clock = FakeClock(start_ms=0)
    fake = FakeClock(start_ms=0)

    async def sleep() -> None:
        for _ in range(50):
            await fake.sleep(1)

    threads = [threading.Thread(target=lambda: asyncio.run(sleep())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert clock.now_ms() == 0
    assert len(fake.slept) == 200
    assert 50_000 <= fake.now_ms() <= 200_000
