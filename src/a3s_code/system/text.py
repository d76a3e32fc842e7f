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

    A file that is mostly UTF-8 with a few bad bytes stays UTF-8, with each bad byte as a lone surrogate.
    """
    for bom, encoding in BOMS:
        if content.startswith(bom):
            decoded = _try(content[len(bom) :], TextFormat(encoding, bom))
            if decoded is not None:
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


def guess_encoding(sample: bytes) -> str:
    """The encoding of a large file by its beginning."""
    for bom, encoding in BOMS:
        if sample.startswith(bom):
            return encoding
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
        return True
    controls = len(_CONTROLS.findall(sample))
    whole = sample if len(sample) < SAMPLE_BYTES else sample[:-4]  # a last character may be cut
    return controls * 10 > len(sample) and decode(whole).format.encoding != "utf-8"


def newline_at(text: str, position: int) -> str:
    r"""The line end in use at `position`: of that line, else of the one before, else `\n`."""
    end = text.find("\n", position)
    if end < 0:
        end = text.rfind("\n", 0, position)
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def uses_crlf(text: str) -> bool:
    r"""Whether most lines of `text` end in `\r\n`."""
    return text.count("\r\n") * 2 > text.count("\n")


def with_newlines(text: str, newline: str) -> str:
    r"""`text` with each bare `\n` as `newline`."""
    return _BARE_LF.sub(newline, text) if newline != "\n" else text


def count_lines(text: str) -> int:
    """How many lines `text` has; an unfinished last one counts."""
    return text.count("\n") + (not text.endswith("\n") if text else 0)
