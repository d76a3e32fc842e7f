"""Bubblewrap: a command in a view of the file system where most of it is read-only."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from a3s_code.system.landlock import Grant

PROGRAM = "bwrap"
TRIAL_SECONDS = 5.0
# No new process numbers: a command must be able to signal what an earlier one left running, and to leave something
# running itself. Ending the whole tree is the launcher's part.
VIEW = ("--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc")


@functools.cache
def find_bubblewrap() -> str | None:
    """The bwrap program, where there is one and the system lets it work; tried once."""
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    try:
        trial = subprocess.run(
            (program, *VIEW, "--", program, "--version"), capture_output=True, check=False, timeout=TRIAL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return program if trial.returncode == 0 else None


def wrap(program: str, grants: Iterable[Grant], argv: Iterable[str], folder: Path) -> tuple[str, ...]:
    """The command that runs `argv` in `folder` where only the granted places can be changed."""
    # What is a mount of its own cannot be removed, so only the outermost places are. A folder is writable as a whole or
    # not at all: here "remove" means the whole.
    places = {grant.path for grant in grants if not grant.path.is_relative_to("/dev")}
    outermost = sorted(place for place in places if places.isdisjoint(place.parents))
    mounts = [word for place in outermost for word in ("--bind-try", str(place), str(place))]
    return (program, *VIEW, *mounts, "--chdir", str(folder), "--", *argv)
