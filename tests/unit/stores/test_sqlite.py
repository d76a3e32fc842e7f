from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest

from a3s_code.errors import SessionInUse, StoreError, StoreVersionError, UnknownSession
from a3s_code.kernel.store import BEGINNING, Commit, Entry, seal
from a3s_code.stores.sqlite import FileSessionStore

Chain = Callable[[Sequence[bytes]], list[Entry]]
DATA = Path(__file__).parents[2] / "data" / "stores"


async def put(store: FileSessionStore, name: str, entries: Sequence[Entry]) -> None:
    for entry in entries:
        await store.append(Commit(name, entry, b"{}"))


def descriptors(folder: Path) -> list[str]:
    """Where those lead that are open on anything in the folder."""
    led: list[str] = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            led.append(os.readlink(f"/proc/self/fd/{name}"))
    return [place for place in led if place.startswith(str(folder))]


def threads(besides: Collection[threading.Thread] = ()) -> list[threading.Thread]:
    """The threads of stores; `besides` are those of stores that earlier tests left idle."""
    return [
        thread for thread in threading.enumerate() if thread.name.startswith("a3s-code-store") and thread not in besides
    ]


def test_nothing_is_made_before_the_first_verb(tmp_path: Path) -> None:
    before = threads()
    store = FileSessionStore(tmp_path / "store")

    assert "store" in repr(store)
    assert list(tmp_path.iterdir()) == []
    assert threads(before) == []


async def test_only_the_owner_may_read_the_files(tmp_path: Path, chain: Chain) -> None:
    folder = tmp_path / "made" / "here"
    store = FileSessionStore(folder)
    await put(store, "s", chain([b"1"]))

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}
    await store.close()

    assert modes == {"here": 0o700, "sessions.db": 0o600, "sessions.db-wal": 0o600, "sessions.db-shm": 0o600} | {
        "sessions.lock": 0o600
    }


async def test_a_closed_store_leaves_no_thread_and_no_descriptor(tmp_path: Path, chain: Chain) -> None:
    others = threads()
    for number in range(5):
        store = FileSessionStore(tmp_path / str(number))
        await store.claim("s")
        await put(store, "s", chain([b"1", b"2"]))
        assert descriptors(tmp_path)
        await store.close()
    deadline = time.monotonic() + 5
    while threads(others) and time.monotonic() < deadline:
        await asyncio.sleep(0.005)

    assert threads(others) == []
    assert descriptors(tmp_path) == []
    assert sorted(path.name for path in (tmp_path / "0").iterdir()) == ["sessions.db", "sessions.lock"]


async def test_stores_of_one_directory_share_what_is_in_it(tmp_path: Path, chain: Chain) -> None:
    entries = chain([b"1", b"2", b"3"])
    one, other = FileSessionStore(tmp_path), FileSessionStore(tmp_path / ".." / tmp_path.name)
    await one.claim("s")
    await put(one, "s", entries[:2])
    with pytest.raises(SessionInUse, match="this process") as caught:
        await other.claim("s")
    for either in (one, other):
        with pytest.raises(SessionInUse):
            await either.delete("s")
    await other.release("s")
    await other.close()
    await put(one, "s", entries[2:])

    assert caught.value.pid == os.getpid()
    assert list((await other.load("s")).entries) == entries
    assert [listing.pid for listing in await other.sessions()] == [os.getpid()]
    await one.close()
    assert await other.delete("s")
    await other.claim("s")
    await other.close()


async def test_ten_thousand_small_entries_load_within_a_second(tmp_path: Path) -> None:
    store = FileSessionStore(tmp_path)
    head, entries = BEGINNING, []
    for number in range(10_000):
        entries.append(seal(head, number, b'{"type": "text_delta", "number": %d}' % number))
        head = entries[-1].digest
    for start in range(0, 10_000, 1000):
        await asyncio.gather(*(store.append(Commit("s", e, b"{}")) for e in entries[start : start + 1000]))
    await store.close()

    started = time.monotonic()
    stored = await store.load("s")
    took = time.monotonic() - started
    started = time.monotonic()
    await store.load("s", 9_900)
    rest = time.monotonic() - started
    await store.close()

    print(f"10000 entries: {10_000 - len(stored.entries)} lost, loaded in {took:.3f} s, the last 99 in {rest:.3f} s")
    assert list(stored.entries) == entries
    assert took <= 1
    assert rest < took


