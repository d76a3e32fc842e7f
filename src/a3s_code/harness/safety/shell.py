"""What a shell command may run, once quotes, folders, wrappers and shells in shells are looked through."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from a3s_code.harness.safety.command import ASSIGNMENT, Command, Part, split
from a3s_code.harness.safety.interpreters import READS_INPUT
from a3s_code.harness.safety.options import doubt, list_named, names_program
from a3s_code.harness.safety.programs import (
    RISKY_VARIABLE,
    SHELLS,
    defers,
    program,
    reads_commands,
    runs_project,
    spell,
)
from a3s_code.harness.safety.words import Word
from a3s_code.harness.safety.wrappers import Wrapped, find_script, unwrap

MOVERS = frozenset({"cd", "pushd", "popd"})
_MAX_TEXT_DEPTH = 6
_MAX_SUFFIXES = 128
_MAX_NESTED = 32
_MAX_MOVES = 64
# Words in all commands found, the words inside of wrappers counted once more for each of these.
_MAX_WORDS = 120_000
_GIT_VALUED = frozenset(
    {"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env", "--attr-source", "--super-prefix"}
)
_EXPANDED = re.compile(r"[$`*?\[{~]")
_ASSIGNERS = frozenset({"export", "declare", "typeset", "readonly", "local"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A command that may be run: its words, every spelling a rule may know it by, and the text before the first thing
    in it that is computed (None where every word is fixed).

    `listed`: it is run, as the words stand; else the same in other words, or a guess. `wrapped` is what it runs in
    turn.
    `place` is the number of the part it belongs to, -1 where the folder it runs in cannot be told.
    """

    words: tuple[Word, ...]
    spellings: tuple[str, ...]
    known_start: str | None
    listed: bool = False
    wrapped: Wrapped | None = None
    assigned: tuple[Word, ...] = ()
    place: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """A shell text as the gate sees it.

    `parts` are all simple commands wherever they stand, `places` their numbers as candidates have them, `candidates`
    all that may be run, `doubt` says why they may not be all; `endless` that there were too many to list, so that any
    rule may match.
    """

    command: Command
    parts: tuple[Part, ...]
    places: tuple[int, ...]
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
        self._places: list[int] = []
        self._candidates: list[Candidate] = []
        self._doubt = ""
        self._endless = False
        self._texts: set[tuple[str, int]] = set()
        self._seen: set[tuple[tuple[Word, ...], tuple[Word, ...], int, bool, bool]] = set()
        self._place = 0
        # Whether the part that is read runs a shell, and whether all of that shell's input stands in the text.
        self._shells = False
        self._told = False
        moves = sum(word.text in MOVERS for part in command.parts for word in part.words)
        self._numbered = 0 < moves <= _MAX_MOVES
        if moves > _MAX_MOVES:
            self._place = len(command.parts)
        self._room = _MAX_WORDS

    def reading(self) -> Reading:
        self._add_command(self._command, 0)
        parts, places = tuple(self._parts), tuple(self._places)
        return Reading(self._command, parts, places, tuple(self._candidates), self._doubt, self._endless)

    def _add_command(self, command: Command, depth: int) -> None:
        if command.unclear:
            self._suspect(f"{command.unclear} is split by guess")
        if command.fault and depth:
            self._suspect(f"a text that is run cannot be parsed: {command.fault}")
        state = self._shells, self._told
        for number, part in enumerate(command.parts):
            if depth == 0 and self._numbered:
                self._place = number
            self._parts.append(part)
            self._places.append(self._place)
            self._note_assignments(part.assignments, depth)
            self._shells = False
            self._told = bool(part.documents) and not part.fed and all(word.static for word in part.documents)
            if part.words or part.assignments:
                self._add_words(part.words, part.assignments, depth, listed=True)
            if self._shells:
                for document in (word.text for word in part.documents) if self._told else command.documents:
                    self._add_text(document, depth)
        self._shells, self._told = state

    def _suspect(self, reason: str) -> None:
        self._doubt = self._doubt or reason

    def _note_assignments(self, words: Sequence[Word], depth: int) -> None:
        for word in words:
            if defers(word):
                self._suspect("an index is computed by text")
            if RISKY_VARIABLE.match(word.text):
                self._suspect("a variable is set that can change which program runs")
                if word.quoted or not word.static:
                    self._add_text(word.text.partition("=")[2], depth)

    def _add_words(
        self, words: Sequence[Word], assigned: Sequence[Word], depth: int, *, listed: bool, nested: int = 0
    ) -> None:
        while words and ASSIGNMENT.match(words[0].text) and words[0].static:
            self._note_assignments(words[:1], depth)
            assigned, words = (*assigned, words[0]), words[1:]
        key = (tuple(words), tuple(assigned), self._place, listed, self._told)
        self._shells |= bool(words) and reads_commands(words)
        if key in self._seen:
            return
        self._seen.add(key)
        if not words:
            if assigned:
                self._candidates.append(Candidate((), (), None, listed, None, tuple(assigned), self._place))
            return
        self._room -= len(words)
        if nested > _MAX_NESTED or self._room < 0:
            self._endless = True
            return
        self._add_program(words, assigned, depth, listed=listed, nested=nested)

    def _add_program(
        self, words: Sequence[Word], assigned: Sequence[Word], depth: int, *, listed: bool, nested: int
    ) -> None:
        name = program(words[0])
        if name in _ASSIGNERS:
            self._note_assignments(words[1:], depth)
        wrapped = unwrap(words)
        self._add_candidate(words, assigned, wrapped, listed=listed)
        if wrapped is not None:
            self._add_wrapped(words, wrapped, depth, listed=listed, nested=nested)
        elif name in SHELLS and (script := find_script(words)):
            # A shell looks for its script on the PATH too.
            self._add_candidate(script, (), None, listed=False)
        elif runs_project(words):
            self._look_through(words, depth)
        elif words[0].fixed and name != "alias" and names_program(words):
            self._look_through(words, depth)
            for text in list_named(words):
                self._add_text(text.text, depth)

    def _add_wrapped(self, words: Sequence[Word], wrapped: Wrapped, depth: int, *, listed: bool, nested: int) -> None:
        self._note_assignments(wrapped.assigned, depth)
        if not wrapped.understood:
            self._look_through(words, depth)
        place = self._place
        if wrapped.moved:
            self._place = -1
        for inner in wrapped.commands:
            self._add_words(inner, wrapped.assigned, depth, listed=listed, nested=nested + 1)
        for text in wrapped.texts:
            if not text.fixed:
                self._suspect("computed text is run")
            self._add_text(text.text, depth)
        self._place = place

    def _look_through(self, words: Sequence[Word], depth: int) -> None:
        """Take every word for the start of a command, and every quoted word for a text that is run."""
        rest = words[1:]
        if len(rest) > _MAX_SUFFIXES:
            self._endless = True
            return
        for index in range(len(rest)):
            self._shells |= reads_commands(rest[index:])
            self._add_candidate(rest[index:], (), None, listed=False)
        for word in rest:
            if word.quoted or not word.fixed:
                self._add_text(word.text, depth)
            if "=" in word.text:
                self._add_text(word.text.partition("=")[2], depth)

    def _add_text(self, text: str, depth: int) -> None:
        if depth >= _MAX_TEXT_DEPTH:
            self._endless = True
        elif text.strip() and (text, self._place) not in self._texts:
            self._texts.add((text, self._place))
            self._add_command(split(text), depth + 1)

    def _add_candidate(
        self, words: Sequence[Word], assigned: Sequence[Word], wrapped: Wrapped | None, *, listed: bool
    ) -> None:
        if (reason := doubt(words)) and not (self._told and reason == READS_INPUT):
            self._suspect(reason)
        start = _find_start(words)
        for number, spelled in enumerate(_spell_git(words)):
            own = wrapped if number == 0 else None
            spellings = tuple(dict.fromkeys(_spellings(spelled)))
            known = listed and number == 0
            self._candidates.append(
                Candidate(tuple(spelled), spellings, start, known, own, tuple(assigned), self._place)
            )


def _find_start(words: Sequence[Word]) -> str | None:
    """The text before the first expansion or wildcard; None where there is none."""
    fixed: list[str] = []
    for word in words:
        if not word.fixed:
            return " ".join([*fixed, _EXPANDED.split(word.text, maxsplit=1)[0]])
        fixed.append(word.text)
    return None


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
    if not any(char in words[0].text for char in " \t\n"):
        yield plain
    yield spell(words)
    name = words[0].text.rpartition("/")[2]
    if name != words[0].text:
        yield " ".join([name, *(word.text for word in words[1:] if word.text)])
