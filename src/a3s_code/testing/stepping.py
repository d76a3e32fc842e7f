"""Stepping: something done at the n-th time that a piece of asynchronous work gives way, to try every such place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Self


class Steps:
    """Counts how often the tasks begun in its `with` block give way to the event loop: at each await that waits.

    At the `at`-th time `then` is called, which must return at once: `task.cancel`, say. With `at` None nothing is done,
    and `count` says afterwards how many places there are. `tasks` are all that were begun, those that others begin too.

    To be used inside an event loop; several may count on one loop, each in a task of its own.
    """

    def __init__(self, at: int | None = None, then: Callable[[], object] | None = None) -> None:
        self.at = at
        self.then = then
        self.count = 0
        self.tasks: list[asyncio.Task[Any]] = []
        self._outer: Token[Steps | None] | None = None

    @property
    def fired(self) -> bool:
        """Whether the place was reached."""
        return self.at is not None and self.count >= self.at

    @property
    def unfinished(self) -> list[asyncio.Task[Any]]:
        return [task for task in self.tasks if not task.done()]

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if loop.get_task_factory() is not _make_task:
            loop.set_task_factory(_make_task)
        self._outer = _counting.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._outer is not None:
            _counting.reset(self._outer)

    def take(self) -> None:
        """One of the tasks gave way."""
        self.count += 1
        if self.count == self.at and self.then is not None:
            self.then()


_counting: ContextVar[Steps | None] = ContextVar("_counting", default=None)


def _make_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    context = options.get("context")
    steps = _counting.get() if context is None else context.get(_counting)
    if steps is None:
        return asyncio.Task(work, loop=loop, **options)
    task = asyncio.Task(_Stepped(work, steps), loop=loop, **options)
    steps.tasks.append(task)
    return task


class _Stepped(Coroutine[Any, Any, Any]):
    """A coroutine that tells each time it gives way; in everything else the one inside."""

    def __init__(self, inside: Coroutine[Any, Any, Any], steps: Steps) -> None:
        self._inside = inside
        self._steps = steps

    def send(self, value: Any) -> Any:
        given = self._inside.send(value)
        self._steps.take()
        return given

    def throw(self, *error: Any) -> Any:
        given = self._inside.throw(*error)
        self._steps.take()
        return given

    def close(self) -> None:
        self._inside.close()

    def __await__(self) -> Any:
        return self._inside.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inside, name)
