"""One child process, watched by one thread from its start to the end of its tree.

A thread of plain blocking code behaves the same on every event loop and Python version, and goes on with the killing
when the loop that asked for it is already gone.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from a3s_code.system.direct import Direct
from a3s_code.system.launch import Launched, Start, launcher_command
from a3s_code.system.sandbox import Sandbox

MARK_NAME = "A3S_CALL"
QUIET_AFTER_EXIT = 0.2
LONGEST_AFTER_EXIT = 1.0
LONGEST_AFTER_KILL = 0.3
POLL = 0.02
LONGEST_WAIT = 3600.0  # the system's own limit is some weeks
CHUNK = 65_536

Ending = Literal["exited", "timeout", "interrupted"]
Receiver = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run: no shell, a session of its own, and `stdin` as its whole input.

    With `merge` what it writes to stderr comes in the stream of stdout, in order. `supervised` puts a launcher above
    it, where there can be one: nothing that comes of it escapes, at a price of some 10 ms; a sandbox implies it. What
    it leaves in the background when it ends by itself belongs to `owner`.
    """

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str]
    stdin: bytes = b""
    merge: bool = True
    supervised: bool = False
    sandbox: Sandbox | None = None
    owner: str = ""


class Program(Protocol):
    """A program that runs. The verbs do not wait, but for `reap`."""

    grace: float

    @property
    def descriptor(self) -> int | None:
        """Readable when there is something to hear; None where hear() has to be called now and then."""
        ...

    @property
    def ended(self) -> bool:
        """The program itself has ended."""
        ...

    @property
    def gone(self) -> bool:
        """So has all that came of it, as far as is known."""
        ...

    @property
    def lost(self) -> bool:
        """It ended in a way that left what came of it to be found."""
        ...

    @property
    def exit_code(self) -> int:
        """128 + n where signal n ended it."""
        ...

    def hear(self) -> bool:
        """Take note of what has ended; False when there is nothing more to hear."""
        ...

    def terminate(self) -> None:
        """Ask for the end of all of it; the grace begins."""
        ...

    def kill(self) -> None:
        """End what is found of it by force."""
        ...

    def reap(self) -> bool:
        """Let go of what has ended; False where something is left to be ended later."""
        ...


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

    A child that exits by itself may leave background processes; those go on, but are not listened to (`detached`), and
    `left` is then what can end them later. Raises OSError where it cannot be started, ValueError for a NUL.
    """

    def __init__(
        self, command: Command, receive: Receiver, receive_errors: Receiver, interrupt: Interrupt, *, pidfd: bool = True
    ) -> None:
        self.detached = False
        self.left: Launched | None = None
        self._selector = selectors.DefaultSelector()
        self._pipes: set[int] = set()
        self._heard = 0
        self._interrupt = interrupt.reader
        self._selector.register(self._interrupt, selectors.EVENT_READ)
        try:
            self._program: Program = self._start(command, receive, receive_errors, pidfd=pidfd)
        except BaseException:
            self._close_descriptors()
            raise
        if self._program.descriptor is not None:
            self._selector.register(self._program.descriptor, selectors.EVENT_READ)
        self._asking = self._program.descriptor is None

    @property
    def exit_code(self) -> int:
        """128 + n where signal n ended it."""
        return self._program.exit_code

    def watch(self, deadline: float | None) -> Ending:
        """Read until the child has exited, `deadline` (of time.monotonic) has passed, or the interrupt was set."""
        while not self._program.ended:
            if self._turn(deadline):
                return "interrupted"
            if deadline is not None and time.monotonic() >= deadline and not self._program.ended:
                return "timeout"
        if self._program.lost:
            self._program.kill()
        self._settle(LONGEST_AFTER_EXIT)
        return "exited"

    def kill(self) -> None:
        """End all of the tree: politely, and after a short grace by force. Takes about a second at most."""
        self._program.terminate()
        deadline = time.monotonic() + self._program.grace
        while time.monotonic() < deadline and (self._pipes or not self._program.gone):
            self._turn(deadline)
        self._program.kill()
        self._program.reap()
        self._settle(LONGEST_AFTER_KILL)

    def close(self) -> None:
        """Kill what still runs of a child that has not ended, and let go of every descriptor and process entry."""
        try:
            if not self._program.ended:
                self.kill()
            if not self._program.reap() and isinstance(self._program, Launched):
                self.left = self._program
        finally:
            self._close_descriptors()

    def _start(self, command: Command, receive: Receiver, receive_errors: Receiver, *, pidfd: bool) -> Program:
        mark = uuid.uuid4().hex
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(self._pipe(receive))
            errors = output if command.merge else stack.enter_context(self._pipe(receive_errors))
            start = Start(
                command.argv,
                command.cwd,
                {**command.environment, MARK_NAME: mark},
                f"{MARK_NAME}={mark}",
                (stack.enter_context(_input(command.stdin)), output, errors),
            )
            if command.sandbox is not None:
                start = replace(start, argv=command.sandbox.wrap(command.argv, command.cwd))
                ruleset = command.sandbox.open_ruleset()
                if ruleset is not None:
                    stack.callback(os.close, ruleset)
                return Launched(start, ruleset)
            if (command.supervised or _loses_exit_codes()) and launcher_command() is not None:
                return Launched(start)
            return Direct(start, pidfd=pidfd)

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
        wait = LONGEST_WAIT if until is None else min(max(until - time.monotonic(), 0), LONGEST_WAIT)
        if self._asking:
            wait = min(POLL, wait)
        interrupted = False
        for key, _ in self._selector.select(wait):
            if key.fd in self._pipes:
                self._read(key.fd, key.data)
            elif key.fd == self._interrupt:
                # It stays readable for good: heard once is enough.
                self._selector.unregister(key.fd)
                interrupted = True
            elif not self._program.hear():
                self._selector.unregister(key.fd)
        if self._asking:
            self._asking = self._program.hear()
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

    def _settle(self, longest: float) -> None:
        """Take what is still in the pipes, and wait for what is still ending; where a background process goes on, until
        it is quiet."""
        end = time.monotonic() + longest
        quiet = time.monotonic() + QUIET_AFTER_EXIT
        while self._pipes or not self._program.gone:
            until = min(quiet, end)
            if time.monotonic() >= until:
                self.detached = True
                return
            before = self._heard
            self._turn(until)
            if self._heard != before:
                quiet = time.monotonic() + QUIET_AFTER_EXIT

    def _close_descriptors(self) -> None:
        self._selector.close()
        for descriptor in self._pipes:
            os.close(descriptor)
        self._pipes.clear()


def _loses_exit_codes() -> bool:
    """Whether this process ignores how its children end, as some servers do: the system then forgets it."""
    return signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN


@contextlib.contextmanager
def _input(content: bytes) -> Iterator[int]:
    if not content:
        with Path(os.devnull).open("rb", 0) as nothing:
            yield nothing.fileno()
        return
    # A file cannot fill up as a pipe can, so nobody has to write while the child reads.
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file.fileno()
