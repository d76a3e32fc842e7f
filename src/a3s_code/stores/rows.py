"""What the columns of the tables mean."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from a3s_code.kernel.store import Commit

Row = tuple[int, bytes | None, int, bytes, bytes, bytes | None]
"""An entry as it is kept: key, the session's id where a stream starts, size, body, digest, changes of the blobs."""

NUMBERS = 1 << 32
"""The key of an entry is its session's number times this, plus its own number."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """What is kept of a session beside its entries: how many there are, and the digest of the last."""

    number: int
    id: bytes
    count: int
    head: bytes
    summary: bytes
    damage: bytes | None = None

    @property
    def seal(self) -> bytes:
        """Shows whether anything in the row was changed."""
        damage = b"-" if self.damage is None else b"+" + self.damage
        sizes = b"%d:%d:%d:%d:" % (self.number, self.count, len(self.id), len(self.summary))
        return hashlib.sha256(sizes + self.id + self.summary + self.head + damage).digest()[:16]

    @property
    def values(self) -> tuple[object, ...]:
        return (self.number, self.id, self.count, self.head, self.seal, self.summary, self.damage)


def session_row(values: Sequence[object]) -> SessionRow | None:
    """The row with these values, in the order of the table; None where it is not what was sealed."""
    match tuple(values):
        case (
            int() as number,
            bytes() as id_,
            int() as count,
            bytes() as head,
            bytes() as seal,
            bytes() as summary,
            bytes() | None as damage,
        ):
            row = SessionRow(number, id_, count, head, summary, damage)
            return row if row.seal == seal else None
        case _:
            return None


def entry_key(session: SessionRow, number: int) -> int:
    return session.number * NUMBERS + number


def is_row(row: tuple[object, ...]) -> bool:
    """Whether the values have the types of an entry's row."""
    match row:
        case (int(), bytes() | None, int() as size, bytes(), bytes() as digest, bytes() | None):
            return size >= 0 and len(digest) == 32
        case _:
            return False


def blob_changes(commit: Commit) -> bytes | None:
    """Which blobs the session refers to from this commit on, and which no more."""
    changes = [b"-" + bytes.fromhex(digest) for digest in commit.dropped]
    changes += [b"+" + bytes.fromhex(digest) for digest in commit.blobs]
    return b"".join(changes) or None


def changed_blobs(changes: bytes | None) -> tuple[list[bytes], list[bytes]]:
    """The digests that were added, and those that were dropped."""
    parts = [(changes or b"")[place : place + 33] for place in range(0, len(changes or b""), 33)]
    return [part[1:] for part in parts if part[:1] == b"+"], [part[1:] for part in parts if part[:1] == b"-"]


def name_of(session_id: str) -> bytes:
    return session_id.encode("utf-8", "surrogatepass")


def text_of(kept: bytes) -> str:
    """An id or a sentence again; what is no UTF-8 any more shows as replacement characters."""
    try:
        return kept.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return kept.decode("utf-8", "replace")
