"""The rules that deny and ask. They judge effects, whichever tool has them."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from a3s_code.harness.safety.footprint import Touch
from a3s_code.harness.safety.hosts import PREFIX, HostPattern
from a3s_code.harness.safety.inventory import ENTRY_LIMIT, Inventory
from a3s_code.harness.safety.patterns import PathPattern, TextPattern
from a3s_code.harness.safety.shell import Candidate, Reading
from a3s_code.harness.safety.subject import SEARCHERS, Subject, look
from a3s_code.kernel.contracts import Decision
from a3s_code.kernel.rules import Rule
from a3s_code.kernel.tool import Action


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule holds, or (not `sure`) it cannot be ruled out that it does; `reason` in words."""

    reason: str
    sure: bool = True


class Restrictions:
    """The policy behind deny and ask rules; None where none of them holds.

    A rule of which it cannot be told whether it holds asks, be it a rule that denies or one that asks. `limit` is how
    many files are looked through for other names of a file that a rule covers.
    """

    name = "rules"

    def __init__(
        self, deny: Sequence[Rule], ask: Sequence[Rule], workspace: str, home: str, *, limit: int = ENTRY_LIMIT
    ) -> None:
        self._workspace = workspace
        self._home = home
        inventory = Inventory(limit)
        self._deny = tuple(_Restriction(rule, workspace, home, inventory) for rule in deny)
        self._ask = tuple(_Restriction(rule, workspace, home, inventory) for rule in ask)

    def judge(self, action: Action) -> Decision | None:
        if not self._deny and not self._ask:
            return None
        subject = look(action, self._workspace, self._home)
        doubtful: Decision | None = None
        for outcome, restrictions in (("deny", self._deny), ("ask", self._ask)):
            for restriction in restrictions:
                hit = restriction.find(subject)
                if hit is None:
                    continue
                text = restriction.rule.text
                if hit.sure:
                    return self._decide(outcome, f"the rule {text} {_SAYS[outcome]} it: {hit.reason}", text)
                reason = f"it cannot be ruled out that the rule {text}, which {_SAYS[outcome]}, holds: {hit.reason}"
                doubtful = doubtful or self._decide("ask", reason, text)
        return doubtful

    @property
    def cover_reading(self) -> bool:
        """Whether any of the rules speaks of reading files."""
        return any(restriction.covers_files for restriction in (*self._deny, *self._ask))

    def hides(self, path: str) -> bool:
        """Whether a rule denies or asks about reading the file at a real path, under whatever name."""
        return any(restriction.covers_reading(path) for restriction in (*self._deny, *self._ask))

    def _decide(self, outcome: str, reason: str, rule: str) -> Decision:
        return Decision("deny" if outcome == "deny" else "ask", reason, self.name, rule)


_SAYS = {"deny": "denies", "ask": "asks about"}


