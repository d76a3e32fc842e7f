"""What is left of a shell text without its words, and the parts that belong to each letter of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from a3s_code.harness.safety.grammar import find_places
from a3s_code.harness.safety.parts import Part, Redirection
from a3s_code.harness.safety.words import Fault, Notes, Word

CLOSERS = {
    "if": "fi",
    "while": "done",
    "until": "done",
    "for": "done",
    "select": "done",
    "case": "esac",
    "{": "}",
    "(": ")",
}
PIPES = ("|", "|&")
_MAX_GROUPS = 256
_CHAINS = frozenset({"&&", "||", "|", "|&", ";", "&"})

# Where in a command the reader is: a command may start, its words are read, a group has just ended.
Mode = Literal["start", "words", "after"]


@dataclass(slots=True)
class Draft:
    """A part that is being read; what stands inside of its words was found from `first` on."""

    first: int
    words: list[Word] = field(default_factory=list[Word])
    assignments: list[Word] = field(default_factory=list[Word])
    redirections: list[Redirection] = field(default_factory=list[Redirection])
    documents: list[Word] = field(default_factory=list[Word])
    then: str = ""
    timed: int = 0
    fed: bool = False
    looped: bool = False
    depth: int = 0

    @property
    def empty(self) -> bool:
        return not (self.words or self.assignments or self.redirections)

    @property
    def named(self) -> bool:
        """Whether the program is known, so that all that follows are its arguments."""
        return len(self.words) > self.timed

    def part(self) -> Part:
        return Part(
            tuple(self.words),
            tuple(self.assignments),
            tuple(self.redirections),
            self.then,
            tuple(self.documents),
            self.fed,
            self.looped,
            self.depth,
        )


@dataclass(slots=True)
class Awaited:
    """A here-document whose text is still to come, and who may read it."""

    delimiter: str
    tabs: bool
    quoted: bool
    readers: Sequence[Draft]


@dataclass(slots=True)
class _Group:
    """An open group: the parts, the tokens and the letters that were there before it."""

    opener: str
    first: int
    tokens: int
    letters: int


@dataclass(slots=True)
class CommandList:
    """A list of commands that is being read: the text, or the inside of a substitution.

    `joined` is what makes a command necessary here: the operator before, say. `ended` is where the parts begin of
    the group that has just ended.
    """

    parts: list[Draft]
    notes: Notes
    draft: Draft
    mode: Mode = "start"
    awaited: list[Awaited] = field(default_factory=list[Awaited])
    joined: str = ""
    ended: int = 0
    _tokens: list[str] = field(default_factory=list[str])
    _slots: list[list[int]] = field(default_factory=list[list[int]])
    _groups: list[_Group] = field(default_factory=list[_Group])

    @property
    def group(self) -> str:
        """What opened the innermost group."""
        return self._groups[-1].opener if self._groups else ""

    @property
    def in_subshell(self) -> bool:
        return any(group.opener == "(" for group in self._groups)

    @property
    def counts(self) -> bool:
        """Whether the head of a `for ((;;))` has just ended."""
        return self._tokens[-1:] == ["for ((;;))"]

    def start(self) -> None:
        """Note that a command or a group starts here; raises Fault where none may."""
        if self.mode == "after":
            raise Fault("a command follows a group")
        self.joined = ""

    def renew(self) -> None:
        """Forget the simple command that was being read."""
        self.draft = Draft(len(self.parts))

    def end_inner(self) -> None:
        """Raise Fault where a command is still due."""
        if self.joined:
            raise Fault(f"nothing follows {self.joined}")

    def add(self, token: str) -> None:
        self._tokens.append(token)

    def add_word(self, first: int) -> None:
        """Add a word that is no command, with the parts inside of it."""
        self._tokens.append("v")
        self._slots.append([first, len(self.parts)])

    def add_command(self, first: int) -> None:
        """Add a command whose parts begin with the number `first`."""
        tokens, end = self._tokens, len(self.parts)
        before = tokens[-1] if tokens else ""
        if before in _CHAINS and tokens[-2:-1] == ["x"] and (before in PIPES or tokens[-3:-2] not in (["|"], ["|&"])):
            # A chain of commands stands where one of them does.
            if tokens.pop() in PIPES:
                for draft in self.parts[first:end]:
                    draft.fed = True
            self._slots[-1][1] = end
            return
        tokens.append("x")
        self._slots.append([first, end])

    def separate(self, operator: str) -> None:
        """Add the operator after a command."""
        if operator == ";" and not self._groups:
            self._judge(0, 0)
        else:
            self._tokens.append(operator)
        self.mode = "start"

    def open(self, opener: str) -> None:
        if len(self._groups) >= _MAX_GROUPS:
            raise Fault("it is nested too deep")
        tokens, letters = len(self._tokens), len(self._slots)
        if self._tokens[-2:] == ["function", "v"]:
            tokens, letters = tokens - 2, letters - 1
        self._groups.append(_Group(opener, len(self.parts), tokens, letters))
        self.mode = "start"

    def reopen(self, opener: str) -> None:
        """Have the innermost group end as if `opener` had opened it."""
        self._groups[-1].opener = opener
        self.mode = "start"

    def close(self, closer: str) -> None:
        """End the innermost group: what it holds is judged, and one letter stands for it from now on."""
        if CLOSERS.get(self.group) != closer:
            raise Fault(f"{closer} does not match what it closes")
        self.end_inner()
        group = self._groups.pop()
        self._tokens.append(closer)
        self._judge(group.tokens, group.letters)
        self.add_command(group.first)
        self.ended, self.mode = group.first, "after"

    def finish(self) -> None:
        """Judge what is left; raises Fault where something is still due."""
        if self.awaited:
            raise Fault("a here-document has no end")
        self.end_inner()
        if self._groups:
            raise Fault(f"{CLOSERS[self.group]} is missing")
        self._judge(0, 0)

    def _judge(self, tokens: int, letters: int) -> None:
        """Have the grammar judge all from a token on, and take from it where each part stands."""
        judged, slots = self._tokens[tokens:], self._slots[letters:]
        del self._tokens[tokens:], self._slots[letters:]
        if not judged:
            return
        places = find_places(" ".join(judged))
        if places is None:
            self.notes.fault = self.notes.fault or "bash would not take it"
            return
        for (first, end), place in zip(slots, places, strict=True):
            if place.looped or place.fed or place.depth:
                for draft in self.parts[first:end]:
                    draft.looped |= place.looped
                    draft.fed |= place.fed
                    draft.depth += place.depth
