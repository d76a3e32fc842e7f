"""grep: lines by a regular expression."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, Field

from a3s_code.capabilities.core_tools.hidden import note_hidden
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
SHOWN_BYTES = 100 * 1024
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
    {path, line, text}, one for each matching line shown. What a rule forbids to read is not searched, unless it is
    `path` itself: then this very call was judged. `find` gives ripgrep, or None for the search in Python.
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
        query = _query(args, place.real)
        found = await search(query, context.environment, find=self._find, hides=context.hides)
        where = place.real if place.real.is_dir() else place.real.parent
        root = shown(context, replace(place, real=where))
        return _show(found, "" if root == "." else f"{root.rstrip('/')}/")

    async def perform_on_text(self, args: GrepArgs, context: ToolContext, text: str) -> ToolOutput:
        with tempfile.TemporaryDirectory(prefix="a3s-") as folder:
            file = await finish(asyncio.to_thread(_save, folder, text))
            found = await search(_query(args, file), context.environment, find=self._find)
        return _show(replace(found, lines=tuple(replace(line, path=args.path) for line in found.lines)), "")


def _save(folder: str, text: str) -> Path:
    file = Path(folder).resolve() / "output"
    file.write_text(text, "utf-8", "backslashreplace", newline="")
    return file


def _query(args: GrepArgs, root: Path) -> Query:
    if not 0 < len(args.pattern) <= MAX_PATTERN or "\0" in args.pattern + (args.glob or ""):
        raise Failed(f"a pattern is 1 to {MAX_PATTERN} characters long and holds no NUL", "invalid_argument")
    return Query(root, args.pattern, args.ignore_case, args.glob, args.context, LIMIT)


def _show(found: Found, prefix: str) -> ToolOutput:
    rows, matches = _rows(found, prefix)
    if found.slow and not matches:
        raise Failed(f"{_too_slow(found, prefix)}; nothing was found in the others", "timeout")
    rows += _notes(found, len(matches), prefix)
    value = [{"path": readable(prefix + line.path), "line": line.number, "text": line.text} for line in matches]
    metadata = {"matches": found.total, "complete": found.complete}
    return ToolOutput("\n".join(rows if matches else ["no matches", *rows]), metadata=metadata, value=value)


def _rows(found: Found, prefix: str) -> tuple[list[str], list[Line]]:
    """The lines as text, as far as SHOWN_BYTES reach, and the matches among them."""
    rows: list[str] = []
    matches: list[Line] = []
    last: Line | None = None
    room = SHOWN_BYTES
    for line in found.lines:
        mark = ":" if line.matched else "-"
        row = f"{readable(prefix + line.path)}{mark}{line.number}{mark}{line.text}"
        room -= len(row.encode()) + 1
        if room < 0 and matches:
            break
        if last is not None and _gap(last, line) and any(not item.matched for item in (last, line)):
            rows.append("--")
        rows.append(row)
        matches += [line] if line.matched else []
        last = line
    return rows, matches


def _notes(found: Found, shown: int, prefix: str) -> list[str]:
    notes: list[str] = []
    if shown < found.total:
        notes.append(f"[{shown} of {found.total} matching lines; narrow the pattern, the glob or the path]")
    if found.slow:
        notes.append(f"[{_too_slow(found, prefix)}]")
    if not found.complete:
        notes.append("[the time was up before all files were searched; name a narrower folder]")
    if found.skipped:
        notes.append(f"[{found.skipped} files were too large to search]")
    return notes + note_hidden(found.hidden)


def _too_slow(found: Found, prefix: str) -> str:
    names = ", ".join(readable(prefix + path) for path in found.slow)
    return f"the pattern takes too long on {names}: repetitions in one another, such as (a+)+, can take for ever"


def _gap(last: Line, line: Line) -> bool:
    return last.path != line.path or line.number > last.number + 1
