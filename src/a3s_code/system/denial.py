"""Telling that it was the sandbox that a command failed at."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from a3s_code.system.sandbox import Sandbox

LOOK_AT = 65_536
MOST_FOLDERS = 20
MOST_PLACES = 1000
_REFUSED = re.compile(
    r"permission denied|read-only file system|\bEACCES\b|\bEROFS\b|invalid cross-device link", re.IGNORECASE
)
# Straight quotes, backquotes, and the curved ones of messages in a UTF-8 locale.
_QUOTED = re.compile("['\"`\u2018\u201c]([^'\"`\u2018\u2019\u201c\u201d]+)['\"`\u2019\u201d]")
_PLAIN = re.compile(r"""(?:^|(?<=[\s:=(]))((?:~?/|\.\.?/)[^\s:,;'"()]*)""")
_ELSEWHERE = re.compile(r"""(?:\bcd|\bpushd|\s-C)\s+(?:"([^"]+)"|'([^']+)'|([^\s;&|)]+))""")
_ELEVATION = re.compile(r"no.new.privileges|must be setuid root|must be owned by uid 0", re.IGNORECASE)


def find_denied(output: str, command: str, sandbox: Sandbox, folder: Path) -> Path | None:
    """A place that a line of `output` says was refused, and that only the sandbox can have refused: it lies outside of
    what may be written, and the user could have written there. Names may be in `folder`, or where `command` went."""
    elsewhere = itertools.islice(_ELSEWHERE.finditer(command), MOST_FOLDERS)
    folders = [folder, *(Path(folder, *filter(None, found.groups())) for found in elsewhere)]
    lines = (line for line in output[-LOOK_AT:].splitlines() if _REFUSED.search(line))
    candidates = ((text, start) for line in lines for text in _names(line) for start in folders)
    # Each is looked up on the disk, and the output is the command's to choose.
    for text, start in itertools.islice(candidates, MOST_PLACES):
        with suppress(OSError, RuntimeError, ValueError):
            place = Path(start.expanduser(), Path(text).expanduser()).resolve()
            if not sandbox.allows(place) and _could_write(place):
                return place
    return None


def needs_elevation(output: str) -> bool:
    """Whether a program said that it could not become another user."""
    return _ELEVATION.search(output[-LOOK_AT:]) is not None


def _names(line: str) -> Iterator[str]:
    for pattern in (_QUOTED, _PLAIN):
        yield from (found[1] for found in pattern.finditer(line))


def _could_write(place: Path) -> bool:
    while not os.access(place, os.F_OK):
        if place == place.parent:
            return False
        place = place.parent
    return os.access(place, os.W_OK)
