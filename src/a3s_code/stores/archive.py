"""What the tables hold: the verbs of a store on one open database. Of one thread."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from a3s_code.errors import A3SError, StoreError
from a3s_code.kernel.store import BEGINNING, Commit, Stored, unbroken
from a3s_code.stores.acceptance import raw, unknown, why_refused
from a3s_code.stores.rows import (
    NUMBERS,
    Row,
    SessionRow,
    blob_changes,
    changed_blobs,
    entry_key,
    name_of,
    session_row,
    text_of,
)
from a3s_code.stores.squeeze import Stream, expand, pack, unpack
from a3s_code.stores.tables import Damaged
from a3s_code.stores.witness import Witness

_STREAMS = 64
_SESSIONS = "SELECT number, id, count, head, seal, summary, damage FROM sessions"
_ENTRIES = "SELECT key, fresh, size, body, digest, blobs FROM entries WHERE key >= ? AND key < ? ORDER BY key"


class Archive:
    """Raises Damaged where something is not what was written, sqlite3.Error where the file cannot be used."""

    def __init__(self, connection: sqlite3.Connection, witness: Witness) -> None:
        self._connection = connection
        self._witness = witness
        self._numbers: dict[bytes, int] = {}
        self._streams: OrderedDict[int, Stream] = OrderedDict()
        self._noted = 0

    def close(self) -> None:
        self._connection.close()

    def write(self, commits: Iterable[Commit]) -> list[A3SError | None]:
        """Store the commits in one transaction; for each None, or why it alone was refused."""
        counts: dict[int, int] = {}
        with self._transaction("IMMEDIATE"):
            outcomes = [self._append(commit, counts) for commit in commits]
        with suppress(OSError):  # a note that is missing shows nothing, and the commits are stored
            for number, count in counts.items():
                self._witness.note(number, count)
        return outcomes

    def check(self) -> dict[int, int]:
        """The count of each session; raises Damaged where one is shorter than it was seen, or missing."""
        with self._transaction():
            sessions = self._all()
        for session in sessions:
            self._compare(session)
        return {session.number: session.count for session in sessions}

    def load(self, session_id: str, after: int) -> Stored:
        with self._transaction():
            session = self._known(session_id)
            first = self._stream_start(session, after)
            rows = self._rows(session, first)
        self._compare(session)
        entries = expand(rows)
        skipped = min(max(after + 1 - first, 0), len(entries))
        previous = entries[skipped - 1].digest if skipped else BEGINNING
        wanted = entries[skipped:]
        if unbroken(wanted, previous, first + skipped) < len(wanted) or first + len(entries) != session.count:
            raise Damaged(f"entries of session {session_id!r} are damaged or missing")
        if entries and entries[-1].digest != session.head:
            raise Damaged(f"the entries of session {session_id!r} do not end as they did")
        return Stored(wanted, session.summary, None if session.damage is None else text_of(session.damage))

    def cut(self, session_id: str, length: int, reason: str) -> None:
        with self._transaction("IMMEDIATE"):
            self._cut(self._known(session_id), length, reason.encode("utf-8", "surrogatepass"))
        self._forget_log()

    def blobs(self, digests: Iterable[str]) -> Mapping[str, bytes]:
        with self._transaction():
            found = {digest: self._blob(digest) for digest in digests}
        return {digest: content for digest, content in found.items() if content is not None}

    def sessions(self) -> list[tuple[str, bytes]]:
        """The id and summary of each, in the order they were made."""
        with self._transaction():
            return [(text_of(session.id), session.summary) for session in self._all()]

    def delete(self, session_id: str) -> bool:
        with self._transaction("IMMEDIATE"):
            session = self._find(name_of(session_id))
            if session is not None:
                self._delete(session)
        if session is not None:
            self._forget_log()
        return session is not None

    def collect(self) -> None:
        """Drop the blobs that no session refers to, and give back the room that is free."""
        with self._transaction("IMMEDIATE"):
            self._connection.execute("DELETE FROM blobs WHERE number NOT IN (SELECT blob FROM refs)")
        self._connection.execute("VACUUM")
        self._forget_log()

    @contextmanager
    def _transaction(self, kind: str = "DEFERRED") -> Iterator[None]:
        # What is noted after this moment may belong to commits that the transaction does not see.
        self._noted = self._witness.highest()
        self._connection.execute(f"BEGIN {kind}")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._streams.clear()
            self._numbers.clear()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _forget_log(self) -> None:
        """Leave nothing of what was deleted in the write-ahead log."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _find(self, name: bytes) -> SessionRow | None:
        number = self._numbers.get(name)
        session = None if number is None else self._session(number)
        if session is not None and session.id == name:
            return session
        found = self._connection.execute("SELECT number FROM sessions WHERE id = ?", (name,)).fetchone()
        if found is None:
            return None
        self._numbers[name] = found[0]
        return self._session(found[0])

    def _session(self, number: int) -> SessionRow | None:
        values = self._connection.execute(f"{_SESSIONS} WHERE number = ?", (number,)).fetchone()
        return None if values is None else _sealed(values)

    def _known(self, session_id: str) -> SessionRow:
        session = self._find(name_of(session_id))
        if session is None:
            self._all()  # it may be damage that hides it
            raise unknown(session_id)
        return session

    def _all(self) -> list[SessionRow]:
        """Every session; raises Damaged where there are entries of others."""
        sessions = [_sealed(values) for values in self._connection.execute(f"{_SESSIONS} ORDER BY number")]
        numbers = {session.number for session in sessions}
        key = -(1 << 63)
        while (found := self._first_key(key)) is not None:
            if found < key or found // NUMBERS not in numbers:
                raise Damaged("a session is missing, though its entries are there")
            key = (found // NUMBERS + 1) * NUMBERS
        last = max(numbers, default=0)
        if self._noted > last and any(last < number <= self._noted for number in self._witness.counts()):
            raise Damaged("a session is missing, though it was written")
        return sessions

    def _compare(self, session: SessionRow) -> None:
        """Raise Damaged where the session is shorter than it was seen. Outside of a transaction: another process may
        have stored more, and noted it, since the session was read; then it is there now."""
        seen = self._witness.seen(session.number)
        if seen <= session.count:
            return
        now = self._session(session.number)
        if min(seen, self._witness.seen(session.number)) > (0 if now is None else now.count):
            raise Damaged(f"the last entries of session {text_of(session.id)!r} are missing")

    def _first_key(self, least: int) -> int | None:
        question = "SELECT min(key) FROM entries WHERE key >= ?"
        key: int | None = self._connection.execute(question, (least,)).fetchone()[0]
        return key

    def _stream_start(self, session: SessionRow, after: int) -> int:
        """The number of the entry, at or before `after`, where a stream starts."""
        start = session.number * NUMBERS
        question = "SELECT max(key) FROM entries WHERE key BETWEEN ? AND ? AND fresh IS NOT NULL"
        (key,) = self._connection.execute(question, (start, start + max(min(after, session.count), 0))).fetchone()
        return 0 if key is None else key - start

    def _rows(self, session: SessionRow, first: int) -> list[Row]:
        start = session.number * NUMBERS
        return self._connection.execute(_ENTRIES, (start + first, start + NUMBERS)).fetchall()

    def _append(self, commit: Commit, counts: dict[int, int]) -> A3SError | None:
        entry, name = commit.entry, name_of(commit.session_id)
        session = self._find(name)
        if session is None:
            if entry.number:
                return unknown(commit.session_id)
            session = SessionRow(self._next_number(), name, 0, BEGINNING, b"")
        stored = self._digest(session, entry.number) if 0 <= entry.number < session.count else None
        refusal = why_refused(commit, session.count, session.head, stored)
        if refusal is not None or stored is not None:
            return refusal
        stream = self._stream(session)
        fresh = None if stream.head else name
        row = (
            entry_key(session, entry.number),
            fresh,
            len(entry.body),
            stream.add(entry),
            entry.digest,
            blob_changes(commit),
        )
        self._connection.execute("INSERT INTO entries VALUES(?, ?, ?, ?, ?, ?)", row)
        for digest in commit.dropped:
            self._drop(session, bytes.fromhex(digest))
        for digest, content in commit.blobs.items():
            self._keep(session, bytes.fromhex(digest), content)
        counts[session.number] = entry.number + 1
        self._store(replace(session, count=entry.number + 1, head=entry.digest, summary=commit.summary, damage=None))
        return None

    def _digest(self, session: SessionRow, number: int) -> bytes:
        key = entry_key(session, number)
        found = self._connection.execute("SELECT digest FROM entries WHERE key = ?", (key,)).fetchone()
        if found is None:
            raise Damaged("an entry is missing")
        digest: bytes = found[0]
        return digest

    def _next_number(self) -> int:
        (session,) = self._connection.execute("SELECT max(number) FROM sessions").fetchone()
        (key,) = self._connection.execute("SELECT max(key) FROM entries").fetchone()
        return 1 + max(session or 0, (key or 0) // NUMBERS, self._witness.highest())

    def _stream(self, session: SessionRow) -> Stream:
        """The running stream of a session, or a new one where what it gave last is not what is stored last."""
        stream = self._streams.pop(session.number, None)
        if stream is not None:
            last = entry_key(session, session.count - 1)
            found = self._connection.execute("SELECT body FROM entries WHERE key = ?", (last,)).fetchone()
            if stream.spent or stream.head != session.head or found != (stream.last,):
                stream = None
        if stream is None:
            stream = Stream()
        self._streams[session.number] = stream
        if len(self._streams) > _STREAMS:
            self._streams.popitem(last=False)
        return stream

    def _store(self, session: SessionRow) -> None:
        self._connection.execute("REPLACE INTO sessions VALUES(?, ?, ?, ?, ?, ?, ?)", session.values)

    def _keep(self, session: SessionRow, digest: bytes, content: bytes) -> None:
        number = self._blob_number(digest)
        if number is None or self._blob(digest.hex()) is None:
            packed, body = pack(content)
            values = (number, digest, len(content), packed, body)
            number = self._connection.execute("REPLACE INTO blobs VALUES(?, ?, ?, ?, ?)", values).lastrowid
        self._connection.execute("INSERT OR IGNORE INTO refs VALUES(?, ?)", (number, session.number))

    def _drop(self, session: SessionRow, digest: bytes) -> None:
        number = self._blob_number(digest)
        self._connection.execute("DELETE FROM refs WHERE blob = ? AND session = ?", (number, session.number))
        self._connection.execute(
            "DELETE FROM blobs WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM refs WHERE blob = ?1)", (number,)
        )

    def _blob_number(self, digest: bytes) -> int | None:
        found = self._connection.execute("SELECT number FROM blobs WHERE digest = ?", (digest,)).fetchone()
        return None if found is None else found[0]

    def _blob(self, digest: str) -> bytes | None:
        question = "SELECT size, packed, body FROM blobs {} WHERE digest = ?"
        wanted = raw(digest)
        found = self._connection.execute(question.format(""), (wanted,)).fetchone()
        if found is None and self._connection.execute(question.format("NOT INDEXED"), (wanted,)).fetchone() is not None:
            raise Damaged("the index of the blobs does not fit them")
        return None if found is None else unpack(wanted or b"", *found)

    def _cut(self, session: SessionRow, length: int, reason: bytes) -> None:
        if not 0 <= length <= session.count:
            raise StoreError(
                f"session {text_of(session.id)!r} has {session.count} entries; it cannot be cut to {length}"
            )
        first = self._stream_start(session, length)
        rows = self._rows(session, first)
        for entry in expand(rows)[length - first :]:
            values = (None, entry.number, session.id, entry.body, entry.digest, reason)
            self._connection.execute("INSERT INTO aside VALUES(?, ?, ?, ?, ?, ?)", values)
        for row in rows[length - first :]:
            for added in changed_blobs(row[5])[0]:
                found = self._blob_number(added)
                self._connection.execute("DELETE FROM refs WHERE blob = ? AND session = ?", (found, session.number))
        self._witness.note(session.number, length)
        start, end = entry_key(session, length), (session.number + 1) * NUMBERS
        self._connection.execute("DELETE FROM entries WHERE key >= ? AND key < ?", (start, end))
        self._streams.pop(session.number, None)
        head = self._digest(session, length - 1) if length else BEGINNING
        self._store(replace(session, count=length, head=head, damage=None))

    def _delete(self, session: SessionRow) -> None:
        self._witness.note(session.number, 0)
        start = session.number * NUMBERS
        self._connection.execute("DELETE FROM entries WHERE key >= ? AND key < ?", (start, start + NUMBERS))
        self._connection.execute(
            "DELETE FROM blobs WHERE number IN (SELECT blob FROM refs WHERE session = ?1)"
            " AND number NOT IN (SELECT blob FROM refs WHERE session <> ?1)",
            (session.number,),
        )
        self._connection.execute("DELETE FROM refs WHERE session = ?", (session.number,))
        self._connection.execute("DELETE FROM aside WHERE session = ?", (session.id,))
        self._connection.execute("DELETE FROM sessions WHERE number = ?", (session.number,))
        self._numbers.pop(session.id, None)
        self._streams.pop(session.number, None)


def _sealed(values: Sequence[object]) -> SessionRow:
    session = session_row(values)
    if session is None:
        raise Damaged("the record of a session is not what was written")
    return session
