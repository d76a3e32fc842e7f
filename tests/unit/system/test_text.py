"""Bytes to text and back."""

from __future__ import annotations

import random

import pytest

from a3s_code.system.text import (
    count_lines,
    decode,
    guess_encoding,
    is_binary,
    line_end,
    newline_at,
    readable,
    split_lines,
    with_newlines,
)

SAMPLES = {
    "utf-8": "grüße → 世界\n".encode(),
    "utf-8 with mark": b"\xef\xbb\xbf" + "grüße\n".encode(),
    "utf-16-le": b"\xff\xfe" + "grüße\n".encode("utf-16-le"),
    "utf-16-be": b"\xfe\xff" + "grüße\n".encode("utf-16-be"),
    "utf-32-le": b"\xff\xfe\0\0" + "grüße\n".encode("utf-32-le"),
    "latin-1": "grüße\n".encode("latin-1"),
    "windows": "“grüße”\n".encode("cp1252"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_an_encoding_is_told_and_kept(name: str) -> None:
    decoded = decode(SAMPLES[name])
    assert "gr" in decoded.text
    assert "ü" in decoded.text
    assert not decoded.text.startswith("\ufeff")
    assert decoded.format.encode(decoded.text) == SAMPLES[name]


def test_any_bytes_come_back_unchanged() -> None:
    rng = random.Random(7)
    for _ in range(300):
        content = bytes(rng.choices(b"ab\n\r\xc3\xa9\x81\xff\xfe\xef\xbb\xbf\0", k=rng.randint(0, 12)))
        decoded = decode(content)
        assert decoded.format.encode(decoded.text) == content


def test_a_bad_byte_in_much_utf8_does_not_spoil_the_rest() -> None:
    content = "äöü äöü\n".encode() + b"\xe9\n"
    decoded = decode(content)
    assert decoded.text.startswith("äöü äöü\n")
    assert readable(decoded.text).endswith("\\xe9\n")
    assert decoded.format.encode(decoded.text) == content


def test_a_character_the_encoding_lacks_is_an_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        decode("é\n".encode("latin-1")).format.encode("→")


def test_readable_text_is_always_encodable() -> None:
    for text in ("plain", "\udce9", "\ud800 and \udce9", "é\udcff"):
        readable(text).encode()
    assert readable("grüße") == "grüße"


@pytest.mark.parametrize(
    ("content", "binary"),
    [
        (b"", False),
        (b"plain\ttext\r\n", False),
        ("grüße".encode(), False),
        (SAMPLES["utf-16-le"], False),
        (b"\x89PNG\r\n\x1a\n\0\0", True),
        (b"a\0b", True),
        (bytes(range(1, 32)) * 8 + b"\xff\x80", True),
        (b"\x1b[31mcolour\x1b[0m\n", False),
    ],
)
def test_binary_content_is_told_from_text(content: bytes, binary: bool) -> None:
    assert is_binary(content) is binary


def test_the_line_end_at_a_place_is_that_of_its_line() -> None:
    text = "one\r\ntwo\nthree"
    assert newline_at(text, 0) == "\r\n"
    assert newline_at(text, 5) == "\n"
    assert newline_at(text, 12) == "\n"
    assert newline_at("one\r\ntwo", 6) == "\r\n"
    assert newline_at("one", 0) == "\n"


def test_bare_line_ends_are_replaced_and_full_ones_kept() -> None:
    assert with_newlines("a\nb\r\nc", "\r\n") == "a\r\nb\r\nc"
    assert with_newlines("a\nb", "\n") == "a\nb"


@pytest.mark.parametrize(("text", "lines"), [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2)])
def test_an_unfinished_last_line_counts(text: str, lines: int) -> None:
    assert count_lines(text) == lines


def test_a_large_file_is_judged_by_its_beginning() -> None:
    assert guess_encoding("grüße\n".encode()[:-2]) == "utf-8"
    assert guess_encoding(SAMPLES["utf-16-be"]) == "utf-16-be"
    assert guess_encoding("naïve\ncafé\n".encode("latin-1")) == "cp1252"


def test_utf16_without_a_mark_is_known_by_its_shape() -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        content = "plain text, grüße\r\n".encode(encoding)
        assert decode(content).text == "plain text, grüße\r\n"
        assert decode(content).format.encode(decode(content).text) == content
        assert not is_binary(content)
        assert guess_encoding(content * 100) == encoding
    for binary in (b"\x01\0\x02\0\x03\0", b"a\0", b"\0\0\0\0\0\0", b"\0a\0b\0\0\0\0c\0d\x01\0"):
        assert is_binary(binary)


def test_the_line_end_of_a_text_is_that_of_most_lines() -> None:
    assert line_end("a\r\nb\r\nc\n") == "\r\n"
    assert line_end("a\nb\r\n\n") == "\n"
    assert line_end("a\rb\r") == "\r"
    assert line_end("a\rb\n") == "\n"
    assert line_end("a") == line_end("") == "\n"
    assert newline_at("a\rb\r", 1) == "\r"


def test_lines_keep_their_ends() -> None:
    assert split_lines("a\r\nb\n\nc") == ["a\r\n", "b\n", "\n", "c"]
    assert split_lines("a\rb\r", "\r") == ["a\r", "b\r"]
    assert split_lines("a\x0bb\x0c\x85\u2028c\n") == ["a\x0bb\x0c\x85\u2028c\n"]
    assert split_lines("") == []
