"""What changed between two states: the files with their counts, and the patch, within bounds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from a3s_code.capabilities.git.repository import Repository
from a3s_code.kernel.tool import ToolContext
from a3s_code.system.text import readable

PATCH_BYTES = 64 * 1024
MAX_FILES = 200
# As many names as surely fit into one command.
MAX_NAMES = 1000
SAFE = (
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--relative",
)


@dataclass(frozen=True, slots=True)
class Change:
    """One file that differs; the counts are None for a binary file, `before` is its old name where it was renamed."""

    path: str
    before: str | None
    added: int | None
    deleted: int | None

    @property
    def line(self) -> str:
        counts = "binary" if self.added is None else f"+{self.added} -{self.deleted}"
        return f"{readable(f'{self.before} -> ' if self.before else '')}{readable(self.path)} {counts}"

    @property
    def row(self) -> dict[str, Any]:
        renamed = {"before": readable(self.before)} if self.before else {}
        return {"path": readable(self.path), "added": self.added, "deleted": self.deleted, **renamed}


@dataclass(frozen=True, slots=True)
class Changes:
    """The files that differ, without those that a rule hides from this session; `hidden` counts these."""

    files: tuple[Change, ...]
    hidden: int

    @property
    def summary(self) -> str:
        """`2 files changed, +10 -3`."""
        count = len(self.files)
        added = sum(change.added or 0 for change in self.files)
        deleted = sum(change.deleted or 0 for change in self.files)
        return f"{count} file{'' if count == 1 else 's'} changed, +{added} -{deleted}"

    @property
    def lines(self) -> list[str]:
        """The summary, a line for each file, and a note on what is not shown."""
        lines = [self.summary, *(f" {change.line}" for change in self.files[:MAX_FILES])]
        if len(self.files) > MAX_FILES:
            lines.append(f" [{len(self.files) - MAX_FILES} more files]")
        return lines + self.notes

    @property
    def notes(self) -> list[str]:
        return [f"[{self.hidden} files are left out: a rule keeps them from being read]"] if self.hidden else []

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "files": [change.row for change in self.files[:MAX_NAMES]],
            "file_count": len(self.files),
            "added": sum(change.added or 0 for change in self.files),
            "deleted": sum(change.deleted or 0 for change in self.files),
            "hidden": self.hidden,
        }


async def list_changes(
    repository: Repository, context: ToolContext, words: Sequence[str], paths: Sequence[str]
) -> Changes:
    """The files that `git <words> -- <paths>` tells about."""
    answer = await repository.run(*words, *SAFE, "--numstat", "-z", "--", *paths)
    fields = [field.lstrip("\n") for field in answer.fields][::-1]
    files: list[Change] = []
    while fields:
        added, deleted, path = [*fields.pop().split("\t", 2), "", ""][:3]
        before = None
        if not path and len(fields) >= 2:
            before, path = fields.pop(), fields.pop()
        if path:
            counts = (None, None) if added == "-" else (int(added), int(deleted))
            files.append(Change(path, before, *counts))
    shown = [change for change in files if not _is_hidden(context, change)]
    return Changes(tuple(shown), len(files) - len(shown))


def _is_hidden(context: ToolContext, change: Change) -> bool:
    hides, names = context.hides, (change.path, change.before or change.path)
    return hides is not None and any(hides(os.path.realpath(context.workspace / name)) for name in names)


async def show_patch(
    repository: Repository, context: ToolContext, words: Sequence[str], paths: Sequence[str], changes: Changes
) -> str:
    """The patch that belongs to `changes`: its first PATCH_BYTES, and where the whole of it can be read."""
    if changes.hidden:
        if len(changes.files) > MAX_NAMES:
            return f"[more than {MAX_NAMES} files: name some by path to see what changed in them]"
        paths = [name for change in changes.files for name in (change.before, change.path) if name]
    if not changes.files:
        return ""
    answer = await repository.run(*words, *SAFE, "--patch", "--", *paths)
    return cut(context, answer.text, "patch")


def cut(context: ToolContext, text: str, what: str) -> str:
    """`text` as it is, or its beginning and the address of the whole."""
    content = text.encode("utf-8", "replace")
    if len(content) <= PATCH_BYTES:
        return text
    whole = context.artifacts.put("git", text, PATCH_BYTES)
    head = content[:PATCH_BYTES]
    end = max(head.rfind(b"\ndiff --git ", PATCH_BYTES // 2), head.rfind(b"\n", PATCH_BYTES // 2)) + 1
    shown = head[: end or PATCH_BYTES].decode("utf-8", "ignore")
    return (
        f"{shown.rstrip()}\n[{len(shown.encode()):,} of {len(content):,} bytes of this {what}; the whole can be read "
        f"at {whole.uri}, and a path narrows it]"
    )
