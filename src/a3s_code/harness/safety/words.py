"""The words of a shell text: quotes, escapes and expansions."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

MAX_DEPTH = 24

_LITERAL = re.compile(r"[^ \t\n'\"\\$`;&|<>()*?\[{~]+")
_DOUBLE = re.compile(r"[^\"\\$`]+")
_PARAMETER = re.compile(r"[^'\"\\$`}]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9?#!$*@-]")
_TEST = re.compile(r"\[\[?(?=[ \t\n])")
_BACKTICK = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)
_ANSI = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ANSI_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|c.|.)", re.DOTALL)
_ANSI_LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Fault(Exception):
    """The text is no valid command; the message says why."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word, unquoted. Not `static`: it holds an expansion. `glob`: it holds an unquoted wildcard or brace."""

    text: str
    static: bool = True
    glob: bool = False
    quoted: bool = False

    @property
    def fixed(self) -> bool:
        """Whether the program is given this very text."""
        return self.static and not self.glob


@dataclass(slots=True)
class _Pieces:
    text: list[str] = field(default_factory=list[str])
    static: bool = True
    glob: bool = False
    quoted: bool = False

    def word(self) -> Word:
        return Word("".join(self.text), self.static, self.glob, self.quoted)


class WordReader(ABC):
    """Reads words at `at`; whoever derives from it reads the lists of commands inside substitutions."""

    def __init__(self, text: str, depth: int) -> None:
        self.text = text
        self.at = 0
        self.depth = depth
        self.unclear = ""
        self.plain = True
        self.loops = False

    @abstractmethod
    def read_nested(self) -> None:
        """Read the list of commands at `at`, up to its closing parenthesis and past it."""

    @abstractmethod
    def read_apart(self, text: str) -> None:
        """Read `text` as a list of commands of its own."""

    def read_word(self) -> Word:
        """The word that starts at `at`; raises Fault where there is none."""
        pieces = _Pieces()
        start = self.at
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t\n;|&)":
                break
            if char in "<>":
                if self.at != start or not self.text.startswith("(", self.at + 1):
                    break
                self.at += 2
                self._read_substitution(pieces)
            elif char == "(":
                if self.at > start:
                    self.unclear, self.loops = "a function, an array or a pattern", True
                break
            else:
                self._read_piece(char, pieces)
        if self.at == start:
            raise Fault("a word is missing")
        return pieces.word()

    def read_document(self) -> None:
        """Read the whole text as the body of a here-document: only expansions count."""
        self._read_double(_Pieces(), closer="")

    def _read_piece(self, char: str, pieces: _Pieces) -> None:
        if (found := _LITERAL.match(self.text, self.at)) is not None:
            pieces.text.append(found[0])
            self.at = found.end()
        elif char == "'":
            end = self.text.find("'", self.at + 1)
            if end < 0:
                raise Fault("a quote is not closed")
            pieces.text.append(self.text[self.at + 1 : end])
            pieces.quoted = True
            self.at = end + 1
        elif char == '"':
            self.at += 1
            self._read_double(pieces)
        elif char == "\\":
            self._read_escape(pieces)
        elif char == "$":
            self._read_dollar(pieces)
        elif char == "`":
            self._read_backtick(pieces)
        else:
            self._read_wildcard(char, pieces)

    def _read_wildcard(self, char: str, pieces: _Pieces) -> None:
        after = self.text[self.at + 1 : self.at + 2]
        first = not pieces.text and not pieces.quoted
        if first and (found := _TEST.match(self.text, self.at)) is not None:
            pieces.text.append(found[0])
            self.at = found.end()
            return
        if char == "~":
            # Only ~ and ~/ are known to be the home folder; ~user, ~+ and ~- are not.
            pieces.static &= not (first and after not in ("", "/", " ", "\t", "\n", ";", "&", "|", ")", "<", ">"))
        elif char != "{" or not first or after not in ("}", "", " ", "\t", "\n"):
            pieces.glob = True
        pieces.text.append(char)
        self.at += 1

    def _read_escape(self, pieces: _Pieces) -> None:
        if self.at + 1 >= len(self.text):
            raise Fault("it ends in a backslash")
        if self.text[self.at + 1] != "\n":
            pieces.text.append(self.text[self.at + 1])
            pieces.quoted = True
        self.at += 2

    def _read_double(self, pieces: _Pieces, closer: str = '"') -> None:
        """Read double-quoted text whose opening quote is past; without a `closer` all that is left."""
        pieces.quoted = True
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == closer:
                self.at += 1
                return
            if char == "\\":
                after = self.text[self.at + 1 : self.at + 2]
                pieces.text.append("" if after == "\n" else after if after in '$`"\\' else f"\\{after}")
                self.at += 2
            elif char == "$":
                self._read_dollar(pieces, in_quotes=True)
            elif char == "`":
                self._read_backtick(pieces)
            else:
                found = _DOUBLE.match(self.text, self.at)
                pieces.text.append(char if found is None else found[0])
                self.at += len(pieces.text[-1])
        if closer:
            raise Fault("a quote is not closed")

    def _read_dollar(self, pieces: _Pieces, *, in_quotes: bool = False) -> None:
        rest = self.text[self.at + 1 : self.at + 3]
        if rest.startswith("("):
            if rest == "((":
                self.unclear = "arithmetic"
            self.at += 2
            self._read_substitution(pieces)
        elif rest.startswith("{"):
            self._read_parameter(pieces)
        elif rest.startswith("'") and not in_quotes:
            self._read_ansi(pieces)
        elif rest.startswith('"') and not in_quotes:
            self.at += 2
            self._read_double(pieces)
        elif rest.startswith("["):
            self.unclear, pieces.static = "arithmetic", False
            self.at += 2
        elif (found := _NAME.match(self.text, self.at + 1)) is not None:
            pieces.static = False
            pieces.text.append("$" + found[0])
            self.at = found.end()
        else:
            pieces.text.append("$")
            self.at += 1

    def _read_substitution(self, pieces: _Pieces) -> None:
        self.plain = pieces.static = False
        pieces.text.append("$()")
        self.read_nested()

    def _read_backtick(self, pieces: _Pieces) -> None:
        found = _BACKTICK.match(self.text, self.at)
        if found is None:
            raise Fault("a backtick is not closed")
        self.plain = pieces.static = False
        pieces.text.append("$()")
        self.at = found.end()
        self.read_apart(re.sub(r"\\([$`\\])", r"\1", found[1]))

    def _read_parameter(self, pieces: _Pieces) -> None:
        """Read `${...}`; all but a bare name is unclear, for its quotes nest by rules of their own."""
        start = self.at
        self.at += 2
        inner = _Pieces()
        while self.at < len(self.text) and self.text[self.at] != "}":
            char = self.text[self.at]
            if (found := _PARAMETER.match(self.text, self.at)) is not None:
                self.at = found.end()
            else:
                self._read_piece(char, inner)
        if self.at >= len(self.text):
            raise Fault("a } is missing")
        self.at += 1
        pieces.static = False
        pieces.text.append(self.text[start : self.at])
        if _NAME.fullmatch(self.text, start + 2, self.at - 1) is None:
            self.plain = False
            if inner.quoted or self.text[start + 2] in " \t\n|!" or "@" in self.text[start : self.at]:
                self.unclear = "a parameter expansion"

    def _read_ansi(self, pieces: _Pieces) -> None:
        found = _ANSI.match(self.text, self.at)
        if found is None:
            raise Fault("a quote is not closed")
        text = _ANSI_ESCAPE.sub(_decode_escape, found[1])
        pieces.static &= "\0" not in text
        pieces.quoted = True
        pieces.text.append(text)
        self.at = found.end()


def _decode_escape(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    if code[0] in "xuU" and len(code) > 1:
        value = int(code[1:], 16)
        return chr(value) if value < 0xD800 or 0xE000 <= value < 0x110000 else "\0"
    if code[0] == "c" and len(code) > 1:
        return "\0"
    return _ANSI_LETTERS.get(code, code if code in "'\"\\?" else f"\\{code}")
