"""Streamed text, wrapped word by word while it comes."""

from __future__ import annotations

import re
import time

from a3s_code.cli.screen import Screen

_PIECE = re.compile(r"\n|[^\S\n]+|\S+")
WIDEST = 88


class Prose:
    """Writes the text of one speaker. `pace` is the pause after a word, in seconds, for a reader who watches."""

    def __init__(self, screen: Screen, *, indent: str = "  ", pace: float = 0.0) -> None:
        self._screen = screen
        self._indent = indent
        self._pace = pace if screen.paced else 0.0
        self._width = max(min(screen.width - 1, WIDEST), 20)
        self._column = 0
        self._blank = ""
        self._rest = ""
        self._code = False

    def feed(self, text: str) -> None:
        """Write what of `text` is certain; a word that may go on waits for its end."""
        pieces = _PIECE.findall(self._rest + text)
        self._rest = pieces.pop() if pieces and not pieces[-1].isspace() else ""
        for piece in pieces:
            self._take(piece)

    def end(self) -> None:
        """Write what is left, and end the line."""
        if self._rest:
            self._take(self._rest)
        if self._column:
            self._screen.write(("\n", "plain"))
        self._column, self._blank, self._rest, self._code = 0, "", "", False

    def _take(self, piece: str) -> None:
        if piece == "\n":
            self._screen.write(("\n", "plain"))
            self._column, self._blank = 0, ""
        elif piece.isspace():
            self._blank = piece.expandtabs(4)
        else:
            self._write_word(piece)

    def _write_word(self, word: str) -> None:
        parts = word.split("`")
        shown = word if not self._screen.paced else "".join(parts)
        if self._column and self._column + len(self._blank) + len(shown) > self._width:
            self._screen.write(("\n", "plain"))
            self._column, self._blank = 0, ""
        lead = self._blank if self._column else self._indent + self._blank
        self._screen.write((lead, "plain"))
        for index, part in enumerate(parts):
            self._code ^= index > 0
            mark = "" if self._screen.paced or index == 0 else "`"
            self._screen.write((mark + part, "code" if self._code else "plain"))
        self._column += len(lead) + len(shown)
        self._blank = ""
        if self._pace:
            time.sleep(self._pace)
