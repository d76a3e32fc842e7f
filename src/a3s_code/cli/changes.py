"""What changed between two folders, as a unified diff."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

SKIPPED = frozenset({"__pycache__", ".git"})


def read_folder(folder: Path) -> dict[str, bytes]:
    """All files below `folder` by their relative path, in order; caches and version control are left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not SKIPPED.intersection(path.relative_to(folder).parts)
    }


def unified_diff(before: dict[str, bytes], after: dict[str, bytes]) -> Iterator[str]:
    """The lines of the diff without line ends; nothing where the folders are the same."""
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        head = (f"a/{name}" if old is not None else "/dev/null", f"b/{name}" if new is not None else "/dev/null")
        lines = difflib.unified_diff(_lines(old), _lines(new), *head, lineterm="")
        # An empty file that comes or goes has no lines to differ in.
        yield from lines if old or new else (f"--- {head[0]}", f"+++ {head[1]}")


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode("utf-8", "replace").splitlines()
