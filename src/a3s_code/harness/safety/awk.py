"""Programs of awk: whether they run others or write files, and the files they name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from a3s_code.harness.safety.words import Word

Use = Literal["read", "write"]

NAMES = frozenset({"awk", "gawk", "mawk", "nawk"})
_STRING = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_EXPRESSION = re.compile(r"/(?:[^/\\\n]|\\[^\n])*/")
_COMMENT = re.compile(r"#[^\n]*")
# What a regular expression may follow, where a division cannot stand.
_BEFORE_EXPRESSION = frozenset("(,!~{};&|?:=*%^<>\n")
_GROUP = re.compile(r"\([^()]*\)")
_RUNS = re.compile(r"system|getline|@|\|")
_WRITES = re.compile(r"\bprint[^;\n{}]*>")
_CONTINUED = re.compile(r"([,&|])\s*\n")
_NAMED = re.compile(r'(>>?|<)\s*"([^"\\\n]*)"')
_DEVICES = frozenset({"/dev/stdout", "/dev/stderr", "/dev/stdin", "-"})
_MAX_PROGRAM = 4096
_MAX_NESTED = 16


def runs_others(words: Sequence[Word]) -> bool:
    """Whether a program in the words may run others, or do what cannot be told."""
    return any(_RUNS.search(_strip(word).replace("||", "")) for word in _list_programs(words))


def writes_files(words: Sequence[Word]) -> bool:
    """Whether a program in the words writes files."""
    return any(_prints_away(word) for word in _list_programs(words))


def list_files(words: Sequence[Word]) -> Iterator[tuple[Use, Word]]:
    """The files that a program in the words reads and writes; one that is computed cannot be told."""
    for word in _list_programs(words):
        writes, reads = _prints_away(word), "getline" in word.text
        for arrow, name in _NAMED.findall(word.text) if writes or reads else ():
            if name not in _DEVICES and (reads if arrow == "<" else writes):
                yield "read" if arrow == "<" else "write", Word(name)
        if writes and _prints_away(Word(_NAMED.sub("", word.text))):
            yield "write", Word("", static=False)


def _list_programs(words: Sequence[Word]) -> Iterator[Word]:
    """The words that may hold a program: all but what separates fields."""
    before = ""
    for word in words[1:]:
        if not word.text.startswith("-F") and before != "-F":
            yield word
        before = word.text if before != "-v" else ""


def _prints_away(word: Word) -> bool:
    """Whether something is printed to anywhere but the output."""
    return _WRITES.search(_CONTINUED.sub(r"\1 ", _ungroup(_strip(word)))) is not None


def _strip(word: Word) -> str:
    """The text without what strings, regular expressions and comments hold; as it is where that cannot be told."""
    text = word.text
    if len(text) > _MAX_PROGRAM or not re.search(r"[\"/#]", text):
        return text
    kept: list[str] = []
    last, at = "\n", 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            return text
        if char == "/" and last not in _BEFORE_EXPRESSION:
            # Whether it divides depends on what the word before it means.
            return text
        if char in '"#/':
            found = {'"': _STRING, "#": _COMMENT, "/": _EXPRESSION}[char].match(text, at)
            if found is None or (char == "/" and "[" in re.sub(r"\\.|\[\^?\]?[^\]]*\]", "", found[0])):
                return text
            at, last = found.end(), last if char == "#" else "x"
            kept.append("" if char == "#" else '""')
            continue
        kept.append(char)
        last = char if not char.isspace() or char == "\n" else last
        at += 1
    return "".join(kept)


def _ungroup(text: str) -> str:
    """The text without its parentheses, in which a `>` compares."""
    for _ in range(_MAX_NESTED if len(text) <= _MAX_PROGRAM else 0):
        shorter = _GROUP.sub("", text)
        if shorter == text:
            break
        text = shorter
    return text
