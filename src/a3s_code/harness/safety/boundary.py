"""The edge of the workspace. What reaches over it, or cannot be told not to, is asked about, whatever is allowed."""

from __future__ import annotations

from collections.abc import Sequence

from a3s_code.harness.safety.footprint import Touch
from a3s_code.harness.safety.grants import Grant
from a3s_code.harness.safety.subject import Subject
from a3s_code.kernel.contracts import Decision
from a3s_code.kernel.tool import Action


class WorkspaceBoundary:
    """The policy that asks about files outside the workspace, unless an allow rule names their absolute path.

    It also asks about commands that are not valid or hide text, and about every URL.
    """

    name = "boundary"

    def __init__(self, grants: Sequence[Grant], workspace: str, home: str) -> None:
        self._grants = tuple(grant for grant in grants if grant.path is not None and grant.path.absolute)
        self._workspace = workspace
        self._home = home

    def judge(self, action: Action) -> Decision | None:
        reason = self._find_reason(Subject(action, self._workspace, self._home))
        return Decision("ask", reason, self.name) if reason else None

    def _find_reason(self, subject: Subject) -> str:
        tool = subject.action.tool
        for touch in subject.files:
            if self._is_outside(subject, touch, tool):
                return _describe(touch, tool)
        for reading in subject.readings:
            if reading.command.fault:
                return f"the command cannot be parsed: {reading.command.fault}"
            if reading.command.odd:
                return "the command holds characters that hide text from whoever reads it"
        for footprint in subject.footprints if subject.readings else ():
            for touch in footprint.redirected:
                if self._is_outside(subject, touch, touch.access):
                    return _describe(touch, touch.access)
            for touch in footprint.named:
                if touch.access == "write" and touch.target and self._is_outside(subject, touch, "write"):
                    return _describe(touch, "write")
        return "an address on the network is not known to be safe" if subject.urls else ""

    def _is_outside(self, subject: Subject, touch: Touch, tool: str) -> bool:
        if touch.target is None:
            return True
        if subject.is_inside(touch.target):
            return False
        return not (touch.sure and any(grant.names(tool) and grant.covers(touch) for grant in self._grants))


def _describe(touch: Touch, tool: str) -> str:
    if touch.target is None:
        return "it cannot be told which file it reaches"
    return f"{touch.target} lies outside the workspace; an allow rule {tool}({touch.target}) would allow it"
