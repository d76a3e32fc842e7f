"""Scripts of sed: whether all that they do is edit text, and the files they name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from a3s_code.harness.safety.words import Word

Use = Literal["read", "write"]

NAMES = frozenset({"sed", "gsed"})
_OPTION = re.compile(
    r"-[nErsuz]+|-[nErsuz]*i[A-Za-z0-9.~]*|--(?:quiet|silent|regexp-extended|null-data|debug|posix|version|help|in-place(?:=[A-Za-z0-9.~]*)?)"
)
_SCRIPT_OPTION = re.compile(r"(?:-[nErsuz]*e|--expression=)(.*)", re.DOTALL)
_BLANK = re.compile(r"[ \t\n;]+")
_ADDRESS = re.compile(r"(?:[0-9]+(?:~[0-9]+)?|\$)")
_COMMA = re.compile(r"[ \t]*,[ \t]*")
_COUNT = re.compile(r"[+~][0-9]+")
_NEGATED = re.compile(r"[ \t!]+")
_NUMBER = re.compile(r"[ \t]*[0-9]+")
_END = re.compile(r"[ \t]*(?:[;\n]|(?=[}#])|\Z)")
_ADDRESS_FLAGS = re.compile("[IM]+")
_LABEL = re.compile(r"[ \t]*[^ \t\n;}]*")
_FLAGS = re.compile(r"[gpiImM0-9]*")
_REST = re.compile(r"[^\n]*")
_ADDED = re.compile(r"(?:[^\\\n]|\\[^\\])*(?:\n|\Z)")
_DEVICES = frozenset({"/dev/stdout", "/dev/stderr", "/dev/stdin"})
_MAX_SCRIPT = 20_000


class _Odd(Exception):
    """The script does more than edit, or it cannot be told."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a call of sed is told. Not `plain`: it can run programs, or that cannot be told; then `problem` says why."""

    plain: bool
    files: tuple[tuple[Use, str], ...] = ()
    problem: str = ""


def read_script(words: Sequence[Word]) -> Script:
    """The script in the words of a call of sed, the options' ones together."""
    texts: list[Word] = []
    operand: Word | None = None
    awaited = False
    for word in words[1:]:
        found = None if awaited else _SCRIPT_OPTION.fullmatch(word.text)
        if awaited:
            texts.append(word)
            awaited = False
        elif found is not None:
            awaited = found[0].endswith("e") and not found[1]
            texts += [] if awaited else [Word(found[1], word.static)]
        elif word.text == "-" or not word.text.startswith("-"):
            operand = operand or word
        elif not _OPTION.fullmatch(word.text):
            return Script(plain=False, problem="an option of sed can run another program")
    texts = texts or ([operand] if operand is not None else [])
    told = all(word.static for word in texts) and (texts or {"--version", "--help"} & {word.text for word in words})
    reader = _Reader("\n".join(word.text for word in texts))
    plain = bool(told) and reader.read()
    problem = "" if plain else "a sed script can run programs and write files"
    return Script(plain, tuple(reader.files), problem)


class _Reader:
    """Reads one script; a command may be seen that sed takes for text, but none is missed."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.files: list[tuple[Use, str]] = []

    def read(self) -> bool:
        """Whether nothing in it runs a program; the files it names are in `files`."""
        if len(self._text) > _MAX_SCRIPT:
            return False
        try:
            while self._skip(_BLANK) or self._at < len(self._text):
                self._read_command()
        except _Odd:
            return False
        return True

    def _skip(self, expression: re.Pattern[str]) -> bool:
        """Go past what matches here; whether anything does."""
        found = expression.match(self._text, self._at)
        if found is None or found.end() == self._at:
            return False
        self._at = found.end()
        return True

    def _take(self, expression: re.Pattern[str]) -> str:
        found = expression.match(self._text, self._at)
        if found is None:
            raise _Odd
        self._at = found.end()
        return found[0]

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1 : self._at]

    def _read_command(self) -> None:
        if self._read_address() and self._skip(_COMMA) and not self._skip(_COUNT):
            self._read_address()
        self._skip(_NEGATED)
        name = self._next()
        if name in "{}":
            return
        if name == "#":
            self._take(_REST)
        elif name in "aic":
            self._take(_ADDED)
        elif name in "rRwW":
            self._note_file("read" if name in "rR" else "write")
        elif name in ":btT":
            self._take(_LABEL)
        elif name in "sy":
            self._read_change(name)
        elif name in "=dDgGhHnNpPxzFlLqQ":
            self._skip(_NUMBER)
            self._take(_END)
        else:
            raise _Odd

    def _read_address(self) -> bool:
        char = self._text[self._at : self._at + 1]
        if char in ("/", "\\"):
            self._at += 1
            self._read_delimited(char if char == "/" else self._next())
            self._skip(_ADDRESS_FLAGS)
            return True
        return self._skip(_ADDRESS)

    def _read_change(self, name: str) -> None:
        mark = self._next()
        if mark in ("", "\n", "\\"):
            raise _Odd
        self._read_delimited(mark)
        self._read_delimited(mark, replacing=True)
        if name == "s":
            self._take(_FLAGS)
            if self._text[self._at : self._at + 1] == "w":
                self._at += 1
                self._note_file("write")
                return
        self._take(_END)

    def _read_delimited(self, mark: str, *, replacing: bool = False) -> None:
        """Go past the next `mark` that nothing quotes; not every sed sees one that stands in brackets."""
        start = self._at
        while (char := self._next()) != mark:
            if not char or (char == "\n" and not replacing):
                raise _Odd
            self._at += char == "\\"
        body = re.sub(r"\\.", "", self._text[start : self._at - 1], flags=re.DOTALL)
        if not replacing and "[" in re.sub(r"\[\^?\]?[^\]]*\]", "", body):
            raise _Odd

    def _note_file(self, use: Use) -> None:
        name = self._take(_REST).strip()
        if name not in _DEVICES:
            self.files.append((use, name))
