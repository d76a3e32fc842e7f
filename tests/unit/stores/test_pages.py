from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from a3s_code.stores.pages import Pages, Values, read_frames
from a3s_code.stores.tables import NAME, connect, make, open_store

TABLES = ("sessions", "entries", "blobs", "aside")


def fill(connection: sqlite3.Connection, rnd: random.Random, count: int) -> None:
    sizes = (0, 1, 30, 500, 3900, 4000, 4055, 4056, 4057, 4100, 8140, 8150, 9000, 70_000)
    for number in range(count):
        key = rnd.choice((number, number * 3_000_000_000, rnd.getrandbits(62)))
        body = rnd.randbytes(rnd.choice(sizes))
        integer = rnd.choice((0, 1, 2, -1, 127, -128, 40_000, 1 << 22, 1 << 30, 1 << 40, -(1 << 50)))
        entry = (key, rnd.choice((None, b"id")), integer, body, rnd.randbytes(32), None)
        connection.execute("REPLACE INTO entries VALUES(?, ?, ?, ?, ?, ?)", entry)
        blob = (rnd.randbytes(32), len(body), rnd.randrange(2), body)
        connection.execute("REPLACE INTO blobs VALUES(NULL, ?, ?, ?, ?)", blob)
        session = (number, b"%d" % number, integer, rnd.randbytes(32), rnd.randbytes(16), body[:50], None)
        connection.execute("REPLACE INTO sessions VALUES(?, ?, ?, ?, ?, ?, ?)", session)


def selected(connection: sqlite3.Connection) -> set[Values]:
    return {row for table in TABLES for row in connection.execute(f"SELECT * FROM {table}")}


def read(folder: Path) -> set[Values]:
    with closing(Pages(folder / NAME, folder / f"{NAME}-wal")) as pages:
        return set(pages.rows())


@pytest.mark.parametrize("seed", range(4))
def test_rows_read_from_the_pages_are_those_that_sqlite_reads(tmp_path: Path, seed: int) -> None:
    rnd = random.Random(seed)
    make(tmp_path / NAME)
    connection = open_store(tmp_path / NAME)
    fill(connection, rnd, 60)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = selected(connection)
    connection.execute("DELETE FROM entries WHERE key % 3 = 1")
    fill(connection, rnd, 5)
    expected = selected(connection)
    copy = tmp_path / "copy"
    copy.mkdir()
    for suffix in ("", "-wal"):
        shutil.copyfile(tmp_path / f"{NAME}{suffix}", copy / f"{NAME}{suffix}")

    assert expected <= read(copy) <= expected | before
    connection.close()
    assert read(tmp_path) == expected


def test_frames_of_earlier_generations_are_left_out(tmp_path: Path) -> None:
    make(tmp_path / NAME)
    connection = open_store(tmp_path / NAME)
    log = tmp_path / f"{NAME}-wal"
    fill(connection, random.Random(1), 20)
    many = len(read_frames(log.read_bytes()))
    connection.execute("PRAGMA wal_checkpoint(RESTART)")
    fill(connection, random.Random(2), 1)
    frames = read_frames(log.read_bytes())
    _, in_log, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    assert many > 100
    assert log.stat().st_size > len(frames) * 5000
    assert len(frames) == in_log
    assert all(frame.sound for frame in frames)
    connection.close()


def test_a_broken_frame_does_not_hide_those_after_it(tmp_path: Path) -> None:
    make(tmp_path / NAME)
    connection = open_store(tmp_path / NAME)
    fill(connection, random.Random(3), 5)
    log = bytearray((tmp_path / f"{NAME}-wal").read_bytes())
    connection.close()
    log[32 + 3 * 4120 + 24 + 100] ^= 4

    sound = [frame.sound for frame in read_frames(bytes(log))]

    assert [number for number, whole in enumerate(sound) if not whole] == [3]


@pytest.mark.parametrize("place", [0, 3, 4, 5, 8, 9])
def test_rows_of_a_page_with_a_broken_head_are_found(tmp_path: Path, place: int) -> None:
    rnd = random.Random(4)
    make(tmp_path / NAME)
    with closing(connect(tmp_path / NAME)) as connection:
        for number in range(12):
            row = (number + (1 << 33), None, 200, rnd.randbytes(200), rnd.randbytes(32), None)
            connection.execute("INSERT INTO entries VALUES(?, ?, ?, ?, ?, ?)", row)
        expected = set(connection.execute("SELECT * FROM entries"))
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entries'").fetchone()
    content = bytearray((tmp_path / NAME).read_bytes())
    content[(page - 1) * 4096 + place] ^= 8
    (tmp_path / NAME).write_bytes(content)

    assert expected <= read(tmp_path)


def test_no_garbage_makes_it_stumble(tmp_path: Path) -> None:
    rnd = random.Random(5)
    make(tmp_path / NAME)
    connection = open_store(tmp_path / NAME)
    fill(connection, rnd, 20)
    whole = (tmp_path / f"{NAME}-wal").read_bytes()
    connection.close()
    for _ in range(30):
        content = bytearray(whole)
        for _ in range(200):
            content[rnd.randrange(len(content))] = rnd.randrange(256)
        folder = tmp_path / "garbage"
        folder.mkdir(exist_ok=True)
        (folder / f"{NAME}-wal").write_bytes(content)
        (folder / NAME).write_bytes(rnd.randbytes(rnd.randrange(30_000)))
        read(folder)
