"""Bytes as text and back, without a byte lost: encodings, byte order marks, line ends."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
SAMPLE_BYTES = 8192
_CONTROLS = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_BARE_LF = re.compile(r"(?<!\r)\n")


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How a text lies in its file: encoding, byte order mark, and what stands for bytes that are no text."""

    encoding: str = "utf-8"
    bom: bytes = b""
    errors: str = "strict"

    def encode(self, text: str) -> bytes:
        """The file's bytes for `text`; raises UnicodeEncodeError for what the encoding cannot hold."""
        return self.bom + text.encode(self.encoding, self.errors)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file's text, line ends as they are, and the format that gives its bytes back: format.encode(text)."""

    text: str
    format: TextFormat


def decode(content: bytes) -> Decoded:
    """The text of a file: by its byte order mark, else UTF-8, else the Western encoding that fits.

    A file that is mostly UTF-8 with a few bad bytes stays UTF-8, with each bad byte as a lone surrogate. UTF-16 without
    a mark is known by its NULs where it is mostly ASCII.
    """
    for bom, encoding in BOMS:
        if content.startswith(bom):
            decoded = _try(content[len(bom) :], TextFormat(encoding, bom))
            if decoded is not None:
                return decoded
    unmarked = _unmarked_utf16(content[:SAMPLE_BYTES])
    if unmarked is not None and (decoded := _try(content, TextFormat(unmarked))) is not None:
        return decoded
    decoded = _try(content, TextFormat())
    if decoded is not None:
        return decoded
    escaped = content.decode("utf-8", "surrogateescape")
    bad = len(_NOT_UTF8.findall(escaped))
    if bad * 2 < len(_BEYOND_ASCII.findall(escaped)):
        return Decoded(escaped, TextFormat(errors="surrogateescape"))
    return _try(content, TextFormat("cp1252")) or Decoded(content.decode("latin-1"), TextFormat("latin-1"))


def _try(content: bytes, form: TextFormat) -> Decoded | None:
    try:
        return Decoded(content.decode(form.encoding), form)
    except UnicodeDecodeError:
        return None


def _unmarked_utf16(sample: bytes) -> str | None:
    """UTF-16 by its shape: every other byte NUL, the bytes between them text."""
    if b"\0" not in sample or len(sample) < 4:
        return None
    for plain, high, encoding in (
        (sample[0::2], sample[1::2], "utf-16-le"),
        (sample[1::2], sample[0::2], "utf-16-be"),
    ):
        if high.count(0) * 10 >= len(high) * 7 and not _CONTROLS.search(plain):
            return encoding
    return None


def guess_encoding(sample: bytes) -> str:
    """The encoding of a large file by its beginning."""
    for bom, encoding in BOMS:
        if sample.startswith(bom):
            return encoding
    if unmarked := _unmarked_utf16(sample[:SAMPLE_BYTES]):
        return unmarked
    form = decode(sample[: sample.rfind(b"\n") + 1] or sample).format
    return form.encoding


def readable(text: str) -> str:
    r"""`text` with each lone surrogate written out, a bad byte as `\xe9`: fit for JSON and for eyes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape" if _only_bytes(text) else "backslashreplace").decode(
            "utf-8", "backslashreplace"
        )
    return text


def _only_bytes(text: str) -> bool:
    return not re.search("[\ud800-\udc7f\udd00-\udfff]", text)


def is_binary(content: bytes) -> bool:
    """Whether a file's beginning shows that it is no text."""
    sample = content[:SAMPLE_BYTES]
    if any(sample.startswith(bom) for bom, _ in BOMS):
        return False
    if b"\0" in sample:
        return _unmarked_utf16(sample) is None
    controls = len(_CONTROLS.findall(sample))
    whole = sample if len(sample) < SAMPLE_BYTES else sample[:-4]  # a last character may be cut
    return controls * 10 > len(sample) and decode(whole).format.encoding != "utf-8"


def newline_at(text: str, position: int) -> str:
    r"""The line end in use at `position`: of that line, else of the one before, else that of the whole text."""
    end = text.find("\n", position)
    if end < 0:
        end = text.rfind("\n", 0, position)
    if end < 0:
        return line_end(text)
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def line_end(text: str) -> str:
    r"""What ends most lines of `text`, `\n` where nothing does. A lone `\r` counts only where there is no `\n`."""
    feeds = text.count("\n")
    if not feeds:
        return "\r" if "\r" in text else "\n"
    return "\r\n" if text.count("\r\n") * 2 > feeds else "\n"


def split_lines(text: str, end: str = "\n") -> list[str]:
    r"""The lines of `text` with their ends, where each `end` ends one; joined they are `text`."""
    lines = [line + end for line in text.split(end)]
    last = lines.pop()[: -len(end)]
    return [*lines, last] if last else lines


def with_newlines(text: str, newline: str) -> str:
    r"""`text` with each bare `\n` as `newline`."""
    return _BARE_LF.sub(newline, text) if newline != "\n" else text


def count_lines(text: str) -> int:
    """How many lines `text` has; an unfinished last one counts."""
    return text.count("\n") + (not text.endswith("\n") if text else 0)
