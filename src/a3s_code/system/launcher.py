"""The process between the host and one command: it keeps the command's whole tree, and ends it.

Run as a script, once for each command, so it imports little; the host talks to it through a socket:

- first the request, its length in eight bytes and then marshalled: argv, cwd, environment, ruleset descriptor or -1;
- the answer is `forked <pid>`, and then `started` or `failed <errno>`; when the command has ended, `exited <code>`, a
  negative code for a signal; and at last `gone`, when nothing that came of it lives any more;
- a byte from the host asks for the end of everything, and so does the end of its stream: the host is gone.

Every orphan of the tree becomes a child of this process, so a wait that finds no child is the proof that none is left.
"""

from __future__ import annotations

import ctypes
import errno
import marshal
import os
import select
import sys
import time

# Written out, for the signal module takes long to import; a few old machines have other numbers (ODD_MACHINES).
SIGKILL, SIGUSR1, SIGPIPE, SIGTERM, SIGCHLD, SIGXFSZ = 9, 10, 13, 15, 17, 25
SIG_SETMASK = 2
SET_BYTES = 128
SIGNAL_RECORD = 128
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 15, 36, 38
PIDFD_SEND_SIGNAL, PIDFD_OPEN, LANDLOCK_RESTRICT_SELF = 424, 434, 446
TERM_GRACE = 0.5
SWEEP_PAUSE = 0.005
STUCK_AFTER = 2.0
STUCK_PAUSE = 0.5
REAPED_AT_ONCE = 1000
CANNOT_START = 127
ODD_MACHINES = ("alpha", "mips", "parisc", "sparc")

libc = ctypes.CDLL(None, use_errno=True)


class Tree:
    """A command and all that came of it."""

    def __init__(self, control: int, host: int) -> None:
        self._control = control
        self._host = host
        self._leader = 0
        self._empty = False
        self._signals = _hear_signals()
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(self._signals, select.POLLIN)

    def run(self) -> None:
        """Start the command that the host sends; return when nothing of it is left."""
        request = _read_request(self._control)
        if request is None or os.getppid() != self._host:
            return
        reader, writer = os.pipe()
        gate, opener = os.pipe()
        self._leader = os.fork()
        if self._leader == 0:
            os.close(opener)
            libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
            # It starts when the host knows its number, by which it is found if it ends this process at once.
            if not os.read(gate, 1):
                os._exit(CANNOT_START)
            _become(request, writer)
        os.close(writer)
        os.close(gate)
        self._tell(b"forked %d\n" % self._leader)
        os.write(opener, b"!")
        os.close(opener)
        _let_go_of_output()
        failure = os.read(reader, 16)
        os.close(reader)
        if failure:
            os.waitpid(self._leader, 0)
            self._tell(b"failed %s\n" % failure)
            return
        self._tell(b"started\n")
        self._watch()

    def _watch(self) -> None:
        more = False
        while not self._empty:
            if self._turn(0 if more else None):
                self._end()
                return
            more = self._reap()

    def _turn(self, seconds: float | None) -> bool:
        """Wait for something to happen. True: everything is to end."""
        ending = False
        for descriptor, _ in self._poll.poll(None if seconds is None else seconds * 1000):
            if descriptor == self._control:
                # Heard once is enough; a stream that is at its end would be readable for good.
                self._poll.unregister(self._control)
                ending = True
            else:
                os.read(self._signals, 16 * SIGNAL_RECORD)
        # The kernel tells when the thread that started us ends, which need not be the end of the host.
        return ending or os.getppid() != self._host

    def _reap(self) -> bool:
        """Let go of what has ended; True where there may be more of it, which would keep us from hearing the host."""
        words, more = b"", True
        for _ in range(REAPED_AT_ONCE):
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._empty = True
                words += b"gone\n"
                pid = status = 0
            if pid == 0:
                more = False
                break
            if pid == self._leader:
                words += b"exited %d\n" % os.waitstatus_to_exitcode(status)
                self._leader = 0  # the number may come again
        if words:
            self._tell(words)
        return more

    def _end(self) -> None:
        """Ask all to end, and after a short grace make them."""
        _signal_all(SIGTERM, self._leader)
        grace = time.monotonic() + TERM_GRACE
        more = self._reap()
        while not self._empty and (left := grace - time.monotonic()) > 0:
            self._turn(0 if more else left)
            more = self._reap()
        stuck = time.monotonic() + STUCK_AFTER
        while not self._empty:
            _signal_all(SIGKILL, self._leader)
            # What the kernel does not let go of, or is not ours to kill, is tried again at leisure.
            self._turn(SWEEP_PAUSE if time.monotonic() < stuck else STUCK_PAUSE)
            self._reap()

    def _tell(self, message: bytes) -> None:
        try:  # noqa: SIM105  # contextlib takes long to import
            os.write(self._control, message)
        except OSError:
            pass  # the host is gone, which the next turn will find


