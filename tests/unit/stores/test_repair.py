from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from a3s_code.kernel.store import Commit, Entry
from a3s_code.stores.archive import Archive
from a3s_code.stores.repair import finish, rebuild
from a3s_code.stores.sqlite import FileSessionStore
from a3s_code.stores.tables import NAME, make, open_store
from a3s_code.stores.witness import NoWitness

Chain = Callable[[Sequence[bytes]], list[Entry]]


async def filled(folder: Path, entries: Sequence[Entry], names: Sequence[str]) -> FileSessionStore:
    store = FileSessionStore(folder)
    for name in names:
        for entry in entries:
            await store.append(Commit(name, entry, b'"summary"'))
    await store.close()
    return store


@pytest.mark.parametrize("done", range(5))
async def test_a_replacement_that_was_interrupted_is_finished(tmp_path: Path, chain: Chain, done: int) -> None:
    """Of the five steps after the restored file is there, `done` were done."""
    entries = chain([b"%d" % number for number in range(5)])
    store = await filled(tmp_path, entries, ["s"])
    database = tmp_path / NAME
    shutil.copyfile(database, tmp_path / f"{NAME}.restored")
    database.write_bytes(b"damaged")
    (tmp_path / f"{NAME}-wal").write_bytes(b"its log")
    (tmp_path / f"{NAME}-shm").write_bytes(b"its index")
    steps: list[Callable[[], object]] = [
        lambda: (tmp_path / f"{NAME}-wal").replace(tmp_path / f"{NAME}.damaged-1-wal"),
        (tmp_path / f"{NAME}-shm").unlink,
        lambda: database.replace(tmp_path / f"{NAME}.damaged-1"),
        lambda: (tmp_path / f"{NAME}.restored").replace(database),
    ]
    for step in steps[:done]:
        step()

    assert list((await store.load("s")).entries) == entries
    await store.close()
    assert (tmp_path / f"{NAME}.damaged-1").read_bytes() == b"damaged"
    assert (tmp_path / f"{NAME}.damaged-1-wal").read_bytes() == b"its log"
    assert not (tmp_path / f"{NAME}.restored").exists()


def test_nothing_to_finish_is_nothing_done(tmp_path: Path) -> None:
    make(tmp_path / NAME)
    before = (tmp_path / NAME).read_bytes()
    finish(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).read_bytes() == before


def test_a_second_damage_keeps_the_first_file(tmp_path: Path, chain: Chain) -> None:
    for number in range(3):
        (tmp_path / NAME).write_bytes(b"damaged %d" % number)
        rebuild(tmp_path, "a test", {})

    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*.damaged-*")}
    assert kept == {f"{NAME}.damaged-{number + 1}": b"damaged %d" % number for number in range(3)}


async def test_the_report_says_what_was_lost_and_where_the_file_is(
    tmp_path: Path, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    entries = chain([b"%d" % number for number in range(20)])
    store = await filled(tmp_path, entries, ["one", "two"])
    database = tmp_path / NAME
    content = database.read_bytes()
    place = content.index(entries[12].digest, content.index(entries[12].digest) + 1)
    database.write_bytes(content[:place] + bytes(32) + content[place + 32 :])

    with caplog.at_level(logging.WARNING, "a3s_code.stores"):
        stored = {name: await store.load(name) for name in ("one", "two")}
    counts = sorted(len(found.entries) for found in stored.values())
    damages = [found.damage for found in stored.values() if found.damage]
    kept = f"the damaged file was kept as {database}.damaged-1"
    lost = f"entries from number 12 on were lost: 12 of 20 could be read; {kept}"

    assert counts == [12, 20]
    assert damages == [lost]
    assert [record.message.count(lost) for record in caplog.records] == [1]
    assert {listing.summary for listing in await store.sessions()} == {b'"summary"'}
    await store.close()
    again = FileSessionStore(tmp_path)
    assert [(await again.load(name)).damage for name in stored if stored[name].damage] == [lost]
    await again.close()


async def test_a_database_that_is_gone_is_restored_from_its_log(tmp_path: Path, chain: Chain) -> None:
    entries = chain([b"%d" % number for number in range(5)])
    live = FileSessionStore(tmp_path / "live")
    for entry in entries:
        await live.append(Commit("s", entry, b""))
    shutil.copytree(tmp_path / "live", tmp_path / "copy")
    await live.close()
    (tmp_path / "copy" / NAME).unlink()
    store = FileSessionStore(tmp_path / "copy")

    stored = await store.load("s")
    await store.close()

    assert list(stored.entries) == entries
    assert stored.damage is None


async def test_a_session_without_its_record_is_found_by_its_entries(tmp_path: Path, chain: Chain) -> None:
    entries = chain([b"%d" % number for number in range(5)])
    store = await filled(tmp_path, entries, ["s", "t"])
    with closing(open_store(tmp_path / NAME)) as connection:
        connection.execute("DELETE FROM sessions WHERE id = ?", (b"s",))

    stored = await store.load("s")

    assert list(stored.entries) == entries
    assert (stored.summary, (stored.damage or "")[:38]) == (b"", "the record of the session was lost, an")
    assert [listing.session_id for listing in await store.sessions()] == ["s", "t"]
    await store.close()


def test_the_rebuilt_file_is_a_store_of_the_newest_version(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"nothing of ours")
    rebuild(tmp_path, "a test", {})
    with closing(Archive(open_store(tmp_path / NAME), NoWitness())) as archive:
        assert archive.sessions() == []
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
