"""What no rule for a tool lifts: the edge of the workspace, commands that cannot be read, releases."""

from __future__ import annotations

from collections.abc import Sequence

from a3s_code.harness.safety.footprint import Touch
from a3s_code.harness.safety.grants import Grant, compile_grants
from a3s_code.harness.safety.outreach import Release, find_release
from a3s_code.harness.safety.programs import program
from a3s_code.harness.safety.shell import Reading
from a3s_code.harness.safety.subject import Subject, look
from a3s_code.kernel.contracts import Decision
from a3s_code.kernel.tool import Action


class WorkspaceBoundary:
    """The policy that asks about files outside the workspace, unless an allow rule names their absolute path.

    It also asks about calls that cannot be read: commands that are not valid or hide text, arguments that are none of
    the tool's, and more than a git command in the text of the git tool.
    """

    name = "boundary"

    def __init__(self, grants: Sequence[Grant], workspace: str, home: str) -> None:
        self._grants = tuple(grant for grant in grants if grant.path is not None and grant.path.absolute)
        self._workspace = workspace
        self._home = home

    def judge(self, action: Action) -> Decision | None:
        reason = self._find_reason(look(action, self._workspace, self._home))
        return Decision("ask", reason, self.name) if reason else None

    def _find_reason(self, subject: Subject) -> str:
        if subject.unreadable:
            return "its arguments cannot be read"
        for touch in subject.files:
            if self._is_outside(subject, touch, subject.action.tool):
                return _describe(touch, subject.action.tool)
        for path in subject.sought:
            if not subject.is_inside(path):
                return f"it searches for {path}, outside the workspace"
        return next(filter(None, map(_find_unread, subject.readings)), "") or self._find_far(subject)

    def _find_far(self, subject: Subject) -> str:
        """Which file a command touches outside."""
        if subject.tool == "git" and not all(_is_git(reading) for reading in subject.readings):
            return "it is more than one plain git command"
        for footprint in subject.footprints if subject.readings else ():
            for touch in footprint.redirected:
                if self._is_outside(subject, touch, touch.access):
                    return _describe(touch, touch.access)
            for touch in footprint.named:
                if touch.access == "write" and touch.target and self._is_outside(subject, touch, "write"):
                    return _describe(touch, "write")
        return ""

    def _is_outside(self, subject: Subject, touch: Touch, tool: str) -> bool:
        if touch.target is None:
            return True
        if subject.is_inside(touch.target):
            return False
        return not (touch.sure and any(grant.names(tool) and grant.covers(touch) for grant in self._grants))


class ReleaseGuard:
    """The policy that asks about releases (a push, a published package, a deployment), unless an allow rule names
    them: its fixed text reaches the word that releases, as `bash(git push:*)` does and `bash(git:*)` does not."""

    name = "release"

    def __init__(self, grants: Sequence[Grant], workspace: str, home: str, *, skills: bool) -> None:
        self._grants = tuple(grants)
        self._workspace = workspace
        self._home = home
        self._skills = skills

    def judge(self, action: Action) -> Decision | None:
        subject = look(action, self._workspace, self._home)
        grants: Sequence[Grant] = self._grants
        if action.grants and self._skills:
            grants = [*grants, *compile_grants(action.grants, self._workspace, self._home)]
        grants = [grant for grant in grants if grant.names(action.tool)]
        for release in list_releases(subject):
            if not release.sure:
                return Decision("ask", f"what {release.verb} is told to do is computed; it may be a release", self.name)
            if not any(grant.reaches(release.verb) or grant.reaches(release.start) for grant in grants):
                named = release.verb.removeprefix("git ") if subject.tool == "git" else release.verb
                rule = f"{action.tool}({named}:*)"
                hint = f"an allow rule that names it, {rule}, would allow it"
                return Decision("ask", f"{release.verb} gives something to others; {hint}", self.name)
        if any(effect.kind == "release" for effect in action.effects) and not _is_named(action, grants):
            return Decision("ask", "it gives something to others, and no allow rule names it", self.name)
        return None


def list_releases(subject: Subject) -> list[Release]:
    """What the commands of a call release."""
    found = (
        find_release(candidate.words)
        for reading in subject.readings
        for candidate in reading.candidates
        if candidate.words
    )
    return [release for release in found if release is not None]


def _is_named(action: Action, grants: Sequence[Grant]) -> bool:
    """Whether a rule names a tool that declares a release itself: by its own name."""
    return any(grant.rule.tool == action.tool.lower() for grant in grants)


def _find_unread(reading: Reading) -> str:
    if reading.command.fault:
        return f"the command cannot be parsed: {reading.command.fault}"
    return "the command holds characters that hide text from whoever reads it" if reading.command.odd else ""


def _is_git(reading: Reading) -> bool:
    parts = reading.command.parts
    return len(parts) == 1 and not any(
        (part.redirections or part.assignments or not part.words or program(part.words[0]) != "git") for part in parts
    )


def _describe(touch: Touch, tool: str) -> str:
    if touch.target is None:
        return "it cannot be told which file it reaches"
    return f"{touch.target} lies outside the workspace; an allow rule {tool}({touch.target}) would allow it"
