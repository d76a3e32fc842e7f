from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.kernel.store import BEGINNING, Entry, seal, unbroken
from a3s_code.stores.rows import Row
from a3s_code.stores.squeeze import Stream, expand, pack, unpack


def chained(bodies: Sequence[bytes]) -> list[Entry]:
    entries: list[Entry] = []
    for body in bodies:
        entries.append(seal(entries[-1].digest if entries else BEGINNING, len(entries), body))
    return entries


def squeezed(entries: Sequence[Entry], anew: frozenset[int] = frozenset()) -> list[Row]:
    rows: list[Row] = []
    for entry in entries:
        if not rows or entry.number in anew:
            stream = Stream()
        fresh = None if stream.head else b"id"
        rows.append((entry.number, fresh, len(entry.body), stream.add(entry), entry.digest, None))
    return rows


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=30), st.frozensets(st.integers(1, 29)))
def test_what_was_squeezed_expands_to_the_same(bodies: list[bytes], anew: frozenset[int]) -> None:
    entries = chained(bodies)

    assert expand(squeezed(entries, anew)) == entries


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.data())
def test_what_was_changed_is_never_taken_for_good(data: st.DataObject) -> None:
    entries = chained([b"one and one " * 3, b"two and one and one", b"", b"three and two and one"])
    rows = squeezed(entries)
    number = data.draw(st.sampled_from([0, 1, 3]))
    key, fresh, size, body, digest, blobs = rows[number]
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    changed = bytearray(body)
    changed[bit // 8] ^= 1 << bit % 8
    rows[number] = (key, fresh, size, bytes(changed), digest, blobs)

    found = expand(rows)

    # Some bits of a stream carry nothing: then the entry is what it was.
    assert found[: unbroken(found)] == entries[: unbroken(found)]
    assert unbroken(found) >= number


def test_an_entry_like_those_before_it_takes_few_bytes() -> None:
    rnd = random.Random(1)
    text = "".join(rnd.choices("abcdefghijklmnopqrstuvwxyz ", k=600)).encode()
    rows = squeezed(chained([b'{"text": "' + text + b'"}', b'{"message": "' + text + b'"}']))

    assert len(rows[0][3]) > 300
    assert len(rows[1][3]) < 40


def test_a_stream_ends_after_some_hundred_entries_or_half_a_megabyte() -> None:
    small, large = Stream(), Stream()
    counts = []
    for stream, body in ((small, b"x"), (large, b"x" * 100_000)):
        count = 0
        while not stream.spent:
            stream.add(seal(BEGINNING, count, body))
            count += 1
        counts.append(count)

    assert counts == [256, 6]


def test_nothing_expands_beyond_the_size_that_was_stored() -> None:
    entry = seal(BEGINNING, 0, b"\0" * 50_000_000)
    ((key, fresh, _, body, digest, blobs),) = squeezed([entry])
    packed, kept = pack(entry.body)

    assert expand([(key, fresh, 1000, body, digest, blobs)]) == []
    assert unpack(digest, 1000, packed, kept) is None


def test_a_size_that_was_changed_allocates_nothing() -> None:
    ((key, fresh, _, body, digest, blobs),) = squeezed([seal(BEGINNING, 0, b"text")])

    for size in (1 << 40, (1 << 63) - 1, 3, 5, -1):
        assert expand([(key, fresh, size, body, digest, blobs)]) == []


@pytest.mark.parametrize("content", [b"", b"short", b"long " * 1000, random.Random(2).randbytes(5000)])
def test_blobs_are_squeezed_only_where_it_pays(content: bytes) -> None:
    packed, kept = pack(content)

    assert packed == (content[:4] == b"long")
    assert len(kept) <= len(content)


def test_the_stream_is_plain_deflate() -> None:
    rows = squeezed(chained([b"first", b"second"]))
    whole = b"".join(row[3] + b"\x00\x00\xff\xff" for row in rows)

    assert zlib.decompressobj(-15).decompress(whole) == b"firstsecond"
