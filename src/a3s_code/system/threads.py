"""Work that is finished before its caller goes on, even a cancelled one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def finish(work: Awaitable[T], interrupt: Callable[[], object] | None = None) -> T:
    """Await `work` to its end; a cancellation calls `interrupt`, and is raised once the work has ended.

    A thread cannot be cancelled from outside. Without this a write could still happen after its call was reported as
    cancelled. So the work must be short, or heed the interrupt.
    """
    future = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = error
            if interrupt is not None:
                interrupt()
    if cancelled is None:
        return future.result()
    if not future.cancelled():
        future.exception()  # looked at, so that asyncio does not report it as lost
    raise cancelled