def _hear_signals() -> int:
    """A descriptor for the signals that matter; all others are blocked, so that a stray one cannot end us."""
    # A host that ignores it hands that down, and then nobody would hear how anything ended.
    libc.signal(SIGCHLD, None)
    every, wanted = ctypes.create_string_buffer(SET_BYTES), ctypes.create_string_buffer(SET_BYTES)
    libc.sigfillset(every)
    libc.sigprocmask(SIG_SETMASK, every, None)
    libc.sigemptyset(wanted)
    libc.sigaddset(wanted, SIGCHLD)
    libc.sigaddset(wanted, SIGUSR1)
    descriptor = int(libc.signalfd(-1, wanted, os.O_NONBLOCK | os.O_CLOEXEC))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "signalfd")
    libc.prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0)
    return descriptor


def _read_request(control: int) -> tuple[list[bytes], bytes, dict[bytes, bytes], int] | None:
    size = int.from_bytes(_read_exactly(control, 8), "little")
    content = _read_exactly(control, size)
    if not size or len(content) < size:
        return None
    argv, cwd, environment, ruleset = marshal.loads(content)  # noqa: S302  # from the host, made by the same interpreter
    return argv, cwd, environment, ruleset


def _read_exactly(descriptor: int, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := os.read(descriptor, min(size, 1 << 20))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _become(request: tuple[list[bytes], bytes, dict[bytes, bytes], int], writer: int) -> None:
    """In the new process: be the command. What goes wrong is written to `writer`, as a number."""
    argv, cwd, environment, ruleset = request
    try:
        os.setsid()
        for number in (SIGPIPE, SIGXFSZ):  # the two that Python ignores
            libc.signal(number, None)
        libc.sigprocmask(SIG_SETMASK, ctypes.create_string_buffer(SET_BYTES), None)
        os.chdir(cwd)
        if ruleset >= 0:
            restrict(ruleset)
        _execute(argv, environment)
    except OSError as error:
        os.write(writer, b"%d" % (error.errno or errno.EIO))
    finally:
        os._exit(CANNOT_START)


def _execute(argv: list[bytes], environment: dict[bytes, bytes]) -> None:
    program = argv[0]
    folders = [b""] if b"/" in program else environment.get(b"PATH", os.fsencode(os.defpath)).split(b":")
    last = OSError(errno.ENOENT, "not found")
    for folder in folders:
        try:
            os.execve(os.path.join(folder, program), argv, environment)  # noqa: PTH118, S606  # bytes, and no shell
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                last = error
    raise last


def restrict(ruleset: int) -> None:
    """Put this process, and all that come of it, under a Landlock ruleset. Raises OSError."""
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "landlock")


def _let_go_of_output() -> None:
    # As long as we hold the command's output nobody sees its end.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _signal_all(number: int, leader: int) -> None:
    """Signal every descendant of this process; without /proc, no more than the group of a leader that still lives."""
    parents = {os.getpid()}
    tree = descendants()
    if not tree and leader:
        libc.kill(-leader, number)
    parents.update(tree)
    for pid in tree:
        hold = int(libc.syscall(PIDFD_OPEN, pid, 0))
        # Looked at again: the number may have passed to another process before it was held.
        if _parent(pid) in parents:
            if hold >= 0:
                libc.syscall(PIDFD_SEND_SIGNAL, hold, number, None, 0)
            else:
                libc.kill(pid, number)
        if hold >= 0:
            os.close(hold)


def descendants() -> list[int]:
    """The children of this process, their children, and so on; parents come first."""
    children: dict[int, list[int]] = {}
    try:
        names = os.listdir("/proc")  # noqa: PTH208  # pathlib takes longer to import than all the rest
    except OSError:
        return []
    for name in names:
        if name.isdigit():
            children.setdefault(_parent(int(name)), []).append(int(name))
    found = list(children.get(os.getpid(), ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb", 0) as file:  # noqa: PTH123  # as above
            # The fields after the name, which may itself hold blanks and brackets: state, parent, ...
            return int(file.read(512).rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def main(arguments: list[str]) -> None:
    if arguments[0] == "try":
        restrict(int(arguments[1]))
        return
    control, host, ruleset = (int(argument) for argument in arguments)
    for descriptor in (control, ruleset):
        if descriptor >= 0:
            os.set_inheritable(descriptor, False)
    # So that a command that kills every python does not take this one for one.
    libc.prctl(PR_SET_NAME, b"a3s-launcher", 0, 0, 0)
    # So that a command cannot trace it, and say in its name that all is gone.
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    Tree(control, host).run()


if __name__ == "__main__":
    main(sys.argv[1:])
    os._exit(0)
