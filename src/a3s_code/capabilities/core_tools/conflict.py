"""What a session knows of a file, against what is on the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

from a3s_code.capabilities.core_tools.place import Failed
from a3s_code.kernel.tool import ToolContext
from a3s_code.system.files import digest
from a3s_code.system.paths import Resolved, brief

_locks: WeakValueDictionary[Path, threading.Lock] = WeakValueDictionary()
_guard = threading.Lock()


def lock_of(real: Path) -> threading.Lock:
    """The lock of one file in this process: whoever holds it reads, compares, writes and remembers as one step.

    Other processes are kept apart for the moment of comparing and replacing (system.files). Taken in a worker thread.
    """
    with _guard:
        return _locks.setdefault(real, threading.Lock())


def require_unchanged(context: ToolContext, place: Resolved, content: bytes, hint: Callable[[], str] = str) -> None:
    """Raises Failed, with the text of `hint` added, where this session saw the file with another content.

    A file that was never seen passes: an edit proves by its old text what it is about, and a write replaces all.
    """
    known = context.files.get(str(place.real))
    if known is not None and known != (found := digest(content)):
        text = (
            f"{brief(place.given)} is not what this session last saw of it: a command, another session or another "
            f"program changed it. Read it again.{hint()}"
        )
        raise Failed(text, "version_conflict", expected=known, found=found)
