"""Outputs kept within bounds."""

from __future__ import annotations

import random

from a3s_code.system.capture import Capture, Pieces, decode_output


def test_a_short_output_is_kept_whole() -> None:
    capture = Capture(100)
    capture.add(b"one ")
    capture.add(b"two")
    captured = capture.captured()
    assert captured.text == "one two"
    assert captured.omitted == 0


def test_a_long_output_keeps_its_ends_and_counts_the_rest() -> None:
    rng = random.Random(3)
    content = bytes(rng.choices(b"abcdefgh", k=5000))
    for size in (1, 7, 100, 5000):
        capture = Capture(200)
        for start in range(0, len(content), size):
            capture.add(content[start : start + size])
        captured = capture.captured()
        assert captured.head == content[:100]
        assert captured.tail == content[-100:]
        assert captured.omitted == 4800
        assert "[4800 bytes left out]" in captured.text


def test_an_output_that_fits_is_kept_as_it_is() -> None:
    content = random.Random(5).randbytes(3000)
    for size in (1, 100, 3000):
        for whole, omitted in ((3000, 0), (2999, 2800), (0, 2800)):
            capture = Capture(200, whole)
            for start in range(0, len(content), size):
                capture.add(content[start : start + size])
            captured = capture.captured()
            assert captured.omitted == omitted
            kept = captured.head + captured.tail
            assert kept == (content if not omitted else content[:100] + content[-100:])


def test_the_middle_takes_no_memory() -> None:
    capture = Capture(1000)
    for _ in range(10_000):
        capture.add(b"x" * 997)
    captured = capture.captured()
    assert len(captured.head) + len(captured.tail) == 1000
    assert captured.omitted == 9_970_000 - 1000


def test_no_character_is_cut_in_two() -> None:
    capture = Capture(11)
    capture.add("é".encode() * 50)
    captured = capture.captured()
    assert "\\x" not in captured.text
    assert captured.text == "éé\n[92 bytes left out]\néé"


def test_pieces_wait_for_the_rest_of_a_character() -> None:
    pieces = Pieces()
    content = "aé→世".encode() + b"\xff!"
    text = "".join(pieces.decode(content[place : place + 1]) for place in range(len(content)))
    assert text + pieces.decode(b"", last=True) == "aé→世\\xff!"


def test_an_unfinished_character_is_shown_at_the_end() -> None:
    pieces = Pieces()
    assert pieces.decode(b"a\xc3") == "a"
    assert pieces.decode(b"", last=True) == "\\xc3"


def test_long_bytes_decode_in_pieces_as_in_one_go() -> None:
    content = random.Random(7).randbytes(100_000) + "aé→😀".encode() * 30_000 + b"\xe2\x82"
    assert decode_output(content) == content.decode("utf-8", "backslashreplace")
