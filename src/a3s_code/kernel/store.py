"""Where sessions are kept: the port of a store, and the sealed entries that it keeps.

A session is an append-only sequence of entries. Each holds the facts of one commit as JSON text, and the hash of itself
and of all before it, so that whatever was lost or changed in between is found out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

BEGINNING = bytes(32)
"""The digest that the first entry follows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit of a session. `number` counts from 0, `body` is JSON text in UTF-8, `digest` 32 bytes of SHA-256."""

    number: int
    body: bytes = field(repr=False)
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Commit:
    """What is stored at once, all or nothing.

    `summary` replaces the one before; a store gives it back in listings and does not read it. `blobs` are contents that
    the session refers to for the first time, by the SHA-256 of each in hexadecimal; `dropped` those it needs no more.
    """

    session_id: str
    entry: Entry
    summary: bytes = field(repr=False)
    blobs: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    dropped: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """A session as it was found: its entries in order, its last summary, and what the store had to leave out."""

    entries: Sequence[Entry]
    summary: bytes
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A session in a list. `pid` is the process that has it open now, None where nobody has."""

    session_id: str
    summary: bytes
    pid: int | None = None


class SessionStore(Protocol):
    """Keeps sessions. Every verb may be called on any event loop, for several sessions at once.

    They raise StoreError where the store cannot be read or written, UnknownSession for an id that is not there (append,
    load, cut), SessionInUse where it has a writer already (claim, delete), and nothing else.
    """

    async def claim(self, session_id: str) -> None:
        """Become the session's one writer, until `release` or the end of this process. A writer that died counts for
        nothing. The session need not exist."""
        ...

    async def release(self, session_id: str) -> None:
        """Be its writer no more; does nothing where one is not."""
        ...

    async def append(self, commit: Commit) -> None:
        """Durable when it returns. An entry that is there already, with the same digest, is left as it is; one that
        does not follow the last raises StoreError. The first entry makes the session."""
        ...

    async def load(self, session_id: str, after: int = -1) -> Stored:
        """The entries with a number above `after`. What cannot be read any more is left out, with all that follows."""
        ...

    async def cut(self, session_id: str, length: int, reason: str) -> None:
        """Put the entries from number `length` on aside, since they are damaged; new ones follow the rest."""
        ...

    async def blobs(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        """The contents with these digests; what is not there, or is no more what it was, is left out."""
        ...

    async def sessions(self) -> Sequence[Listing]:
        """All sessions, in the order they were made."""
        ...

    async def delete(self, session_id: str) -> bool:
        """Forget the session and what only it refers to; False where there was none."""
        ...

    async def close(self) -> None:
        """Release what is claimed and finish what was begun. A later verb opens the store again."""
        ...


def seal(previous: bytes, number: int, body: bytes) -> Entry:
    """The entry that follows the one with the digest `previous`."""
    return Entry(number, body, hashlib.sha256(b"%b%d:%b" % (previous, number, body)).digest())


def unbroken(entries: Sequence[Entry], previous: bytes = BEGINNING, number: int = 0) -> int:
    """How many of the entries, from the first on, are what was sealed; the first has to follow `previous`."""
    for count, entry in enumerate(entries):
        if entry.number != number or seal(previous, number, entry.body).digest != entry.digest:
            return count
        previous, number = entry.digest, number + 1
    return len(entries)