class _Restriction:
    """One rule, compiled."""

    def __init__(self, rule: Rule, workspace: str, home: str, inventory: Inventory) -> None:
        self.rule = rule
        self._inventory = inventory
        self._accesses = frozenset(access for access in ("read", "write") if rule.names(access, wide=True))
        self._runs = rule.names("bash", wide=True)
        self._fetches = rule.names("web_fetch", wide=True)
        pattern = rule.pattern
        git = f"git {pattern}" if pattern is not None else "git:*"
        self._git = TextPattern(git, ignore_case=True) if rule.names("git", wide=True) else None
        self._text = None if pattern is None else TextPattern(pattern, ignore_case=True)
        self._path = None if pattern is None else PathPattern(pattern, workspace, home, granting=False)
        self._host = HostPattern(pattern) if pattern is not None and pattern.startswith(PREFIX) else None

    def find(self, subject: Subject) -> Hit | None:
        action = subject.action
        named = self.rule.names(action.tool, wide=True)
        if named and self.rule.pattern is None:
            return Hit(f"it names every call of {action.tool}")
        if named and subject.unreadable:
            return Hit("its arguments cannot be read", sure=False)
        if named and self._text is not None and not (subject.files or subject.readings or subject.urls):
            return Hit("its pattern matches the arguments") if self._text.matches(_spell(action)) else None
        return _surest(
            self._find_command(subject, named), self._find_file(subject, named), self._find_url(subject, named)
        )

    @property
    def covers_files(self) -> bool:
        """Whether it speaks of reading files."""
        return "read" in self._accesses

    def covers_reading(self, path: str) -> bool:
        """Whether it speaks of reading the file at a real path."""
        if not self.covers_files:
            return False
        if self._path is None or self._path.matches(path):
            return True
        try:
            found = Path(path).stat()
        except OSError:
            return False
        shared = found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode)
        return shared and self._inventory.holds_inode(self._path, found) is not False

    def _find_command(self, subject: Subject, named: bool) -> Hit | None:
        spoken = self._runs or (named and self._git is None)
        if not subject.readings or not (spoken or self._git is not None):
            return None
        if spoken and self._text is None:
            return Hit("it names every command")
        patterns = [self._text] if spoken and self._text is not None else []
        if self._git is not None:
            patterns.append(self._git)
        return _surest(*(_match_command(pattern, reading) for pattern in patterns for reading in subject.readings))

    def _find_file(self, subject: Subject, named: bool) -> Hit | None:
        own = [touch for touch in subject.files if named or touch.access in self._accesses]
        searches = subject.tool in SEARCHERS
        hits = [self._match_touch(touch, searches=searches) for touch in own]
        if own and searches and self._path is not None:
            path = self._path
            hits += [
                Hit("it searches for files that the rule covers") for found in subject.sought if path.matches(found)
            ]
        if self._accesses and subject.readings:
            for footprint in subject.footprints:
                touches = (*footprint.redirected, *footprint.named)
                hits += [self._match_touch(touch) for touch in touches if touch.access in self._accesses]
            if self._path is not None:
                path = self._path
                hits += [Hit(f"{found} is mentioned", sure=False) for found in subject.mentions if path.matches(found)]
        return _surest(*hits)

    def _find_url(self, subject: Subject, named: bool) -> Hit | None:
        if not subject.urls or not (named or self._fetches):
            return None
        pattern = self._host or self._text
        if pattern is None or any(
            pattern.matches_for_deny(url) if isinstance(pattern, HostPattern) else pattern.matches(url)
            for url in subject.urls
        ):
            return Hit("it names this host")
        return None

    def _match_touch(self, touch: Touch, *, searches: bool = False) -> Hit | None:
        verb = "read" if touch.access == "read" else "changed"
        if self._path is None:
            return Hit(f"{touch.target or 'a file'} is {verb}")
        if touch.target is None or touch.given is None:
            return Hit(f"it cannot be told which file is {verb}", sure=False)
        if self._path.matches(touch.target) or self._path.matches(touch.given):
            return Hit(f"{touch.target} is {verb}")
        return self._match_inside(self._path, touch, touch.target, searches=searches)

    def _match_inside(self, path: PathPattern, touch: Touch, target: str, *, searches: bool) -> Hit | None:
        """Whether the pattern covers something in the folder, or the file under another of its names.

        The tools that search leave out of a folder what they may not read.
        """
        try:
            found = Path(target).stat()
        except OSError:
            return None
        if stat.S_ISDIR(found.st_mode):
            held = (touch.deep or not touch.sure) and not searches and self._inventory.holds_match(target, path)
            hit = Hit(f"{target} holds files that the rule covers", sure=False)
        else:
            held = found.st_nlink > 1 and self._inventory.holds_inode(path, found)
            hit = Hit(f"{target} is another name of a file that the rule covers")
        if held is None:
            return Hit(f"there are too many files to look through for those that the rule covers: {target}", sure=False)
        return hit if held else None


def _spell(action: Action) -> str:
    try:
        return json.dumps(dict(action.arguments), ensure_ascii=False, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):
        return repr(action.arguments)


def _match_command(pattern: TextPattern, reading: Reading) -> Hit | None:
    if reading.endless:
        return Hit("the command runs more than can be listed")
    for candidate in reading.candidates:
        if any(pattern.matches(spelling) for spelling in candidate.spellings):
            return Hit(f"the command runs {_name(candidate)}")
    if reading.command.fault or reading.doubt:
        return Hit(reading.command.fault or reading.doubt, sure=False)
    if reading.command.odd:
        return Hit("the command holds characters that hide text", sure=False)
    for candidate in reading.candidates:
        if candidate.known_start is not None and pattern.may_match_after(candidate.known_start):
            return Hit(f"what the arguments of {_name(candidate)} expand to cannot be told", sure=False)
    return None


def _name(candidate: Candidate) -> str:
    """The program alone: its arguments may hold secrets."""
    return candidate.words[0].text[:80] if candidate.words else "an assignment"


def _surest(*hits: Hit | None) -> Hit | None:
    found = [hit for hit in hits if hit is not None]
    return next((hit for hit in found if hit.sure), found[0] if found else None)
