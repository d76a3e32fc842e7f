"""Attribution: what goes wrong inside a harness module becomes a HarnessError that names the module."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

from a3s_code.errors import A3SError, HarnessError, StoreError

T = TypeVar("T")


class blame:  # noqa: N801 - used as `with blame("router"):`
    """Turns a foreign exception into HarnessError, its cause kept; our own and real cancellations pass."""

    __slots__ = ("_module",)

    def __init__(self, module: str) -> None:
        self._module = module

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, A3SError) and is_foreign(error):
            raise HarnessError(f"the {self._module} raised {describe(error)}", module=self._module) from error


@contextmanager
def blame_store() -> Iterator[None]:
    """Turns a foreign exception of a session store into StoreError, its cause kept."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, A3SError) or not is_foreign(error):
            raise
        raise StoreError(f"the session store raised {describe(error)}") from error


def is_foreign(error: BaseException) -> bool:
    """Whether the code that was called made this error up, so that it must not end more than the call.

    An exit is foreign: asyncio would let it end the whole event loop. A cancellation is only when nobody cancelled the
    task, and a keyboard interrupt when it cannot have come from a keyboard.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    if isinstance(error, KeyboardInterrupt):
        return threading.current_thread() is not threading.main_thread()
    return isinstance(error, Exception | SystemExit)


def expect(kind: type[T], value: Any) -> T:
    """`value`, if it is of that type; raises TypeError, for `blame` to name the module that gave it."""
    if not isinstance(value, kind):
        raise TypeError(f"gave {type(value).__name__}, not {kind.__name__}")
    return value


def describe(error: BaseException) -> str:
    """An exception in one line: its type and its message."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
