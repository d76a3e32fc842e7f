"""The expansions inside the words of a shell text: parameters, arithmetic, substitutions and $'...'."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from a3s_code.harness.safety.words import MAX_DEPTH, Fault, Notes, Pieces

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9?#!$*@-]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BACKTICK = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)
_ANSI = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ANSI_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|c.|.)", re.DOTALL)
_ANSI_LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
# What bash computes without a look at text that came from elsewhere.
_NUMERIC = re.compile(r"(?:[^A-Za-z_$`'\"\\]|0[xX][0-9A-Fa-f]+|\$[#?$!])*")
_PARAMETER = re.compile(
    r"(?P<sign>[!#]?)(?P<name>[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?#!$*@-])(?P<index>\[[^\]\[$`'\"\\}]*\])?(?P<rest>[^}]?)"
)
_LIST_OF_KEYS = re.compile(r"![A-Za-z_][A-Za-z0-9_]*(?:\[[@*]\]|[@*])\}")
_GIVEN_NAME = re.compile(r"[=?+-]")


class ExpansionReader(ABC):
    """Reads expansions at `at`; whoever derives from it reads quotes, and the commands inside substitutions."""

    def __init__(self, text: str, depth: int, notes: Notes) -> None:
        self.text = text
        self.at = 0
        self.depth = depth
        self.notes = notes
        self._no_arithmetic: set[int] = set()

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Read something inside of something; raises Fault where that goes too deep."""
        if self.depth >= MAX_DEPTH:
            raise Fault("it is nested too deep")
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    @abstractmethod
    def read_nested(self, *, fed: bool = False) -> None:
        """Read the list of commands at `at`, up to its closing parenthesis and past it; `fed`: it reads a pipe."""

    @abstractmethod
    def read_apart(self, text: str) -> None:
        """Read `text` as a list of commands of its own."""

    @abstractmethod
    def count_found(self) -> int:
        """How many commands were found so far."""

    @abstractmethod
    def forget_since(self, count: int) -> None:
        """Take back the commands found past the first `count`."""

    @abstractmethod
    def read_double(self, pieces: Pieces, closer: str = '"') -> None:
        """Read double-quoted text whose opening quote is past; without a `closer` all that is left."""

    @abstractmethod
    def read_piece(self, char: str, pieces: Pieces) -> None:
        """Read what starts with `char` inside a word."""

    def read_arithmetic(self, closer: str) -> bool:
        """Read arithmetic up to `closer`, `))` or `]`, and past it.

        False where a parenthesis closes too early, so that it is none; all that was found is then taken back.
        """
        start, count, before = self.at, self.count_found(), self.notes.unclear
        if start in self._no_arithmetic:
            return False
        pieces = Pieces()
        depth = 0
        opens, closes = ("[", "]") if closer == "]" else ("(", ")")
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == closes and not depth:
                if self.text.startswith(closer, self.at):
                    self.evaluate(self.text[start : self.at])
                    self.at += len(closer)
                    self.notes.plain = False
                    return True
                break
            depth += (char == opens) - (char == closes)
            if char == '"':
                self.at += 1
                self.read_double(pieces)
            elif char == "$":
                self.read_dollar(pieces, in_quotes=True)
            elif char == "`":
                self.read_backtick(pieces, in_quotes=True)
            elif char in "'\\":
                raise Fault("arithmetic holds quotes")
            else:
                self.at += 1
        if self.at >= len(self.text):
            raise Fault(f"a {closer} is missing")
        self.at = start
        self._no_arithmetic.add(start)
        self.forget_since(count)
        self.notes.unclear = before or "what looks like arithmetic"
        return False

    def evaluate(self, text: str) -> None:
        """Note that bash reads `text` as arithmetic."""
        if _NUMERIC.fullmatch(text) is not None:
            return
        rest = re.sub(r"\$\{?[#?$!]\}?|\$\{?(?=[A-Za-z_])", "", text)
        if "$" in rest or "`" in rest or '"' in rest or "'" in rest or "\\" in rest:
            self.notes.unclear = self.notes.unclear or "arithmetic"
        self.notes.evaluated.update(_VARIABLE.findall(re.sub(r"\b0[xX][0-9A-Fa-f]+", "", rest)))

    def read_dollar(self, pieces: Pieces, *, in_quotes: bool = False) -> None:
        rest = self.text[self.at + 1 : self.at + 3]
        if rest.startswith("("):
            self.at += 2
            if rest == "((" and self._read_computed(pieces, "$(())", "))"):
                return
            self.read_substitution(pieces)
        elif rest.startswith("{"):
            with self.deeper():
                self._read_parameter(pieces, in_quotes)
        elif rest.startswith("'") and not in_quotes:
            self._read_ansi(pieces)
        elif rest.startswith('"') and not in_quotes:
            self.at += 2
            self.read_double(pieces)
        elif rest.startswith("["):
            self.at += 1
            self._read_computed(pieces, "$[]", "]")
        elif rest == "\\\n":
            raise Fault("a line is continued inside an expansion")
        elif (found := _NAME.match(self.text, self.at + 1)) is not None:
            pieces.static = False
            pieces.text.append("$" + found[0])
            self.at = found.end()
        else:
            pieces.text.append("$")
            self.at += 1

    def _read_computed(self, pieces: Pieces, shown: str, closer: str) -> bool:
        """Read arithmetic whose opener is at `at`; False, and nothing is read, where it is none."""
        self.at += 1
        with self.deeper():
            known = self.read_arithmetic(closer)
        if not known:
            self.at -= 1
            return False
        pieces.static = False
        pieces.text.append(shown)
        return True

    def read_substitution(self, pieces: Pieces, *, fed: bool = False) -> None:
        self.notes.plain = pieces.static = False
        pieces.text.append("$()")
        self.read_nested(fed=fed)

    def read_backtick(self, pieces: Pieces, *, in_quotes: bool = False) -> None:
        found = _BACKTICK.match(self.text, self.at)
        if found is None:
            raise Fault("a backtick is not closed")
        self.notes.plain = pieces.static = False
        pieces.text.append("$()")
        self.at = found.end()
        self.read_apart(re.sub(r'\\([$`\\"])' if in_quotes else r"\\([$`\\])", r"\1", found[1]))

    def _read_parameter(self, pieces: Pieces, in_quotes: bool) -> None:
        """Read `${...}`."""
        start = self.at
        self._note_parameter(start + 2)
        self.at += 2
        inner = Pieces()
        while self.at < len(self.text) and self.text[self.at] != "}":
            char = self.text[self.at]
            if char == "'" and in_quotes:
                # Whether this quotes depends on the operator before; where it makes no difference, go past it.
                end = self.text.find("'", self.at + 1)
                if end < 0 or re.search(r"[}\"$`\\]", self.text[self.at : end]):
                    self.notes.fault = self.notes.fault or "a quote inside of a parameter expansion"
                    end = self.at
                self.at = end + 1
            elif char == "$":
                self.read_dollar(inner, in_quotes=in_quotes)
            elif char in "<>" and self.text.startswith("(", self.at + 1) and not in_quotes:
                self.at += 2
                self.notes.unclear = self.notes.unclear or "a parameter expansion"
                self.read_substitution(inner, fed=True)
            elif char in "'\"\\`":
                self.read_piece(char, inner)
            else:
                self.at += 1
        if self.at >= len(self.text):
            raise Fault("a } is missing")
        self.at += 1
        pieces.static = False
        pieces.text.append(self.text[start : self.at])

    def _note_parameter(self, start: int) -> None:
        """Note what the expansion whose name is at `start` does beyond giving a value."""
        found = _PARAMETER.match(self.text, start)
        if found is None:
            raise Fault("a parameter expansion has no name")
        simple = not found["index"] and found["rest"] == "" and self.text.startswith("}", found.end())
        if simple and (found["sign"] != "!" or found["name"] == "!"):
            return
        self.notes.plain = False
        if _LIST_OF_KEYS.match(self.text, start):
            return
        rest = found["rest"]
        risky = found["sign"] == "!" or (rest == "@" and not re.match(r"@[UuLQEKAak]\}", self.text[found.end() - 1 :]))
        if risky or rest == "[":
            self.notes.unclear = self.notes.unclear or "a parameter expansion"
        if found["index"] and found["index"] not in ("[@]", "[*]"):
            self.evaluate(found["index"][1:-1])
        after = self.text[found.end() : found.end() + 1]
        if rest == ":" and not _GIVEN_NAME.match(after):
            end = self.text.find("}", found.end())
            self.evaluate(self.text[found.end() : end])
        elif rest == "=" or (rest == ":" and after == "="):
            self.notes.assigned.add(found["name"])

    def _read_ansi(self, pieces: Pieces) -> None:
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
