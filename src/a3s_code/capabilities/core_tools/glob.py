"""glob: files by a pattern of their path."""

from __future__ import annotations

from pydantic import BaseModel

from a3s_code.capabilities.core_tools.place import Failed, PathText, PathTool, shown
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.globs import compile_glob
from a3s_code.system.paths import Resolved
from a3s_code.system.ripgrep import find_ripgrep
from a3s_code.system.search import Finder, list_files
from a3s_code.system.text import readable

MAX_FILES = 1000


class GlobArgs(BaseModel):
    pattern: str
    path: PathText = "."


class Glob(PathTool):
    """The files below a folder whose path from there fits the pattern: `*` within a folder, `**` across, `{a,b}`.

    Hidden files count; `.git`, links, and what .gitignore leaves out do not. Sorted; the value is the list of all
    paths, from the workspace. `find` gives the program that searches, or None for the search in Python.
    """

    name = "glob"
    description = "Find files by path pattern, such as src/**/*.{js,ts}; skips ignored files."
    Args = GlobArgs

    def __init__(self, find: Finder = find_ripgrep) -> None:
        self._find = find

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
        files, complete = await list_files(place.real, context.environment, find=self._find)
        root = shown(context, place)
        prefix = "" if root == "." else f"{root.rstrip('/')}/"
        found = [readable(prefix + path) for path in files if expression.fullmatch(path)]
        lines = found[:MAX_FILES]
        if len(found) > MAX_FILES:
            lines.append(f"[{MAX_FILES} of {len(found)} files; narrow the pattern]")
        if not complete:
            lines.append("[the time was up before all folders were seen]")
        if not found:
            lines.append("no files found" + ("" if "/" in pattern else f"; **/{pattern} looks in all folders"))
        return ToolOutput("\n".join(lines), metadata={"count": len(found), "complete": complete}, value=found)


def _relative(pattern: str, place: Resolved) -> str:
    """The pattern as seen from the folder; raises Failed where it leads out of it."""
    pattern = pattern.removeprefix(f"{place.real}/")
    if pattern.startswith(("/", "~/")) or ".." in pattern.split("/"):
        raise Failed("the pattern leads out of the folder; give another path instead", "invalid_argument")
    return pattern
