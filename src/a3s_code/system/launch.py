"""The host's side of a launcher process."""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib.util
import marshal
import os
import re
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from a3s_code.system import launcher
from a3s_code.system.proctree import kill_marked, kill_session, kill_tree

START_SECONDS = 10.0
ANSWER_SECONDS = 1.0
REAP_SECONDS = 0.5
MESSAGE_BYTES = 4096
_PYTHON = re.compile(r"python|pypy|graalpy", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Start:
    """What a program is started with: the three streams are descriptors, `mark` is an entry of `environment`."""

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    mark: str
    streams: tuple[int, int, int]


@functools.cache
def launcher_command() -> tuple[str, ...] | None:
    """What starts a launcher, its own arguments left out; None where there can be none."""
    if sys.platform != "linux" or not sys.executable or getattr(sys, "frozen", False):
        return None
    if os.uname().machine.startswith(launcher.ODD_MACHINES):
        return None
    source = str(launcher.__file__)
    # A program with an interpreter in it names itself, and modules in an archive are no files.
    if not _PYTHON.search(Path(sys.executable).name) or not Path(source).is_file():
        return None
    # The compiled form saves a third of the time; run as a script nobody compares it with its source.
    compiled = launcher.__spec__.cached if launcher.__spec__ is not None else None
    script = compiled if compiled is not None and _is_made_from(compiled, source) else source
    return (sys.executable, "-I", "-S", script)


def _is_made_from(compiled: str, source: str) -> bool:
    """Whether the header of the compiled file names the source as it is: its time and its size."""
    try:
        with Path(compiled).open("rb") as file:
            header = file.read(16)
        state = Path(source).stat()
    except OSError:
        return False
    expected = struct.pack("<4xIII", 0, int(state.st_mtime) & 0xFFFFFFFF, state.st_size & 0xFFFFFFFF)
    return header[:4] == importlib.util.MAGIC_NUMBER and header[4:] == expected[4:]


class Launched:
    """A program with a launcher above it, which knows all that came of it. Used by one thread at a time.

    `ended`: the program itself has; `gone`: all that came of it has, too. Raises OSError where it cannot be started,
    ValueError for a NUL in its arguments.
    """

    grace = launcher.TERM_GRACE + 0.6

    def __init__(self, start: Start, ruleset: int | None = None) -> None:
        self.ended = self.gone = self.lost = False
        self.exit_code = 128 + signal.SIGKILL
        self._mark = start.mark
        self._leader = 0
        self._leading = True
        self._heard = b""
        request = _request(start, ruleset)
        self._control, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = _start(start, theirs.fileno(), ruleset)
        except BaseException:
            self._control.close()
            raise
        try:
            self._await_start(request)
        except BaseException:
            self._control.close()
            kill_tree(self._process.pid)
            self._process.kill()
            self._process.wait()
            raise

    @property
    def descriptor(self) -> int:
        return self._control.fileno()

    def hear(self) -> bool:
        """Take in what the launcher says, without waiting; False when it will say no more."""
        with contextlib.suppress(BlockingIOError):
            while content := self._receive():
                self._take(content)
            # Without its last word something has ended the launcher itself, and what it kept is nobody's.
            self.lost = not self.gone
            self.ended = self.gone = True
            return False
        return True

    def terminate(self) -> None:
        """Have all of it ended: politely, and after a short grace by force."""
        with contextlib.suppress(OSError):
            self._control.send(b"!")
        with contextlib.suppress(OSError):
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End what the launcher did not: it may have been stopped or killed by the command."""
        if not self.gone:
            kill_tree(self._process.pid)
        if self.lost:
            kill_session(self._leader, leading=self._leading)
        kill_marked(self._mark)

    def reap(self) -> bool:
        """Let go of the launcher if it has ended, after a short wait; False: not yet."""
        if not self.gone:
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_SECONDS)
            self._control.close()
            return True
        return False

    def forget(self) -> None:
        """Let go of it in a process that is a copy of the one that started it."""
        self._control.close()
        self._process.returncode = 0

    def _await_start(self, request: bytes) -> None:
        self._control.settimeout(START_SECONDS)
        try:
            self._control.sendall(request)
            forked = self._next_line()
        except OSError as error:
            raise OSError(errno.EIO, f"the launcher process did not start: {error}") from error
        if not forked.startswith(b"forked "):
            raise OSError(errno.EIO, "the launcher process did not start")
        self._leader = int(forked.split()[1])
        # From here on the command may run. Where it ended its launcher, or stopped it, there is no answer; then it is
        # for hear() to find it lost, or for the end of the call to end it.
        answer = b""
        self._control.settimeout(ANSWER_SECONDS)
        with contextlib.suppress(TimeoutError):
            answer = self._next_line()
        self._control.setblocking(False)
        if answer.startswith(b"failed "):
            number = int(answer.split()[1])
            raise OSError(number, os.strerror(number))
        self._take(b"")

    def _next_line(self) -> bytes:
        """What the launcher says next; nothing where it has ended. Raises TimeoutError."""
        while b"\n" not in self._heard:
            content = self._receive()
            if not content:
                return b""
            self._heard += content
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def _take(self, content: bytes) -> None:
        *lines, self._heard = (self._heard + content).split(b"\n")
        for line in lines:
            word, _, number = line.partition(b" ")
            if word == b"started":
                continue
            self.ended = True
            if word == b"gone":
                self.gone = True
                continue
            self._leading = False
            if word == b"failed":
                self.exit_code = launcher.CANNOT_START
            else:
                self.exit_code = int(number) if int(number) >= 0 else 128 - int(number)

    def _receive(self) -> bytes:
        try:
            return self._control.recv(MESSAGE_BYTES)
        except ConnectionResetError:
            return b""


def end(programs: Sequence[Launched], seconds: float) -> None:
    """End all of these together, within about `seconds`."""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for program in programs:
            program.terminate()
            if program.hear():
                selector.register(program.descriptor, selectors.EVENT_READ, program)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if not key.data.hear():
                    selector.unregister(key.fd)
    for program in programs:
        program.kill()


def _request(start: Start, ruleset: int | None) -> bytes:
    argv = [os.fsencode(argument) for argument in start.argv]
    environment = {os.fsencode(name): os.fsencode(value) for name, value in start.environment.items()}
    if any(b"\0" in text for text in (*argv, *environment, *environment.values())):
        raise ValueError("embedded null byte")
    content = marshal.dumps((argv, os.fsencode(start.cwd), environment, -1 if ruleset is None else ruleset))
    return len(content).to_bytes(8, "little") + content


def _start(start: Start, control: int, ruleset: int | None) -> subprocess.Popen[bytes]:
    command = launcher_command()
    if command is None:
        raise OSError(errno.ENOSYS, "there is no launcher here")
    descriptors = (control, -1 if ruleset is None else ruleset)
    stdin, stdout, stderr = start.streams
    return subprocess.Popen(
        (*command, str(descriptors[0]), str(os.getpid()), str(descriptors[1])),
        cwd="/",
        env=start.environment,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        pass_fds=[descriptor for descriptor in descriptors if descriptor >= 0],
    )
