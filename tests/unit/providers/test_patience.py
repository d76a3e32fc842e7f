from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator

import pytest

from a3s_code.providers.patience import Patience


@pytest.fixture
async def patience() -> AsyncIterator[Patience]:
    patience = Patience(0.2)
    yield patience
    patience.close()


async def test_a_wait_within_the_time_ends_as_it_would(patience: Patience) -> None:
    with patience:
        assert await asyncio.sleep(0.05, "heard") == "heard"


async def test_a_wait_beyond_the_time_is_a_timeout(patience: Patience) -> None:
    begun = time.monotonic()
    with pytest.raises(TimeoutError), patience:
        await asyncio.sleep(5)
    assert 0.18 < time.monotonic() - begun < 1
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_several_waits_share_the_time_until_it_is_renewed(patience: Patience) -> None:
    for _ in range(4):
        with patience:
            await asyncio.sleep(0.08)
        patience.renew()
    with patience:
        await asyncio.sleep(0.12)
    with pytest.raises(TimeoutError), patience:
        await asyncio.sleep(0.15)


async def test_the_time_between_two_waits_does_not_count(patience: Patience) -> None:
    with patience:
        await asyncio.sleep(0)
    await asyncio.sleep(0.4)
    with patience:
        assert await asyncio.sleep(0.1, "heard") == "heard"


async def test_a_shortened_time_ends_a_wait_before_the_timer_that_was_set(patience: Patience) -> None:
    with patience:
        await asyncio.sleep(0)
    patience.shorten(0.05)
    begun = time.monotonic()
    with pytest.raises(TimeoutError), patience:
        await asyncio.sleep(5)
    assert time.monotonic() - begun < 0.15


async def test_a_cancellation_from_outside_stays_one(patience: Patience) -> None:
    async def wait() -> None:
        with patience:
            await asyncio.sleep(5)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0.05)
    task.cancel("from outside")
    with pytest.raises(asyncio.CancelledError, match="from outside"):
        await task
    assert task.cancelled()


async def test_a_cancellation_at_the_moment_of_the_timeout_is_not_lost(patience: Patience) -> None:
    async def wait() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        with patience:
            loop.call_later(0.1, time.sleep, 0.15)
            loop.call_at(loop.time() + 0.2, task.cancel)
            await asyncio.sleep(5)

    task = asyncio.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_each_wait_may_be_in_a_task_of_its_own(patience: Patience) -> None:
    async def wait(seconds: float) -> None:
        with patience:
            await asyncio.sleep(seconds)

    await asyncio.create_task(wait(0.05))
    patience.renew()
    with pytest.raises(TimeoutError):
        await asyncio.create_task(wait(5))


@pytest.mark.parametrize("closed", [True, False])
async def test_a_closed_one_is_not_kept_by_its_timer(closed: bool) -> None:
    patience = Patience(60)
    with patience:
        await asyncio.sleep(0)
    if closed:
        patience.close()
    kept = weakref.ref(patience)
    del patience
    gc.collect()
    assert (kept() is None) == closed
    if (left := kept()) is not None:
        left.close()
