from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from a3s_code.kernel.store import Commit, Entry, seal, unbroken
from a3s_code.stores.archive import Archive
from a3s_code.stores.ownership import Ownership, open_lock
from a3s_code.stores.tables import NAME, STEPS, Damaged, make, open_store
from a3s_code.stores.witness import NoWitness, Witness

Chain = Callable[[Sequence[bytes]], list[Entry]]


@contextmanager
def opened(folder: Path) -> Iterator[Archive]:
    """An archive as another process would have it: a connection of its own."""
    if not (folder / NAME).exists():
        make(folder / NAME)
    with closing(Archive(open_store(folder / NAME), NoWitness())) as archive:
        yield archive


def put(archive: Archive, name: str, entries: Sequence[Entry]) -> None:
    assert archive.write([Commit(name, entry, b"{}") for entry in entries]) == [None] * len(entries)


def test_writers_that_take_turns_do_not_spoil_each_others_streams(tmp_path: Path, chain: Chain) -> None:
    rnd = random.Random(1)
    entries = chain([b"%d and the same words again" % number for number in range(200)])
    with opened(tmp_path) as one, opened(tmp_path) as other:
        number = 0
        while number < len(entries):
            count = rnd.randrange(1, 5)
            put(rnd.choice((one, other)), "s", entries[number : number + count])
            number += count
        for after in (-1, 0, 50, 150, 199):
            assert list(one.load("s", after).entries) == entries[after + 1 :]


def test_a_session_that_somebody_cut_and_wrote_again_goes_on(tmp_path: Path, chain: Chain) -> None:
    entries = chain([b"words that come again and again, number %d" % number for number in range(20)])
    with opened(tmp_path) as one, opened(tmp_path) as other:
        put(one, "s", entries[:11])
        other.cut("s", 8, "")
        put(other, "s", entries[8:11])
        put(one, "s", entries[11:])
        assert list(other.load("s", -1).entries) == entries


def test_a_session_that_somebody_deleted_and_made_again_goes_on(tmp_path: Path, chain: Chain) -> None:
    entries, others = chain([b"1", b"2", b"3"]), chain([b"a", b"b"])
    with opened(tmp_path) as one, opened(tmp_path) as other:
        put(one, "s", entries[:2])
        put(one, "t", entries)
        other.delete("s")
        put(other, "u", others)
        put(other, "s", others[:1])
        put(one, "s", others[1:])
        assert [list(one.load(name, -1).entries) for name in "stu"] == [others, entries, others]


def test_what_is_cut_is_kept_aside_with_the_reason(tmp_path: Path, chain: Chain) -> None:
    entries = chain([b"1", b"2", b"3", b"4"])
    with opened(tmp_path) as archive:
        put(archive, "s", entries)
        archive.cut("s", 2, "the third makes no sense")
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        aside = connection.execute("SELECT session, entry, body, reason FROM aside ORDER BY entry").fetchall()

    assert aside == [(b"s", n, b"%d" % (n + 1), b"the third makes no sense") for n in (2, 3)]


def test_a_commit_that_fails_leaves_nothing_half_written(tmp_path: Path, chain: Chain) -> None:
    first, second = chain([b"1", b"2"])
    noise = random.Random(1).randbytes(3_000_000)
    blobs = {hashlib.sha256(noise).hexdigest(): noise}
    make(tmp_path / NAME)
    connection = open_store(tmp_path / NAME)
    with closing(Archive(connection, NoWitness())) as archive:
        put(archive, "s", [first])
        connection.execute("PRAGMA max_page_count = 100")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            archive.write([Commit("t", first, b""), Commit("s", second, b"", blobs)])
        assert [name for name, _ in archive.sessions()] == ["s"]
        assert list(archive.load("s", -1).entries) == [first]
        assert archive.blobs(blobs) == {}
        connection.execute("PRAGMA max_page_count = 100000")
        assert archive.write([Commit("s", second, b"", blobs)]) == [None]
        assert archive.blobs(blobs) == blobs


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET body = zeroblob(length(body)) WHERE key % 4294967296 = 3",
        "UPDATE entries SET size = size - 1 WHERE key % 4294967296 = 3",
        "UPDATE entries SET digest = zeroblob(32) WHERE key % 4294967296 = 5",
        "UPDATE entries SET digest = 'text' WHERE key % 4294967296 = 5",
        "UPDATE entries SET fresh = 's' WHERE key % 4294967296 = 2",
        "DELETE FROM entries WHERE key % 4294967296 = 5",
        "DELETE FROM entries WHERE key % 4294967296 = 2",
        "UPDATE entries SET key = key + 4294967296 WHERE key % 4294967296 = 5",
        "INSERT INTO entries SELECT key + 1, fresh, size, body, digest, blobs FROM entries WHERE key % 4294967296 = 5",
        "UPDATE sessions SET count = 5",
        "UPDATE sessions SET head = zeroblob(32)",
        "UPDATE sessions SET summary = '[]'",
        "UPDATE sessions SET summary = NULL",
        "UPDATE sessions SET id = CAST('t' AS BLOB)",
        "DELETE FROM sessions",
    ],
)
def test_whatever_was_changed_behind_its_back_is_found_out(tmp_path: Path, chain: Chain, change: str) -> None:
    with opened(tmp_path) as archive:
        put(archive, "s", chain([b"the same words, and %d" % number for number in range(6)]))
        with closing(sqlite3.connect(tmp_path / NAME, isolation_level=None)) as connection:
            connection.execute(change)
        with pytest.raises(Damaged):
            archive.load("s", -1)


