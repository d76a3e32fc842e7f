"""The files that a call touches: as its effects say, and as a shell command names them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from a3s_code.harness.safety.folders import Course, find_target
from a3s_code.harness.safety.operands import READERS, WRITERS, is_fed, list_operands
from a3s_code.harness.safety.options import follows_links
from a3s_code.harness.safety.programs import program
from a3s_code.harness.safety.shell import MOVERS, Candidate, Reading
from a3s_code.harness.safety.words import Word
from a3s_code.harness.safety.wrappers import HANDED_OVER

Access = Literal["read", "write"]

_SINKS = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr"})
_DESCRIPTOR = re.compile(r"[0-9]*-?")
_MUTE = MOVERS | {"echo", "printf", "true", "false", "pwd"}
# They take their words for text, not for files.
_TEXTUAL = _MUTE - MOVERS | {"tr", "expr", "seq", "basename", "dirname", "sleep"}
_WILDCARD = re.compile(r"[*?\[{]")
# A brace with an alternative that starts anew at the root, at home, or with what follows the brace.
_UPROOTED = re.compile(r"\{,|,,|,\}|[{,][/~]")
_EMBEDDED = re.compile(r"[=@:,{}]")
_UPWARD = re.compile(r"(?:^|/)\.\.(?:/|$)")
_ADDRESS = re.compile(r"(?<![A-Za-z0-9+.-])(?!file:)[A-Za-z][A-Za-z0-9+.-]*://[^\s,]*", re.IGNORECASE)
_MAX_LINKS = 1000
# No system opens a longer path than this.
_MAX_PATH = 4096


@dataclass(frozen=True, slots=True)
class Touch:
    """A file or folder that is read or written.

    `target` is a real absolute path, `given` the same before links are resolved; both None where they cannot be told.
    Not `sure`: it is something beneath the target. `deep`: a folder's contents count, not only its names. `handed`: it
    is a file that the command itself comes upon. `removed`: nothing is left of it.
    """

    access: Access
    target: str | None
    given: str | None
    sure: bool = True
    deep: bool = False
    handed: bool = False
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a shell command touches by redirections and as arguments of programs known to read or write files."""

    redirected: tuple[Touch, ...]
    named: tuple[Touch, ...]


class Trail:
    """Where the words of one command lead; asks the file system where links lead."""

    def __init__(self, reading: Reading, workspace: str, home: str) -> None:
        self._reading = reading
        self._place = _Place(home)
        self._course = Course(reading, workspace, self._lead)

    def _lead(self, word: Word, folders: Sequence[str | None]) -> set[str | None]:
        return {touch.target if touch.sure else None for touch in self._place.touch("read", word, folders)}

    def trace_files(self) -> Footprint:
        """The footprint of the command."""
        reading = self._reading
        redirected: list[Touch] = []
        placed = zip(reading.parts, reading.places, strict=True)
        found = dict.fromkeys((each, place) for part, place in placed for each in part.redirections)
        for redirection, place in found:
            folders = self._course.at(place)
            redirected += _trace_redirection(redirection.operator, redirection.target, self._place, folders)
        named: list[Touch] = []
        for candidate in reading.candidates:
            if candidate.words:
                named += _trace_arguments(candidate, self._place, self._course.at(candidate.place))
        if reading.endless or self._place.overflowed:
            named += [Touch("read", None, None), Touch("write", None, None)]
        return Footprint(tuple(dict.fromkeys(redirected)), tuple(dict.fromkeys(named)))

    def trace_mentions(self) -> Iterator[str]:
        """Every path that a word may stand for, links not resolved, but for those that the footprint holds."""
        for candidate in self._reading.candidates:
            folders = self._course.at(candidate.place)
            for word in _list_mentions(candidate):
                for text in _embedded_paths(word.text):
                    if text and len(text) <= _MAX_PATH:
                        yield from filter(None, self._place.spell(text, folders))

    def find_reach(self, words: Sequence[Word], place: int) -> Iterator[tuple[Word, str | None]]:
        """The words that stand for files only perhaps and name absolute paths, `~`, `..` or a folder to go to, and
        where each leads, None where that is unknown."""
        name = program(words[0])
        folders = self._course.at(place)
        if name in MOVERS:
            if name == "popd":
                return
            target = find_target(words)
            known = target.fixed and not target.text.startswith(("-", "+"))
            for path in self._place.spell(target.text, folders):
                yield target, path and self._place.resolve(path) if known else None
            return
        traced = name in READERS or name in WRITERS
        for word in words[1:] if name not in _TEXTUAL else ():
            if not word.static or (traced and not word.text.startswith("-")):
                continue
            for text in _list_rooted(word):
                if not (traced and text == "/"):
                    yield from ((word, path and self._place.resolve(path)) for path in self._place.spell(text, folders))


