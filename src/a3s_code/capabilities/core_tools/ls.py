"""ls: the names in a folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from a3s_code.capabilities.core_tools.hidden import note_hidden
from a3s_code.capabilities.core_tools.place import Failed, PathText, PathTool, shown
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.files import Entry, list_folder
from a3s_code.system.paths import Resolved
from a3s_code.system.text import readable
from a3s_code.system.threads import finish

MAX_ENTRIES = 1000
JUDGED_AT_ONCE = 500


class LsArgs(BaseModel):
    path: PathText = "."


class Ls(PathTool):
    """All that is in one folder, hidden names too: folders first, each with a `/`, and links with where they point.

    What a rule forbids to read is left out. The value is the list of names.
    """

    name = "ls"
    description = "List a folder."
    Args = LsArgs

    @staticmethod
    def path(args: LsArgs) -> str:
        return args.path

    async def perform(self, args: LsArgs, context: ToolContext, place: Resolved) -> ToolOutput:
        try:
            entries = await finish(asyncio.to_thread(list_folder, place.real))
        except NotADirectoryError:
            raise Failed(f"{args.path} is not a folder; read shows a file", "invalid_argument") from None
        entries, hidden = await _visible(entries, place.real, context.hides)
        rows = [_row(entry) for entry in sorted(entries, key=lambda entry: (entry.kind != "folder", entry.name))]
        lines = rows[:MAX_ENTRIES]
        if len(rows) > MAX_ENTRIES:
            lines.append(f"[{MAX_ENTRIES} of {len(rows)} entries; glob finds by pattern]")
        lines += note_hidden(hidden)
        return ToolOutput("\n".join(lines) or f"({shown(context, place)} is empty)", value=rows)


async def _visible(entries: list[Entry], folder: Path, hides: Callable[[str], bool] | None) -> tuple[list[Entry], int]:
    """The entries that may be shown, and how many may not: nor may a link that leads to such a file."""
    if hides is None:
        return entries, 0
    kept: list[Entry] = []
    for place, entry in enumerate(entries, 1):
        path = str(folder / entry.name)
        if not hides(path) and not (entry.kind == "link" and hides(_target(path))):
            kept.append(entry)
        if not place % JUDGED_AT_ONCE:
            await asyncio.sleep(0)
    return kept, len(entries) - len(kept)


def _target(link: str) -> str:
    return os.path.realpath(link)


def _row(entry: Entry) -> str:
    name = readable(entry.name)
    if entry.kind == "link":
        return f"{name} -> {readable(entry.target)}"
    return f"{name}/" if entry.kind == "folder" else name
