"""Shell text, split into the simple commands that it may run.

The split is conservative: wherever bash could start a command, one starts here too. So a part may be listed that bash
would not run, but none that bash would run is missing unless `fault` or `unclear` says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from a3s_code.harness.safety.words import MAX_DEPTH, Fault, Word, WordReader

_COMMENT = re.compile(r"[^\n]*")
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^\]\n]{0,200}\])?\+?=")
_REDIRECTION = re.compile(r"(&>>|&>)|[0-9]*(>>|>\||>&|<<<|<<-|<<|<>|<&|>|<)")
_OPERATORS = (";;&", ";;", ";&", "&&", "||", "|&", ";", "&", "|")
_UNREADABLE = re.compile("[\x00\ud800-\udfff]")
_ODD = re.compile(
    "[\x01-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)

_OPENERS = {"if": "fi", "for": "done", "while": "done", "until": "done", "select": "done", "case": "esac", "{": "}"}
_CLOSERS = frozenset(_OPENERS.values())
_PREFIXES = frozenset({"if", "then", "else", "elif", "while", "until", "do", "!", "{", "time", "coproc"})
_LOOPS = frozenset({"for", "while", "until", "select", "function", "coproc"})
_UNCLEAR = frozenset({"case", "[[", "select", "coproc", "function"})
_KEYWORDS = _PREFIXES | _CLOSERS | frozenset(_OPENERS) | {"function", "[[", "in"}


@dataclass(frozen=True, slots=True)
class Redirection:
    """`operator` without a descriptor number, and the word that follows it."""

    operator: str
    target: Word


@dataclass(frozen=True, slots=True)
class Part:
    """One simple command, and the operator `then` that follows it."""

    words: tuple[Word, ...]
    assignments: tuple[Word, ...] = ()
    redirections: tuple[Redirection, ...] = ()
    then: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A shell text, split.

    `fault` says why it is no valid command, `unclear` which construct was split by guess, `odd` that it holds
    characters that hide text from a reader. `plain`: nothing but simple commands, timed or not, joined by
    && || | ; or newlines.
    `loops`: parts may run more than once or in another order. `documents`: the texts of here-documents and
    here-strings.
    """

    parts: tuple[Part, ...]
    fault: str = ""
    unclear: str = ""
    odd: bool = False
    plain: bool = True
    loops: bool = False
    documents: tuple[str, ...] = ()


@lru_cache(maxsize=16)
def split(text: str) -> Command:
    """The command in `text`; never raises."""
    if _UNREADABLE.search(text):
        return Command((), fault="it holds a NUL or half a character", plain=False)
    reader = _Reader(text, 0)
    fault = ""
    try:
        reader.read_all()
    except Fault as problem:
        fault = str(problem)
    if not fault and not reader.parts:
        fault = "it is empty"
    return Command(
        parts=tuple(reader.parts),
        fault=fault,
        unclear=reader.unclear,
        odd=_ODD.search(text) is not None,
        plain=reader.plain and not reader.unclear,
        loops=reader.loops,
        documents=tuple(reader.documents),
    )


def is_keyword(word: Word) -> bool:
    """Whether the word, standing first, is part of the shell's grammar."""
    return not word.quoted and word.text in _KEYWORDS


@dataclass(slots=True)
class _Draft:
    """The simple command that is being read; `grouped` when a group was closed just before."""

    words: list[Word] = field(default_factory=list[Word])
    assignments: list[Word] = field(default_factory=list[Word])
    redirections: list[Redirection] = field(default_factory=list[Redirection])
    grouped: bool = False

    @property
    def empty(self) -> bool:
        return not (self.words or self.assignments or self.redirections)


