"""Small on the disk: the entries of a session as one running deflate stream, blobs one by one.

Each entry repeats words of those before it, so a stream that runs on makes it far smaller than it gets alone. Now and
then the stream starts anew, so that the end of a long session can be read without its beginning.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable

from a3s_code.kernel.store import Entry
from a3s_code.stores.rows import NUMBERS, Row, is_row

_ENTRIES_A_STREAM = 256
_BYTES_A_STREAM = 512 * 1024
_RAW = -15
_FLUSHED = b"\x00\x00\xff\xff"
_LEAST_BLOB = 64
_LEVEL = 6
_LEVEL_OF_BLOBS = 3


class Stream:
    """The running stream of one session. It is of no use any more once what it gave was not stored.

    `head` is the digest of the entry it was given last, `last` what it gave for it.
    """

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
        self._entries = 0
        self._bytes = 0
        self.head = b""
        self.last = b""

    @property
    def spent(self) -> bool:
        return self._entries >= _ENTRIES_A_STREAM or self._bytes >= _BYTES_A_STREAM

    def add(self, entry: Entry) -> bytes:
        """What has to be kept of an entry that follows those before it."""
        self._entries += 1
        self._bytes += len(entry.body)
        self.head = entry.digest
        squeezed = b""
        if entry.body:
            squeezed = self._deflate.compress(entry.body) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self.last = squeezed.removesuffix(_FLUSHED)
        return self.last


class Expansion:
    """Reads a stream again, entry by entry."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_RAW)

    def copy(self) -> Expansion:
        twin = Expansion()
        twin._inflate = self._inflate.copy()
        return twin

    def entry(self, row: Row) -> Entry | None:
        """The entry of the next row; None where it cannot be read. Its digest is what the row says, not checked."""
        key, fresh, size, body, digest, _ = row
        if fresh is not None:
            self._inflate = zlib.decompressobj(_RAW)
        expanded = _expand(self._inflate, body + _FLUSHED, size) if size else b""
        return None if expanded is None else Entry(key % NUMBERS, expanded, digest)


def expand(rows: Iterable[Row]) -> list[Entry]:
    """The entries of rows that begin where a stream does, up to the first that cannot be read."""
    expansion, entries = Expansion(), list[Entry]()
    for row in rows:
        entry = expansion.entry(row) if is_row(row) else None
        if entry is None:
            break
        entries.append(entry)
    return entries


def pack(content: bytes) -> tuple[bool, bytes]:
    """A blob as it is kept, and whether that is squeezed."""
    if len(content) >= _LEAST_BLOB:
        squeezed = zlib.compress(content, _LEVEL_OF_BLOBS)
        if len(squeezed) < len(content) * 0.9:
            return True, squeezed
    return False, content


def unpack(digest: bytes, size: object, packed: object, kept: object) -> bytes | None:
    """The blob with this digest again; None where it is not what was kept any more."""
    if not isinstance(kept, bytes) or not isinstance(size, int) or size < 0:
        return None
    content = _expand(zlib.decompressobj(), kept, size) if packed else kept
    return content if content is not None and hashlib.sha256(content).digest() == digest else None


def _expand(inflate: zlib._Decompress, squeezed: bytes, size: int) -> bytes | None:
    try:
        expanded = inflate.decompress(squeezed, size + 1)
    except (zlib.error, OverflowError):
        return None
    return expanded if len(expanded) == size else None
