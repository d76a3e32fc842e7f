"""What every store of sessions promises: those of the library, and a host's own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from a3s_code.errors import SessionInUse, StoreError, UnknownSession
from a3s_code.kernel.store import BEGINNING, Commit, Entry, Listing, SessionStore, Stored, seal
from a3s_code.stores.inmemory import MemorySessionStore
from a3s_code.stores.sqlite import FileSessionStore
from a3s_code.testing.conformance import SESSION_STORE_CHECKS, Check, check_session_store


class JsonLinesStore:
    """A host's store: one file of JSON lines for each session, read whole at each verb."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._claims: set[str] = set()

    def _path(self, session_id: str) -> Path:
        return self._folder / hashlib.sha256(session_id.encode()).hexdigest()

    def _read(self, session_id: str) -> list[dict[str, Any]]:
        path = self._path(session_id)
        if not path.exists():
            raise UnknownSession(f"no session {session_id!r}")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def _write(self, session_id: str, records: Sequence[Mapping[str, Any]]) -> None:
        self._folder.mkdir(exist_ok=True)
        path = self._path(session_id)
        draft = path.with_suffix(".new")
        draft.write_text("".join(json.dumps(record) + "\n" for record in records))
        if not path.exists():
            with (self._folder / "order").open("a") as order:
                order.write(json.dumps(session_id) + "\n")
        draft.replace(path)

    def _names(self) -> list[str]:
        order = self._folder / "order"
        names = [json.loads(line) for line in order.read_text().splitlines()] if order.exists() else []
        return [
            name for number, name in enumerate(names) if name not in names[number + 1 :] and self._path(name).exists()
        ]

    def _kept(self, session_id: str) -> dict[str, str]:
        kept: dict[str, str] = {}
        for record in self._read(session_id)[1:]:
            kept |= record["blobs"]
            for digest in record["dropped"]:
                kept.pop(digest, None)
        return kept

    async def claim(self, session_id: str) -> None:
        if session_id in self._claims:
            raise SessionInUse("in use", pid=os.getpid())
        self._claims.add(session_id)

    async def release(self, session_id: str) -> None:
        self._claims.discard(session_id)

    async def append(self, commit: Commit) -> None:
        entry = commit.entry
        records = self._read(commit.session_id) if entry.number or self._path(commit.session_id).exists() else [{}]
        digests = [bytes.fromhex(record["digest"]) for record in records[1:]]
        if entry.number < len(digests):
            if digests[entry.number] != entry.digest:
                raise StoreError("another entry")
            return
        if seal(digests[-1] if digests else BEGINNING, len(digests), entry.body) != entry:
            raise StoreError("does not follow")
        if any(hashlib.sha256(content).hexdigest() != digest for digest, content in commit.blobs.items()):
            raise StoreError("wrong blob")
        records[0] = {"summary": base64.b64encode(commit.summary).decode()}
        body = base64.b64encode(entry.body).decode()
        blobs = {digest: base64.b64encode(content).decode() for digest, content in commit.blobs.items()}
        records.append({"body": body, "digest": entry.digest.hex(), "blobs": blobs, "dropped": list(commit.dropped)})
        self._write(commit.session_id, records)

    async def load(self, session_id: str, after: int = -1) -> Stored:
        head, *records = self._read(session_id)
        entries = [
            Entry(number, base64.b64decode(record["body"]), bytes.fromhex(record["digest"]))
            for number, record in enumerate(records)
        ]
        return Stored(entries[after + 1 :], base64.b64decode(head["summary"]))

    async def cut(self, session_id: str, length: int, reason: str) -> None:
        records = self._read(session_id)
        if length >= len(records):
            raise StoreError("too short")
        self._write(session_id, records[: length + 1])

    async def blobs(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        kept = {digest: body for name in self._names() for digest, body in self._kept(name).items()}
        return {digest: base64.b64decode(kept[digest]) for digest in digests if digest in kept}

    async def sessions(self) -> Sequence[Listing]:
        return [
            Listing(name, (await self.load(name)).summary, os.getpid() if name in self._claims else None)
            for name in self._names()
        ]

    async def delete(self, session_id: str) -> bool:
        if session_id in self._claims:
            raise SessionInUse("it is open", pid=os.getpid())
        there = self._path(session_id).exists()
        self._path(session_id).unlink(missing_ok=True)
        return there

    async def close(self) -> None:
        self._claims.clear()


STORES: dict[str, Callable[[Path], SessionStore]] = {
    "file": FileSessionStore,
    "memory": lambda _: MemorySessionStore(),
    "a host's own": JsonLinesStore,
}


@pytest.mark.parametrize("check", SESSION_STORE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", STORES)
async def test_a_store_keeps_its_promises(name: str, check: Check, tmp_path: Path) -> None:
    store = STORES[name](tmp_path / "store")
    try:
        await asyncio.wait_for(check(store), 30)
    finally:
        await store.close()


@pytest.mark.parametrize("name", STORES)
async def test_a_host_runs_all_checks_with_one_call(name: str, tmp_path: Path) -> None:
    made: list[SessionStore] = []

    def make() -> SessionStore:
        made.append(STORES[name](tmp_path / str(len(made))))
        return made[-1]

    await asyncio.wait_for(check_session_store(make), 60)

    assert len(made) == len(SESSION_STORE_CHECKS)


class ForgetfulStore(MemorySessionStore):
    """Loses the last entry that it took."""

    async def load(self, session_id: str, after: int = -1) -> Stored:
        stored = await super().load(session_id, after)
        return Stored(stored.entries[:-1], stored.summary)


class CarelessStore(MemorySessionStore):
    """Lets everybody write."""

    async def claim(self, session_id: str) -> None:
        pass


@pytest.mark.parametrize(
    ("store", "broken"),
    [
        (ForgetfulStore, "what_is_appended_is_loaded: load() gives the entries that were appended, in order"),
        (CarelessStore, "a_session_has_one_writer: a second claim raises SessionInUse"),
    ],
)
async def test_a_broken_promise_is_named(store: type[MemorySessionStore], broken: str) -> None:
    with pytest.raises(AssertionError) as caught:
        await check_session_store(store)

    assert str(caught.value) == broken
