"""Tools that act on one path: resolved, judged, and resolved again before they act."""

from __future__ import annotations

import difflib
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from a3s_code.kernel.contracts import Effect, EffectKind
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.files import FileChanged, NotRegular, list_names
from a3s_code.system.globs import GlobError
from a3s_code.system.matches import SearchError
from a3s_code.system.paths import PathError, Resolved, brief, check, posix_form, relative, resolve
from a3s_code.toolkit import Tool

ARTIFACT = "a3s://"
MAX_NAMES = 5000


def _require_path(given: str) -> str:
    try:
        return check(given)
    except PathError:
        wanted = "a path without NUL characters" if "\0" in given else "a path"
        raise PydanticCustomError("path", wanted) from None


PathText = Annotated[str, AfterValidator(_require_path)]


class Failed(Exception):
    """Ends a call with an output that says what was wrong; never leaves the tool."""

    def __init__(self, text: str, kind: str = "failed", **metadata: Any) -> None:
        super().__init__(text)
        self.output = ToolOutput.failure(text, kind, **metadata)


class PathTool(Tool):
    """A tool whose effects are all on one path. Where `artifacts` is set the path may also be an `a3s://` URI.

    What the path means is decided once, for the gate. When the call runs and the path has come to mean something else,
    nothing is done.
    """

    kinds: tuple[EffectKind, ...] = ("read",)
    artifacts = False

    @staticmethod
    @abstractmethod
    def path(args: Any) -> str:
        """The path among the arguments."""

    @abstractmethod
    async def perform(self, args: Any, context: ToolContext, place: Resolved) -> ToolOutput:
        """Do it at `place`; may raise Failed, OSError, PathError, GlobError, SearchError."""

    async def perform_on_text(self, args: Any, context: ToolContext, text: str) -> ToolOutput:
        """Do it on the text of an artifact."""
        raise Failed(f"{self.name} takes no artifacts", "unsupported")

    def effects(self, args: Any, workspace: Path) -> tuple[Effect, ...]:
        """One effect of each kind, on the real path; raises PathError where there is none."""
        given = self.path(args)
        if self._is_artifact(given):
            return ()
        target = str(locate(workspace, given).real)
        return tuple(Effect(kind, target, given) for kind in self.kinds)

    async def invoke(self, args: Any, context: ToolContext) -> ToolOutput:
        """Do it, and put what the system says against it into words."""
        given = self.path(args)
        try:
            if self._is_artifact(given):
                return await self.perform_on_text(args, context, _artifact(context, given))
            return await self.perform(args, context, self._claim(context, given))
        except Failed as failed:
            return failed.output
        except OSError as error:
            return refusal(error, context, given, changing="write" in self.kinds)
        except (PathError, GlobError, SearchError) as error:
            return ToolOutput.failure(str(error), "invalid_argument")

    def _is_artifact(self, given: str) -> bool:
        return self.artifacts and given.startswith(ARTIFACT)

    def _claim(self, context: ToolContext, given: str) -> Resolved:
        place = locate(context.workspace, given)
        require_judged(context, (Effect(kind, str(place.real), given) for kind in self.kinds))
        return place


def locate(workspace: Path, given: str) -> Resolved:
    r"""Where `given` leads; raises PathError.

    A path with backslashes or a drive is taken as written if there is such a file. Else it is refused, with the way to
    write it: to guess would put `src\a.py` beside `src`, or judge one file and touch another.
    """
    place = resolve(workspace, given)
    if not place.exists and (plain := posix_form(given)) is not None:
        raise PathError(f"{brief(given)} does not exist; paths are written with / and without a drive: {brief(plain)}")
    return place


def require_judged(context: ToolContext, effects: Iterable[Effect]) -> None:
    """Raises Failed unless the call was judged by all of `effects`: a path may lead elsewhere since."""
    approved = {(effect.kind, effect.target) for effect in context.effects}
    for effect in effects:
        if (effect.kind, effect.target) not in approved:
            text = (
                f"{brief(effect.given)} now leads to {effect.target}, which is not what this call was judged by. "
                "Nothing was done."
            )
            raise Failed(text, "permission_denied")


def refusal(error: OSError, context: ToolContext, given: str, *, changing: bool = False) -> ToolOutput:
    """What the system said against the path `given`, and what could be done instead. `changing` tools write files whole
    or not at all."""
    match error:
        case FileNotFoundError():
            return ToolOutput.failure(f"{brief(given)} does not exist{_nearest(context, given)}", "not_found")
        case FileChanged():
            return ToolOutput.failure(f"{brief(given)}: {error}; read it again", "version_conflict")
        case NotRegular():
            return ToolOutput.failure(f"{brief(given)} is {error}{_instead(error.kind)}", "unsupported")
        case _:
            unchanged = "; nothing was changed" if changing else ""
            return ToolOutput.failure(f"{brief(given)}: {error.strerror or error}{unchanged}")


def shown(context: ToolContext, place: Resolved) -> str:
    """A place as the model should write it: from the workspace, absolute outside."""
    return relative(context.workspace, place.real)


def _artifact(context: ToolContext, uri: str) -> str:
    text = context.artifacts.get(uri)
    if text is None:
        raise Failed(f"{uri} is not known, or was dropped", "not_found")
    return text


def _instead(kind: str) -> str:
    return "; ls shows what is in it" if kind == "folder" else ""


def _nearest(context: ToolContext, given: str) -> str:
    """Names like the missing one in its folder, as ` (did you mean ...?)`."""
    place = resolve(context.workspace, given)
    folder = place.real.parent
    if not place.inside or folder == place.real:
        return ""
    try:
        names = list_names(folder, MAX_NAMES)
    except FileNotFoundError:
        return f" (nor does the folder {relative(context.workspace, folder)})"
    except OSError:
        return ""
    near = difflib.get_close_matches(place.real.name, names, n=3, cutoff=0.5)
    return f" (did you mean {', '.join(relative(context.workspace, folder / name) for name in near)}?)" if near else ""
