"""The portal: blocking calls into an event loop that runs in a thread of its own.

One private loop serves the whole process, so blocking verbs work in scripts, threads, notebooks and inside a running
loop. A blocking call made on a private loop itself (from an async tool, say) goes to a loop one level down, since
waiting for the loop one stands on would never end; a context variable tells on which level a call is made.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from a3s_code.kernel.state import standing_still

T = TypeVar("T")
EXIT_SECONDS = 5


class _Ending:
    """Waited for by one thread, set by another.

    threading.Event will not do: a signal's exception may hit its wait where it leaves the lock inside taken, and then
    the thread that sets it stands still for ever. Here nothing but one C call is waited in.
    """

    def __init__(self) -> None:
        self._over = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def set(self) -> None:
        if not self._over:
            self._over = True
            self._gate.release()

    def wait(self) -> None:
        while not self._over:
            self._gate.acquire()


class Portal:
    """A door to one event loop in a daemon thread, started at the first call."""

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._below: Portal | None = None

    def call(self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `start()` on the loop with the caller's context variables, and wait for it.

        When the wait is broken off (Ctrl-C), the coroutine is cancelled and waited for before the exception goes on.
        """
        loop = self._running_loop()
        context = contextvars.copy_context()
        context.run(_level.set, self)
        if (here := _loop_of_this_thread()) is not None:
            context.run(standing_still.set, standing_still.get() | {here})
        ended = _Ending()
        tasks: list[asyncio.Task[T]] = []

        def begin() -> None:
            task = loop.create_task(start(), context=context)
            task.add_done_callback(lambda _: ended.set())
            tasks.append(task)

        def stop() -> None:
            if tasks:
                tasks[0].cancel()
            else:
                ended.set()

        try:
            loop.call_soon_threadsafe(begin, context=context)
            ended.wait()
        except BaseException:
            # What was begun by now has its task: callbacks run in order.
            loop.call_soon_threadsafe(stop)
            ended.wait()
            raise
        return tasks[0].result()

    def below(self) -> Portal:
        """The portal one level down."""
        with self._lock:
            if self._below is None:
                self._below = Portal(self._depth + 1)
            return self._below

    def is_here(self) -> bool:
        """Whether the calling thread is that of the loop."""
        return threading.current_thread() is self._thread

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_serve, args=(loop,), name=f"a3s-code-loop-{self._depth}", daemon=True)
                thread.start()
                # Taken up when it runs, so that Ctrl-C cannot leave half of it behind.
                self._thread = thread
                self._loop = loop
                atexit.register(self._close)
            return self._loop

    def _close(self) -> None:
        """At the end of the process: cancel what goes on, close what is open, within a few seconds."""
        if self._below is not None:
            self._below._close()
        if self._loop is None or self._thread is None or not self._thread.is_alive():
            return
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_wind_up(), self._loop).result(EXIT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(EXIT_SECONDS)


async def _wind_up() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


_level: contextvars.ContextVar[Portal | None] = contextvars.ContextVar("a3s_code_portal", default=None)


def _loop_of_this_thread() -> int | None:
    """The id of the calling thread, if an event loop runs in it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return None
    return threading.get_ident()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()


class _Process:
    """The process's one portal; a fork's child gets a new one, since threads do not survive a fork."""

    portal = Portal()

    @classmethod
    def renew(cls) -> None:
        cls.portal = Portal()
        _level.set(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Process.renew)


def portal() -> Portal:
    """The portal for the calling code: the process's one, or the first below it whose loop may be waited for."""
    level = _level.get() or _Process.portal
    while level.is_here():
        level = level.below()
    return level
