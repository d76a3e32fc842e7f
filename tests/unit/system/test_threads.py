"""Work that ends before its caller goes on."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from a3s_code.system.threads import finish


async def test_the_result_and_the_error_come_through() -> None:
    assert await finish(asyncio.to_thread(lambda: 7)) == 7
    with pytest.raises(ZeroDivisionError):
        await finish(asyncio.to_thread(lambda: 1 // 0))


async def test_a_cancelled_caller_waits_for_the_end_of_the_work() -> None:
    done: list[str] = []

    def work() -> None:
        time.sleep(0.15)
        done.append("written")

    task = asyncio.create_task(finish(asyncio.to_thread(work)))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["written"]


async def test_a_cancellation_interrupts_work_that_heeds_it() -> None:
    stop = threading.Event()
    task = asyncio.create_task(finish(asyncio.to_thread(stop.wait, 10), stop.set))
    await asyncio.sleep(0.05)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 1


async def test_an_error_after_a_cancellation_is_not_lost_to_a_warning() -> None:
    def work() -> None:
        time.sleep(0.1)
        raise ValueError

    task = asyncio.create_task(finish(asyncio.to_thread(work)))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
