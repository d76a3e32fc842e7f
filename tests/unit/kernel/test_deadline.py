"""Deadline: time that is up ends the work, and no cancellation is ever swallowed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress

import pytest

from a3s_code.errors import ModelTimeout, RunLimit
from a3s_code.kernel.deadline import Deadline


async def within(limit_ms: int, work: Awaitable[None]) -> None:
    async with Deadline(limit_ms):
        await work


async def forever() -> None:
    while True:
        await asyncio.sleep(0)


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_work_that_takes_too_long_ends_as_a_limit() -> None:
    started = time.perf_counter()
    with pytest.raises(RunLimit) as caught:
        async with Deadline(30):
            await asyncio.sleep(60)
    assert 0.02 < time.perf_counter() - started < 5
    assert (caught.value.limit, str(caught.value)) == ("time", "the run used its 0.03 s (max_execution_time_ms)")
    assert cancelling() == 0
    await asyncio.sleep(0)


async def test_work_that_ends_in_time_is_left_alone() -> None:
    async with Deadline(40) as deadline:
        await asyncio.sleep(0)
    await asyncio.sleep(0.08)
    deadline.check()


async def test_without_a_limit_nothing_is_started() -> None:
    loop = asyncio.get_running_loop()
    before = len(loop._scheduled)  # type: ignore[attr-defined]  # the timers of the loop have no public count
    async with Deadline(None) as deadline:
        assert len(loop._scheduled) == before  # type: ignore[attr-defined]  # as above
        await asyncio.sleep(0)
    deadline.check()


async def test_a_limit_of_nothing_ends_at_the_first_wait() -> None:
    with pytest.raises(RunLimit):
        await within(0, forever())


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def work() -> None:
        async with Deadline(60_000):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel("from outside")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


@pytest.mark.parametrize("outside_first", [True, False])
async def test_both_at_the_same_moment_are_a_cancellation(outside_first: bool) -> None:
    deadline = Deadline(60_000)

    async def work() -> None:
        async with deadline:
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    if outside_first:
        task.cancel()
    deadline._expire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(RunLimit):
        deadline.check()


async def test_the_cleanup_of_a_cancellation_is_not_cut_short() -> None:
    cleaned = False

    async def work() -> None:
        nonlocal cleaned
        async with Deadline(20):
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.15)
                cleaned = True

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned


async def test_the_cleanup_after_the_time_is_up_may_take_long() -> None:
    cleaned = False

    async def work() -> None:
        nonlocal cleaned
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.15)
            cleaned = True

    with pytest.raises(RunLimit):
        await within(10, work())
    assert cleaned


async def test_an_error_of_the_work_goes_on_as_it_is() -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ModelTimeout("silent") from None

    with pytest.raises(ModelTimeout):
        await within(10, work())
    assert cancelling() == 0
    with pytest.raises(TimeoutError):
        async with Deadline(60_000):
            raise TimeoutError


async def test_work_that_swallows_the_cancellation_is_a_limit_all_the_same() -> None:
    deadline, swallowed = Deadline(10), False

    async def work() -> None:
        nonlocal swallowed
        async with deadline:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            swallowed = True

    with pytest.raises(RunLimit):
        await work()
    with pytest.raises(RunLimit):
        deadline.check()
    assert swallowed
    assert cancelling() == 0


async def test_a_timeout_of_the_work_keeps_its_own_meaning() -> None:
    async with Deadline(60_000):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
    with pytest.raises(RunLimit):
        await within(10, asyncio.wait_for(asyncio.sleep(60), 60))


async def test_time_that_is_up_during_another_timeout_ends_what_comes_after_it() -> None:
    started = time.perf_counter()

    async def work() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                try:
                    await asyncio.sleep(60)
                finally:
                    await asyncio.sleep(0.08)
        await asyncio.sleep(60)

    with pytest.raises(RunLimit):
        await within(30, work())
    assert time.perf_counter() - started < 5


async def test_children_in_a_group_end_with_the_work() -> None:
    ended: list[int] = []

    async def child(number: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append(number)

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(child(number))

    with pytest.raises(RunLimit):
        await within(20, work())
    assert sorted(ended) == list(range(5))


async def test_the_inner_of_two_deadlines_ends_its_own_work_only() -> None:
    async def work() -> None:
        with pytest.raises(RunLimit, match=r"0\.01 s"):
            await within(10, asyncio.sleep(60))
        await asyncio.sleep(60)

    with pytest.raises(RunLimit, match=r"0\.2 s"):
        await within(200, work())


async def test_in_random_races_of_limits_timeouts_and_cancels_each_end_is_the_right_one() -> None:
    """Whoever was cancelled from outside ends cancelled; the others complete, or reach the limit; nothing hangs."""

    async def work(rng: random.Random, left: Counter[str]) -> str:
        task = asyncio.current_task()
        assert task is not None
        try:
            async with Deadline(rng.choice([0, 1, 2, 3, 4, 5, None])) as deadline:
                for _ in range(rng.randrange(1, 5)):
                    deadline.check()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(rng.choice([0, 0.001, 0.002, 0.003, None])):
                            try:
                                await asyncio.sleep(rng.choice([0, 0.001, 0.002, 0.004]))
                            finally:
                                await asyncio.sleep(rng.choice([0, 0, 0.002]))
        except RunLimit:
            left["limit"] += 1
            assert task.cancelling() == 0
            return "limit"
        assert task.cancelling() == 0
        left["done"] += 1
        return "done"

    left: Counter[str] = Counter()
    rng = random.Random(11)
    wrong = 0
    for _ in range(40):
        tasks = [asyncio.create_task(work(random.Random(rng.random()), left)) for _ in range(25)]
        doomed: set[asyncio.Task[str]] = set()
        for _ in range(8):
            await asyncio.sleep(rng.choice([0, 0.0005, 0.001]))
            task = rng.choice(tasks)
            if task.cancel():
                doomed.add(task)
        async with asyncio.timeout(30):
            await asyncio.wait(tasks)
        for task in tasks:
            left["cancelled"] += task.cancelled()
            wrong += task.cancelled() != (task in doomed)
    print(f"1000 races tried: {dict(left)}, {wrong} wrong ends")
    assert not wrong
    assert left.keys() == {"done", "limit", "cancelled"}
    assert all(left.values())
