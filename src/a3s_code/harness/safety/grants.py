"""What allows a call: the allow rules and the default of a policy, or the default policy where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from a3s_code.errors import InvalidRule
from a3s_code.harness.safety.command import Part
from a3s_code.harness.safety.footprint import Footprint, Reach, Touch
from a3s_code.harness.safety.patterns import PathPattern, TextPattern
from a3s_code.harness.safety.programs import (
    HARMLESS_VARIABLE,
    SHELLS,
    STATEFUL,
    WRAPPERS,
    follows_links,
    hides_options,
    program,
    spell,
    unwrap,
    writes,
)
from a3s_code.harness.safety.shell import Reading
from a3s_code.harness.safety.subject import Subject
from a3s_code.harness.safety.suggestion import suggest_rules
from a3s_code.harness.safety.words import Word
from a3s_code.kernel.contracts import Decision, Outcome
from a3s_code.kernel.rules import Rule, parse_rule
from a3s_code.kernel.tool import Action

_COMPUTED = "\ue000"
_MAX_SUGGESTED = 16
_VARIABLE = re.compile(r"\$\{?\w+\}?")
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


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The first `rule` that takes part in allowing a call, or the first `obstacle` in words; both "" where there is
    nothing to tell but that no rule speaks of the call."""

    rule: str = ""
    obstacle: str = ""


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
        verdict = self._check(subject, grants)
        if verdict.rule:
            return Decision("allow", f"the rule {verdict.rule} allows it", self.name, verdict.rule)
        fault = _find_fault(subject)
        doubt = fault or next((reading.doubt for reading in subject.readings if reading.doubt), "")
        if self._default == "allow" and not fault and not (doubt and grants):
            return Decision("allow", "no rule speaks of it, and the default is allow", "default")
        outcome: Outcome = "deny" if self._default == "deny" else "ask"
        why, hint = doubt or verdict.obstacle, ""
        if not fault and not subject.urls:
            rules, obstacle = suggest(action, self._workspace, self._home)
            why, hint = doubt or obstacle or why, f"; {rules} would allow it"
        return Decision(outcome, f"no rule allows this call{': ' if why else ''}{why}{hint}", "default")

    def check(self, action: Action) -> _Verdict:
        """Whether the allow rules allow the call, and what stands in the way."""
        subject = Subject(action, self._workspace, self._home)
        return self._check(subject, [grant for grant in self._grants if grant.names(action.tool)])

    def _check(self, subject: Subject, grants: Sequence[Grant]) -> _Verdict:
        fault = _find_fault(subject)
        if fault:
            return _Verdict(obstacle=fault)
        wholesale = next((grant.rule.text for grant in grants if grant.wholesale), "")
        if wholesale or not grants:
            return _Verdict(wholesale)
        return self._check_commands(subject, grants) if subject.readings else _check_files(subject, grants)

    def _check_commands(self, subject: Subject, grants: Sequence[Grant]) -> _Verdict:
        if subject.files or subject.urls:
            return _Verdict()
        first = _Verdict()
        for reading, footprint in zip(subject.readings, subject.footprints, strict=True):
            obstacle = _find_unread(reading) or next(self._find_ungranted(subject, footprint), "")
            if obstacle:
                return _Verdict(obstacle=_name_culprit(reading, obstacle))
            reach = Reach(reading, self._workspace, self._home)
            for part in reading.command.parts:
                verdict = _check_part(part, grants, subject, reach)
                if not verdict.rule:
                    return verdict
                first = first if first.rule else verdict
        return first

    def _find_ungranted(self, subject: Subject, footprint: Footprint) -> Iterator[str]:
        """The files that a command touches and no rule covers, in words."""
        for index, touch in enumerate((*footprint.redirected, *footprint.named)):
            verb = "reads" if touch.access == "read" else "writes"
            if touch.target is None:
                yield f"it cannot be told which file it {verb}"
                continue
            inside = subject.is_inside(touch.target)
            if (inside and index >= len(footprint.redirected)) or self._is_granted(subject, touch):
                continue
            shown = _shorten(touch.target, self._workspace)
            yield (
                f"it {verb} {shown}: the rule {touch.access}({shown}) is missing"
                if inside
                else f"it {verb} {shown}, outside the workspace"
            )

    def _is_granted(self, subject: Subject, touch: Touch) -> bool:
        outside = touch.target is None or not subject.is_inside(touch.target)
        named = (grant for grant in self._grants if grant.names(touch.access))
        return touch.sure and any(grant.covers_outside(touch) if outside else grant.covers(touch) for grant in named)


