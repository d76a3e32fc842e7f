"""Unified diffs, as diff, git and models write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from a3s_code.capabilities.core_tools.patching.change import EMPTY, Change, Draught, Hunk, Malformed
from a3s_code.capabilities.core_tools.patching.filename import agree, read_git_pair, read_name, strip_pair

NULL = "/dev/null"
_RANGES = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_IGNORED = re.compile(r"(index |similarity index |dissimilarity index |Index: |={20,}|diff )")
_BINARY = re.compile(r"GIT binary patch|Binary files .* differ")
_MODES = {"100644": False, "100755": True}


@dataclass(slots=True)
class _Section:
    """What the headers of one file said so far."""

    line: int
    git: tuple[str, str] | None = None
    old: str | None = None
    new: str | None = None
    rename: dict[str, str] = field(default_factory=dict[str, str])
    mode: bool | None = None
    created: bool = False
    deleted: bool = False
    hunks: list[Hunk] = field(default_factory=list[Hunk])

    def finish(self, file_path: str | None) -> Change:
        """The change this amounts to."""
        old, new = self._names(file_path)
        hunks = tuple(self.hunks)
        if old == new == NULL:
            raise Malformed("both names of a file are /dev/null", self.line)
        if old == NULL:
            return Change("added", new, hunks=hunks, executable=self.mode)
        if new == NULL:
            return Change("deleted", old, hunks=hunks)
        if old != new:
            if not self.rename:
                reason = f"it names {old} and {new} as one file; to rename, add `rename from` and `rename to`"
                raise Malformed(reason, self.line)
            return Change("moved", old, new, hunks, self.mode)
        if not hunks and self.mode is None:
            raise Malformed(f"it holds no hunk (@@) for {old}", self.line)
        return Change("updated", old, hunks=hunks, executable=self.mode)

    @property
    def is_whole(self) -> bool:
        """Whether it says something without a hunk."""
        return self.created or self.deleted or bool(self.rename) or self.mode is not None

    def fits(self, old: str | None = None, new: str | None = None) -> bool:
        """Whether the names after `---` and `+++` are those after `diff --git`."""
        given = {self.old if old is None else old, self.new if new is None else new} - {None, NULL}
        return self.git is None or given <= set(self.git)

    def _names(self, file_path: str | None) -> tuple[str, str]:
        if self.rename:
            if set(self.rename) != {"from", "to"}:
                raise Malformed("a rename needs `rename from` and `rename to`", self.line)
            if file_path is not None:
                raise Malformed("a rename takes two names; leave file_path out", self.line)
            old, new = self.rename["from"], self.rename["to"]
        elif self.git is not None and self.fits():
            old, new = strip_pair(*self.git)
        elif self.old is not None and self.new is not None:
            old, new = strip_pair(self.old, self.new)
        elif file_path is not None:
            old = new = file_path
        else:
            raise Malformed("no file is named: give `---` and `+++` lines, or file_path", self.line)
        old = NULL if self.created or self.old == NULL else old
        new = NULL if self.deleted or self.new == NULL else new
        return (old, new) if file_path is None else agree(old, new, file_path, self.line)


class UnifiedParser:
    """Reads a diff line by line; `parse` gives its changes or raises Malformed."""

    def __init__(self, lines: Sequence[str], file_path: str | None) -> None:
        self._lines = lines
        self._file_path = file_path
        self._at = 0
        self._section: _Section | None = None
        self._changes: list[Change] = []
        self._before_files = True

    def parse(self) -> list[Change]:
        while self._at < len(self._lines):
            self._read(self._lines[self._at])
        self._close()
        if not self._changes:
            raise Malformed("there is no file and no hunk (@@) in it")
        return self._changes

    def _read(self, line: str) -> None:
        if line.startswith("diff --git "):
            self._open(_Section(self._at + 1, git=read_git_pair(line[11:], self._at + 1)))
            self._at += 1
        elif self._at_names(self._at):
            self._read_names()
        elif line.startswith("@@@"):
            raise Malformed("it is a combined diff of a merge; give a plain one", self._at + 1)
        elif line.startswith("@@"):
            self._read_hunk(line)
        elif _BINARY.match(line):
            raise Malformed("it is a binary patch, which is not supported", self._at + 1)
        elif self._read_extended(line) or self._may_skip(line):
            self._at += 1
        else:
            reason = "this line belongs to no hunk: lines of a hunk start with a space, + or -"
            raise Malformed(reason, self._at + 1)

    def _open(self, section: _Section) -> None:
        self._close()
        self._section = section
        self._before_files = False

    def _close(self) -> None:
        if self._section is not None:
            self._changes.append(self._section.finish(self._file_path))
        self._section = None

    def _at_names(self, place: int) -> bool:
        pair = self._lines[place : place + 2]
        return len(pair) == 2 and pair[0].startswith("--- ") and pair[1].startswith("+++ ")

    def _read_names(self) -> None:
        line = self._at + 1
        old = read_name(self._lines[self._at][4:], line)
        new = read_name(self._lines[self._at + 1][4:], line + 1)
        section = self._section
        if section is None or section.hunks or section.old or (section.is_whole and not section.fits(old, new)):
            section = _Section(line)
            self._open(section)
        section.old, section.new = old, new
        self._at += 2

    def _read_extended(self, line: str) -> bool:
        section = self._section
        if section is None or section.hunks:
            return False
        where, words = self._at + 1, line.split(" ", 2)
        match words:
            case ["rename", ("from" | "to") as side, name]:
                section.rename[side] = read_name(name, where)
            case ["copy", _, _]:
                raise Malformed("copies are not supported; add the file instead", where)
            case ["old", "mode", _]:
                return True
            case ["new" | "deleted" as what, "file", mode] if mode.startswith("mode "):
                section.created, section.deleted = what == "new", what == "deleted"
                section.mode = self._mode(mode[5:]) if what == "new" else None
            case ["new", "mode", mode]:
                section.mode = self._mode(mode)
            case _:
                return False
        return True

    def _mode(self, mode: str) -> bool:
        if mode.strip() not in _MODES:
            reason = f"mode {mode.strip()} is not supported; files are 100644 or 100755"
            raise Malformed(reason, self._at + 1)
        return _MODES[mode.strip()]

    def _may_skip(self, line: str) -> bool:
        """Whether a line outside of hunks says nothing: words before the first file, headers, the end of a mail."""
        if line == "-- ":
            self._close()
            self._before_files = True
            return True
        return self._before_files or not line.strip() or _IGNORED.match(line) is not None

    def _read_hunk(self, header: str) -> None:
        if self._section is None:
            if self._changes and self._file_path is None:
                raise Malformed("this hunk belongs to no file", self._at + 1)
            self._open(_Section(self._at + 1))
        assert self._section is not None
        first = self._at + 1
        ranges = _RANGES.match(header)
        if ranges is None:
            self._section.hunks.append(self._read_free(header, first))
            return
        start, old, new = int(ranges[1]), int(ranges[2] or "1"), int(ranges[4] or "1")
        # A range without lines states the line it follows, any other the line it begins with.
        index = start if old == 0 else start - 1
        if index < 0:
            raise Malformed("lines are counted from 1", first)
        hunk = self._read_counted(first, index, old, new)
        if hunk is None:
            draught = self._read_rows(first)
            hunk = draught.finish(first, index, miscounted=True)
        self._section.hunks.append(hunk)

    def _read_free(self, header: str, first: int) -> Hunk:
        """A hunk without ranges: what stands after the `@@` is a line before it."""
        anchor = header[2:].strip().removesuffix("@@").strip(" .")
        if re.match(r"-\d", anchor):
            raise Malformed(f"{header[:60]!r} is no hunk header such as @@ -1,3 +1,4 @@", first)
        return self._read_rows(first).finish(first, anchors=(anchor,) if anchor else ())

    def _read_counted(self, first: int, index: int, old: int, new: int) -> Hunk | None:
        """The hunk by the numbers in its header; None, with nothing read, where they do not fit the lines."""
        draught, place = Draught(), first
        while (old or new) and place < len(self._lines):
            line = self._lines[place]
            place += 1
            if line.startswith("\\"):
                draught.mark_open(place)
                continue
            sign = line[0] if line.strip("\r") else " "
            if sign not in " +-":
                return None
            if line.strip("\r"):
                draught.add(sign, line[1:])
            else:
                draught.rows.append(EMPTY)
            old -= sign != "+"
            new -= sign != "-"
            if old < 0 or new < 0:
                return None
        if place < len(self._lines) and self._lines[place].startswith("\\"):
            place += 1
            draught.mark_open(place)
        if old or new or not self._ends_hunk(place):
            return None
        self._at = place
        return draught.finish(first, index)

    def _ends_hunk(self, place: int) -> bool:
        """Whether a hunk can end before the line at `place`."""
        while place < len(self._lines) and not self._lines[place].strip():
            place += 1
        return place >= len(self._lines) or self._starts_header(place) or self._lines[place] == "-- "

    def _read_rows(self, first: int) -> Draught:
        """Rows up to what can only be a header, whatever their number."""
        draught, place = Draught(), first
        blanks = 0
        while place < len(self._lines) and not self._starts_header(place):
            line = self._lines[place]
            place += 1
            if line.startswith("\\"):
                draught.mark_open(place)
            elif not line.strip("\r"):
                # An empty line may be an empty line of the file or lie between the hunks.
                blanks += 1
                continue
            elif line[0] not in " +-":
                raise Malformed("this line of a hunk starts with neither a space nor + nor -", place)
            else:
                draught.rows += [EMPTY] * blanks
                draught.add(line[0], line[1:])
            blanks = 0
        self._at = place
        return draught

    def _starts_header(self, place: int) -> bool:
        line = self._lines[place]
        return line.startswith("@@") or _IGNORED.match(line) is not None or self._at_names(place)