def _list_mentions(candidate: Candidate) -> Iterator[Word]:
    if not candidate.words:
        return
    name = program(candidate.words[0])
    traced = name in READERS or name in WRITERS
    for word in candidate.words if name not in _MUTE else ():
        if word.fixed and (not traced or word.text.startswith("-")):
            yield word


class _Place:
    """Resolves paths, and remembers where they led."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._links: dict[str, str] = {}
        self.overflowed = False

    def spell(self, text: str, folders: Sequence[str | None]) -> list[str | None]:
        """The absolute paths that `text` may mean."""
        if text == "~" or text.startswith("~/"):
            return [os.path.normpath(self._home + text[1:])]
        if text.startswith("/"):
            return [os.path.normpath(text)]
        return [folder and os.path.normpath(f"{folder}/{text}") for folder in folders]

    def touch(
        self, access: Access, word: Word, folders: Sequence[str | None], *, deep: bool = False
    ) -> Iterator[Touch]:
        """What is touched through `word`."""
        text = word.text
        sure = True
        if word == HANDED_OVER:
            yield Touch(access, None, None, deep=deep, handed=True)
            return
        if not word.static or not 0 < len(text) <= _MAX_PATH:
            yield Touch(access, None, None, deep=deep)
            return
        if word.glob and (found := _WILDCARD.search(text)) is not None:
            if ".." in text[found.start() :] or _UPROOTED.search(text, found.start()):
                yield Touch(access, None, None, deep=deep)
                return
            text, sure = text[: found.start()].rpartition("/")[0] or ("/" if text.startswith("/") else "."), False
        if text == "~" or text.startswith("~/"):
            text = self._home + text[1:]
        for folder in ("/",) if text.startswith("/") else folders:
            if folder is None:
                yield Touch(access, None, None, deep=deep)
            else:
                path = text if text.startswith("/") else f"{folder}/{text}"
                yield Touch(access, self.resolve(path), os.path.normpath(path), sure, deep)

    def resolve(self, path: str) -> str:
        """Where `path` leads; past a bound the path itself, and `overflowed` says so."""
        known = self._links.get(path)
        if known is None:
            self.overflowed = self.overflowed or len(self._links) >= _MAX_LINKS
            known = self._links[path] = os.path.normpath(path) if self.overflowed else os.path.realpath(path)
        return known


def _list_rooted(word: Word) -> Iterator[str]:
    for text in dict.fromkeys(_embedded_paths(_ADDRESS.sub("", word.text))):
        rooted = text.startswith(("/", "~/")) or text == "~"
        if len(text) <= _MAX_PATH and text not in _SINKS and (rooted or _UPWARD.search(text)):
            yield text


def _trace_redirection(operator: str, word: Word, place: _Place, folders: Sequence[str | None]) -> Iterator[Touch]:
    if operator.startswith("<<") or (operator in (">&", "<&") and word.fixed and _DESCRIPTOR.fullmatch(word.text)):
        return
    if word.fixed and word.text in _SINKS:
        return
    if operator in ("<", "<>", "<&"):
        yield from place.touch("read", word, folders)
    if operator != "<":
        yield from place.touch("write", word, folders)


def _trace_arguments(candidate: Candidate, place: _Place, folders: Sequence[str | None]) -> Iterator[Touch]:
    words = candidate.words
    if is_fed(words):
        yield Touch("read", None, None)
        yield Touch("write", None, None)
    for operand in dict.fromkeys(list_operands(words)):
        access: Access = "read" if operand.use == "read" else "write"
        if operand.word.fixed and operand.word.text in (*_SINKS, "-"):
            continue
        for touch in place.touch(access, operand.word, folders, deep=operand.deep):
            yield replace(touch, removed=True) if operand.use == "delete" else touch
    if follows_links(words):
        yield Touch("read", None, None, deep=True)


def _embedded_paths(text: str) -> Iterator[str]:
    """The texts inside a word that may be paths: `--file=x`, `-fx`, `@x`, `host:x`."""
    yield text
    if text.startswith("-"):
        yield text[2:]
    pieces = _EMBEDDED.split(text)
    if len(pieces) > 1:
        yield text[len(pieces[0]) + 1 :]
        yield from pieces
