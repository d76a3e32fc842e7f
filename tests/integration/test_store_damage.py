"""A store whose files were cut short or changed: nothing damaged is taken for good, and what was before it opens."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from a3s_code.errors import UnknownSession
from a3s_code.kernel.store import BEGINNING, Commit, Entry, seal, unbroken
from a3s_code.stores.sqlite import FileSessionStore

SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
PAGE = 4096
FRAME = PAGE + 24
TRIAL_SECONDS = 20
SESSIONS = ("alpha", "beta", "gamma", "delta")


def times(full: int, least: int = 10) -> int:
    return max(least, int(full * SCALE))


@dataclass
class Original:
    """A store as it was before the damage: its files, and what was acknowledged of each session, with the log's size
    at that moment (0: it is in the database)."""

    folder: Path
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    ends: dict[str, list[int]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def copy(self, target: Path) -> Path:
        return Path(shutil.copytree(self.folder, target))


def body(rnd: random.Random, number: int) -> bytes:
    size = rnd.choice((40, 200, 200, 900)) if number % 9 != 4 else 9000
    return json.dumps({"number": number, "text": rnd.randbytes(size // 2).hex()}).encode()


async def write(original: Original, store: FileSessionStore, rnd: random.Random, count: int, logged: bool) -> None:
    name = rnd.choice(SESSIONS)
    for _ in range(count):
        name = rnd.choice(SESSIONS) if rnd.random() < 0.15 else name
        entries = original.entries.setdefault(name, [])
        entry = seal(entries[-1].digest if entries else BEGINNING, len(entries), body(rnd, len(entries)))
        blobs = {}
        if len(entries) % 11 == 2:
            content = rnd.randbytes(6000) + b"again " * 3000
            blobs[hashlib.sha256(content).hexdigest()] = content
        await store.append(Commit(name, entry, json.dumps({"entries": len(entries)}).encode(), blobs))
        entries.append(entry)
        original.blobs |= blobs
        log = store.directory / "sessions.db-wal"
        original.ends.setdefault(name, []).append(log.stat().st_size if logged else 0)


async def make(folder: Path, seed: int, written: int, logged: int) -> Original:
    """A store with `written` entries in the database and `logged` more in the log, as a killed process leaves it."""
    rnd = random.Random(seed)
    original = Original(folder / "original")
    store = FileSessionStore(folder / "live")
    await write(original, store, rnd, written, logged=False)
    await store.close()
    await write(original, store, rnd, logged, logged=True)
    shutil.copytree(folder / "live", original.folder)
    await store.close()
    return original


@dataclass
class Tally:
    trials: int = 0
    whole: int = 0
    entries: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)


async def examine(original: Original, folder: Path, tally: Tally, what: str) -> dict[str, int]:
    """Open the damaged copy; how many entries of each session are there."""
    store = FileSessionStore(folder)
    counts: dict[str, int] = {}
    tally.trials += 1
    listed = {listing.session_id for listing in await store.sessions()}
    for name, entries in original.entries.items():
        try:
            stored = await store.load(name)
        except UnknownSession:
            counts[name] = 0
            tally.wrong += [f"{what}: {name} is listed, but unknown"] * (name in listed)
            continue
        found = list(stored.entries)
        counts[name] = len(found)
        if found != entries[: len(found)] or unbroken(found) != len(found):
            tally.wrong.append(f"{what}: {name} has entries that were never written")
        if len(found) < len(entries) and not stored.damage:
            tally.wrong.append(f"{what}: {name} lost {len(entries) - len(found)} entries and nobody says so")
        summary = json.dumps({"entries": len(entries) - 1}).encode()
        if len(found) == len(entries) and bool(stored.damage) != (stored.summary != summary):
            tally.wrong.append(f"{what}: {name} has all entries, the summary {stored.summary!r}, yet: {stored.damage}")
        following = seal(found[-1].digest if found else BEGINNING, len(found), b'"goes on"')
        await store.append(Commit(name, following, b"{}"))
        again = await store.load(name)
        if list(again.entries) != [*found, following] or again.damage is not None:
            tally.wrong.append(f"{what}: {name} does not go on")
    for digest, content in (await store.blobs(list(original.blobs))).items():
        if content != original.blobs[digest]:
            tally.wrong.append(f"{what}: a blob is not what it was")
    await store.close()
    tally.entries += sum(map(len, original.entries.values()))
    lost = sum(map(len, original.entries.values())) - sum(counts.values())
    tally.lost += lost
    tally.whole += not lost
    return counts


def judge_log(original: Original, counts: dict[str, int], intact: int, tally: Tally, what: str) -> None:
    """What was acknowledged while the log was no longer than its intact part must be there."""
    for name, ends in original.ends.items():
        due = sum(end <= intact for end in ends)
        if counts[name] < due:
            tally.wrong.append(f"{what}: {name} has {counts[name]} entries, {due} were before the damage")


def judge_page(original: Original, counts: dict[str, int], pages: bytes, tally: Tally, what: str) -> None:
    """The first entry that is lost must be on the damaged pages, or be so large that a part of it may be."""
    for name, entries in original.entries.items():
        if counts[name] < len(entries):
            first = entries[counts[name]]
            if first.digest not in pages and len(first.body) < PAGE:
                tally.wrong.append(f"{what}: {name} lost entry {first.number}, which is not on the damaged page")


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def report(kind: str, tally: Tally) -> None:
    print(
        f"{kind}: {tally.trials} injected, {tally.whole} without any loss, {tally.lost} of {tally.entries} entries lost"
        f" with a report, {len(tally.wrong)} wrong"
    )
    assert not tally.wrong, "\n".join(tally.wrong[:20])


async def test_a_truncated_database_opens_up_to_the_damage(tmp_path: Path) -> None:
    original = await make(tmp_path, 1, 150, 0)
    whole = (original.folder / "sessions.db").read_bytes()
    rnd, tally = random.Random(2), Tally()
    count = times(100)
    for trial in range(count):
        place = rnd.randrange(len(whole)) if trial else 0
        folder = original.copy(tmp_path / "copy")
        os.truncate(folder / "sessions.db", place)
        counts = await asyncio.wait_for(examine(original, folder, tally, f"cut at {place}"), TRIAL_SECONDS)
        judge_page(original, counts, whole[place // PAGE * PAGE :], tally, f"cut at {place}")
        shutil.rmtree(folder)
    report("database truncated", tally)


@pytest.mark.parametrize("logged", [40, 140], ids=["never checkpointed", "checkpointed"])
async def test_a_truncated_log_opens_up_to_the_damage(tmp_path: Path, logged: int) -> None:
    original = await make(tmp_path, 3, 60, logged)
    size = (original.folder / "sessions.db-wal").stat().st_size
    rnd, tally = random.Random(4), Tally()
    for trial in range(times(50)):
        place = rnd.randrange(size) if trial else 0
        folder = original.copy(tmp_path / "copy")
        os.truncate(folder / "sessions.db-wal", place)
        counts = await asyncio.wait_for(examine(original, folder, tally, f"cut at {place}"), TRIAL_SECONDS)
        judge_log(original, counts, place, tally, f"cut at {place}")
        shutil.rmtree(folder)
    report("log truncated", tally)


async def test_a_flipped_bit_in_the_database_is_found_out(tmp_path: Path) -> None:
    original = await make(tmp_path, 5, 150, 0)
    whole = (original.folder / "sessions.db").read_bytes()
    rnd, tally = random.Random(6), Tally()
    heads = [page * PAGE * 8 + rnd.randrange(12 * 8) for page in range(len(whole) // PAGE)]
    count = times(300, 30)
    bits = rnd.sample(heads, min(count // 4, len(heads))) + [rnd.randrange(100 * 8) for _ in range(count // 8)]
    bits += [rnd.randrange(len(whole) * 8) for _ in range(count - len(bits))]
    for bit in bits:
        folder = original.copy(tmp_path / "copy")
        flip(folder / "sessions.db", bit)
        what = f"bit {bit} of page {bit // 8 // PAGE + 1}, byte {bit // 8 % PAGE}"
        counts = await asyncio.wait_for(examine(original, folder, tally, what), TRIAL_SECONDS)
        page = bit // 8 // PAGE
        judge_page(original, counts, whole[page * PAGE : (page + 1) * PAGE], tally, what)
        shutil.rmtree(folder)
    report("bits of the database flipped", tally)


async def test_a_flipped_bit_in_the_log_is_found_out(tmp_path: Path) -> None:
    original = await make(tmp_path, 7, 60, 60)
    size = (original.folder / "sessions.db-wal").stat().st_size
    rnd, tally = random.Random(8), Tally()
    count = times(200, 20)
    bits = [rnd.randrange(32 * 8) for _ in range(count // 8)]
    bits += [(32 + FRAME * rnd.randrange(size // FRAME)) * 8 + rnd.randrange(24 * 8) for _ in range(count // 4)]
    bits += [rnd.randrange(size * 8) for _ in range(count - len(bits))]
    for bit in bits:
        folder = original.copy(tmp_path / "copy")
        flip(folder / "sessions.db-wal", bit)
        what = f"bit {bit} of the log, frame {(bit // 8 - 32) // FRAME}, byte {(bit // 8 - 32) % FRAME}"
        counts = await asyncio.wait_for(examine(original, folder, tally, what), TRIAL_SECONDS)
        intact = 32 + max(bit // 8 - 32, 0) // FRAME * FRAME
        judge_log(original, counts, intact, tally, what)
        shutil.rmtree(folder)
    report("bits of the log flipped", tally)


async def test_sectors_and_pages_that_hold_something_else_are_found_out(tmp_path: Path) -> None:
    original = await make(tmp_path, 11, 100, 60)
    rnd, tally = random.Random(12), Tally()
    for trial in range(times(200, 20)):
        folder = original.copy(tmp_path / "copy")
        path = folder / rnd.choice(("sessions.db", "sessions.db-wal"))
        content = path.read_bytes()
        sector, page = rnd.randrange(len(content) // 512) * 512, rnd.randrange(len(content) // PAGE) * PAGE
        other = rnd.randrange(len(content) // PAGE) * PAGE
        kind = ("zeros", "noise", "another page")[trial % 3]
        place = page if kind == "another page" else sector
        instead = {"zeros": bytes(512), "noise": rnd.randbytes(512), "another page": content[other : other + PAGE]}[
            kind
        ]
        path.write_bytes(content[:place] + instead + content[place + len(instead) :])
        what = f"{kind} at {place} of {path.name}"
        await asyncio.wait_for(examine(original, folder, tally, what), TRIAL_SECONDS)
        shutil.rmtree(folder)
    report("sectors and pages replaced", tally)


async def test_a_changed_lock_file_harms_nothing(tmp_path: Path) -> None:
    original = await make(tmp_path, 9, 60, 20)
    size = (original.folder / "sessions.lock").stat().st_size
    rnd, tally = random.Random(10), Tally()
    for trial in range(times(100)):
        folder = original.copy(tmp_path / "copy")
        if trial % 3:
            flip(folder / "sessions.lock", rnd.randrange(size * 8))
        else:
            os.truncate(folder / "sessions.lock", rnd.randrange(size))
        await asyncio.wait_for(examine(original, folder, tally, f"trial {trial}"), TRIAL_SECONDS)
        shutil.rmtree(folder)
    report("lock files changed", tally)
    assert tally.lost == 0


async def test_a_log_of_another_moment_takes_nothing_away(tmp_path: Path) -> None:
    rnd, tally = random.Random(13), Tally()
    for trial in range(times(50)):
        folder = tmp_path / str(trial)
        original, store = Original(folder), FileSessionStore(folder)
        if trial % 2:
            await write(original, store, rnd, rnd.randrange(1, 60), logged=False)
            older = (folder / "sessions.db-wal").read_bytes()
        else:
            for name in SESSIONS:
                await store.append(Commit(name, seal(BEGINNING, 0, b"deleted later"), b"{}"))
            older = (folder / "sessions.db-wal").read_bytes()
            for name in SESSIONS:
                await store.delete(name)
        await store.close()
        await write(original, store, rnd, rnd.randrange(60, 160), logged=False)
        await store.close()
        (folder / "sessions.db-wal").write_bytes(older)
        await asyncio.wait_for(examine(original, folder, tally, f"trial {trial}"), TRIAL_SECONDS)
    report("logs of another moment", tally)
    assert tally.lost == 0
