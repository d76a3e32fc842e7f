from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.providers import sse
from a3s_code.providers.sse import EventReader, ServerEvent


def read(*chunks: bytes) -> list[ServerEvent]:
    reader = EventReader()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return events + reader.close()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_each_kind_of_line_end_works(end: bytes) -> None:
    stream = end.join([b"event: a", b"data: 1", b"", b"data: 2", b"", b""])
    assert read(stream) == [(b"a", b"1"), (b"", b"2")]


def test_line_ends_may_differ_from_line_to_line() -> None:
    assert read(b"event: a\rdata: 1\n\r\ndata: 2\r\n\r") == [(b"a", b"1"), (b"", b"2")]


def test_comments_ids_and_empty_events_are_left_out() -> None:
    assert read(b": ping\n\nid: 7\nretry: 10\n\n: x\ndata: 1\n\n\n\n") == [(b"", b"1")]


def test_several_data_lines_are_one_value() -> None:
    assert read(b"data: a\ndata:  b\ndata\ndata: c\n\n") == [(b"", b"a\n b\n\nc")]


def test_the_space_after_the_colon_may_be_missing() -> None:
    assert read(b"event:a\ndata:1\n\n") == [(b"a", b"1")]


def test_a_byte_order_mark_is_skipped_once() -> None:
    assert read(b"\xef\xbb\xbfdata: 1\n\ndata: \xef\xbb\xbf2\n\n") == [(b"", b"1"), (b"", b"\xef\xbb\xbf2")]


def test_the_last_event_may_lack_its_blank_line() -> None:
    assert read(b"data: 1\n\ndata: 2\n") == [(b"", b"1"), (b"", b"2")]
    assert read(b"data: 1\n\ndata: 2") == [(b"", b"1"), (b"", b"2")]


def test_an_event_without_end_is_refused_at_a_size() -> None:
    reader = EventReader()
    for _ in range(4):
        reader.feed(bytes(sse.LIMIT // 4))
    with pytest.raises(ValueError, match="64 MB"):
        reader.feed(b"x")


LINES = st.lists(st.sampled_from([b'data: {"a": 1}', b"data:x", b"event: e", b": c", b"", b"", "data: äöü🙂".encode()]))
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@settings(derandomize=True, max_examples=300)
@given(st.lists(st.tuples(LINES.map(lambda lines: lines[:6]), ENDS), max_size=8), st.data())
def test_the_split_of_the_bytes_changes_nothing(blocks: list[tuple[list[bytes], bytes]], data: st.DataObject) -> None:
    stream = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    stream += b"".join(line + end for lines, end in blocks for line in (*lines, b""))
    whole = read(stream)
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    assert read(*(stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True))) == whole
