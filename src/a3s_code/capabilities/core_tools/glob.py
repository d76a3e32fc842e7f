"""glob: files by a pattern of their path."""

from __future__ import annotations

import time

from pydantic import BaseModel

from a3s_code.capabilities.core_tools.hidden import note_hidden
from a3s_code.capabilities.core_tools.place import Failed, PathText, PathTool, shown
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.globs import compile_glob
from a3s_code.system.paths import Resolved
from a3s_code.system.search import TIMEOUT_MS, list_files, part
from a3s_code.system.text import readable

MAX_FILES = 1000


class GlobArgs(BaseModel):
    pattern: str
    path: PathText = "."


class Glob(PathTool):
    """The files below a folder whose path from there fits the pattern: `*` within a folder, `**` across, `{a,b}`.

    Hidden files count; `.git`, links, what .gitignore leaves out and what a rule forbids to read do not. Sorted; the
    value is the list of all paths, from the workspace.
    """

    name = "glob"
    description = "Find files by path pattern, such as src/**/*.{js,ts}; skips ignored files."
    Args = GlobArgs

    @staticmethod
    def path(args: GlobArgs) -> str:
        return args.path

    async def perform(self, args: GlobArgs, context: ToolContext, place: Resolved) -> ToolOutput:
        if not place.exists:
            raise FileNotFoundError
        if not place.real.is_dir():
            raise Failed(f"{args.path} is not a folder", "invalid_argument")
        pattern = _relative(args.pattern, place)
        expression = compile_glob(pattern)
        ends_at = time.monotonic() + TIMEOUT_MS / 1000
        files, complete = await list_files(place.real, wanted=lambda path: expression.fullmatch(path) is not None)
        hidden: list[str] = []
        if (hides := context.hides) is not None:
            files, hidden, judged = await part(place.real, files, hides, ends_at)
            complete &= judged
        root = shown(context, place)
        prefix = "" if root == "." else f"{root.rstrip('/')}/"
        found = [readable(prefix + path) for path in files]
        lines = found[:MAX_FILES]
        if len(found) > MAX_FILES:
            lines.append(f"[{MAX_FILES} of {len(found)} files; narrow the pattern]")
        if not complete:
            lines.append("[there are more: the time was up, or they are too many; name a narrower folder]")
        lines += note_hidden(len(hidden))
        if not found:
            lines.insert(0, "no files found" + ("" if "/" in pattern else f"; **/{pattern} looks in all folders"))
        return ToolOutput("\n".join(lines), metadata={"count": len(found), "complete": complete}, value=found)


def _relative(pattern: str, place: Resolved) -> str:
    """The pattern as seen from the folder; raises Failed where it leads out of it."""
    pattern = pattern.removeprefix(f"{place.real}/")
    if pattern.startswith(("/", "~/")) or ".." in pattern.split("/"):
        raise Failed("the pattern leads out of the folder; give another path instead", "invalid_argument")
    return pattern
