"""Several processes on one store: none loses what it was told is stored, and a session has one writer."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from a3s_code.errors import SessionInUse, StoreError
from a3s_code.kernel.store import BEGINNING, Commit, seal, unbroken
from a3s_code.stores.sqlite import FileSessionStore

SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
DEADLINE = 60
PROCESSES = 4


def times(full: int, least: int) -> int:
    return max(least, int(full * SCALE))


PRELUDE = """
import asyncio, hashlib, json, os, signal, subprocess, sys, time
from a3s_code.errors import A3SError, SessionInUse, StoreError
from a3s_code.kernel.store import BEGINNING, Commit, seal
from a3s_code.stores.sqlite import FileSessionStore

folder, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

def tell(*words):
    print(*words, flush=True)

async def write(store, name, count, say=False):
    known = [found.session_id for found in await store.sessions()]
    stored = (await store.load(name)).entries if name in known else []
    head, number = (stored[-1].digest, len(stored)) if stored else (BEGINNING, 0)
    while number < count:
        body = json.dumps({"number": number, "writer": os.getpid(), "text": "word " * (number % 60)}).encode()
        entry = seal(head, number, body)
        blobs = {}
        if number % 10 == 3:
            content = f"{name} {number} ".encode() * 400
            blobs[hashlib.sha256(content).hexdigest()] = content
        await store.append(Commit(name, entry, b"%d" % number, blobs))
        if say:
            tell(number, entry.digest.hex(), *blobs)
        head, number = entry.digest, number + 1
"""


def start(body: str, folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    script = PRELUDE + body
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder), name, str(count)], stdout=-1, stderr=-1, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, errors
    return output


async def test_processes_write_to_one_store_without_loss(tmp_path: Path) -> None:
    body = """
async def main():
    store = FileSessionStore(folder)
    await store.claim(name)
    await write(store, name, count)
    await store.close()

asyncio.run(main())
"""
    each = times(500, 50)
    started = time.monotonic()
    for process in [start(body, tmp_path, f"session {number}", each) for number in range(PROCESSES)]:
        finish(process)
    took = time.monotonic() - started
    store = FileSessionStore(tmp_path)
    found = [list((await store.load(f"session {number}")).entries) for number in range(PROCESSES)]
    whole = sum(unbroken(entries) for entries in found)
    await store.close()
    print(f"{PROCESSES} processes, {each * PROCESSES} events in {took:.1f} s: {each * PROCESSES - whole} lost")
    assert whole == each * PROCESSES
    assert not list(tmp_path.glob("*.damaged*"))


async def test_of_processes_that_want_one_session_one_wins(tmp_path: Path) -> None:
    body = """
async def main():
    store = FileSessionStore(folder)
    try:
        await store.claim(name)
    except SessionInUse as error:
        tell("refused", error.pid)
        return
    tell("won", os.getpid())
    await write(store, name, count)
    sys.stdin.read()
    await store.close()

asyncio.run(main())
"""
    each = times(500, 20)
    script = [sys.executable, "-c", PRELUDE + body, str(tmp_path), "wanted", str(each)]
    contenders = [subprocess.Popen(script, stdin=-1, stdout=-1, text=True) for _ in range(PROCESSES)]
    words = [contender.stdout.readline().split() for contender in contenders if contender.stdout]
    for contender in contenders:
        contender.communicate("", timeout=DEADLINE)
    winners = [pid for word, pid in words if word == "won"]
    refused = [pid for word, pid in words if word == "refused"]
    store = FileSessionStore(tmp_path)
    entries = (await store.load("wanted")).entries
    await store.close()
    lost = each - len(entries)
    print(f"{PROCESSES} contenders: {len(winners)} won, {len(refused)} refused; {each} events, {lost} lost")
    assert len(winners) == 1
    assert refused == winners * (PROCESSES - 1)
    assert unbroken(list(entries)) == each


async def test_a_dead_writer_is_taken_over_at_once_though_its_children_live(tmp_path: Path) -> None:
    body = """
async def main():
    store = FileSessionStore(folder)
    await store.claim(name)
    await write(store, name, count)
    sleeper = subprocess.Popen(["sleep", "300"], start_new_session=True)
    child = os.fork()
    if child == 0:
        time.sleep(300)
        os._exit(0)
    tell(sleeper.pid, child)
    time.sleep(300)

asyncio.run(main())
"""
    owner = start(body, tmp_path, "s", 5)
    assert owner.stdout
    children = [int(pid) for pid in owner.stdout.readline().split()]
    store = FileSessionStore(tmp_path)
    try:
        with pytest.raises(SessionInUse, match=f"process {owner.pid}") as caught:
            await store.claim("s")
        assert caught.value.pid == owner.pid
        assert [listing.pid for listing in await store.sessions()] == [owner.pid]
        with pytest.raises(SessionInUse):
            await store.delete("s")

        owner.kill()
        owner.wait(DEADLINE)

        await asyncio.wait_for(store.claim("s"), 1)
        assert [listing.pid for listing in await store.sessions()] == [os.getpid()]
        assert len((await store.load("s")).entries) == 5
    finally:
        owner.kill()
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        owner.communicate(timeout=DEADLINE)
        await store.close()


async def test_a_lock_file_that_is_read_in_the_same_process_costs_no_session(tmp_path: Path) -> None:
    body = """
async def main():
    store = FileSessionStore(folder)
    try:
        await store.claim(name)
    except SessionInUse as error:
        tell("refused", error.pid)
        return
    tell("won", os.getpid())
    sys.stdin.read()
    await store.close()

