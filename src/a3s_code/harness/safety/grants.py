"""What allows a call: the allow rules and the default of a policy, or the default policy where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from a3s_code.errors import InvalidRule
from a3s_code.harness.safety.footprint import Footprint, Touch, Trail
from a3s_code.harness.safety.hosts import PREFIX, HostPattern
from a3s_code.harness.safety.options import follows_links, hides_options, writes
from a3s_code.harness.safety.patterns import PathPattern, TextPattern
from a3s_code.harness.safety.programs import HARMLESS_VARIABLE, STATEFUL, program, spell
from a3s_code.harness.safety.shell import Candidate, Reading
from a3s_code.harness.safety.subject import Subject, look
from a3s_code.harness.safety.suggestion import suggest_rules
from a3s_code.harness.safety.words import Word
from a3s_code.kernel.contracts import Decision, Effect, Outcome
from a3s_code.kernel.rules import Rule, parse_rule
from a3s_code.kernel.tool import READS, Action

_COMPUTED = "\ue000"
_MAX_SUGGESTED = 16
_MAX_RULE = 400
_VARIABLE = re.compile(r"\$\{?\w+\}?")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_./+-]+")


class Grant:
    """One allow rule, compiled."""

    def __init__(self, rule: Rule, workspace: str, home: str) -> None:
        self.rule = rule
        self._workspace = workspace
        self._home = home
        pattern = rule.pattern
        self.host = HostPattern(pattern) if pattern is not None and pattern.startswith(PREFIX) else None
        if pattern is not None and rule.tool == "git":
            pattern = f"git {pattern}"
        self.text = None if pattern is None else TextPattern(pattern, ignore_case=False)

    @cached_property
    def path(self) -> PathPattern | None:
        """Its pattern as one over paths."""
        pattern = self.rule.pattern
        return None if pattern is None else PathPattern(pattern, self._workspace, self._home, granting=True)

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

    def covers_url(self, url: str) -> bool:
        return self.host is not None and self.host.matches_for_allow(url)

    def names_host(self, url: str) -> bool:
        """Whether it names the very host of a URL."""
        return self.host is not None and self.names("web_fetch") and self.host.names(url)

    def reaches(self, text: str) -> bool:
        """Whether the fixed text that its pattern begins with holds the whole of `text`, the beginning of a command."""
        if self.text is None:
            return False
        fixed = self.text.literal
        return fixed == text or (fixed.startswith(text) and fixed[len(text)] == " ")


def compile_grants(texts: Iterable[object], workspace: str, home: str) -> list[Grant]:
    """The grants behind the allow rules of a skill; what is no rule grants nothing."""
    found: list[Grant] = []
    for text in texts:
        try:
            found.append(Grant(parse_rule(text), workspace, home))
        except InvalidRule:
            continue
    return found


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
        subject = look(action, self._workspace, self._home)
        grants = self._list_grants(action)
        verdict = self._check(subject, grants)
        if verdict.rule:
            return Decision("allow", f"the rule {verdict.rule} allows it", self.name, verdict.rule)
        fault = _find_fault(subject)
        doubt = fault or next((reading.doubt for reading in subject.readings if reading.doubt), "")
        if self._default == "allow" and not fault and not (doubt and any(grant.names(action.tool) for grant in grants)):
            return Decision("allow", "no rule speaks of it, and the default is allow", "default")
        outcome: Outcome = "deny" if self._default == "deny" else "ask"
        why, hint = doubt or verdict.obstacle, ""
        if not fault and not subject.urls:
            rules, obstacle = suggest(action, self._workspace, self._home)
            why, hint = doubt or obstacle or why, f"; {rules} would allow it"
        return Decision(outcome, f"no rule allows this call{': ' if why else ''}{why}{hint}", "default")

    def check(self, action: Action) -> _Verdict:
        """Whether the allow rules allow the call, and what stands in the way."""
        return self._check(look(action, self._workspace, self._home), self._list_grants(action))

    def _list_grants(self, action: Action) -> Sequence[Grant]:
        """The rules, and those of the active skill, which turn a default that asks into allow."""
        if not action.grants or self._default != "ask":
            return self._grants
        return [*self._grants, *compile_grants(action.grants, self._workspace, self._home)]

    def _check(self, subject: Subject, every: Sequence[Grant]) -> _Verdict:
        grants = [grant for grant in every if grant.names(subject.action.tool)]
        fault = _find_fault(subject)
        if fault:
            return _Verdict(obstacle=fault)
        wholesale = next((grant.rule.text for grant in grants if grant.wholesale), "")
        if wholesale or not grants:
            return _Verdict(wholesale)
        if subject.urls:
            return _check_urls(subject, grants)
        return self._check_commands(subject, grants, every) if subject.readings else _check_files(subject, grants)

    def _check_commands(self, subject: Subject, grants: Sequence[Grant], every: Sequence[Grant]) -> _Verdict:
        if not all(
            touch.target and (subject.is_inside(touch.target) or _is_granted(subject, touch, every))
            for touch in subject.files
        ):
            return _Verdict(obstacle="it reaches outside the workspace")
        first = ""
        for reading, trail, footprint in zip(subject.readings, subject.trails, subject.footprints, strict=True):
            obstacle = _find_unread(reading) or next(self._find_ungranted(subject, footprint, every), "")
            if obstacle:
                return _Verdict(obstacle=_name_culprit(reading, obstacle))
            check = _CommandCheck(grants, subject, trail)
            for candidate in reading.candidates:
                if candidate.listed and (obstacle := check.find_obstacle(candidate)):
                    return _Verdict(obstacle=obstacle)
            first = first or check.rule
        return _Verdict(first)

    def _find_ungranted(self, subject: Subject, footprint: Footprint, every: Sequence[Grant]) -> Iterator[str]:
        """The files that a command touches and no rule covers, in words."""
        for index, touch in enumerate((*footprint.redirected, *footprint.named)):
            verb = "reads" if touch.access == "read" else "writes"
            if touch.handed:
                continue
            if touch.target is None:
                yield f"it cannot be told which file it {verb}"
                continue
            inside = subject.is_inside(touch.target)
            if (inside and index >= len(footprint.redirected)) or _is_granted(subject, touch, every):
                continue
            shown = _shorten(touch.target, self._workspace)
            yield (
                f"it {verb} {shown}: the rule {touch.access}({shown}) is missing"
                if inside
                else f"it {verb} {shown}, outside the workspace"
            )


def _is_granted(subject: Subject, touch: Touch, grants: Sequence[Grant]) -> bool:
    outside = touch.target is None or not subject.is_inside(touch.target)
    named = (grant for grant in grants if grant.names(touch.access))
    return touch.sure and any(grant.covers_outside(touch) if outside else grant.covers(touch) for grant in named)


def suggest(action: Action, workspace: str, home: str) -> tuple[str, str]:
    """The rules that would allow the call, in words, and why none but the whole tool would: narrow rules where such
    are enough, and then "" as the reason."""
    subject = look(action, workspace, home)
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
    if any(len(rule) > _MAX_RULE for rule in rules):
        return f"the rule {action.tool}", "it takes a very long rule"
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
    if reading.doubt:
        return reading.doubt
    if reading.endless:
        return "it runs more than can be listed"
    return "it holds characters that hide text" if reading.command.odd else ""


def _name_culprit(reading: Reading, obstacle: str) -> str:
    """The obstacle, or what is to blame for it where a file cannot be told."""
    if not obstacle.startswith("it cannot be told which file"):
        return obstacle
    for candidate in reading.candidates:
        words = candidate.words
        if words and candidate.wrapped is not None and not candidate.wrapped.understood:
            return f"{program(words[0])} runs other programs"
        if words and follows_links(words):
            return f"{program(words[0])} goes wherever links lead"
        found = next((match for word in words if not word.static and (match := _VARIABLE.search(word.text))), None)
        if found is not None:
            return f"{found[0]} is computed"
    return obstacle


def _find_fault(subject: Subject) -> str:
    """Why no rule can allow the call, whatever it says."""
    if subject.unreadable:
        return "its arguments cannot be read"
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


def _check_urls(subject: Subject, grants: Sequence[Grant]) -> _Verdict:
    if len(subject.urls) != len(subject.action.effects):
        return _Verdict()
    used: list[str] = []
    for url in subject.urls:
        rule = next((grant.rule.text for grant in grants if grant.covers_url(url)), None)
        if rule is None:
            return _Verdict(obstacle="no rule names its host")
        used.append(rule)
    return _Verdict(used[0])


class _CommandCheck:
    """Holds the simple commands of one shell text against allow rules; `rule` is the first that was of use."""

    def __init__(self, grants: Sequence[Grant], subject: Subject, trail: Trail) -> None:
        self._grants = grants
        self._subject = subject
        self._trail = trail
        # The commands that a rule names together with the transparent wrapper before them.
        self._named: dict[tuple[Word, ...], list[Grant]] = {}
        self.rule = ""

    def find_obstacle(self, candidate: Candidate) -> str:
        """Why no rule covers this command; "" where one does."""
        if obstacle := _find_unnamed(candidate):
            return obstacle
        words, wrapped = candidate.words, candidate.wrapped
        text = spell([word if word.fixed else Word(_COMPUTED) for word in words])
        matching = [grant for grant in self._grants if grant.text is not None and grant.text.matches(text)]
        if wrapped is not None and wrapped.transparent and wrapped.commands:
            inner = wrapped.commands[0]
            reach = spell(words[: len(words) - len(inner) + 1])
            self._named[tuple(inner)] = [grant for grant in matching if grant.reaches(reach)]
            return ""
        matching += self._named.get(words, [])
        name = program(words[0])
        exact = next((grant for grant in matching if grant.text is not None and grant.text.exact), None)
        if exact is not None:
            self.rule = self.rule or exact.rule.text
            return ""
        if not matching:
            return f"`{name}` has no rule"
        if name in STATEFUL:
            return f"{name} changes what later commands mean"
        return self._find_unmatched(candidate, matching)

    def _find_unmatched(self, candidate: Candidate, matching: Sequence[Grant]) -> str:
        words = candidate.words
        reached = list(self._trail.find_reach(words, candidate.place))
        outside = [found for found in reached if found[1] is None or not self._subject.is_inside(found[1])]
        obstacle = ""
        for grant in matching:
            named = grant.text.named_words() if grant.text else frozenset[str]()
            left = [word for word in words[1:] if word.text not in named]
            obstacle = writes([words[0], *left])
            beyond = [path for word, path in outside if word.text not in named]
            if not obstacle and not beyond:
                self.rule = self.rule or grant.rule.text
                return ""
            if beyond:
                obstacle = (
                    f"{program(words[0])} is given {beyond[0] or 'a place that is computed'}, outside the workspace"
                )
        return obstacle


def _find_unnamed(candidate: Candidate) -> str:
    """Why no rule for the program it starts with covers this command."""
    words = candidate.words
    assigned = next(
        (word for word in candidate.assigned if not (word.fixed and HARMLESS_VARIABLE.match(word.text))), None
    )
    if assigned is not None:
        return f"it sets {assigned.text.partition('=')[0]}"
    if not words:
        return "it runs no program"
    if not words[0].fixed or not _PLAIN_NAME.fullmatch(words[0].text):
        return "the name of the program is computed or unusual"
    if candidate.wrapped is not None and not candidate.wrapped.understood:
        return f"{program(words[0])} runs other programs"
    if hides_options(words) and any(not word.fixed for word in words):
        found = next((match for word in words if not word.static and (match := _VARIABLE.search(word.text))), None)
        shown = found[0] if found else "a word"
        return f"{shown} is computed, and some options of {program(words[0])} run programs or write files"
    return ""


class DefaultPolicy:
    """What holds where the host gave no rules: reading inside the workspace is allowed, and so are calls without an
    effect of their own; everything else asks, unless a rule of the active skill allows it."""

    name = "default policy"

    def __init__(self, workspace: str, home: str) -> None:
        self._workspace = workspace
        self._home = home
        self._skill = Grants((), "ask", workspace, home)

    def judge(self, action: Action) -> Decision:
        if not action.effects:
            return Decision("allow", "it has no effect of its own", self.name)
        subject = look(action, self._workspace, self._home)
        inside = all(touch.target is not None and subject.is_inside(touch.target) for touch in subject.files)
        reads = all(effect.kind == "read" or _is_known_to_read(effect) for effect in action.effects)
        if inside and reads:
            return Decision("allow", "it only reads inside the workspace", self.name)
        if action.grants and (rule := self._skill.check(action).rule):
            return Decision("allow", f"the skill's rule {rule} allows it", self.name, rule)
        rules, obstacle = suggest(action, self._workspace, self._home)
        why = f": {obstacle}" if obstacle else ""
        reason = f"only reading inside the workspace is allowed{why}; a permission policy with {rules} would allow it"
        return Decision("ask", reason, self.name)


def _is_known_to_read(effect: Effect) -> bool:
    """Whether the tool runs a command that it knows to change nothing, as git does for its reading verbs."""
    return effect.kind == "exec" and effect.given == READS