async def test_the_file_is_at_most_twice_the_unique_content_after_500_turns(tmp_path: Path) -> None:
    rnd, store, unique, head, number = random.Random(1), FileSessionStore(tmp_path), 0, BEGINNING, 0
    most = 0
    for turn in range(500):
        text, output = rnd.randbytes(150).hex(), rnd.randbytes(300).hex()
        unique += len(text) + len(output)
        call = {"id": f"call_{turn}", "name": "read", "arguments": {"path": f"src/file_{turn}.py"}}
        stamp = {"run_id": "run-000001", "timestamp_ms": 1_763_000_000_000 + turn * 1234}
        deltas = [{"type": "text_delta", "text": text[n : n + 60], **stamp} for n in range(0, len(text), 60)]
        message = {"role": "assistant", "text": text, "calls": [call]}
        facts = [
            [*deltas, {"type": "message", "message": message, **stamp}, {"type": "tool_start", **call, **stamp}],
            [{"type": "tool_end", "id": call["id"], "output": output, **stamp}],
            [{"type": "result", "id": call["id"], "content": output}, {"type": "turn_end", "turn": turn, **stamp}],
        ]
        for part in facts:
            entry = seal(head, number, json.dumps(part).encode())
            head, number = entry.digest, number + 1
            await store.append(Commit("s", entry, json.dumps({"turns": turn, "title": "a long run"}).encode()))
        most = max(most, store.size() - unique)
    await store.close()

    print(f"500 turns: {unique} unique bytes, the file has {store.size()}, 0 lost")
    assert store.size() <= 2 * unique
    assert most <= unique + 2 * 1024 * 1024


async def test_what_is_deleted_is_no_more_in_the_files(tmp_path: Path, chain: Chain) -> None:
    store = FileSessionStore(tmp_path)
    word = b"Ubi-sunt-qui-ante-nos"
    noise = random.Random(3).randbytes(300_000)
    secret = Commit("a", chain([word])[0], word, {hashlib.sha256(word).hexdigest(): word})
    await store.append(secret)
    await store.append(Commit("b", chain([b"kept"])[0], b"", {hashlib.sha256(noise).hexdigest(): noise}))
    await store.delete("a")
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    await store.delete("b")
    freed = await store.gc()

    assert word not in left
    assert freed > 250_000
    assert store.size() < 50_000
    await store.close()


async def test_a_directory_that_went_away_is_made_anew(tmp_path: Path, chain: Chain) -> None:
    store, entries = FileSessionStore(tmp_path / "store"), chain([b"1", b"2"])
    await put(store, "s", entries)
    shutil.rmtree(tmp_path / "store")
    await put(store, "s", entries)
    await store.close()

    assert list((await store.load("s")).entries) == entries
    await store.close()


async def test_a_file_in_place_of_the_directory_is_a_store_error(tmp_path: Path, chain: Chain) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        store = FileSessionStore(place)
        for verb in (store.claim("s"), store.load("s"), store.sessions(), put(store, "s", chain([b"1"]))):
            with pytest.raises(StoreError, match="cannot be used"):
                await verb


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
        connection.execute("CREATE TABLE visits(id)")
    before = (tmp_path / "sessions.db").read_bytes()
    store = FileSessionStore(tmp_path)

    with pytest.raises(StoreError, match="another program"):
        await store.sessions()
    await store.close()

    assert (tmp_path / "sessions.db").read_bytes() == before


async def test_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    shutil.copyfile(DATA / "sessions-1.db", tmp_path / "sessions.db")
    with closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
        connection.execute("CREATE TABLE invented(later)")
        connection.execute("PRAGMA user_version = 7")
        connection.execute(f"PRAGMA application_id = {0x41335300 + 7}")
    before = (tmp_path / "sessions.db").read_bytes()
    store = FileSessionStore(tmp_path)

    for _ in range(2):
        with pytest.raises(StoreVersionError, match="format 7") as caught:
            await store.load("first")
    await store.close()

    assert "upgrade" in str(caught.value)
    assert (tmp_path / "sessions.db").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sessions.db", "sessions.lock"]


