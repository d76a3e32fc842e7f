"""The files that a call touches: as its effects say, and as a shell command names them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from a3s_code.harness.safety.programs import (
    COPIERS,
    NAMES_ONLY,
    READERS,
    SEARCHERS,
    WRITERS,
    follows_links,
    program,
    writes_in_place,
)
from a3s_code.harness.safety.shell import MOVERS, Candidate, Reading
from a3s_code.harness.safety.words import Word

Access = Literal["read", "write"]

_SINKS = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr"})
_DESCRIPTOR = re.compile(r"[0-9]*-?")
_MUTE = MOVERS | {"echo", "printf", "true", "false", "pwd"}
_WHOLE_FOLDERS = COPIERS | {"rm", "mv", "chmod", "chown", "chgrp", "shred"}
_FED_BY_OTHERS = frozenset({"xargs", "parallel"})
# They take their words for text, not for files.
_TEXTUAL = _MUTE - MOVERS | {"tr", "expr", "seq", "basename", "dirname", "sleep"}
_WILDCARD = re.compile(r"[*?\[{]")
# A brace with an alternative that starts anew at the root, at home, or with what follows the brace.
_UPROOTED = re.compile(r"\{,|,,|,\}|[{,][/~]")
_EMBEDDED = re.compile(r"[=@:,{}]")
_UPWARD = re.compile(r"(?:^|/)\.\.(?:/|$)")
_ADDRESS = re.compile(r"(?<![A-Za-z0-9+.-])(?!file:)[A-Za-z][A-Za-z0-9+.-]*://[^\s,]*", re.IGNORECASE)
_FILE_OPTION = re.compile(r"--[a-z0-9-]*(?:file|from)[a-z0-9-]*=(.+)", re.DOTALL)
_MAX_FOLDERS = 32
_MAX_LINKS = 1000
# No system opens a longer path than this.
_MAX_PATH = 4096


@dataclass(frozen=True, slots=True)
class Touch:
    """A file or folder that is read or written.

    `target` is a real absolute path, `given` the same before links are resolved; both None where they cannot be told.
    Not `sure`: it is something beneath the target. `deep`: a folder's contents count, not only its names.
    """

    access: Access
    target: str | None
    given: str | None
    sure: bool = True
    deep: bool = False


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a shell command touches by redirections and as arguments of programs known to read or write files."""

    redirected: tuple[Touch, ...]
    named: tuple[Touch, ...]


def trace_files(reading: Reading, workspace: str, home: str) -> Footprint:
    """The footprint of a command; asks the file system where links lead."""
    place = _Place(_working_folders(reading, workspace, home), home)
    redirected = [
        touch
        for part in reading.parts
        for redirection in part.redirections
        for touch in _trace_redirection(redirection.operator, redirection.target, place)
    ]
    named = [touch for candidate in reading.candidates for touch in _trace_arguments(candidate, place)]
    if reading.endless or place.overflowed:
        named += [Touch("read", None, None), Touch("write", None, None)]
    return Footprint(tuple(redirected), tuple(named))


def trace_mentions(reading: Reading, workspace: str, home: str) -> Iterator[str]:
    """Every path that a word may stand for, links not resolved, but for those that the footprint holds."""
    place = _Place(_working_folders(reading, workspace, home), home)
    for word in _list_mentions(reading):
        for text in _embedded_paths(word.text):
            if text and len(text) <= _MAX_PATH:
                yield from filter(None, place.spell(text))


def _list_mentions(reading: Reading) -> Iterator[Word]:
    for candidate in reading.candidates:
        name = program(candidate.words[0])
        traced = name in READERS or name in WRITERS
        for word in candidate.words if name not in _MUTE else ():
            if word.fixed and (not traced or word.text.startswith("-")):
                yield word


class _Place:
    """Where relative paths start: the folders the command may be in, None for one that cannot be told."""

    def __init__(self, folders: Sequence[str | None], home: str) -> None:
        self._folders = folders
        self._home = home
        self._links: dict[str, str] = {}
        self._told: set[tuple[Access, Word, bool]] = set()
        self.overflowed = False

    def spell(self, text: str) -> list[str | None]:
        """The absolute paths that `text` may mean."""
        if text == "~" or text.startswith("~/"):
            return [os.path.normpath(self._home + text[1:])]
        if text.startswith("/"):
            return [os.path.normpath(text)]
        return [folder and os.path.normpath(f"{folder}/{text}") for folder in self._folders]

    def touch(self, access: Access, word: Word, *, deep: bool = False) -> Iterator[Touch]:
        """What is touched through `word`; nothing where that was told before."""
        text = word.text
        sure = True
        if (access, word, deep) in self._told:
            return
        self._told.add((access, word, deep))
        if not word.static or text == "{}" or not 0 < len(text) <= _MAX_PATH:
            yield Touch(access, None, None, deep=deep)
            return
        if word.glob and (found := _WILDCARD.search(text)) is not None:
            if ".." in text[found.start() :] or _UPROOTED.search(text, found.start()):
                yield Touch(access, None, None, deep=deep)
                return
            text, sure = text[: found.start()].rpartition("/")[0] or ("/" if text.startswith("/") else "."), False
        if text == "~" or text.startswith("~/"):
            text = self._home + text[1:]
        folders: Sequence[str | None] = ["/"] if text.startswith("/") else self._folders
        for folder in folders:
            if folder is None:
                yield Touch(access, None, None, deep=deep)
            else:
                path = text if text.startswith("/") else f"{folder}/{text}"
                yield Touch(access, self.resolve(path), os.path.normpath(path), sure, deep)

    def resolve(self, path: str) -> str:
        """Where `path` leads; past a bound the path itself, and `overflowed` says so."""
        known = self._links.get(path)
        if known is None:
            self.overflowed = len(self._links) >= _MAX_LINKS
            known = self._links[path] = os.path.normpath(path) if self.overflowed else os.path.realpath(path)
        return known


