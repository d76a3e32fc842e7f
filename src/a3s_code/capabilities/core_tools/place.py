"""Tools that act on one path: resolved, judged, and resolved again before they act."""

from __future__ import annotations

import difflib
import itertools
import os
from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from a3s_code.kernel.contracts import Effect, EffectKind
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.files import FileChanged, NotRegular
from a3s_code.system.globs import GlobError
from a3s_code.system.matches import SearchError
from a3s_code.system.paths import PathError, Resolved, brief, check, relative, resolve
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
        target = str(resolve(workspace, given).real)
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
        except FileNotFoundError:
            return ToolOutput.failure(f"{brief(given)} does not exist{_nearest(context, given)}", "not_found")
        except FileChanged as changed:
            return ToolOutput.failure(f"{brief(given)}: {changed}; read it again", "version_conflict")
        except NotRegular as wrong:
            return ToolOutput.failure(f"{brief(given)} is {wrong}{_instead(wrong.kind)}", "unsupported")
        except OSError as error:
            return ToolOutput.failure(f"{brief(given)}: {error.strerror or error}")
        except (PathError, GlobError, SearchError) as error:
            return ToolOutput.failure(str(error), "invalid_argument")

    def _is_artifact(self, given: str) -> bool:
        return self.artifacts and given.startswith(ARTIFACT)

    def _claim(self, context: ToolContext, given: str) -> Resolved:
        place = resolve(context.workspace, given)
        approved = {(effect.kind, effect.target) for effect in context.effects}
        if not approved.issuperset((kind, str(place.real)) for kind in self.kinds):
            text = f"{given} now leads to {place.real}, which is not what this call was judged by. Nothing was done."
            raise Failed(text, "permission_denied")
        return place


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
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, MAX_NAMES)]
    except FileNotFoundError:
        return f" (nor does the folder {relative(context.workspace, folder)})"
    except OSError:
        return ""
    near = difflib.get_close_matches(place.real.name, names, n=3, cutoff=0.5)
    return f" (did you mean {', '.join(relative(context.workspace, folder / name) for name in near)}?)" if near else ""
