"""A thread for each call of a plain function, so that none waits for another to be done."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def run_in_thread(function: Callable[..., T], **arguments: Any) -> T:
    """Call the function in a new thread, with the caller's context variables, and wait for it.

    The thread does not hold up the end of the process. A cancelled wait leaves it to end by itself. A StopIteration
    or GeneratorExit comes back as RuntimeError, since no awaitable can raise one.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            result = context.run(function, **arguments)
        except BaseException as error:  # noqa: BLE001 - it is raised again, where the call is awaited
            settle(outcome.set_exception, _raisable(error))
        else:
            settle(outcome.set_result, result)

    def settle(setter: Callable[[Any], None], value: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if outcome.done() else setter(value))

    threading.Thread(target=work, name=f"a3s-code-tool-{getattr(function, '__name__', '')}", daemon=True).start()
    return await outcome


def _raisable(error: BaseException) -> BaseException:
    if not isinstance(error, StopIteration | GeneratorExit):
        return error
    wrapped = RuntimeError(f"the function raised {type(error).__name__}")
    wrapped.__cause__ = error
    return wrapped
