"""Covering: what is found in a text is replaced by tokens, in a whole text and in one that comes in pieces alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

KEPT = 32
"""Characters kept before what is undecided, for whoever looks at what stands before a match."""

Match = tuple[int, int, str]
"""Where something to cover begins and ends, and the token to stand for it."""


class Finder(Protocol):
    """Finds what is to be covered."""

    def find(self, text: str, start: int, end: int) -> Sequence[Match]:
        """All matches that begin in `start` to `end`, sorted; they may overlap, and go on behind `end`."""
        ...

    def decided(self, text: str, start: int, fresh: int) -> int:
        """Up to where no match can begin that a longer text would change. What lies before `start` is decided, what
        lies before `fresh` was looked at before."""
        ...


def cover(finder: Finder, text: str) -> str:
    """The text with all matches covered; the same object where there is none. Overlapping ones become one token."""
    matches = finder.find(text, 0, len(text))
    return _cover(text, matches, 0, 0, len(text))[0] if matches else text


class CoveringStream:
    """Covers a text that comes in pieces. What may be the beginning of a match is held back, and nothing else."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._text = ""
        self._start = 0  # what lies before is decided
        self._shown = 0  # what lies before is shown or covered; behind the start where a match reached over it

    def feed(self, text: str) -> str:
        """What can be shown by now."""
        fresh = len(self._text)
        self._text += text
        return self._advance(self._finder.decided(self._text, self._start, fresh))

    def finish(self) -> str:
        """What was held back; the stream can be used for another text then."""
        shown = self._advance(len(self._text))
        self._text, self._start, self._shown = "", 0, 0
        return shown

    def _advance(self, end: int) -> str:
        if end <= self._start:
            return ""
        text = self._text
        matches = self._finder.find(text, self._start, end)
        if not matches and self._shown <= self._start:
            shown, done = text[self._start : end], end
        else:
            shown, done = _cover(text, matches, self._start, self._shown, end)
        dropped = max(0, end - KEPT)
        self._text = text[dropped:]
        self._start, self._shown = end - dropped, done - dropped
        return shown


def _cover(text: str, matches: Sequence[Match], start: int, shown: int, end: int) -> tuple[str, int]:
    """What is to be shown of `start` to `end`, and up to where the text is shown or covered."""
    pieces: list[str] = []
    done = max(shown, start)
    for first, last, token in matches:
        if first >= done:
            pieces += (text[done:first], token)
        done = max(done, last)
    if done < end:
        pieces.append(text[done:end])
        done = end
    return "".join(pieces), done
