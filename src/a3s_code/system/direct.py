"""A program started as a child of this process, without a launcher."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from contextlib import ExitStack

from a3s_code.system.launch import Start
from a3s_code.system.proctree import Hold, descendants, kill_marked, signal_group

REAP_SECONDS = 0.5


class Direct:
    """A program in a session of its own. What came of it is found by its group, its parents and its mark.

    `ended`: the program itself has; what else may live is not known. Raises OSError where it cannot be started,
    ValueError for a NUL in its arguments.
    """

    grace = 0.5
    lost = False

    def __init__(self, start: Start, *, pidfd: bool = True) -> None:
        self.ended = False
        self.descriptor: int | None = None
        self._mark = start.mark
        self._holds: list[Hold] = []
        stdin, stdout, stderr = start.streams
        self._process = subprocess.Popen(
            start.argv,
            cwd=start.cwd,
            env=start.environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        if pidfd and hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # an old kernel, or a sandbox that forbids it: then by asking
                self.descriptor = os.pidfd_open(self._process.pid)

    @property
    def gone(self) -> bool:
        return self.ended

    @property
    def exit_code(self) -> int:
        """128 + n where signal n ended it."""
        code = self._process.returncode
        if code is None:
            return 128 + signal.SIGKILL
        return code if code >= 0 else 128 - code

    def hear(self) -> bool:
        """Look whether it has ended; False when there is nothing more to look for."""
        # A child that is not waited for keeps its number, so that its group can still be signalled.
        if hasattr(os, "waitid"):
            self.ended |= os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        else:
            self.ended |= self._process.poll() is not None
        return not self.ended

    def terminate(self) -> None:
        """Ask the group to end, and take hold of what came of it while its parents still live."""
        self._holds = [Hold(pid) for pid in descendants(self._process.pid)]
        signal_group(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End by force what is found of it."""
        signal_group(self._process.pid, signal.SIGKILL)
        with ExitStack() as stack:
            for hold in self._holds:
                stack.enter_context(hold).kill()
        self._holds = []
        kill_marked(self._mark)

    def reap(self) -> bool:
        """Let go of its entry in the process table if it has ended, after a short wait; False: not yet."""
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel: nothing can be done from here
            self._process.wait(REAP_SECONDS)
            self.ended = True
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
        return self.ended
