"""Running a program: awaited, bounded in memory, streamed, and dead with its children when it is given up."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import errno
import functools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from a3s_code.system import background, scratch
from a3s_code.system.capture import Capture, Captured, Pieces
from a3s_code.system.child import Child, Command, Ending, Interrupt
from a3s_code.system.threads import finish

KEEP_BYTES = 2 * 1024 * 1024
KEEP_ERROR_BYTES = 64 * 1024
STREAM_CHARACTERS = 1024 * 1024
EXIT_WAIT = 3.0

_running: dict[threading.Thread, tuple[str, Interrupt]] = {}
_process: int | None = None


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended. `errors` is its stderr where that was not merged into `output`.

    `detached`: a background process was left running, or at least held the output. After a timeout nothing was left.
    """

    exit_code: int
    output: Captured
    errors: Captured
    timed_out: bool
    detached: bool
    duration_ms: int


async def run(
    command: Command,
    *,
    timeout_ms: int | None = None,
    on_text: Callable[[str], None] | None = None,
    keep_bytes: int = KEEP_BYTES,
    whole_bytes: int = 0,
) -> Completed:
    """Run `command` to its end, or kill it with all that came of it at the timeout or when the caller is cancelled.

    An output up to `whole_bytes` is kept as it is; of a longer one, `keep_bytes`.

    A cancellation is raised once the tree is dead, within 2 seconds. `on_text` gets the output as it comes, on this
    event loop, up to STREAM_CHARACTERS. Raises OSError where the program cannot be started, ValueError for a NUL.
    """
    background.prune()
    loop = asyncio.get_running_loop()
    stream = _Stream(loop, on_text) if on_text is not None else None
    interrupt = Interrupt()
    future: asyncio.Future[Completed] = loop.create_future()

    def work() -> None:
        try:
            completed = _supervise(command, timeout_ms, stream, Capture(keep_bytes, whole_bytes), interrupt)
            tell = functools.partial(future.set_result, completed)
        except BaseException as error:  # noqa: BLE001  # carried to the caller's thread, whatever it is
            tell = functools.partial(future.set_exception, error)
        _running.pop(threading.current_thread(), None)
        interrupt.close()
        _post(loop, tell)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="a3s-child", daemon=True)
    _register(thread, command.owner, interrupt)
    try:
        thread.start()
    except RuntimeError as error:  # as many threads as the system allows
        _running.pop(thread)
        interrupt.close()
        raise BlockingIOError(errno.EAGAIN, "no more threads can be started") from error
    return await finish(future, interrupt.set)


def _supervise(
    command: Command, timeout_ms: int | None, stream: _Stream | None, output: Capture, interrupt: Interrupt
) -> Completed:
    started = time.monotonic()
    errors = Capture(KEEP_ERROR_BYTES)

    def receive(content: bytes) -> None:
        output.add(content)
        if stream is not None:
            stream.add(content)

    child = Child(command, receive, errors.add, interrupt)
    try:
        ending: Ending = child.watch(None if timeout_ms is None else started + timeout_ms / 1000)
        if ending != "exited":
            child.kill()
    finally:
        child.close()
        if child.left is not None:
            background.keep(command.owner, child.left)
    if stream is not None:
        stream.add(b"", last=True)
    return Completed(
        exit_code=child.exit_code,
        output=output.captured(),
        errors=errors.captured(),
        timed_out=ending == "timeout",
        detached=child.detached and ending == "exited",
        duration_ms=round((time.monotonic() - started) * 1000),
    )


class _Stream:
    """Hands output to the event loop as text; stops at STREAM_CHARACTERS, for a flood would pile up in the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_text: Callable[[str], None]) -> None:
        self._loop = loop
        self._on_text = on_text
        self._pieces = Pieces()
        self._left = STREAM_CHARACTERS

    def add(self, content: bytes, *, last: bool = False) -> None:
        if self._left <= 0:
            return
        text = self._pieces.decode(content, last=last)[: self._left]
        self._left -= len(text)
        if text:
            _post(self._loop, self._on_text, text)


def _post(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop was closed: nobody is waiting any more
        loop.call_soon_threadsafe(call, *args)


def is_anything_left(owner: str) -> bool:
    """Whether `end_all` would have anything to do for `owner`. Does not block."""
    return (
        any(whose == owner for whose, _ in tuple(_running.values())) or background.holds(owner) or scratch.holds(owner)
    )


def end_all(owner: str | None = None) -> None:
    """End what runs for `owner`, or for everybody: calls, what ended calls left in the background, temporary files.

    Blocks until all of it is dead, about two seconds at most.
    """
    if _process == os.getpid():
        # Copied at once, for other threads begin and end meanwhile.
        running = [
            (thread, interrupt) for thread, (whose, interrupt) in tuple(_running.items()) if owner in (None, whose)
        ]
        for _, interrupt in running:
            interrupt.set()
        for thread, _ in running:
            with contextlib.suppress(RuntimeError):  # about to be started: it will find the interrupt
                thread.join(EXIT_WAIT)
    background.end_owned(owner)
    scratch.remove(owner)


def _register(thread: threading.Thread, owner: str, interrupt: Interrupt) -> None:
    """Remember a running child, so that it does not outlive this interpreter."""
    global _process  # one process, one table
    if _process != os.getpid():
        _running.clear()  # after a fork: the parent's children are not ours
        _process = os.getpid()
        atexit.register(end_all)
    _running[thread] = owner, interrupt
