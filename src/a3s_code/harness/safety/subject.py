"""A call as the rules see it: the files it touches, the commands it runs, the URLs it fetches."""

from __future__ import annotations

import os
from functools import cached_property

from a3s_code.harness.safety.footprint import Access, Footprint, Touch, trace_files, trace_mentions
from a3s_code.harness.safety.shell import read_command
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import Action

_FILE_KINDS = frozenset({"read", "write", "delete"})
_LISTING_TOOLS = frozenset({"ls", "glob"})


class Subject:
    """What one call would do, worked out as far as somebody asks."""

    def __init__(self, action: Action, workspace: str, home: str) -> None:
        self.action = action
        self._workspace = workspace
        self._beneath = workspace.rstrip("/") + "/"
        self._home = home
        deep = action.tool.lower() not in _LISTING_TOOLS
        self.files = [self._touch(effect, deep) for effect in action.effects if effect.kind in _FILE_KINDS]
        self.readings = [read_command(effect.target) for effect in action.effects if effect.kind == "exec"]
        self.urls = [effect.target for effect in action.effects if effect.kind == "net"]

    def _touch(self, effect: Effect, deep: bool) -> Touch:
        access: Access = "read" if effect.kind == "read" else "write"
        if not effect.target.startswith("/") or "\0" in effect.target:
            return Touch(access, None, None)
        given = effect.given
        if given == "~" or given.startswith("~/"):
            given = self._home + given[1:]
        spelled = os.path.normpath(f"{self._workspace}/{given}" if not given.startswith("/") else given)
        return Touch(access, effect.target, spelled, deep=deep and access == "read")

    @cached_property
    def footprints(self) -> list[Footprint]:
        """What its commands touch."""
        return [trace_files(reading, self._workspace, self._home) for reading in self.readings]

    @cached_property
    def mentions(self) -> list[str]:
        """Every path that a word of its commands may stand for."""
        return [path for reading in self.readings for path in trace_mentions(reading, self._workspace, self._home)]

    def is_inside(self, path: str) -> bool:
        return path == self._workspace or path.startswith(self._beneath)
