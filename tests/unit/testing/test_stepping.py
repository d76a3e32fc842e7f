"""Stepping: every place where work gives way is counted, and can be the one where something happens."""

from __future__ import annotations

import asyncio

import pytest

from a3s_code.testing.stepping import Steps


async def wait_twice() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)


async def work() -> str:
    await asyncio.sleep(0)
    async with asyncio.TaskGroup() as group:
        group.create_task(wait_twice())
        group.create_task(wait_twice())
    return "done"


async def test_each_await_that_waits_is_counted_in_the_tasks_of_tasks_too() -> None:
    with Steps() as steps:
        task = asyncio.create_task(work())
    assert await task == "done"
    assert (steps.count, len(steps.tasks), steps.unfinished, steps.fired) == (6, 3, [], False)


@pytest.mark.parametrize("at", range(1, 7))
async def test_a_task_can_be_cancelled_at_each_of_them(at: int) -> None:
    steps = Steps(at)
    with steps:
        task = asyncio.create_task(work())
    steps.then = task.cancel
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps.fired
    assert steps.unfinished == []


async def test_a_place_that_is_never_reached_changes_nothing() -> None:
    with Steps(7) as steps:
        task = asyncio.create_task(work())
    steps.then = task.cancel
    assert await task == "done"
    assert not steps.fired


async def test_works_side_by_side_are_counted_apart_and_others_not_at_all() -> None:
    with Steps() as one:
        first = asyncio.create_task(work())
    with Steps() as other:
        second = asyncio.create_task(wait_twice())
    third = asyncio.create_task(work())
    await asyncio.gather(first, second, third)
    assert (one.count, other.count) == (6, 2)


async def test_an_exception_comes_out_as_it_went_in() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("lost")

    with Steps(), pytest.raises(LookupError, match="lost"):
        await asyncio.create_task(fail())