async def test_every_version_that_was_ever_written_opens(tmp_path: Path) -> None:
    fixtures = sorted(DATA.glob("sessions-*.db"))
    for fixture in fixtures:
        folder = tmp_path / fixture.stem
        folder.mkdir()
        shutil.copyfile(fixture, folder / "sessions.db")
        store = FileSessionStore(folder)
        assert [listing.session_id for listing in await store.sessions()] == ["first", "second"]
        for name, count in (("first", 12), ("second", 3)):
            stored = await store.load(name)
            facts = [json.loads(entry.body) for entry in stored.entries]
            content = f"an output of {name}\n".encode() * 300
            digest = hashlib.sha256(content).hexdigest()
            assert [(fact["session"], fact["number"]) for fact in facts] == [(name, n) for n in range(count)]
            assert (json.loads(stored.summary), stored.damage) == ({"title": name, "entries": count}, None)
            assert await store.blobs([digest]) == {digest: content}
            await put(store, name, [seal(stored.entries[-1].digest, count, b"{}")])
        await store.close()
    assert fixtures


FULL = """
import asyncio, resource, signal, sys
from a3s_code.errors import StoreError
from a3s_code.kernel.store import BEGINNING, Commit, seal
from a3s_code.stores.sqlite import FileSessionStore

async def main():
    store = FileSessionStore(sys.argv[1])
    first = seal(BEGINNING, 0, b"first")
    others = [f"other {number}" for number in range(20)]
    for name in ("small", "large", *others):
        await store.append(Commit(name, first, b""))
    limit(900_000)
    import os, hashlib
    noise = os.urandom(1_000_000)
    second = seal(first.digest, 1, b"second")
    commits = [Commit("small", second, b""), Commit("large", second, b"", {hashlib.sha256(noise).hexdigest(): noise})]
    # So many that most of them wait together, the large one among them.
    together = [Commit(name, second, b"") for name in others]
    together[10:10] = commits
    outcomes = await asyncio.gather(*map(store.append, together), return_exceptions=True)
    assert [number for number, outcome in enumerate(outcomes) if outcome is not None] == [11], outcomes
    assert isinstance(outcomes[11], StoreError), outcomes
    print(outcomes[11])
    assert len((await store.load("large")).entries) == 1
    await store.append(Commit("small", seal(second.digest, 2, b"third"), b""))
    limit(None)
    await store.append(commits[1])
    assert len((await store.load("large")).entries) == 2
    assert len((await store.load("small")).entries) == 3
    assert dict(await store.blobs(list(commits[1].blobs))) == commits[1].blobs
    await store.close()
    assert [found.session_id for found in await store.sessions()] == ["small", "large", *others]
    await store.close()
"""
LIMITED = """
def limit(size):
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
"""
CROWDED = """
def limit(size):
    import pathlib, shutil
    ballast = pathlib.Path(sys.argv[1]).parent / "ballast"
    if size is None:
        ballast.unlink()
    else:
        ballast.write_bytes(bytes(shutil.disk_usage(ballast.parent).free - size))
"""


def run_full(setup: str, folder: Path) -> str:
    script = FULL + setup + "\nasyncio.run(main())"
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_that_may_not_grow_fails_only_what_does_not_fit(tmp_path: Path) -> None:
    assert "the disk failed to read or write" in run_full(LIMITED, tmp_path / "store")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_fails_only_what_does_not_fit(small_disk: Path) -> None:
    assert "the disk is full" in run_full(CROWDED, small_disk / "store")