def suggest(action: Action, workspace: str, home: str) -> tuple[str, str]:
    """The rules that would allow the call, in words, and why none but the whole tool would: narrow rules where such
    are enough, and then "" as the reason."""
    subject = Subject(action, workspace, home)
    rules = suggest_rules(action, workspace)
    for footprint in subject.footprints:
        outside = [touch for touch in footprint.named if touch.target and not subject.is_inside(touch.target)]
        for touch in (*footprint.redirected, *outside):
            if touch.target is not None and touch.sure:
                rules.append(f"{touch.access}({_shorten(touch.target, workspace)})")
    rules = list(dict.fromkeys(rules))
    verdict = _Verdict()
    if len(rules) > _MAX_SUGGESTED:
        return f"the rule {action.tool}", f"it takes more than {_MAX_SUGGESTED} rules"
    try:
        verdict = Grants([Grant(parse_rule(rule), workspace, home) for rule in rules], "ask", workspace, home).check(
            action
        )
    except InvalidRule:
        rules = []
    if not rules or not verdict.rule:
        rules = [action.tool]
    names = f"the rule {rules[0]}" if len(rules) == 1 else f"the rules {', '.join(rules)} together"
    return names, "" if verdict.rule else verdict.obstacle


def _shorten(path: str, workspace: str) -> str:
    return path.removeprefix(f"{workspace.rstrip('/')}/")


def _find_unread(reading: Reading) -> str:
    """Why the parts of a command are not all that matters, so that no rules for parts can allow it."""
    command = reading.command
    if reading.doubt:
        return reading.doubt
    if reading.endless:
        return "it runs more than can be listed"
    if command.odd:
        return "it holds characters that hide text"
    if command.loops:
        return "a loop is not read part by part"
    return "" if command.plain else "a substitution, a group or a condition is not read part by part"


def _name_culprit(reading: Reading, obstacle: str) -> str:
    """The obstacle, or what is to blame for it where a file cannot be told."""
    if not obstacle.startswith("it cannot be told which file"):
        return obstacle
    for part in reading.command.parts:
        words = unwrap(part.words) or part.words
        if words and program(words[0]) in WRAPPERS:
            return f"{program(words[0])} runs other programs"
        if words and follows_links(words):
            return f"{program(words[0])} goes wherever links lead"
        found = next((match for word in words if not word.static and (match := _VARIABLE.search(word.text))), None)
        if found is not None:
            return f"{found[0]} is computed"
    return obstacle


def _find_fault(subject: Subject) -> str:
    """Why no rule can allow the call, whatever it says."""
    if any(reading.command.fault for reading in subject.readings):
        return "it is no valid command"
    if any(touch.target is None for touch in subject.files):
        return "it cannot be told which file it reaches"
    return ""


def _check_files(subject: Subject, grants: Sequence[Grant]) -> _Verdict:
    if not subject.files or len(subject.files) != len(subject.action.effects):
        return _Verdict()
    used: list[str] = []
    for touch in subject.files:
        rule = next((grant.rule.text for grant in grants if touch.target and grant.covers(touch)), None)
        if rule is None:
            return _Verdict()
        used.append(rule)
    return _Verdict(used[0])


def _check_part(part: Part, grants: Sequence[Grant], subject: Subject, reach: Reach) -> _Verdict:
    words = unwrap(part.words)
    obstacle = _find_unnamed(part, words)
    if obstacle or not words:
        return _Verdict(obstacle=obstacle)
    name = program(words[0])
    text = spell([word if word.fixed else Word(_COMPUTED) for word in words])
    matching = [grant for grant in grants if grant.text is not None and grant.text.matches(text)]
    exact = next((grant for grant in matching if grant.text is not None and grant.text.exact), None)
    if exact is not None or not matching:
        return _Verdict(exact.rule.text) if exact else _Verdict(obstacle=f"`{name}` has no rule")
    if name in STATEFUL:
        return _Verdict(obstacle=f"{name} changes what later commands mean")
    if written := writes(words):
        return _Verdict(obstacle=written)
    outside = [found for found in reach.find(words) if found[1] is None or not subject.is_inside(found[1])]
    for grant in matching:
        named = grant.text.literal.split() if grant.text else ()
        outside = [(word, path) for word, path in outside if word.text not in named]
        if not outside:
            return _Verdict(grant.rule.text)
    return _Verdict(obstacle=f"{name} is given {outside[0][1] or 'a place that is computed'}, outside the workspace")


def _find_unnamed(part: Part, words: Sequence[Word] | None) -> str:
    """Why no rule for the program it starts with covers this part."""
    assigned = next(
        (word for word in part.assignments if not (word.fixed and HARMLESS_VARIABLE.match(word.text))), None
    )
    if assigned is not None:
        return f"it sets {assigned.text.partition('=')[0]}"
    if not words:
        return f"it cannot be told what {program(part.words[0])} runs" if part.words else "it runs no program"
    if not words[0].fixed or not _PLAIN_NAME.fullmatch(words[0].text):
        return "the name of the program is computed or unusual"
    name = program(words[0])
    if name in WRAPPERS:
        return f"{name} runs other programs"
    if name in SHELLS and any(re.match(r"[-+][A-Za-z]*c", word.text) for word in words[1:]):
        return "a program is given as text"
    if hides_options(words) and any(not word.fixed for word in words):
        found = next((match for word in words if not word.static and (match := _VARIABLE.search(word.text))), None)
        return f"{found[0] if found else 'a word'} is computed, and some options of {name} run programs or write files"
    return ""


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
        rules, obstacle = suggest(action, self._workspace, self._home)
        why = f": {obstacle}" if obstacle else ""
        reason = f"only reading inside the workspace is allowed{why}; a permission policy with {rules} would allow it"
        return Decision("ask", reason, self.name)
