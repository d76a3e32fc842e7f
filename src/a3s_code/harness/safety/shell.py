"""What a shell command may run, once quotes, folders, wrappers and shells in shells are looked through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from a3s_code.harness.safety.command import ASSIGNMENT, Command, Part, is_keyword, split
from a3s_code.harness.safety.programs import (
    MAX_WRAPPERS,
    RUNNERS,
    SHELLS,
    TRANSPARENT,
    WRAPPERS,
    defers,
    doubt,
    is_risky_assignment,
    program,
    spell,
    unwrap,
)
from a3s_code.harness.safety.words import Word

_LOOKED_THROUGH = SHELLS | WRAPPERS | TRANSPARENT | RUNNERS
_MAX_TEXT_DEPTH = 6
_MAX_SUFFIXES = 128
# These run another program only when an option says so.
_MAY_RUN = frozenset({"find", "fd", "fdfind", "git", "tar"})
_GIT_VALUED = frozenset(
    {"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env", "--attr-source", "--super-prefix"}
)
MOVERS = frozenset({"cd", "pushd"})
_ASSIGNERS = frozenset({"export", "declare", "typeset", "readonly", "local", "env"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A command that may be run: its words, every spelling a rule may know it by, and the text before its first
    computed word (None where every word is fixed)."""

    words: tuple[Word, ...]
    spellings: tuple[str, ...]
    known_start: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """A shell text as the gate sees it.

    `parts` are all simple commands wherever they stand, `candidates` all that may be run, `doubt` says why
    they may not be all; `endless` that there were too many to list, so that any rule may match.
    """

    command: Command
    parts: tuple[Part, ...]
    candidates: tuple[Candidate, ...]
    doubt: str
    endless: bool


@lru_cache(maxsize=8)
def read_command(text: str) -> Reading:
    """The reading of `text`; never raises."""
    return _Survey(split(text)).reading()


class _Survey:
    def __init__(self, command: Command) -> None:
        self._command = command
        self._parts: list[Part] = []
        self._candidates: list[Candidate] = []
        self._doubt = ""
        self._endless = False
        self._texts: set[str] = set()
        self._commands: dict[tuple[Word, ...], bool] = {}

    def reading(self) -> Reading:
        self._add_command(self._command, 0)
        return Reading(self._command, tuple(self._parts), tuple(self._candidates), self._doubt, self._endless)

    def _add_command(self, command: Command, depth: int) -> None:
        self._doubt = self._doubt or (command.unclear and f"{command.unclear} is split by guess")
        if command.fault and depth:
            self._doubt = self._doubt or f"a text that is run cannot be parsed: {command.fault}"
        feeds = False
        for part in command.parts:
            self._parts.append(part)
            feeds |= self._add_part(part, depth)
        if feeds:
            for document in command.documents:
                self._add_text(document, depth)

    def _add_part(self, part: Part, depth: int) -> bool:
        """Note what the part may run; True where it may be a shell, which runs here-documents too."""
        if part.assignments:
            self._note_assignments(part.assignments)
        moves = any(word.text in MOVERS for word in part.words)
        feeds = None if moves else self._commands.get(part.words)
        if feeds is None:
            if part.words and program(part.words[0]) in _ASSIGNERS:
                self._note_assignments(part.words[1:])
            feeds = self._commands[part.words] = self._add_words(part.words, depth)
        return feeds

    def _note_assignments(self, words: Sequence[Word]) -> None:
        if any(is_risky_assignment(word.text) or defers(word) for word in words):
            self._doubt = self._doubt or "a variable is set that can change which program runs"

    def _add_words(self, words: Sequence[Word], depth: int) -> bool:
        for _ in range(MAX_WRAPPERS):
            if not words or not (is_keyword(words[0]) or ASSIGNMENT.match(words[0].text)):
                break
            if is_keyword(words[0]):
                words = _strip_keyword(words)
            else:
                self._note_assignments(words[:1])
                words = words[1:]
        else:
            self._endless = True
        if not words:
            return False
        self._add_candidate(words)
        inner = unwrap(words)
        if inner is not None and len(inner) < len(words):
            return self._add_words(inner, depth)
        known = program(words[0])
        if known in _LOOKED_THROUGH or (known in _MAY_RUN and doubt(words)):
            return self._look_through(words, depth)
        return False

    def _look_through(self, words: Sequence[Word], depth: int) -> bool:
        """Take every word for the start of a command, and every quoted word for a text that is run."""
        rest = words[1:]
        if len(rest) > _MAX_SUFFIXES:
            self._endless = True
            return True
        for index in range(len(rest)):
            self._add_candidate(rest[index:])
        for word in rest:
            if word.quoted or not word.fixed:
                self._add_text(word.text, depth)
        if program(words[0]) == "eval":
            self._add_text(" ".join(word.text for word in rest), depth)
        return any(program(word) in SHELLS for word in words)

    def _add_text(self, text: str, depth: int) -> None:
        if depth >= _MAX_TEXT_DEPTH:
            self._endless = True
        elif text.strip() and text not in self._texts:
            self._texts.add(text)
            self._add_command(split(text), depth + 1)

    def _add_candidate(self, words: Sequence[Word]) -> None:
        self._doubt = self._doubt or doubt(words)
        start = list[Word]()
        for word in words:
            if not word.fixed:
                break
            start.append(word)
        for spelled in _spell_git(words):
            self._candidates.append(
                Candidate(
                    tuple(spelled),
                    tuple(dict.fromkeys(_spellings(spelled))),
                    None if len(start) == len(words) else " ".join(word.text for word in start),
                )
            )


def _strip_keyword(words: Sequence[Word]) -> Sequence[Word]:
    """What may be run after the keyword that stands first."""
    keyword, rest = words[0].text, words[1:]
    if keyword in ("for", "select", "case", "in"):
        texts = [word.text for word in rest]
        return rest[texts.index("do") + 1 :] if "do" in texts else ()
    if keyword in ("function", "coproc"):
        texts = [word.text for word in rest]
        return rest[texts.index("{") + 1 :] if "{" in texts else rest[keyword == "function" :]
    if keyword == "time" and rest and rest[0].text == "-p":
        return rest[1:]
    return rest


def _spell_git(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """The words, and for git also the words without its global options."""
    yield words
    if program(words[0]) != "git":
        return
    index = 1
    while index < len(words) and words[index].text.startswith("-"):
        index += 2 if words[index].text in _GIT_VALUED else 1
    if index > 1:
        yield (words[0], *words[index:])


def _spellings(words: Sequence[Word]) -> Iterator[str]:
    plain = " ".join(word.text for word in words if word.text)
    yield plain
    yield spell(words)
    name = words[0].text.rpartition("/")[2]
    if name != words[0].text:
        yield " ".join([name, *(word.text for word in words[1:] if word.text)])
