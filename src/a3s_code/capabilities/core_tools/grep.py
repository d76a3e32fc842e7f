"""grep: lines by a regular expression."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, Field

from a3s_code.capabilities.core_tools.place import Failed, PathText, PathTool, shown
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.files import require_regular
from a3s_code.system.matches import Found, Line, Query
from a3s_code.system.paths import Resolved
from a3s_code.system.ripgrep import find_ripgrep
from a3s_code.system.search import Finder, search
from a3s_code.system.text import readable
from a3s_code.system.threads import finish

LIMIT = 200
MAX_CONTEXT = 50
MAX_PATTERN = 4096


class GrepArgs(BaseModel):
    pattern: str
    path: PathText = "."
    glob: str | None = None
    context: int = Field(0, ge=0, le=MAX_CONTEXT)
    ignore_case: bool = False


class Grep(PathTool):
    """The lines below a folder, in a file or in an artifact that an expression matches, as `path:line:text`.

    Context lines read `path-line-text`. Searches what glob finds, text files only. The value is a list of
    {path, line, text}, one for each matching line shown. `find` as for Glob.
    """

    name = "grep"
    description = "Search file contents by regex: a folder, a file, or an a3s:// output; skips ignored files."
    Args = GrepArgs
    artifacts = True

    def __init__(self, find: Finder = find_ripgrep) -> None:
        self._find = find

    @staticmethod
    def path(args: GrepArgs) -> str:
        return args.path

    async def perform(self, args: GrepArgs, context: ToolContext, place: Resolved) -> ToolOutput:
        if not place.exists:
            raise FileNotFoundError
        if not place.real.is_dir():
            require_regular(place.real.stat().st_mode)
        found = await self._search(_query(args, place.real), context)
        where = place.real if place.real.is_dir() else place.real.parent
        root = shown(context, replace(place, real=where))
        return _show(found, "" if root == "." else f"{root.rstrip('/')}/")

    async def perform_on_text(self, args: GrepArgs, context: ToolContext, text: str) -> ToolOutput:
        with tempfile.TemporaryDirectory(prefix="a3s-") as folder:
            file = await finish(asyncio.to_thread(_save, folder, text))
            found = await self._search(_query(args, file), context)
        return _show(replace(found, lines=tuple(replace(line, path=args.path) for line in found.lines)), "")

    async def _search(self, query: Query, context: ToolContext) -> Found:
        return await search(query, context.environment, find=self._find)


def _save(folder: str, text: str) -> Path:
    file = Path(folder).resolve() / "output"
    file.write_text(text, "utf-8", "backslashreplace", newline="")
    return file


def _query(args: GrepArgs, root: Path) -> Query:
    if not 0 < len(args.pattern) <= MAX_PATTERN or "\0" in args.pattern + (args.glob or ""):
        raise Failed(f"a pattern is 1 to {MAX_PATTERN} characters long and holds no NUL", "invalid_argument")
    return Query(root, args.pattern, args.ignore_case, args.glob, args.context, LIMIT)


def _show(found: Found, prefix: str) -> ToolOutput:
    rows: list[str] = []
    last: Line | None = None
    for line in found.lines:
        if last is not None and _gap(last, line) and any(not item.matched for item in (last, line)):
            rows.append("--")
        mark = ":" if line.matched else "-"
        rows.append(f"{readable(prefix + line.path)}{mark}{line.number}{mark}{line.text}")
        last = line
    matches = [line for line in found.lines if line.matched]
    if len(matches) < found.total:
        rows.append(f"[{len(matches)} of {found.total} matching lines; narrow the pattern or the path]")
    if not found.complete:
        rows.append("[the time was up before all files were searched]")
    if found.skipped:
        rows.append(f"[{found.skipped} files were too large to search]")
    value = [{"path": readable(prefix + line.path), "line": line.number, "text": line.text} for line in matches]
    metadata = {"matches": found.total, "complete": found.complete}
    return ToolOutput("\n".join(rows) or "no matches", metadata=metadata, value=value)


def _gap(last: Line, line: Line) -> bool:
    return last.path != line.path or line.number > last.number + 1
