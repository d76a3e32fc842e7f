"""The `*** Begin Patch` form."""

from __future__ import annotations

from collections.abc import Sequence

from a3s_code.capabilities.core_tools.patching.change import EMPTY, Change, Draught, Hunk, Malformed
from a3s_code.capabilities.core_tools.patching.filename import agree

BEGIN = "*** Begin Patch"
END = "*** End Patch"
END_OF_FILE = "*** End of File"
MOVE = "*** Move to:"
_KINDS = ("Add", "Update", "Delete")


class EnvelopeParser:
    """Reads the form line by line; `parse` gives its changes or raises Malformed."""

    def __init__(self, lines: Sequence[str], file_path: str | None) -> None:
        self._lines = lines
        self._file_path = file_path
        self._at = 0

    def parse(self) -> list[Change]:
        while not self._lines[self._at].strip():
            self._at += 1
        self._at += 1
        changes: list[Change] = []
        while (line := self._line("it is cut off: `*** End Patch` is missing")).strip() != END:
            if line.strip():
                changes.append(self._read_file(line))
            else:
                self._at += 1
        if any(rest.strip() for rest in self._lines[self._at + 1 :]):
            raise Malformed("something follows after `*** End Patch`", self._at + 2)
        if not changes:
            raise Malformed("it names no file", self._at + 1)
        return changes

    def _line(self, missing: str) -> str:
        if self._at >= len(self._lines):
            raise Malformed(missing)
        return self._lines[self._at]

    def _read_file(self, header: str) -> Change:
        start = self._at + 1
        kind = next((kind for kind in _KINDS if header.startswith(f"*** {kind} File:")), None)
        if kind is None:
            reason = "expected `*** Add File: path`, `*** Update File: path` or `*** Delete File: path`"
            raise Malformed(reason, start)
        path = self._path(header.partition(":")[2])
        if self._file_path is not None:
            path, _ = agree(path, path, self._file_path, start)
        self._at += 1
        if kind == "Delete":
            return Change("deleted", path, unseen=True)
        if kind == "Add":
            return Change("added", path, hunks=self._read_content(start))
        return self._read_update(path, start)

    def _path(self, text: str) -> str:
        if not text.strip():
            raise Malformed("the name of a file is missing", self._at + 1)
        return text.strip()

    def _read_content(self, start: int) -> tuple[Hunk, ...]:
        draught, blank = Draught(), 0
        while not self._at_header():
            line = self._lines[self._at]
            self._at += 1
            if not line.strip():
                blank = blank or self._at
            elif blank or not line.startswith("+"):
                raise Malformed("each line of an added file starts with +", blank or self._at)
            else:
                draught.add("+", line[1:])
        return (draught.finish(start, 0),) if draught.rows else ()

    def _read_update(self, path: str, start: int) -> Change:
        target = None
        if not self._at_end() and self._lines[self._at].startswith(MOVE):
            target = self._path(self._lines[self._at][len(MOVE) :])
            self._at += 1
        hunks: list[Hunk] = []
        while not self._at_header():
            if self._lines[self._at].strip():
                hunks.append(self._read_hunk())
            else:
                self._at += 1
        if target is None and not hunks:
            raise Malformed(f"it holds no lines to change in {path}", start)
        if target is not None and self._file_path is not None:
            raise Malformed("a move takes two names; leave file_path out", start)
        return Change("updated" if target is None else "moved", path, target, tuple(hunks))

    def _read_hunk(self) -> Hunk:
        start, anchors = self._at + 1, []
        while not self._at_header() and self._lines[self._at].startswith("@@"):
            anchor = self._lines[self._at][2:].strip().removesuffix("@@").strip()
            anchors += [anchor] if anchor else []
            self._at += 1
        draught, at_end, blanks = Draught(), False, 0
        while not (at_end or self._at_header() or self._lines[self._at].startswith("@@")):
            line = self._lines[self._at]
            self._at += 1
            if line.strip() == END_OF_FILE:
                at_end = True
            elif line.startswith("\\"):
                draught.mark_open(self._at)
            elif not line.strip("\r"):
                blanks += 1
                continue
            elif line[0] not in " +-":
                raise Malformed("this line of a hunk starts with neither a space nor + nor -", self._at)
            else:
                draught.rows += [EMPTY] * blanks
                draught.add(line[0], line[1:])
            blanks = 0
        return draught.finish(start, anchors=tuple(anchors), at_end=at_end)

    def _at_end(self) -> bool:
        return self._at >= len(self._lines)

    def _at_header(self) -> bool:
        """Whether a file's part of the patch ends here."""
        line = self._line("it is cut off: `*** End Patch` is missing")
        return line.startswith("*** ") and line.strip() != END_OF_FILE
