"""Paths as the kernel resolves them: component by component, links followed, nothing guessed."""

from __future__ import annotations

import errno
import ntpath
import os
import stat
from dataclasses import dataclass
from pathlib import Path

MAX_LINKS = 40
SHOWN = 200


class PathError(ValueError):
    """A path that names nothing: empty, not encodable, with a NUL, too long, or through a loop of links."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a path leads: `real` is absolute and holds no link, `..` or `.`; `given` is the path as written.

    `inside` tells whether `real` is the workspace or beneath it. `exists` is a moment's answer.
    """

    real: Path
    given: str
    inside: bool
    exists: bool


def resolve(workspace: Path, given: str) -> Resolved:
    """Follow `given` from `workspace` (a real path); raises PathError.

    A leading `~` is the home folder. Links are followed where they stand, so `..` after a link leaves the link's
    target. What does not exist is taken as written, which also holds for the target of a dangling link.
    """
    check(given)
    if given == "~" or given.startswith("~/"):
        start, rest = str(Path.home()), given[2:]
    else:
        start, rest = ("/" if given.startswith("/") else str(workspace)), given
    real = _follow(start, rest, given)
    return Resolved(Path(real), given, is_inside(workspace, real), os.path.lexists(real))


def check(given: str) -> str:
    """`given` itself, if the system could take it for a path; raises PathError."""
    if not given:
        raise PathError("the path is empty")
    if "\0" in given:
        raise PathError("the path holds a NUL character")
    try:
        os.fsencode(given)
    except UnicodeEncodeError:
        raise PathError("the path holds a character that no file name can hold") from None
    return given


def brief(given: str) -> str:
    """`given`, or of a very long one its beginning: for a message."""
    return given if len(given) <= SHOWN else f"{given[:SHOWN]}..."


def posix_form(given: str) -> str | None:
    r"""How a path in the manner of Windows (`src\a.py`, `C:\x`) would be written here; None for any other path.

    There are no drives and shares here, so what names one is dropped.
    """
    drive, rest = ntpath.splitdrive(given)
    if "\\" not in given and not (drive and rest.startswith("/")):
        return None
    return rest.replace("\\", "/")


def is_inside(workspace: Path, real: str | Path) -> bool:
    """Whether a real path is the workspace or beneath it."""
    root = str(workspace).rstrip("/")
    return str(real) == str(workspace) or str(real).startswith(root + "/")


def relative(workspace: Path, real: Path) -> str:
    """`real` as written from the workspace; absolute where it is outside."""
    return real.relative_to(workspace).as_posix() if is_inside(workspace, real) else str(real)


def _follow(start: str, rest: str, given: str) -> str:
    current = start
    pending = rest.split("/")[::-1]
    links = 0
    while pending:
        name = pending.pop()
        if name in ("", "."):
            continue
        if name == "..":
            current = os.path.dirname(current)  # noqa: PTH120  # a Path for each component costs ten times as much
            continue
        step = f"{current.rstrip('/')}/{name}"
        target = _link_target(step, given)
        if target is None:
            current = step
            continue
        links += 1
        if links > MAX_LINKS:
            raise PathError(f"{brief(given)} runs through a loop of links")
        pending.extend(target.split("/")[::-1])
        if target.startswith("/"):
            current = "/"
    return current


def _link_target(step: str, given: str) -> str | None:
    try:
        return os.readlink(step) if stat.S_ISLNK(os.lstat(step).st_mode) else None  # noqa: PTH115  # as above
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:  # a link no more, when it was to be read
            return None
        raise PathError(f"{brief(given)} cannot be followed: {error.strerror}") from error
