"""A call as the rules see it: the files it touches, the commands it runs, the URLs it fetches."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property

from a3s_code.harness.safety.footprint import Access, Footprint, Touch, Trail
from a3s_code.harness.safety.shell import read_command
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import Action

_FILE_KINDS = frozenset({"read", "write", "delete"})
SEARCHERS = frozenset({"ls", "glob", "grep"})
_LISTING_TOOLS = frozenset({"ls", "glob"})
_WILD_SEGMENT = re.compile(r"[*?\[{]")


_seen: ContextVar[dict[tuple[int, str, str], Subject] | None] = ContextVar("_seen", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """While it is open all who look at a call see the same, and the file system is asked once."""
    token = _seen.set({})
    try:
        yield
    finally:
        _seen.reset(token)


def look(action: Action, workspace: str, home: str) -> Subject:
    """The subject of a call."""
    seen = _seen.get()
    if seen is None:
        return Subject(action, workspace, home)
    key = (id(action), workspace, home)
    if key not in seen:
        seen[key] = Subject(action, workspace, home)
    return seen[key]


class Subject:
    """What one call would do, worked out as far as somebody asks.

    `unreadable`: it cannot be told what it does, for its arguments are no arguments of the tool.
    """

    def __init__(self, action: Action, workspace: str, home: str) -> None:
        self.action = action
        self.tool = action.tool.lower()
        self._workspace = workspace
        self._beneath = workspace.rstrip("/") + "/"
        self._home = home
        self._of_user = f"{home.rstrip('/')}/.a3s/"
        self.files = [self._touch(effect) for effect in action.effects if effect.kind in _FILE_KINDS]
        self.readings = [read_command(effect.target) for effect in action.effects if effect.kind == "exec"]
        self.urls = [effect.target for effect in action.effects if effect.kind == "net"]
        self.unreadable = any(effect.kind == "unknown" and not effect.target for effect in action.effects)

    def _touch(self, effect: Effect) -> Touch:
        access: Access = "read" if effect.kind == "read" else "write"
        if not effect.target.startswith("/") or not _is_path(effect.target) or not _is_path(effect.given):
            return Touch(access, None, None)
        given = self._narrow(effect)
        if given == "~" or given.startswith("~/"):
            given = self._home + given[1:]
        spelled = given if given.startswith("/") else f"{self._workspace}/{given}"
        target = effect.target if given == effect.given else os.path.realpath(spelled)
        deep = access == "read" and self.tool not in _LISTING_TOOLS
        return Touch(access, target, os.path.normpath(spelled), deep=deep, removed=effect.kind == "delete")

    def _narrow(self, effect: Effect) -> str:
        """The path as given; for glob the folder that its pattern starts in."""
        pattern = self.action.arguments.get("pattern")
        if self.tool != "glob" or not isinstance(pattern, str) or "\0" in pattern or not pattern.isprintable():
            return effect.given
        segments = pattern.split("/")
        wild = next((at for at, segment in enumerate(segments) if _WILD_SEGMENT.search(segment)), len(segments))
        start = "/".join(segments[:wild])
        if pattern.startswith(("/", "~/")):
            return start or "/"
        return f"{effect.given.rstrip('/') or '.'}/{start}" if start else effect.given

    @cached_property
    def sought(self) -> list[str]:
        """The paths that the patterns of a search spell, wildcards and all, as paths."""
        arguments = self.action.arguments
        pattern = arguments.get({"glob": "pattern", "grep": "glob"}.get(self.tool, ""))
        if not isinstance(pattern, str) or not pattern:
            return []
        folder = arguments.get("path")
        start = folder if isinstance(folder, str) and folder else "."
        if pattern.startswith("~/"):
            pattern = self._home + pattern[1:]
        roots = [""] if pattern.startswith("/") else [f"{self._workspace}/", f"{self._workspace}/{start}/"]
        return [os.path.normpath(f"{root}{pattern}") for root in roots]

    @cached_property
    def trails(self) -> list[Trail]:
        """Where the words of its commands lead."""
        return [Trail(reading, self._workspace, self._home) for reading in self.readings]

    @cached_property
    def footprints(self) -> list[Footprint]:
        """What its commands touch."""
        return [trail.trace_files() for trail in self.trails]

    @cached_property
    def mentions(self) -> list[str]:
        """Every path that a word of its commands may stand for."""
        return [path for trail in self.trails for path in trail.trace_mentions()]

    def is_inside(self, path: str) -> bool:
        """Whether a path lies in the workspace. What configures and trusts for the user does not, wherever it lies."""
        if not (path == self._workspace or path.startswith(self._beneath)):
            return False
        return not f"{path}/".startswith(self._of_user) or self._beneath.startswith(self._of_user)


def _is_path(text: str) -> bool:
    """Whether the system could take the text for a path."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
