"""What every store of sessions promises, as checks that a host runs on its own.

async def test_my_store_keeps_its_promises(tmp_path):
    await check_session_store(lambda: MyStore(tmp_path / uuid4().hex))
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence

from a3s_code.errors import A3SError, SessionInUse, StoreError, UnknownSession
from a3s_code.kernel.store import BEGINNING, Commit, Entry, SessionStore, seal

Check = Callable[[SessionStore], Awaitable[None]]


async def check_session_store(make_store: Callable[[], SessionStore]) -> None:
    """Run every check on a store of its own; raises AssertionError with the promise that was broken.

    `make_store` gives a new store with nothing in it, each time.
    """
    for check in SESSION_STORE_CHECKS:
        store = make_store()
        try:
            await check(store)
        except AssertionError as error:
            raise AssertionError(f"{check.__name__}: {error}") from error
        finally:
            await store.close()


def chain(bodies: Sequence[bytes], previous: Sequence[Entry] = ()) -> list[Entry]:
    """Sealed entries with these bodies, each after the one before; the first after `previous`."""
    entries = list(previous)
    for body in bodies:
        entries.append(seal(entries[-1].digest if entries else BEGINNING, len(entries), body))
    return entries[len(previous) :]


async def store_session(store: SessionStore, session_id: str, entries: Sequence[Entry]) -> None:
    """Append the entries, with summaries that count them."""
    for entry in entries:
        await store.append(Commit(session_id, entry, b"summary %d" % entry.number))


async def what_is_appended_is_loaded(store: SessionStore) -> None:
    entries = chain([b'{"n": %d}' % number for number in range(40)])
    await store_session(store, "s", entries)
    stored = await store.load("s")
    _expect(list(stored.entries) == entries, "load() gives the entries that were appended, in order")
    _expect(stored.summary == b"summary 39", "load() gives the last summary")
    _expect(stored.damage is None, "nothing is damaged")
    for after in (-1, 0, 17, 38, 39, 100):
        part = await store.load("s", after)
        _expect(list(part.entries) == entries[after + 1 :], f"load(after={after}) gives the entries above that number")


async def any_body_comes_back(store: SessionStore) -> None:
    noise = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(40_000))
    bodies = [b"", b"{}", "\u00df\U0001f40d\u0000".encode(), b"\n" * 70_000, noise, b"", b'"end"']
    entries = chain(bodies)
    await store_session(store, "s", entries)
    _expect(list((await store.load("s")).entries) == entries, "bodies of any size and content come back")


async def an_entry_may_be_appended_again(store: SessionStore) -> None:
    entries = chain([b"0", b"1", b"2"])
    await store_session(store, "s", entries)
    await store_session(store, "s", entries)
    stored = await store.load("s")
    _expect(list(stored.entries) == entries, "an entry that is there already is left as it is")


async def only_what_follows_is_taken(store: SessionStore) -> None:
    entries = chain([b"0", b"1"])
    await store_session(store, "s", entries)
    others = chain([b"0", b"other", b"2"])
    gap = chain([b"2", b"3"], entries)[1]
    forged = Entry(2, b"2", hashlib.sha256(b"2").digest())
    for name, entry in {
        "another entry": others[1],
        "another chain": others[2],
        "a gap": gap,
        "a forgery": forged,
    }.items():
        await _refused(store.append(Commit("s", entry, b"wrong")), StoreError, f"{name} is refused with StoreError")
    stored = await store.load("s")
    _expect(list(stored.entries) == entries, "what was refused changes nothing")
    _expect(stored.summary == b"summary 1", "what was refused leaves the summary")
    await store_session(store, "s", chain([b"2"], entries))
    _expect(len((await store.load("s")).entries) == 3, "after a refusal the next entry is taken")


async def unknown_sessions_are_named_so(store: SessionStore) -> None:
    second = chain([b"0", b"1"])[1]
    await _refused(store.load("none"), UnknownSession, "load() of an unknown session raises UnknownSession")
    await _refused(store.cut("none", 0, ""), UnknownSession, "cut() of an unknown session raises UnknownSession")
    await _refused(store.append(Commit("none", second, b"")), UnknownSession, "only the first entry makes a session")
    _expect(not await store.delete("none"), "delete() of an unknown session gives False")
    await store.release("none")
    _expect(not await store.sessions(), "asking makes no session")
    _expect(not await store.blobs(["0" * 64, "no digest"]), "unknown blobs are left out")


async def a_session_has_one_writer(store: SessionStore) -> None:
    await store.claim("s")
    error = await _refused(store.claim("s"), SessionInUse, "a second claim raises SessionInUse")
    _expect(isinstance(error, SessionInUse) and error.pid == os.getpid(), "the error names the process")
    await store.claim("other")
    await store_session(store, "s", chain([b"0"]))
    _expect([listing.pid for listing in await store.sessions()] == [os.getpid()], "a listing names the writer")
    await _refused(store.delete("s"), SessionInUse, "a session that has a writer cannot be deleted")
    await store.release("s")
    _expect([listing.pid for listing in await store.sessions()] == [None], "a released session has no writer")
    await store.claim("s")
    await store.close()
    await store.claim("s")
    await store.release("s")
    await store.release("s")


async def a_cut_puts_the_end_aside(store: SessionStore) -> None:
    entries = chain([b"%d" % number for number in range(6)])
    await store_session(store, "s", entries)
    await store.cut("s", 4, "the fifth is damaged")
    _expect(list((await store.load("s")).entries) == entries[:4], "cut() leaves the entries before")
    await _refused(store.append(Commit("s", entries[5], b"")), StoreError, "what followed a cut entry follows no more")
    replacement = chain([b"new 4", b"new 5"], entries[:4])
    await store_session(store, "s", replacement)
    _expect(list((await store.load("s")).entries) == entries[:4] + replacement, "new entries follow what is left")
    await store.cut("s", 6, "nothing")
    await _refused(store.cut("s", 7, "too far"), StoreError, "cut() beyond the end raises StoreError")
    await store.cut("s", 0, "all")
    _expect(not (await store.load("s")).entries, "everything can be cut")
    await store_session(store, "s", entries)
    _expect(list((await store.load("s")).entries) == entries, "a session that was cut to nothing begins anew")


async def blobs_live_as_long_as_a_session_refers_to_them(store: SessionStore) -> None:
    contents = [b"one" * 1000, b"two", b"", os.urandom(100_000)]
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    every = dict(zip(digests, contents, strict=True))
    first, second = chain([b"0", b"1"])
    await store.append(Commit("a", first, b"", every))
    await store.append(Commit("b", first, b"", {digests[0]: contents[0]}))
    _expect(dict(await store.blobs([*digests, "f" * 64])) == every, "blobs() gives the contents that are there")
    await store.append(Commit("a", second, b"", {}, digests[:2]))
    left = {digests[0], digests[2], digests[3]}
    _expect(set(await store.blobs(digests)) == left, "a dropped blob is gone where no other session refers to it")
    await store.delete("a")
    _expect(set(await store.blobs(digests)) == {digests[0]}, "delete() leaves what others refer to, and only that")
    wrong: Mapping[str, bytes] = {digests[1]: b"something else"}
    await _refused(store.append(Commit("b", second, b"", wrong)), StoreError, "a blob must be what its digest says")


async def sessions_are_listed_in_order(store: SessionStore) -> None:
    names = ["z", "a", "", "../../up", "a/b", "A", "\u00df\U0001f40d", "nul\0nul", "x" * 3000, "'; DROP TABLE sessions"]
    for name in names:
        await store_session(store, name, chain([b"0", name.encode()]))
    listings = await store.sessions()
    _expect([listing.session_id for listing in listings] == names, "sessions() lists them in the order they were made")
    _expect({listing.summary for listing in listings} == {b"summary 1"}, "a listing has the last summary")
    for name in names:
        _expect((await store.load(name)).entries[1].body == name.encode(), f"session {name[:20]!r} has its own entries")


async def a_deleted_session_is_forgotten(store: SessionStore) -> None:
    for name in ("a", "b"):
        await store_session(store, name, chain([b"old", name.encode()]))
    _expect(await store.delete("a"), "delete() gives True")
    _expect([listing.session_id for listing in await store.sessions()] == ["b"], "the others stay")
    await _refused(store.load("a"), UnknownSession, "a deleted session is unknown")
    entries = chain([b"new"])
    await store_session(store, "a", entries)
    _expect(list((await store.load("a")).entries) == entries, "its id can be used anew")


async def a_closed_store_opens_again(store: SessionStore) -> None:
    entries = chain([b"0", b"1", b"2"])
    await store_session(store, "s", entries[:2])
    await store.close()
    await store.close()
    await store_session(store, "s", entries[2:])
    _expect(list((await store.load("s")).entries) == entries, "a verb after close() opens the store again")


async def sessions_are_written_at_once(store: SessionStore) -> None:
    entries = chain([b"%d" % number for number in range(20)])
    names = [f"s{number}" for number in range(20)]
    await asyncio.gather(*(store_session(store, name, entries) for name in names))
    for name in names:
        _expect(list((await store.load(name)).entries) == entries, "sessions that are written at once stay apart")


async def one_bad_commit_does_not_harm_the_others(store: SessionStore) -> None:
    first, second = chain([b"0", b"1"])
    commits = [Commit(f"s{number}", second if number == 3 else first, b"") for number in range(8)]
    outcomes = await asyncio.gather(*map(store.append, commits), return_exceptions=True)
    failed = [number for number, outcome in enumerate(outcomes) if outcome is not None]
    _expect(failed == [3], "of commits that are written together, only the bad one fails")


async def a_cancelled_append_breaks_nothing(store: SessionStore) -> None:
    entries = chain([b"%d" % number * 50 for number in range(30)])
    for number, entry in enumerate(entries):
        commit = Commit("s", entry, b"")
        task = asyncio.ensure_future(store.append(commit))
        for _ in range(number % 4):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.append(commit)
    _expect(list((await store.load("s")).entries) == entries, "an append that was cancelled can be made again")


async def other_event_loops_may_use_it(store: SessionStore) -> None:
    entries = chain([b"%d" % number for number in range(10)])
    names = [f"s{number}" for number in range(4)]

    def elsewhere(name: str) -> None:
        asyncio.run(store_session(store, name, entries))

    await asyncio.gather(*(asyncio.to_thread(elsewhere, name) for name in names))
    for name in names:
        _expect(list((await store.load(name)).entries) == entries, "a store serves several event loops")


SESSION_STORE_CHECKS: tuple[Check, ...] = (
    what_is_appended_is_loaded,
    any_body_comes_back,
    an_entry_may_be_appended_again,
    only_what_follows_is_taken,
    unknown_sessions_are_named_so,
    a_session_has_one_writer,
    a_cut_puts_the_end_aside,
    blobs_live_as_long_as_a_session_refers_to_them,
    sessions_are_listed_in_order,
    a_deleted_session_is_forgotten,
    a_closed_store_opens_again,
    sessions_are_written_at_once,
    one_bad_commit_does_not_harm_the_others,
    a_cancelled_append_breaks_nothing,
    other_event_loops_may_use_it,
)
"""Each takes a new store with nothing in it, and raises AssertionError with the promise that was broken."""


def _expect(kept: bool, promise: str) -> None:
    if not kept:
        raise AssertionError(promise)


async def _refused(work: Awaitable[object], kind: type[A3SError], promise: str) -> A3SError:
    try:
        await work
    except kind as error:
        return error
    except A3SError as error:
        raise AssertionError(f"{promise}, not {type(error).__name__}") from error
    raise AssertionError(promise)
