"""The files below a folder, without a program's help."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from a3s_code.system.ignore import Ignore, descend, enter, inherit, repository

MAX_DEPTH = 128


def walk(root: Path, stop: threading.Event, deadline: float) -> Iterator[str]:
    """The regular files below `root`, as relative paths: hidden ones too, without `.git` and what is ignored.

    No link is followed. Inside a repository another one starts afresh, without the rules of the outer one. Ends early
    when `stop` is set or `deadline` (of time.monotonic) has passed.
    """
    top = repository(root)
    pending: list[tuple[str, Ignore | None]] = [("", inherit(root, top))]
    while pending and not stop.is_set() and time.monotonic() < deadline:
        prefix, ignore = pending.pop()
        try:
            entries = list(os.scandir(root / prefix))
        except OSError:
            continue
        if top is not None and prefix and any(entry.name == ".git" for entry in entries):
            ignore = None
        ignore = enter(ignore, root / prefix)
        for entry in entries:
            folder = entry.is_dir(follow_symlinks=False)
            if entry.name == ".git" or not (folder or entry.is_file(follow_symlinks=False)):
                continue
            if ignore is not None and ignore.ignores(entry.name, folder=folder):
                continue
            if not folder:
                yield prefix + entry.name
            elif prefix.count("/") < MAX_DEPTH:
                pending.append((f"{prefix}{entry.name}/", descend(ignore, entry.name)))
