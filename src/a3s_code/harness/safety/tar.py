"""The files that a call of tar reads and writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from a3s_code.harness.safety.words import Word

Use = Literal["read", "write"]

NAMES = frozenset({"tar", "bsdtar", "gtar"})
_VALUED = frozenset("fCTXIFgHbKLNV")
_LONG = {
    "file": "f",
    "directory": "C",
    "cd": "C",
    "files-from": "T",
    "exclude-from": "X",
    "create": "c",
    "append": "r",
    "update": "u",
    "concatenate": "A",
    "catenate": "A",
    "delete": "r",
    "extract": "x",
    "get": "x",
    "to-stdout": "O",
}
_CREATES = frozenset("cruA")


def list_archived(words: Sequence[Word]) -> Iterator[tuple[Use, Word]]:
    """What is read and written, whole folders with all they hold. An option that is not known takes no word."""
    letters, values, members = _read(words[1:])
    folders = [word for letter, word in values if letter == "C"]
    archives = [word for letter, word in values if letter == "f" and word.text != "-"]
    read = [word for letter, word in values if letter in "TX"]
    written: list[Word] = []
    (written if letters & _CREATES else read).extend(archives)
    if "x" in letters and "O" not in letters:
        written += folders or [Word(".")]
    for word in members:
        read += [word, *(_join(folder, word) for folder in folders)]
    for word in read:
        yield "read", word
    for word in written:
        yield "write", word


def _read(words: Sequence[Word]) -> tuple[set[str], list[tuple[str, Word]], list[Word]]:
    """The letters of all options, those with a value, and the other words."""
    letters: set[str] = set()
    values: list[tuple[str, Word]] = []
    members: list[Word] = []
    awaited: list[str] = []
    for index, word in enumerate(words):
        text = word.text
        if awaited:
            values.append((awaited.pop(0), word))
        elif word.static and text.startswith("--"):
            name, equals, value = text[2:].partition("=")
            letter = next((_LONG[known] for known in _LONG if name and known.startswith(name)), "")
            letters.add(letter)
            if letter in _VALUED and equals:
                values.append((letter, Word(value, word.static, word.glob)))
            elif letter in _VALUED:
                awaited.append(letter)
        elif word.static and (found := re.fullmatch(r"-([A-Za-z].*)", text, re.DOTALL)) is not None:
            at = next((at for at, letter in enumerate(found[1]) if letter in _VALUED), len(found[1]))
            letters.update(found[1][: at + 1])
            if found[1][at + 1 :]:
                values.append((found[1][at], Word(found[1][at + 1 :], word.static, word.glob)))
            elif at < len(found[1]):
                awaited.append(found[1][at])
        elif index == 0 and word.static and re.fullmatch("[A-Za-z]+", text):
            letters.update(text)
            awaited += [letter for letter in text if letter in _VALUED]
        elif text != "-":
            members.append(word)
    return letters, values, members


def _join(folder: Word, member: Word) -> Word:
    """The member as seen from where tar was started, when it was told to go to the folder."""
    if member.text.startswith(("/", "~")):
        return member
    static, glob = folder.static and member.static, folder.glob or member.glob
    return Word(f"{folder.text}/{member.text}", static, glob)