class Reach:
    """Where the words of a command lead that stand for files only perhaps: absolute paths, `~`, `..`, and `cd`."""

    def __init__(self, reading: Reading, workspace: str, home: str) -> None:
        self._place = _Place(_working_folders(reading, workspace, home), home)

    def find(self, words: Sequence[Word]) -> Iterator[tuple[Word, str | None]]:
        """The words of one simple command that name such places, and where each leads, None where that is unknown."""
        name = program(words[0])
        if name in MOVERS:
            target = next((word for word in words[1:] if not re.fullmatch("-[LPe@]+|--", word.text)), Word("~"))
            known = target.fixed and not target.text.startswith(("-", "+"))
            for path in self._place.spell(target.text):
                yield target, path and self._place.resolve(path) if known else None
            return
        traced = name in READERS or name in WRITERS
        for word in words[1:] if name not in _TEXTUAL else ():
            if not word.static or (traced and not word.text.startswith("-")):
                continue
            for text in self._list_texts(word):
                if not (traced and text == "/"):
                    yield from ((word, path and self._place.resolve(path)) for path in self._place.spell(text))

    def _list_texts(self, word: Word) -> Iterator[str]:
        for text in dict.fromkeys(_embedded_paths(_ADDRESS.sub("", word.text))):
            rooted = text.startswith(("/", "~/")) or text == "~"
            if len(text) <= _MAX_PATH and text not in _SINKS and (rooted or _UPWARD.search(text)):
                yield text


def _working_folders(reading: Reading, workspace: str, home: str) -> list[str | None]:
    """Every folder that the command may be in at some time."""
    folders: list[str | None] = [workspace]
    for candidate in reading.candidates:
        if program(candidate.words[0]) not in MOVERS:
            continue
        target = next((word for word in candidate.words[1:] if not re.fullmatch("-[LPe@]+|--", word.text)), Word("~"))
        moved = {touch.target if touch.sure else None for touch in _Place(folders, home).touch("read", target)}
        if target.text.startswith(("-", "+")) or reading.command.loops:
            moved = {None}
        folders += [folder for folder in sorted(moved, key=str) if folder not in folders]
        if len(folders) > _MAX_FOLDERS:
            return [None]
    assigned = (word.text for part in reading.parts for word in (*part.assignments, *part.words))
    if len(folders) > 1 and any(text.startswith("CDPATH") for text in assigned):
        folders.append(None)
    return folders


def _trace_redirection(operator: str, word: Word, place: _Place) -> Iterator[Touch]:
    if operator == "<<<" or (operator in (">&", "<&") and word.fixed and _DESCRIPTOR.fullmatch(word.text)):
        return
    if word.fixed and word.text in _SINKS:
        return
    if operator in ("<", "<>", "<&"):
        yield from place.touch("read", word)
    if operator != "<":
        yield from place.touch("write", word)


def _trace_arguments(candidate: Candidate, place: _Place) -> Iterator[Touch]:
    words = candidate.words
    name = program(words[0])
    if name in _FED_BY_OTHERS or (name == "find" and any(word.text == "-delete" for word in words)):
        yield Touch("read", None, None)
        yield Touch("write", None, None)
    writer = name in WRITERS or writes_in_place(words)
    if not writer and name not in READERS:
        return
    deep_read, deep_write = name not in NAMES_ONLY, name in _WHOLE_FOLDERS
    files = _operands(name, words[1:])
    copies = name in COPIERS and not any(word.text.startswith(("-t", "--target")) for word in words)
    for index, word in enumerate(files):
        last = index == len(files) - 1
        if name in READERS and not (copies and last and index):
            yield from place.touch("read", word, deep=deep_read)
        if writer and (not copies or last):
            yield from place.touch("write", word, deep=deep_write)
    for word in words[1:]:
        if word.static and (value := _FILE_OPTION.fullmatch(word.text)) is not None:
            yield from place.touch("read", Word(value[1], glob=word.glob))
    if (name in SEARCHERS and not files) or (name in NAMES_ONLY and not _starts(name, words)):
        yield from place.touch("read", Word("."), deep=name in SEARCHERS)
    if follows_links(words):
        yield Touch("read", None, None, deep=True)


def _starts(name: str, words: Sequence[Word]) -> bool:
    """Whether the program is told where to start; `find` is before its first test."""
    if name != "find":
        return any(not word.text.startswith("-") for word in words[1:])
    rest = (word.text for word in words[1:] if not re.fullmatch(r"-(?:[HLP]|O[0-9]?|D)", word.text))
    return not next(rest, "-").startswith(("-", "(", "!"))


def _operands(name: str, words: Sequence[Word]) -> list[Word]:
    """The words that stand for files."""
    files = [word for word in words if not word.text.startswith("-") or not word.static]
    patterned = name in SEARCHERS or name in ("sed", "gsed", "awk", "gawk", "mawk", "nawk", "jq")
    if patterned and not any(re.match(r"-[A-Za-z]*[ef]|--(?:reg|file|exp|from)", word.text) for word in words):
        return files[1:]
    if name == "dd":
        return [Word(word.text.partition("=")[2] or word.text, word.static, word.glob) for word in files]
    return files


def _embedded_paths(text: str) -> Iterator[str]:
    """The texts inside a word that may be paths: `--file=x`, `-fx`, `@x`, `host:x`."""
    yield text
    if text.startswith("-"):
        yield text[2:]
    pieces = _EMBEDDED.split(text)
    if len(pieces) > 1:
        yield text[len(pieces[0]) + 1 :]
        yield from pieces
