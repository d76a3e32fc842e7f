"""The bytes of an output, kept within bounds."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

PIECE_ERRORS = "backslashreplace"
PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Captured:
    """An output: its first bytes, how many were left out after them, its last bytes."""

    head: bytes = b""
    omitted: int = 0
    tail: bytes = b""

    @property
    def text(self) -> str:
        """The output as text, with a note where bytes were left out; a byte that is no UTF-8 is written out."""
        if not self.omitted:
            return decode_output(self.head + self.tail)
        head, tail = _trim_end(self.head), _trim_start(self.tail)
        left_out = self.omitted + len(self.head) - len(head) + len(self.tail) - len(tail)
        return f"{decode_output(head)}\n[{left_out} bytes left out]\n{decode_output(tail)}"


class Capture:
    """Keeps a stream of up to `whole` bytes as it is; of a longer one `keep` bytes, half from its beginning, half from
    its end."""

    def __init__(self, keep: int, whole: int = 0) -> None:
        self._half = keep // 2
        self._whole = whole
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, content: bytes) -> None:
        room = self._half - len(self._head)
        if room > 0:
            self._head += content[:room]
            content = content[room:]
        self._tail += content
        # Cut only when twice too long, so that each byte is moved once.
        if len(self._tail) > max(2 * self._half, self._whole - self._half):
            self._whole = 0
            self._cut()

    def _cut(self) -> None:
        if self._dropped == 0 and len(self._head) + len(self._tail) <= self._whole:
            return
        surplus = max(len(self._tail) - self._half, 0)
        self._dropped += surplus
        del self._tail[:surplus]

    def captured(self) -> Captured:
        self._cut()
        return Captured(bytes(self._head), self._dropped, bytes(self._tail))


class Pieces:
    """Turns bytes, as they come, into text; a character cut in two waits for its rest."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(PIECE_ERRORS)

    def decode(self, content: bytes, *, last: bool = False) -> str:
        return self._decoder.decode(content, last)


def decode_output(content: bytes) -> str:
    """`content` as text. Other threads get their turn meanwhile: one long decode would hold them all up."""
    pieces = Pieces()
    parts = [pieces.decode(content[start : start + PIECE_BYTES]) for start in range(0, len(content), PIECE_BYTES)]
    return "".join(parts) + pieces.decode(b"", last=True)


def _trim_end(head: bytes) -> bytes:
    """`head` without a character that was cut in two."""
    pieces = codecs.getincrementaldecoder("utf-8")("replace")
    pieces.decode(head)
    cut = len(pieces.getstate()[0])
    return head[: len(head) - cut]


def _trim_start(tail: bytes) -> bytes:
    start = 0
    while start < min(3, len(tail)) and tail[start] & 0xC0 == 0x80:
        start += 1
    return tail[start:]
