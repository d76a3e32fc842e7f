"""What is left of a damaged database, checked entry by entry and written to a new one."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from a3s_code.kernel.store import BEGINNING, unbroken
from a3s_code.stores.pages import Pages, Values
from a3s_code.stores.rows import NUMBERS, Row, SessionRow, changed_blobs, is_row, session_row, text_of
from a3s_code.stores.squeeze import Expansion, unpack


@dataclass(slots=True)
class Remains:
    """What was found of one session, under its number: its record, its id from elsewhere, its entries' rows."""

    record: SessionRow | None = None
    id: bytes | None = None
    rows: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))

    @property
    def name(self) -> bytes | None:
        return self.id if self.record is None else self.record.id


def salvage(
    database: Path, log: Path, target: sqlite3.Connection, acknowledged: Mapping[int, int], whereabouts: str
) -> list[str]:
    """Write what can be read of a database and its log into an empty one; says of each session what was lost.

    `acknowledged` are the counts that sessions are known to have had, by their number. `whereabouts` ends the
    sentences: where the damaged file is.
    """
    found: dict[int, Remains] = defaultdict(Remains)
    with closing(Pages(database, log)) as pages:
        target.execute("BEGIN")
        for values in pages.rows():
            _sort(values, found, target)
    losses = []
    # An id that was deleted and used anew may be found with both numbers; the higher one is the session.
    deleted = set(found) - set({found[number].name or number: number for number in sorted(found)}.values())
    for number in sorted({*found, *acknowledged} - deleted):
        loss = _restore(number, found[number], target, acknowledged.get(number, 0), whereabouts)
        if loss is not None:
            losses.append(loss)
    target.execute("COMMIT")
    return losses


def _sort(values: Values, found: dict[int, Remains], target: sqlite3.Connection) -> None:
    """Put a row where it belongs. What is none of ours, or is damaged, is left out."""
    if is_row(values):
        row: Row = values  # type: ignore[assignment]  # is_row() has just looked
        number = row[0] // NUMBERS
        if number < 1:
            return
        if row not in found[number].rows[row[0] % NUMBERS]:
            found[number].rows[row[0] % NUMBERS].append(row)
        if row[1] is not None:
            found[number].id = found[number].id or row[1]
    elif (record := session_row(values)) is not None:
        known = found[record.number].record
        if known is None or known.count < record.count:
            found[record.number].record = record
    elif len(values) == 5:
        _, digest, size, packed, body = values
        if isinstance(digest, bytes) and unpack(digest, size, packed, body) is not None:
            target.execute("INSERT OR IGNORE INTO blobs VALUES(NULL, ?, ?, ?, ?)", (digest, size, packed, body))


def _restore(
    number: int, remains: Remains, target: sqlite3.Connection, acknowledged: int, whereabouts: str
) -> str | None:
    """Write a session as far as its chain is whole; says what was lost."""
    record, name = remains.record, remains.name
    if name is None:
        return f"a session of {max(acknowledged, len(remains.rows))} entries was lost with its id; {whereabouts}"
    rows, head = _chain(remains.rows)
    count = len(rows)
    loss = _loss(record, count, head, acknowledged)
    sentence = None if loss is None else f"{loss}; {whereabouts}"
    damage = sentence.encode("utf-8", "surrogatepass") if sentence is not None else record.damage if record else None
    summary = b"" if record is None else record.summary
    target.executemany("INSERT INTO entries VALUES(?, ?, ?, ?, ?, ?)", rows)
    target.execute(
        "REPLACE INTO sessions VALUES(?, ?, ?, ?, ?, ?, ?)",
        SessionRow(number, name, count, head, summary, damage).values,
    )
    for digest in _referred(rows):
        target.execute("INSERT OR IGNORE INTO refs SELECT number, ? FROM blobs WHERE digest = ?", (number, digest))
    return None if sentence is None else f"session {text_of(name)!r}: {sentence}"


def _chain(candidates: dict[int, list[Row]]) -> tuple[list[Row], bytes]:
    """The rows from the first on, as far as each is what was sealed after the one before; and the last digest."""
    chain, head, expansion = list[Row](), BEGINNING, Expansion()
    while True:
        for row in candidates.get(len(chain), ()):
            trial = expansion if len(candidates[len(chain)]) == 1 else expansion.copy()
            entry = trial.entry(row)
            if entry is not None and unbroken([entry], head, len(chain)):
                break
        else:
            return chain, head
        chain.append(row)
        head, expansion = entry.digest, trial


def _loss(record: SessionRow | None, count: int, head: bytes, acknowledged: int) -> str | None:
    """What was lost of a session of which `count` entries are whole."""
    if record is None:
        return f"the record of the session was lost, and with it its summary; {count} entries could be read"
    total = max(record.count, acknowledged)
    if count < total:
        return f"entries from number {count} on were lost: {count} of {total} could be read"
    if count > record.count:
        return f"the last summary was lost; all {count} entries could be read"
    return None if head == record.head else f"the {count} entries that could be read do not end as they did"


def _referred(rows: Iterable[Row]) -> set[bytes]:
    """The digests of the blobs that a session with these entries refers to."""
    referred: set[bytes] = set()
    for row in rows:
        added, dropped = changed_blobs(row[5])
        referred = (referred - set(dropped)) | set(added)
    return referred