async def test_a_disk_that_became_read_only_is_a_store_error_until_it_is_writable(
    small_disk: Path, chain: Chain
) -> None:
    store, entries = FileSessionStore(small_disk), chain([b"1", b"2"])
    await put(store, "s", entries[:1])
    await store.close()
    remount = ["mount", "-o", "remount"]
    subprocess.run([*remount, "-r", str(small_disk)], check=True)
    for _ in range(2):
        for verb in (put(store, "s", entries[1:]), store.claim("s"), store.delete("s")):
            with pytest.raises(StoreError, match="cannot be used"):
                await verb
    subprocess.run([*remount, "-w", str(small_disk)], check=True)
    await store.claim("s")
    await put(store, "s", entries[1:])

    assert list((await store.load("s")).entries) == entries
    await store.close()


async def killed_while_writing(folder: Path, entries: Sequence[Entry]) -> None:
    """A store as a killed process leaves it: some of it in the database, the rest in the log."""
    store = FileSessionStore(folder / "live")
    await put(store, "s", entries[:3])
    await store.close()
    await put(store, "s", entries[3:])
    shutil.copytree(folder / "live", folder / "left")
    await store.close()


async def test_what_is_on_a_read_only_disk_can_be_read(small_disk: Path, chain: Chain) -> None:
    entries = chain([b"%d" % number for number in range(6)])
    await killed_while_writing(small_disk, entries)
    subprocess.run(["mount", "-o", "remount", "-r", str(small_disk)], check=True)
    for name in ("live", "left"):
        store = FileSessionStore(small_disk / name)
        stored = await store.load("s")
        assert (list(stored.entries), stored.damage) == (entries, None)
        assert [listing.session_id for listing in await store.sessions()] == ["s"]
        with pytest.raises(UnknownSession):
            await store.load("another")
        await store.release("s")
        await store.close()


async def test_what_a_killed_process_left_on_a_full_disk_can_be_read(small_disk: Path, chain: Chain) -> None:
    entries = chain([b"%d" % number for number in range(7)])
    await killed_while_writing(small_disk, entries[:6])
    with (small_disk / "filling").open("wb", buffering=0) as filling, suppress(OSError):
        while True:
            filling.write(bytes(4096))
    store = FileSessionStore(small_disk / "left")
    assert list((await store.load("s")).entries) == entries[:6]
    with pytest.raises(StoreError, match="free some space"):
        await put(store, "s", entries[6:])
    (small_disk / "filling").unlink()
    await put(store, "s", entries[6:])
    assert list((await store.load("s")).entries) == entries
    await store.close()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["a pipe", "a folder"])
async def test_what_is_no_file_is_a_store_error(tmp_path: Path, chain: Chain, make: Callable[[Path], None]) -> None:
    make(tmp_path / "sessions.db")
    store = FileSessionStore(tmp_path)
    for verb in (store.sessions(), put(store, "s", chain([b"1"])), store.gc()):
        with pytest.raises(StoreError, match="is no file"):
            await asyncio.wait_for(verb, 10)
    await store.close()


async def test_a_loop_that_is_closed_before_the_answer_harms_nobody(tmp_path: Path, chain: Chain) -> None:
    store, entries = FileSessionStore(tmp_path), chain([b"%d" % number for number in range(50)])

    async def leave(entry: Entry) -> None:
        asyncio.ensure_future(store.append(Commit("s", entry, b"")))  # noqa: RUF006 - nobody waits for it
        await asyncio.sleep(0)

    def elsewhere() -> None:
        for entry in entries:
            asyncio.run(leave(entry))

    await asyncio.to_thread(elsewhere)
    await put(store, "s", entries)

    assert list((await store.load("s")).entries) == entries
    await store.close()


def test_importing_the_store_starts_and_opens_nothing() -> None:
    script = "import os, threading, a3s_code.stores.sqlite; print(threading.active_count(), os.listdir('.'))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=DATA, check=True)

    assert done.stdout.split() == ["1", "['sessions-1.db']"]


async def test_ids_of_any_characters_are_kept(tmp_path: Path, chain: Chain) -> None:
    store, names = FileSessionStore(tmp_path), ["\udc80 lone", "\ufffd", "é", "e\u0301", " ", "%s", "?"]
    for name in names:
        await store.claim(name)
        await put(store, name, chain([b"1"]))
    found = await store.sessions()

    assert [listing.session_id for listing in found] == names
    assert {listing.pid for listing in found} == {os.getpid()}
    await store.close()