asyncio.run(main())
"""
    store, lock = FileSessionStore(tmp_path), tmp_path / "sessions.lock"
    await store.claim("s")
    first = seal(BEGINNING, 0, b"1")
    lock.read_bytes()
    await store.append(Commit("s", first, b""))
    assert finish(start(body, tmp_path, "s", 0)).split() == ["refused", str(os.getpid())]

    lock.read_bytes()
    script = [sys.executable, "-c", PRELUDE + body, str(tmp_path), "s", "0"]
    with subprocess.Popen(script, stdin=-1, stdout=-1, text=True) as quicker:
        assert quicker.stdout
        assert quicker.stdout.readline().split() == ["won", str(quicker.pid)]
        with pytest.raises(StoreError, match=f"taken over by process {quicker.pid}"):
            await store.append(Commit("s", seal(first.digest, 1, b"2"), b""))
        quicker.communicate("", timeout=DEADLINE)
    assert len((await store.load("s")).entries) == 1
    await store.close()


async def test_what_a_killed_process_was_told_is_there(tmp_path: Path) -> None:
    body = """
async def main():
    store = FileSessionStore(folder)
    await store.claim(name)
    await write(store, name, count, say=True)

asyncio.run(main())
"""
    rnd, kills, told, lost, unopened = random.Random(11), times(200, 12), 0, 0, 0
    known: dict[int, str] = {}
    blobs: set[str] = set()
    folder = tmp_path / "store"
    for kill in range(kills):
        if kill % 25 == 0:
            known, folder = {}, tmp_path / f"store {kill}"
        process = start(body, folder, "s", 100_000)
        assert process.stdout
        process.stdout.readline() if rnd.random() < 0.8 else None
        time.sleep(rnd.random() * 0.1)
        process.kill()
        rest, _ = process.communicate(timeout=DEADLINE)
        lines = [line.split() for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        for number, digest, *referred in lines:
            known[int(number)] = digest
            blobs |= set(referred)
            told += 1
        if not known:
            continue
        store = FileSessionStore(folder)
        stored = await asyncio.wait_for(store.load("s"), DEADLINE)
        unopened += stored.damage is not None
        entries = list(stored.entries)
        assert unbroken(entries) == len(entries)
        lost += sum(
            number >= len(entries) or entries[number].digest.hex() != digest for number, digest in known.items()
        )
        await store.close()
    assert not list(tmp_path.glob("*/*.damaged*"))
    print(f"{kills} kills, {told} events acknowledged: {lost} lost, {unopened} sessions damaged")
    assert (lost, unopened) == (0, 0)


async def test_a_child_of_a_fork_uses_the_store_as_a_process_of_its_own(tmp_path: Path) -> None:
    body = """
async def forked(store):
    try:
        await store.claim("parent's")
    except SessionInUse as error:
        tell("refused", error.pid == os.getppid())
    await store.claim("child's")
    await write(store, "child's", count)
    tell([(found.session_id, found.pid == os.getpid()) for found in await store.sessions()])

store = FileSessionStore(folder)
loop = asyncio.new_event_loop()
loop.run_until_complete(store.claim("parent's"))
loop.run_until_complete(write(store, "parent's", 3))
writing = loop.create_task(write(store, "parent's", count))
loop.run_until_complete(asyncio.sleep(0.005))
child = os.fork()
if child == 0:
    asyncio.set_event_loop(None)
    asyncio.new_event_loop().run_until_complete(forked(store))
    sys.exit()
loop.run_until_complete(writing)
os.waitpid(child, 0)
try:
    loop.run_until_complete(FileSessionStore(folder).claim("parent's"))
except SessionInUse as error:
    tell("still claimed", error.pid == os.getpid())
loop.run_until_complete(store.close())
"""
    rounds = times(40, 5)
    for number in range(rounds):
        output = finish(
            start("import warnings; warnings.simplefilter('ignore')" + body, tmp_path / str(number), "", 60)
        )
        listed = [("parent's", False), ("child's", True)]
        assert sorted(output.splitlines()) == sorted(["refused True", str(listed), "still claimed True"])
        store = FileSessionStore(tmp_path / str(number))
        for name in ("parent's", "child's"):
            stored = await store.load(name)
            assert (len(stored.entries), stored.damage) == (60, None)
        await store.close()
    print(f"{rounds} forks in the middle of writing: 0 lost")


async def test_a_damaged_file_is_repaired_only_when_nobody_else_has_it_open(tmp_path: Path) -> None:
    body = """
async def main():
    store = FileSessionStore(folder)
    await write(store, name, count)
    tell("written")
    sys.stdin.read()
    await write(store, "another", 3)
    await store.close()

asyncio.run(main())
"""
    store = FileSessionStore(tmp_path)
    other = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + body, str(tmp_path), "s", "200"], stdin=-1, stdout=-1, text=True
    )
    assert other.stdout
    other.stdout.readline()
    whole = list((await store.load("s")).entries)
    await store.close()
    for file in (tmp_path / "sessions.db", tmp_path / "sessions.db-wal"):
        content = file.read_bytes()
        with file.open("r+b") as opened:
            opened.write(content.replace(whole[20].digest, bytes(32)))

    seen = await store.load("s")
    assert list(seen.entries) == whole[:20]
    assert f"once process {other.pid} has closed it" in (seen.damage or "")
    assert not list(tmp_path.glob("*.damaged*"))

    other.communicate("", timeout=DEADLINE)
    again = await store.load("s")
    assert other.returncode == 0
    assert list(again.entries) == whole[:20]
    assert "the damaged file was kept as" in (again.damage or "")
    assert [listing.session_id for listing in await store.sessions()] == ["s", "another"]
    assert len((await store.load("another")).entries) == 3
    await store.close()
