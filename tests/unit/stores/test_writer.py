from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from a3s_code.kernel.store import Commit, Entry
from a3s_code.stores.archive import Archive
from a3s_code.stores.ownership import Ownership, open_lock
from a3s_code.stores.writer import Ask, Waiter, Write, Writer

Chain = Callable[[Sequence[bytes]], list[Entry]]


class User:
    pass


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        await asyncio.sleep(0.005)
    assert condition()


async def test_the_thread_ends_when_there_was_nothing_to_do_for_a_while(tmp_path: Path, chain: Chain) -> None:
    ownership = Ownership(open_lock(tmp_path / "sessions.lock"))
    writer, user, entries = Writer(tmp_path, ownership, 0.05), User(), chain([b"1", b"2", b"3"])
    writer.users.add(user)
    ownership.claim("s", user)
    for entry in entries:
        waiter = Waiter()
        writer.submit(Write(waiter, Commit("s", entry, b"")))
        await waiter.outcome
        assert (tmp_path / "sessions.db-wal").exists()
        await until(lambda: writer.idle)
        assert not (tmp_path / "sessions.db-wal").exists()
    waiter = Waiter()
    writer.submit(Ask(waiter, lambda archive: archive.load("s", -1)))

    assert list((await waiter.outcome).entries) == entries
    assert ownership.writer("s") == os.getpid()
    writer.users.discard(user)
    await until(lambda: writer.idle)
    ownership.close()


async def test_what_waits_is_written_in_one_transaction(tmp_path: Path, chain: Chain) -> None:
    ownership = Ownership(open_lock(tmp_path / "sessions.lock"))
    writer, user, entries = Writer(tmp_path, ownership, 5), User(), chain([b"%d" % number for number in range(50)])
    writer.users.add(user)
    started, go_on = threading.Event(), threading.Event()

    def hold(archive: Archive) -> None:
        started.set()
        go_on.wait(10)

    blocked = Waiter()
    writer.submit(Ask(blocked, hold))
    await asyncio.to_thread(started.wait, 10)
    waiters = [Waiter() for _ in entries]
    for waiter, entry in zip(waiters, entries, strict=True):
        writer.submit(Write(waiter, Commit("s", entry, b"")))
    go_on.set()
    for waiter in waiters:
        await waiter.outcome
    frames = ((tmp_path / "sessions.db-wal").stat().st_size - 32) // 4120
    writer.users.discard(user)
    writer.submit(Ask(Waiter(), None))
    await until(lambda: writer.idle)
    ownership.close()

    assert frames < 10
    assert blocked.outcome.done()