class _Reader(WordReader):
    def __init__(self, text: str, depth: int) -> None:
        super().__init__(text, depth)
        self.parts: list[Part] = []
        self.documents: list[str] = []
        self._draft = _Draft()
        self._awaited: list[tuple[str, bool, bool]] = []
        self._keywords: list[str] = []
        self._cases = 0

    def read_all(self) -> None:
        """Read the text to its end; raises Fault where bash would not take it."""
        self._read_list("")
        for opener_due in _CLOSERS:
            if self._keywords.count(opener_due) != self._keywords.count(f"{opener_due} due"):
                raise Fault(f"{opener_due} does not match what it closes")

    def read_nested(self) -> None:
        with self._deeper():
            self._read_list(")")

    def read_apart(self, text: str) -> None:
        with self._deeper():
            reader = _Reader(text, self.depth)
        try:
            reader.read_all()
        finally:
            self._take(reader)

    def _take(self, reader: _Reader) -> None:
        self.parts.extend(reader.parts)
        self.documents.extend(reader.documents)
        self.unclear = reader.unclear or self.unclear
        self.plain &= reader.plain
        self.loops |= reader.loops

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        if self.depth >= MAX_DEPTH:
            raise Fault("it is nested too deep")
        self.depth += 1
        draft, self._draft = self._draft, _Draft()
        yield
        self._draft = draft
        self.depth -= 1

    def _read_list(self, closer: str) -> None:
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t":
                self.at += 1
            elif char == "\n":
                self._end_part("\n")
                self.at += 1
                self._read_documents()
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif char == "#":
                self._skip(_COMMENT)
            elif char == ")":
                self._end_part(")")
                self.at += 1
                if closer:
                    return
                if not self._cases:
                    raise Fault("a ) was never opened")
                self._draft.grouped = True
            elif char == "(":
                self._read_group()
            elif (found := _REDIRECTION.match(self.text, self.at)) is not None:
                self._read_redirection(found)
            elif char in ";&|":
                self._read_operator()
            else:
                self._read_argument()
        self._end_part("")
        self._check_end(closer)

    def _check_end(self, closer: str) -> None:
        if closer:
            raise Fault(f"a {closer} is missing")
        if self._awaited:
            raise Fault("a here-document has no end")
        if self.parts and self.parts[-1].then in ("&&", "||", "|", "|&") and not self._draft.grouped:
            raise Fault(f"nothing follows {self.parts[-1].then}")

    def _skip(self, expression: re.Pattern[str]) -> None:
        found = expression.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def _read_group(self) -> None:
        self.plain = False
        if self.text.startswith("((", self.at):
            self.unclear = "arithmetic"
        if not self._draft.empty:
            self.unclear, self.loops = "a function or an array", True
            self._end_part("(")
        self.at += 1
        self.read_nested()
        self._draft.grouped = True

    def _read_operator(self) -> None:
        operator = next(op for op in _OPERATORS if self.text.startswith(op, self.at))
        self.at += len(operator)
        if operator in (";;&", ";;", ";&"):
            if not self._cases:
                raise Fault(f"{operator} stands outside of case")
        elif self._draft.empty and not self._draft.grouped:
            raise Fault(f"nothing stands before {operator}")
        self.plain &= operator not in ("&", "|&")
        self._end_part(operator)

    def _read_argument(self) -> None:
        draft = self._draft
        assigns = not draft.words and ASSIGNMENT.match(self.text, self.at) is not None
        word = self.read_word()
        (draft.assignments if assigns else draft.words).append(word)

    def _end_part(self, then: str) -> None:
        draft = self._draft
        if draft.empty:
            draft.grouped &= then == "\n"
            return
        self._draft = _Draft()
        self._note_keywords(draft.words)
        self.parts.append(Part(tuple(draft.words), tuple(draft.assignments), tuple(draft.redirections), then))

    def _note_keywords(self, words: list[Word]) -> None:
        for word in words:
            if not is_keyword(word):
                return
            self.plain &= word.text == "time"
            if word.text in _CLOSERS:
                self._keywords.append(word.text)
                self._cases -= word.text == "esac"
            elif word.text in _OPENERS:
                self._keywords.append(f"{_OPENERS[word.text]} due")
                self._cases += word.text == "case"
            self.loops |= word.text in _LOOPS
            if word.text in _UNCLEAR:
                self.unclear = word.text
            if word.text in ("function", "coproc"):
                self._keywords.extend(
                    f"{_OPENERS[w.text]} due" for w in words[1:] if w.text in _OPENERS and not w.quoted
                )
                return
            if word.text not in _PREFIXES:
                return

    def _read_redirection(self, found: re.Match[str]) -> None:
        operator = found[1] or found[2]
        if operator in (">", "<") and self.text.startswith("(", found.end()) and found.end() == self.at + 1:
            self._read_argument()
            return
        self.at = found.end()
        while self.text.startswith((" ", "\t"), self.at):
            self.at += 1
        target = self.read_word()
        if operator in ("<<", "<<-"):
            self.plain = False
            self._awaited.append((target.text, operator == "<<-", target.quoted))
            return
        if operator == "<<<":
            self.plain = False
            self.documents.append(target.text)
        self._draft.redirections.append(Redirection(operator, target))

    def _read_documents(self) -> None:
        awaited, self._awaited = self._awaited, []
        for delimiter, tabs, quoted in awaited:
            body = self._read_until_line(delimiter, tabs)
            self.documents.append(body)
            if not quoted:
                with self._deeper():
                    reader = _Reader(body, self.depth)
                try:
                    reader.read_document()
                finally:
                    self._take(reader)

    def _read_until_line(self, delimiter: str, tabs: bool) -> str:
        lines: list[str] = []
        while self.at < len(self.text):
            end = self.text.find("\n", self.at)
            end = len(self.text) if end < 0 else end
            line = self.text[self.at : end]
            self.at = min(end + 1, len(self.text))
            if (line.lstrip("\t") if tabs else line) == delimiter:
                return "\n".join(lines)
            lines.append(line)
        raise Fault("a here-document has no end")
