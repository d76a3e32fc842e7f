"""Recall: a stored session, read and checked, ready to be opened again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a3s_code.errors import StoreError, StoreVersionError
from a3s_code.kernel.attribution import blame_store
from a3s_code.kernel.events import decode
from a3s_code.kernel.facts import Fact
from a3s_code.kernel.packing import read, read_summary, references, unpack
from a3s_code.kernel.pieces import spread
from a3s_code.kernel.store import Entry, SessionStore, unbroken
from a3s_code.kernel.trace import RunEventRecord

VERSION = 1
"""Of what the facts of a session mean."""
EVENTS = frozenset({"event", "deltas"})
TOLD = frozenset({"agent_end", "error"})
"""Events whose long texts are wanted when a session is opened again; those of others are read when asked for."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """A stored session: `packed` are its facts as stored, `facts` the same with their texts, `damage` what is lost.

    Not `claimed`: it could be read only, so others may write it meanwhile.
    """

    session_id: str
    entries: Sequence[Entry]
    packed: Sequence[Fact]
    facts: Sequence[Fact]
    damage: str | None
    claimed: bool = True

    @property
    def header(self) -> Fact:
        return self.facts[0]

    @property
    def workspace(self) -> Path:
        return Path(self.header["workspace"])


async def recall(store: SessionStore, session_id: str, *, claimed: bool = True) -> Recalled:
    """Read a session; what is damaged is told in `damage` and, where the session is claimed, put aside.

    Raises UnknownSession, and StoreError where nothing of the session can be read.
    """
    with blame_store():
        stored = await store.load(session_id)
    entries, damage = stored.entries, stored.damage
    sound = unbroken(entries)
    if sound < len(entries):
        damage = f"entry {sound} of {len(entries)} is not what was stored; it and those after it are put aside"
        if claimed:
            with blame_store():
                await store.cut(session_id, sound, damage)
        entries = entries[:sound]
    packed: list[Any] = [fact for entry in entries for fact in read(entry.body)]
    if not packed or packed[0].get("k") != "session" or packed[0].get("id") != session_id:
        raise StoreError(f"nothing of session {session_id} can be read: {damage or 'its beginning is missing'}")
    if packed[0]["version"] > VERSION:
        raise StoreVersionError(
            f"session {session_id} was written by a newer version of this library",
            hint="open it with that version, or a later one",
        )
    facts, lost = await _unpacked(store, packed)
    damage = damage or _missing(stored.summary, entries)
    if lost:
        damage = "; ".join(filter(None, (damage, f"{lost} long texts are lost")))
    return Recalled(session_id, entries, packed, facts, damage, claimed)


async def read_events(
    store: SessionStore, session_id: str, run_id: str, after: int, limit: int | None
) -> list[RunEventRecord]:
    """The stored events of a run with a sequence above `after`, at most `limit`."""
    with blame_store():
        stored = await store.load(session_id)
    found: list[tuple[int, int, Any]] = []
    for entry in stored.entries[: unbroken(stored.entries)]:
        for fact in read(entry.body):
            if fact["k"] in EVENTS and fact["run"] == run_id:
                found += [item for item in spread(fact) if item[0] > after]
    chosen = found if limit is None else found[:limit]
    with blame_store():
        blobs = await store.blobs(list({digest for item in chosen for digest in references(item[2])}))
    return [RunEventRecord(sequence, at, decode(unpack(body, blobs))) for sequence, at, body in chosen]


async def _unpacked(store: SessionStore, packed: Sequence[Any]) -> tuple[list[Fact], int]:
    """The facts with their texts, and how many of these the store has no more."""
    wanted = {digest for fact in packed if _is_wanted(fact) for digest in references(fact)}
    with blame_store():
        blobs = await store.blobs(list(wanted))
    return [unpack(fact, blobs) for fact in packed], len(wanted - blobs.keys())


def _is_wanted(fact: Mapping[str, Any]) -> bool:
    return fact["k"] not in EVENTS or (fact["k"] == "event" and fact["event"]["type"] in TOLD)


def _missing(summary: bytes, entries: Sequence[Entry]) -> str | None:
    """What the summary knows of and the store does not give any more."""
    body = read_summary(summary)
    if body is None:
        return None
    known = read(body)
    if known["entries"] == len(entries) and entries and known["head"] == entries[-1].digest.hex():
        return None
    return f"the store gives {len(entries)} of {known['entries']} entries"