def test_blobs_that_were_changed_are_left_out_and_can_be_stored_again(tmp_path: Path, chain: Chain) -> None:
    contents = [b"short", b"long " * 1000]
    blobs = {hashlib.sha256(content).hexdigest(): content for content in contents}
    with opened(tmp_path) as archive:
        archive.write([Commit("s", chain([b"1"])[0], b"", blobs)])
        for change in ("zeroblob(length(body))", "'text'", "NULL", "x'78'"):
            with closing(sqlite3.connect(tmp_path / NAME, isolation_level=None)) as connection:
                connection.execute(f"UPDATE blobs SET body = {change}")
            assert archive.blobs(blobs) == {}
            archive.delete("t")
            archive.write([Commit("t", chain([b"1"])[0], b"", blobs)])
            assert archive.blobs(blobs) == blobs


def test_no_number_leads_to_another_sessions_entries(tmp_path: Path, chain: Chain) -> None:
    with opened(tmp_path) as archive:
        put(archive, "s", chain([b"1", b"2"]))
        put(archive, "t", chain([b"1"]))
        for name in ("s", "new"):
            for number in (-1, 7, 1 << 32, 1 << 70):
                entry = seal(bytes(32), number, b"x")
                (refusal,) = archive.write([Commit(name, entry, b"")])
                assert refusal is not None
        assert [name for name, _ in archive.sessions()] == ["s", "t"]
        assert len(archive.load("t", -1).entries) == 1


def test_an_older_version_is_brought_up_step_by_step(tmp_path: Path, chain: Chain) -> None:
    entries = chain([b"1", b"2"])
    with opened(tmp_path) as archive:
        put(archive, "s", entries)
    steps = (
        *STEPS,
        "CREATE TABLE notes(text BLOB)",
        "ALTER TABLE notes ADD COLUMN at INTEGER; INSERT INTO notes VALUES(x'31', 2)",
    )
    for _ in range(2):
        connection = open_store(tmp_path / NAME, steps)
        with closing(Archive(connection, NoWitness())) as archive:
            assert connection.execute("PRAGMA user_version").fetchone() == (3,)
            assert connection.execute("SELECT * FROM notes").fetchall() == [(b"1", 2)]
            assert list(archive.load("s", -1).entries) == entries


def test_a_migration_that_fails_leaves_the_version_before(tmp_path: Path, chain: Chain) -> None:
    with opened(tmp_path) as archive:
        put(archive, "s", chain([b"1"]))
    with pytest.raises(sqlite3.Error):
        open_store(tmp_path / NAME, (*STEPS, "CREATE TABLE notes(text BLOB); INSERT INTO nowhere VALUES(1)"))
    with opened(tmp_path) as archive:
        assert len(archive.load("s", -1).entries) == 1


def test_an_end_that_was_acknowledged_and_is_missing_is_found_out(tmp_path: Path, chain: Chain) -> None:
    entries = chain([b"1", b"2", b"3"])
    make(tmp_path / NAME)
    ownership = Ownership(open_lock(tmp_path / "lock"))
    with closing(Archive(open_store(tmp_path / NAME), ownership.witness)) as archive:
        put(archive, "s", entries[:2])
        earlier = (tmp_path / NAME).read_bytes(), (tmp_path / f"{NAME}-wal").read_bytes()
        put(archive, "s", entries[2:])
        put(archive, "t", entries[:1])
    (tmp_path / NAME).write_bytes(earlier[0])
    (tmp_path / f"{NAME}-wal").write_bytes(earlier[1])
    with closing(Archive(open_store(tmp_path / NAME), ownership.witness)) as archive:
        with pytest.raises(Damaged, match="last entries of session 's'"):
            archive.load("s", -1)
        with pytest.raises(Damaged, match="a session is missing"):
            archive.sessions()
        archive.cut("s", 2, "")
        assert list(archive.load("s", -1).entries) == entries[:2]
    ownership.close()


class Busy(Witness):
    """Somebody else stores something whenever this one is about to look."""

    def __init__(self, descriptor: int, others: Iterator[Callable[[], None]]) -> None:
        super().__init__(descriptor)
        self._others = others

    def seen(self, number: int) -> int:
        next(self._others)()
        return super().seen(number)

    def highest(self) -> int:
        next(self._others)()
        return super().highest()


def test_what_others_store_at_the_same_time_is_no_damage(tmp_path: Path, chain: Chain) -> None:
    entries = chain([b"%d" % number for number in range(40)])
    make(tmp_path / NAME)
    descriptor = open_lock(tmp_path / "lock")
    ownership = Ownership(descriptor)
    with closing(Archive(open_store(tmp_path / NAME), ownership.witness)) as other:
        put(other, "s", entries[:1])
        longer = (lambda number=number: put(other, "s", entries[number : number + 1]) for number in range(1, 40))
        with closing(Archive(open_store(tmp_path / NAME), Busy(descriptor, longer))) as archive:
            for _ in range(10):
                assert unbroken(archive.load("s", -1).entries) >= 1
        more = (lambda number=number: put(other, f"new {number}", entries[:1]) for number in range(40))
        with closing(Archive(open_store(tmp_path / NAME), Busy(descriptor, more))) as archive:
            counts = [len(archive.sessions()) for _ in range(10)]
    assert counts == sorted(counts)
    ownership.close()
