"""One child process, watched by one thread from its start to the end of its tree.

A thread of plain blocking code behaves the same on every event loop and Python version, and goes on with the killing
when the loop that asked for it is already gone.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from a3s_code.system.proctree import Hold, descendants, kill_marked, signal_group

MARK_NAME = "A3S_CALL"
TERM_GRACE = 0.5
QUIET_AFTER_EXIT = 0.2
LONGEST_AFTER_EXIT = 1.0
LONGEST_AFTER_KILL = 0.3
REAP_WAIT = 0.5
POLL = 0.02
CHUNK = 65_536

Ending = Literal["exited", "timeout", "interrupted"]
Receiver = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run: no shell, a session of its own, and `stdin` as its whole input.

    With `merge` what it writes to stderr comes in the stream of stdout, in order.
    """

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str]
    stdin: bytes = b""
    merge: bool = True


class Interrupt:
    """A flag that wakes a select(); set() may be called from any thread and at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self.reader, self._writer = os.pipe()

    def set(self) -> None:
        with self._lock:
            if not self._closed:
                os.write(self._writer, b"!")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            os.close(self.reader)
            os.close(self._writer)


class Child:
    """A running child. Used by one thread: make, watch, then close, which leaves nothing of it running or open.

    A child that exits by itself may leave background processes; those go on, but are not listened to (`detached`).
    Raises OSError where it cannot be started, ValueError for a NUL in its arguments.
    """

    def __init__(
        self, command: Command, receive: Receiver, receive_errors: Receiver, interrupt: Interrupt, *, pidfd: bool = True
    ) -> None:
        self.detached = False
        self._mark = uuid.uuid4().hex
        self._selector = selectors.DefaultSelector()
        self._pipes: set[int] = set()
        self._heard = 0
        self._exited = False
        self._exit_descriptor: int | None = None
        self._interrupt = interrupt.reader
        self._selector.register(self._interrupt, selectors.EVENT_READ)
        try:
            self._process = self._start(command, receive, receive_errors)
        except BaseException:
            self._close_descriptors()
            raise
        if pidfd and hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # an old kernel, or a sandbox that forbids it: then by asking
                self._exit_descriptor = os.pidfd_open(self._process.pid)
                self._selector.register(self._exit_descriptor, selectors.EVENT_READ)

    @property
    def exit_code(self) -> int:
        """128 + n where signal n ended it."""
        code = self._process.returncode
        if code is None:
            return 128 + signal.SIGKILL
        return code if code >= 0 else 128 - code

    def watch(self, deadline: float | None) -> Ending:
        """Read until the child has exited, `deadline` (of time.monotonic) has passed, or the interrupt was set."""
        while not self._exited:
            if self._turn(deadline):
                return "interrupted"
            if deadline is not None and time.monotonic() >= deadline and not self._exited:
                return "timeout"
        self._settle(LONGEST_AFTER_EXIT)
        return "exited"

    def kill(self) -> None:
        """End what is found of the tree: politely, and after a short grace by force. Takes about a second at most."""
        with contextlib.ExitStack() as stack:
            holds = [stack.enter_context(Hold(pid)) for pid in descendants(self._process.pid)]
            signal_group(self._process.pid, signal.SIGTERM)
            deadline = time.monotonic() + TERM_GRACE
            while time.monotonic() < deadline and not (self._exited and not self._pipes):
                self._turn(deadline)
            signal_group(self._process.pid, signal.SIGKILL)
            for hold in holds:
                hold.kill()
        kill_marked(f"{MARK_NAME}={self._mark}")
        self._reap()
        self._settle(LONGEST_AFTER_KILL)

    def close(self) -> None:
        """Kill what still runs, and let go of every descriptor and of the child's entry in the process table."""
        try:
            if not self._exited:
                self.kill()
            self._reap()
        finally:
            self._close_descriptors()

    def _start(self, command: Command, receive: Receiver, receive_errors: Receiver) -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(self._pipe(receive))
            errors = output if command.merge else stack.enter_context(self._pipe(receive_errors))
            return subprocess.Popen(
                command.argv,
                cwd=command.cwd,
                env={**command.environment, MARK_NAME: self._mark},
                stdin=stack.enter_context(_input(command.stdin)),
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    @contextlib.contextmanager
    def _pipe(self, receive: Receiver) -> Iterator[int]:
        """The end of a new pipe for the child, closed here once the child has it."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        self._pipes.add(reader)
        self._selector.register(reader, selectors.EVENT_READ, receive)
        try:
            yield writer
        finally:
            os.close(writer)

    def _turn(self, until: float | None) -> bool:
        """Wait for the next thing to happen, at most to `until`, and take note of it. True: the interrupt was set."""
        wait = None if until is None else max(until - time.monotonic(), 0)
        asking = self._exit_descriptor is None and not self._exited
        if asking:
            wait = POLL if wait is None else min(POLL, wait)
        interrupted = False
        for key, _ in self._selector.select(wait):
            if key.fd in self._pipes:
                self._read(key.fd, key.data)
                continue
            # Both stay readable for good: heard once is enough.
            self._selector.unregister(key.fd)
            interrupted |= key.fd == self._interrupt
            self._exited |= key.fd == self._exit_descriptor
        if asking:
            self._exited = self._has_exited()
        return interrupted

    def _read(self, reader: int, receive: Receiver) -> None:
        content = os.read(reader, CHUNK)
        if content:
            self._heard += len(content)
            receive(content)
        else:
            self._selector.unregister(reader)
            self._pipes.remove(reader)
            os.close(reader)

    def _has_exited(self) -> bool:
        # A child that is not waited for keeps its number, so that its group can still be signalled.
        if hasattr(os, "waitid"):
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return self._process.poll() is not None

    def _settle(self, longest: float) -> None:
        """Take what is still in the pipes; where a background process holds them open, until it is quiet."""
        end = time.monotonic() + longest
        quiet = time.monotonic() + QUIET_AFTER_EXIT
        while self._pipes:
            until = min(quiet, end)
            if time.monotonic() >= until:
                self.detached = True
                return
            before = self._heard
            self._turn(until)
            if self._heard != before:
                quiet = time.monotonic() + QUIET_AFTER_EXIT

    def _reap(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel: nothing can be done from here
            self._process.wait(REAP_WAIT)
            self._exited = True

    def _close_descriptors(self) -> None:
        self._selector.close()
        for descriptor in (*self._pipes, self._exit_descriptor):
            if descriptor is not None:
                os.close(descriptor)
        self._pipes.clear()
        self._exit_descriptor = None


@contextlib.contextmanager
def _input(content: bytes) -> Iterator[int | IO[bytes]]:
    if not content:
        yield subprocess.DEVNULL
        return
    # A file cannot fill up as a pipe can, so nobody has to write while the child reads.
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file
