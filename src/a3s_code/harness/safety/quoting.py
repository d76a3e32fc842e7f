"""Words and the quotes in them, read as bash reads them."""

from __future__ import annotations

import re
from abc import abstractmethod

from a3s_code.harness.safety.expansion import ExpansionReader
from a3s_code.harness.safety.words import ASSIGNMENT, Fault, Pieces, Word

_LITERAL = re.compile(r"[^ \t\n'\"\\$`;&|<>()*?\[{~+@!]+")
_SIGN = re.compile(r"[+@!]+(?!\()")
_DOUBLE = re.compile(r"[^\"\\$`]+")
_TEST = re.compile(r"\[\[?(?=[ \t\n])")


class WordReader(ExpansionReader):
    """Reads words at `at`."""

    @abstractmethod
    def skip_space(self) -> None:
        """Go past blanks, newlines and comments."""

    def read_word(self, *, regex: bool = False) -> Word:
        """The word that starts at `at`; raises Fault where there is none. `regex`: parentheses and | belong to it."""
        pieces = Pieces()
        start = self.at
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t\n;&)" or (char == "|" and not regex):
                break
            if char in "<>":
                if not self.text.startswith("(", self.at + 1):
                    break
                self.at += 2
                self.read_substitution(pieces, fed=char == ">")
            elif char == "(":
                if ASSIGNMENT.fullmatch(self.text, start, self.at):
                    with self.deeper():
                        self._read_array(pieces)
                elif regex or (self.at > start and self.text[self.at - 1] in "?*+@!"):
                    self._read_pattern(pieces)
                else:
                    break
            else:
                self.read_piece(char, pieces)
        if self.at == start:
            raise Fault("a word is missing")
        return pieces.word()

    def read_document(self) -> Word:
        """The whole text as the body of a here-document: only expansions count."""
        pieces = Pieces()
        self.read_double(pieces, closer="")
        return pieces.word()

    def read_piece(self, char: str, pieces: Pieces) -> None:
        found = _LITERAL.match(self.text, self.at) or _SIGN.match(self.text, self.at)
        if found is not None:
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
            self.read_double(pieces)
        elif char == "\\":
            self._read_escape(pieces)
        elif char == "$":
            self.read_dollar(pieces)
        elif char == "`":
            self.read_backtick(pieces)
        else:
            self._read_wildcard(char, pieces)

    def _read_wildcard(self, char: str, pieces: Pieces) -> None:
        after = self.text[self.at + 1 : self.at + 2]
        first = not pieces.text and not pieces.quoted
        if first and (found := _TEST.match(self.text, self.at)) is not None:
            pieces.text.append(found[0])
            self.at = found.end()
            return
        if char == "~":
            # Only ~ and ~/ are known to be the home folder; ~user, ~+ and ~- are not. It may also follow = or :.
            begins = first or self.text[self.at - 1] in "=:"
            pieces.static &= not (begins and after not in ("", "/", ":", *" \t\n;&|)<>"))
        elif char in "*?[" or (char == "{" and (not first or after not in ("}", "", " ", "\t", "\n"))):
            pieces.glob = True
        pieces.text.append(char)
        self.at += 1

    def _read_escape(self, pieces: Pieces) -> None:
        if self.at + 1 >= len(self.text):
            raise Fault("it ends in a backslash")
        if self.text[self.at + 1] != "\n":
            pieces.text.append(self.text[self.at + 1])
            pieces.quoted = True
        self.at += 2

    def _read_pattern(self, pieces: Pieces) -> None:
        """Read a pattern in parentheses, in which blanks and operators are text."""
        pieces.glob, self.notes.plain = True, False
        start, depth = self.at, 0
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in "<>" and self.text.startswith("(", self.at + 1):
                self.at += 2
                self.notes.unclear = self.notes.unclear or "a pattern"
                self.read_substitution(pieces, fed=True)
            elif char in " \t\n;&|<>()":
                depth += (char == "(") - (char == ")")
                pieces.text.append(char)
                self.at += 1
                if not depth:
                    break
            else:
                self.read_piece(char, pieces)
        if depth or self.at == start + 2:
            raise Fault("a ) is missing")

    def _read_array(self, pieces: Pieces) -> None:
        start = self.at
        self.at += 1
        self.notes.plain = False
        while True:
            self.skip_space()
            if self.text.startswith(")", self.at):
                break
            if self.at >= len(self.text):
                raise Fault("a ) is missing")
            element = self.read_word()
            pieces.static &= element.static
            pieces.quoted |= element.quoted
        self.at += 1
        pieces.text.append(self.text[start : self.at])

    def read_double(self, pieces: Pieces, closer: str = '"') -> None:
        """Read double-quoted text whose opening quote is past; without a `closer` all that is left."""
        pieces.quoted = True
        escaped = '$`"\\' if closer else "$`\\"
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == closer:
                self.at += 1
                return
            if char == "\\":
                after = self.text[self.at + 1 : self.at + 2]
                pieces.text.append("" if after == "\n" else after if after and after in escaped else f"\\{after}")
                self.at += 2
            elif char == "$":
                self.read_dollar(pieces, in_quotes=True)
            elif char == "`":
                self.read_backtick(pieces, in_quotes=bool(closer))
            else:
                found = _DOUBLE.match(self.text, self.at)
                pieces.text.append(char if found is None else found[0])
                self.at += len(pieces.text[-1])
        if closer:
            raise Fault("a quote is not closed")
