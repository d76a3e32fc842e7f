"""What allows a call: the allow rules and the default of a policy, or the default policy where there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence

from a3s_code.errors import InvalidRule
from a3s_code.harness.safety.command import Part
from a3s_code.harness.safety.footprint import Footprint, Touch
from a3s_code.harness.safety.patterns import PathPattern, TextPattern
from a3s_code.harness.safety.programs import (
    HARMLESS_VARIABLE,
    SHELLS,
    STATEFUL,
    WRAPPERS,
    has_risky_options,
    program,
    spell,
    unwrap,
    writes,
)
from a3s_code.harness.safety.subject import Subject
from a3s_code.harness.safety.suggestion import suggest_rules
from a3s_code.harness.safety.words import Word
from a3s_code.kernel.contracts import Decision, Outcome
from a3s_code.kernel.rules import Rule, parse_rule
from a3s_code.kernel.tool import Action

_COMPUTED = "\ue000"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_./+-]+")


class Grant:
    """One allow rule, compiled."""

    def __init__(self, rule: Rule, workspace: str, home: str) -> None:
        self.rule = rule
        pattern = rule.pattern
        self.path = None if pattern is None else PathPattern(pattern, workspace, home, granting=True)
        if pattern is not None and rule.tool == "git":
            pattern = f"git {pattern}"
        self.text = None if pattern is None else TextPattern(pattern, ignore_case=False)

    @property
    def wholesale(self) -> bool:
        """Whether it allows every call of the tools it names."""
        return self.rule.pattern is None

    def names(self, tool: str) -> bool:
        return self.rule.names(tool, wide=False)

    def covers(self, touch: Touch) -> bool:
        """Whether it covers a file; a rule without a pattern covers every one."""
        if self.path is None:
            return True
        return touch.target is not None and self.path.matches(touch.target, reading=touch.access == "read")

    def covers_outside(self, touch: Touch) -> bool:
        """Whether it names the file by an absolute path."""
        return self.path is not None and self.path.absolute and self.covers(touch)


class Grants:
    """The policy behind allow rules and the default: it always has an opinion."""

    name = "rules"

    def __init__(self, grants: Sequence[Grant], default: Outcome, workspace: str, home: str) -> None:
        self._grants = tuple(grants)
        self._default = default
        self._workspace = workspace
        self._home = home

    def judge(self, action: Action) -> Decision:
        subject = Subject(action, self._workspace, self._home)
        grants = [grant for grant in self._grants if grant.names(action.tool)]
        fault = _find_fault(subject)
        rule = None if fault else self._cover(subject, grants)
        if rule is not None:
            return Decision("allow", f"the rule {rule} allows it", self.name, rule)
        doubt = fault or next((reading.doubt for reading in subject.readings if reading.doubt), "")
        if self._default == "allow" and not fault and not (doubt and grants):
            return Decision("allow", "no rule speaks of it, and the default is allow", "default")
        outcome: Outcome = "deny" if self._default == "deny" else "ask"
        why = f": {doubt}" if doubt else ""
        hint = "" if fault or subject.urls else f"; {suggest(action, self._workspace, self._home)} would allow it"
        return Decision(outcome, f"no rule allows this call{why}{hint}", "default")

    def covers(self, action: Action) -> bool:
        """Whether the allow rules allow the call."""
        subject = Subject(action, self._workspace, self._home)
        grants = [grant for grant in self._grants if grant.names(action.tool)]
        return not _find_fault(subject) and self._cover(subject, grants) is not None

    def _cover(self, subject: Subject, grants: Sequence[Grant]) -> str | None:
        """The first rule that takes part in allowing the call; None where the rules do not allow it."""
        wholesale = next((grant.rule.text for grant in grants if grant.wholesale), None)
        if wholesale is not None or not grants:
            return wholesale
        return self._cover_commands(subject, grants) if subject.readings else _cover_files(subject, grants)

    def _cover_commands(self, subject: Subject, grants: Sequence[Grant]) -> str | None:
        if subject.files or subject.urls:
            return None
        rules: list[str] = []
        for reading, footprint in zip(subject.readings, subject.footprints, strict=True):
            command = reading.command
            if not command.plain or command.odd or reading.doubt or reading.endless:
                return None
            if not self._cover_footprint(subject, footprint):
                return None
            for part in command.parts:
                rule = _cover_part(part, grants)
                if rule is None:
                    return None
                rules.append(rule)
        return rules[0] if rules else None

    def _cover_footprint(self, subject: Subject, footprint: Footprint) -> bool:
        for touch in footprint.redirected:
            if touch.target is None or not self._is_granted(subject, touch):
                return False
        for touch in footprint.named:
            if touch.target is None:
                return False
            if not subject.is_inside(touch.target) and not self._is_granted(subject, touch):
                return False
        return True

    def _is_granted(self, subject: Subject, touch: Touch) -> bool:
        outside = touch.target is None or not subject.is_inside(touch.target)
        named = (grant for grant in self._grants if grant.names(touch.access))
        return touch.sure and any(grant.covers_outside(touch) if outside else grant.covers(touch) for grant in named)


def suggest(action: Action, workspace: str, home: str) -> str:
    """The rules that would allow the call, in words: narrow ones where such are enough, else the whole tool."""
    rules = suggest_rules(action, workspace)
    try:
        narrow = [Grant(parse_rule(rule), workspace, home) for rule in rules]
    except InvalidRule:
        narrow = []
    if not narrow or not Grants(narrow, "ask", workspace, home).covers(action):
        rules = [action.tool]
    return f"the rule {rules[0]}" if len(rules) == 1 else f"the rules {', '.join(rules)} together"


def _find_fault(subject: Subject) -> str:
    """Why no rule can allow the call, whatever it says."""
    if any(reading.command.fault for reading in subject.readings):
        return "it is no valid command"
    if any(touch.target is None for touch in subject.files):
        return "it cannot be told which file it reaches"
    return ""


def _cover_files(subject: Subject, grants: Sequence[Grant]) -> str | None:
    if not subject.files or len(subject.files) != len(subject.action.effects):
        return None
    used: list[str] = []
    for touch in subject.files:
        rule = next((grant.rule.text for grant in grants if touch.target and grant.covers(touch)), None)
        if rule is None:
            return None
        used.append(rule)
    return used[0]


def _cover_part(part: Part, grants: Sequence[Grant]) -> str | None:
    if not all(word.fixed and HARMLESS_VARIABLE.match(word.text) for word in part.assignments):
        return None
    words = unwrap(part.words)
    if not words or not words[0].fixed or not _PLAIN_NAME.fullmatch(words[0].text):
        return None
    name = program(words[0])
    if name in WRAPPERS or (name in SHELLS and any(re.match(r"[-+][A-Za-z]*c", word.text) for word in words[1:])):
        return None
    computed = any(not word.fixed for word in words)
    if computed and has_risky_options(name):
        return None
    text = spell([word if word.fixed else Word(_COMPUTED) for word in words])
    general = bool(name in STATEFUL or writes(words))
    for grant in grants:
        if grant.text is not None and grant.text.matches(text) and (grant.text.exact or not general):
            return grant.rule.text
    return None


class DefaultPolicy:
    """What holds where the host gave no rules: reading inside the workspace is allowed, and so are calls without an
    effect of their own; everything else asks."""

    name = "default policy"

    def __init__(self, workspace: str, home: str) -> None:
        self._workspace = workspace
        self._home = home

    def judge(self, action: Action) -> Decision:
        if not action.effects:
            return Decision("allow", "it has no effect of its own", self.name)
        subject = Subject(action, self._workspace, self._home)
        inside = all(touch.target is not None and subject.is_inside(touch.target) for touch in subject.files)
        if inside and all(effect.kind == "read" for effect in action.effects):
            return Decision("allow", "it only reads inside the workspace", self.name)
        rules = suggest(action, self._workspace, self._home)
        reason = f"only reading inside the workspace is allowed; a permission policy with {rules} would allow it"
        return Decision("ask", reason, self.name)
