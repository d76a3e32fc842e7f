"""What it costs to keep a session: an acknowledged event, a long session read again, the size of the file."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from a3s_code.kernel.store import BEGINNING, Commit, Entry, seal
from a3s_code.stores.sqlite import FileSessionStore
from benchmarks.figures import Figure
from benchmarks.server import ScriptedServer
from benchmarks.sizes import Sizes

TURNS = 500
SUMMARY = b'{"title": "a session", "state": "running"}'


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """One append at a time through asyncio; the floor is a bare commit of as many bytes with the same guarantees.

    The unique content of the long run is every text once: a turn says 300 characters in deltas, which come again in
    its message, and reads 600, which come again in the result that the model is shown.
    """
    with tempfile.TemporaryDirectory() as folder:
        count = sizes.events // 5
        floor = _bare(Path(folder) / "bare.db", count)
        ours = asyncio.run(_acknowledged(Path(folder) / "acknowledged", count))
        for name, share in (("middle", 50), ("p95", 95)):
            here, there = (statistics.quantiles(taken, n=100)[share - 1] for taken in (ours, floor))
            target = 1.0 if name == "p95" else None
            yield Figure(f"an acknowledged event, {name}", "ms", here, there, target, compared=False)
        took, lost = asyncio.run(_read_again(Path(folder) / "long", sizes.events))
        yield Figure(f"{sizes.events} events read again", "ms", took, target=1000)
        yield Figure(f"{sizes.events} events read again, lost", "", lost, target=0, gates=True)
        size, unique = asyncio.run(_long_run(Path(folder) / "run"))
        yield Figure(f"file after {TURNS} turns, by the unique content", "", size, unique, 2, gates=True)


def _chain(bodies: list[bytes]) -> Iterator[Entry]:
    head = BEGINNING
    for number, body in enumerate(bodies):
        entry = seal(head, number, body)
        head = entry.digest
        yield entry


def _bodies(count: int) -> list[bytes]:
    rnd = random.Random(1)
    return [
        json.dumps({"type": "tool_end", "number": number, "output": rnd.randbytes(60).hex()}).encode()
        for number in range(count)
    ]


def _bare(path: Path, count: int) -> list[float]:
    taken = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for line in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE bodies(body BLOB)"):
            connection.execute(line)
        for body in _bodies(count):
            started = time.perf_counter()
            connection.execute("INSERT INTO bodies VALUES(?)", (body,))
            taken.append((time.perf_counter() - started) * 1000)
    return taken


async def _acknowledged(folder: Path, count: int) -> list[float]:
    store, taken = FileSessionStore(folder), list[float]()
    await store.claim("s")
    for entry in _chain(_bodies(count)):
        commit = Commit("s", entry, SUMMARY)
        started = time.perf_counter()
        await store.append(commit)
        taken.append((time.perf_counter() - started) * 1000)
    await store.close()
    return taken


async def _read_again(folder: Path, count: int) -> tuple[float, int]:
    """Milliseconds from a closed store to all entries, and how many were not there."""
    store = FileSessionStore(folder)
    entries = list(_chain(_bodies(count)))
    await asyncio.gather(*(store.append(Commit("s", entry, SUMMARY)) for entry in entries))
    await store.close()
    started = time.perf_counter()
    stored = await store.load("s")
    took = (time.perf_counter() - started) * 1000
    await store.close()
    return took, len(set(entries) - set(stored.entries))


async def _long_run(folder: Path) -> tuple[int, int]:
    """The bytes of the file, and of the unique content."""
    rnd, bodies, unique = random.Random(2), list[bytes](), 0
    for turn in range(TURNS):
        text, output = rnd.randbytes(150).hex(), rnd.randbytes(300).hex()
        unique += len(text) + len(output)
        call = {"id": f"call_{turn}", "name": "read", "arguments": {"path": f"src/file_{turn}.py"}}
        deltas = [{"type": "text_delta", "text": text[n : n + 60]} for n in range(0, len(text), 60)]
        message = {"role": "assistant", "text": text, "calls": [call]}
        bodies += [
            json.dumps([*deltas, {"type": "message", "message": message}, {"type": "tool_start", **call}]).encode(),
            json.dumps([{"type": "tool_end", "id": call["id"], "output": output}]).encode(),
            json.dumps([{"role": "tool", "content": output}, {"type": "turn_end", "turn": turn}]).encode(),
        ]
    store = FileSessionStore(folder)
    for entry in _chain(bodies):
        await store.append(Commit("s", entry, SUMMARY))
    await store.close()
    return store.size(), unique
