"""Server-sent events, read from bytes as they come."""

from __future__ import annotations

from typing import NamedTuple

LIMIT = 64 * 1024 * 1024
BOM = b"\xef\xbb\xbf"


class ServerEvent(NamedTuple):
    """One event: its `event:` name, empty where it has none, and its `data:` lines joined by line feeds."""

    name: bytes
    data: bytes


class EventReader:
    """Cuts a byte stream into events, however the bytes are split.

    Lines may end in CR, LF or CRLF, and differ from line to line. Events without data are dropped.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._after_cr = False
        self._started = False

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that `chunk` completes; raises ValueError when one event grows over 64 MB."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        buffer = self._buffer
        seen = max(len(buffer) - 1, 0)
        buffer += chunk
        if not self._started and not self._skip_mark():
            return []
        events: list[ServerEvent] = []
        start = 0
        while (end := buffer.find(b"\n\n", max(start, seen))) >= 0:
            if (event := _parse(bytes(buffer[start:end]))) is not None:
                events.append(event)
            start = end + 2
        if start:
            del buffer[:start]
        if len(buffer) > LIMIT:
            raise ValueError("one event is larger than 64 MB")
        return events

    def close(self) -> list[ServerEvent]:
        """What stands after the last blank line: some servers leave out the one at the end."""
        event = _parse(bytes(self._buffer))
        self._buffer.clear()
        return [] if event is None else [event]

    def _skip_mark(self) -> bool:
        if len(self._buffer) < len(BOM) and BOM.startswith(bytes(self._buffer)):
            return False
        if self._buffer.startswith(BOM):
            del self._buffer[: len(BOM)]
        self._started = True
        return True


def _parse(block: bytes) -> ServerEvent | None:
    if block.startswith(b"data: ") and b"\n" not in block:
        return ServerEvent(b"", block[6:])
    name = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return ServerEvent(name, b"\n".join(data)) if data else None
