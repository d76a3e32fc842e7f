"""The file format of SQLite, as far as it takes to read rows where SQLite gives up.

Leaf pages are read one by one, wherever they hang in the tree: from the database file, and from the write-ahead log
where that has a newer image. Where the head of a page is damaged, its rows are searched for. Nothing here tells right
from wrong: whoever reads a row checks it by its hash.
"""

from __future__ import annotations

import os
import re
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from a3s_code.stores.tables import PAGE

Value = int | bytes | None
Values = tuple[Value, ...]

_LEAF = 0x0D
_OTHER_PAGES = {0x00, 0x02, 0x0A}
_FILE_HEADER = 100
_LOG_HEADER = 32
_FRAME_HEADER = 24
_FRAME = _FRAME_HEADER + PAGE
_MASK = 0xFFFFFFFF
_ALL_LOCAL = PAGE - 35
_LEAST_LOCAL = (PAGE - 12) * 32 // 255 - 23
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_HEAD_OF_A_RECORD = re.compile(rb"(?=[\x06-\x20]\x00)")
"""The size of the head, and the key column, which stands as NULL in the record itself."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A page in the log. `sound`: its checksum follows the one before; `commit`: a transaction ends with it."""

    page: int
    place: int
    sound: bool
    commit: bool


class Pages:
    """The page images of a database file and its log; either may be missing. Has to be closed.

    The caller sees to it that no connection of this process is open: closing a file ends the locks of all of them.
    """

    def __init__(self, database: Path, log: Path) -> None:
        self._log = log.read_bytes() if log.exists() else b""
        self._file = os.open(database, os.O_RDONLY | os.O_CLOEXEC) if database.exists() else None
        self._size = 0 if self._file is None else os.fstat(self._file).st_size
        frames = read_frames(self._log)
        end = max((n + 1 for n, frame in enumerate(frames) if frame.sound and frame.commit), default=0)
        self._newest = {frame.page: frame.place for frame in frames[:end] if frame.sound}
        self._any = {frame.page: frame.place for frame in frames}
        self._broken = not all(frame.sound for frame in frames)
        self._frames = frames

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def rows(self) -> Iterator[Values]:
        """Every row on a leaf page of the newest images; then those of older ones that may hold what is lost there.

        The database is ahead of a log that was checkpointed and then cut. And a row that was moved to the page of a
        broken frame is still where it was in an older image.
        """
        for number in range(1, max([-(-self._size // PAGE), *self._newest]) + 1):
            yield from self._leaf(self._image(number, self._newest), number, self._newest)
        for number in self._newest:
            yield from self._leaf(self._image(number, {}), number, {})
        if self._broken:
            for frame in self._frames:
                yield from self._leaf(self._log[frame.place : frame.place + PAGE], frame.page, self._any)

    def _image(self, number: int, places: dict[int, int]) -> bytes:
        if number in places:
            return self._log[places[number] : places[number] + PAGE]
        if self._file is None or (number - 1) * PAGE >= self._size:
            return b""
        return os.pread(self._file, PAGE, (number - 1) * PAGE)

    def _leaf(self, page: bytes, number: int, places: dict[int, int]) -> Iterator[Values]:
        start = _FILE_HEADER if number == 1 else 0
        if len(page) < start + 8 or page[start] in _OTHER_PAGES:
            return
        cells, sound = [], page[start] == _LEAF
        if sound:
            count, content = struct.unpack_from(">HH", page, start + 3)
            cells = list(struct.unpack_from(f">{min(count, (PAGE - start - 8) // 2)}H", page.ljust(PAGE), start + 8))
            sound = not cells or min(cells) == content
        for cell in cells:
            values = self._cell(page, cell, places)
            sound = sound and values is not None
            if values is not None:
                yield values
        if not sound:
            for match in _HEAD_OF_A_RECORD.finditer(page):
                for cell in _cells_before(page, match.start()):
                    values = self._cell(page, cell, places)
                    if values is not None:
                        yield values

    def _cell(self, page: bytes, place: int, places: dict[int, int]) -> Values | None:
        """The row that begins there; None where there cannot be one."""
        try:
            size, place = _varint(page, place)
            key, place = _varint(page, place)
        except IndexError:
            return None
        if size > self._size + len(self._log):
            return None
        local = size
        if size > _ALL_LOCAL:
            local = _LEAST_LOCAL + (size - _LEAST_LOCAL) % (PAGE - 4)
            local = local if local <= _ALL_LOCAL else _LEAST_LOCAL
        payload = page[place : place + local]
        if local < size:
            payload += self._overflow(page[place + local : place + local + 4], size - local, places)
        return _record(payload, key) if len(payload) == size else None

    def _overflow(self, link: bytes, size: int, places: dict[int, int]) -> bytes:
        parts, followed = list[bytes](), set[bytes]()
        while size > 0 and any(link) and link not in followed:
            followed.add(link)
            page = self._image(int.from_bytes(link, "big"), places)
            if not page:
                break
            parts.append(page[4 : 4 + size])
            link, size = page[:4], size - (PAGE - 4)
        return b"".join(parts)


def read_frames(log: bytes) -> list[Frame]:
    """The frames of the log's present generation, broken ones among them; those of earlier ones are left out."""
    places = range(_LOG_HEADER, len(log) - _FRAME + 1, _FRAME)
    if not places:
        return []
    order, salts = _order(log), log[16:24]
    if _checksum(log[:24], (0, 0), order) != struct.unpack_from(">II", log, 24):
        salts = Counter(log[place + 8 : place + 16] for place in places).most_common(1)[0][0]
    before, frames, end = struct.unpack_from(">II", log, 24), list[Frame](), 0
    for place in places:
        page, commit, *_, first, second = struct.unpack_from(">6I", log, place)
        content = place + _FRAME_HEADER
        ours = log[place + 8 : place + 16] == salts
        covered = log[place : place + 8] + log[content : content + PAGE]
        sound = ours and _checksum(covered, before, order) == (first, second)
        frames.append(Frame(page, content, sound, ours and commit != 0))
        before, end = (first, second), len(frames) if ours else end
    return frames[:end]


def committed_frames(log: bytes) -> int:
    """How many frames there are up to the last that ends a transaction, whether their checksums fit or not.

    Far quicker than reading them; SQLite reads as many where nothing is damaged.
    """
    places = range(_LOG_HEADER, len(log) - _FRAME + 1, _FRAME)
    salts = Counter([log[16:24], *(log[place + 8 : place + 16] for place in places)]).most_common(1)[0][0]
    ends = [
        n
        for n, place in enumerate(places, 1)
        if log[place + 8 : place + 16] == salts and any(log[place + 4 : place + 8])
    ]
    return max(ends, default=0)


def _order(log: bytes) -> str:
    """The byte order of the words that the log's checksums add up."""
    wanted = struct.unpack_from(">II", log, 24)
    fits = [order for order in "<>" if _checksum(log[:24], (0, 0), order) == wanted]
    return fits[0] if fits else "<" if sys.byteorder == "little" else ">"


def _checksum(content: bytes, before: tuple[int, ...], order: str) -> tuple[int, ...]:
    """The log's running checksum over more content."""
    first, second = before
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second


def _varint(page: bytes, place: int) -> tuple[int, int]:
    """The number at this place, and the place behind it."""
    value = 0
    for count in range(8):
        byte = page[place + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + count + 1
    value = value << 8 | page[place + 8]
    return (value - (1 << 64) if value >> 63 else value), place + 9


def _record(payload: bytes, key: int) -> Values | None:
    """The values of a record; its first column is the key. None where it is no record of ours."""
    types = _types(payload, 0)
    if types is None:
        return None
    place, values = payload[0], list[Value]([key])
    for kind in types[1:]:
        if kind == 0:
            values.append(None)
        elif kind in (8, 9):
            values.append(kind - 8)
        elif kind in _INTEGERS:
            values.append(int.from_bytes(payload[place : place + _INTEGERS[kind]], "big", signed=True))
        else:
            values.append(payload[place : place + _width(kind)])
        place += _width(kind)
    return tuple(values) if place == len(payload) else None


def _types(page: bytes, place: int) -> list[int] | None:
    """The types in the head of a record that begins there; None where they are not of a row of ours."""
    try:
        end = place + page[place]
        kinds, place = list[int](), place + 1
        while place < end and len(kinds) < 8:
            kind, place = _varint(page, place)
            kinds.append(kind)
    except IndexError:
        return None
    usual = all(kind in (0, 8, 9) or kind in _INTEGERS or (kind >= 12 and not kind % 2) for kind in kinds)
    return kinds if place == end and kinds and kinds[0] == 0 and usual else None


def _width(kind: int) -> int:
    return (kind - 12) // 2 if kind >= 12 else _INTEGERS.get(kind, 0)


def _cells_before(page: bytes, head: int) -> Iterator[int]:
    """Where a cell may begin whose record begins at `head`: its size and key stand before it."""
    types = _types(page, head)
    if types is None or len(types) < 5:
        return
    size = page[head] + sum(map(_width, types))
    for key in range(max(head - 9, 0), head):
        if _varint(page, key)[1] != head:
            continue
        for place in range(max(key - 5, 0), key):
            if _varint(page, place) == (size, key):
                yield place
