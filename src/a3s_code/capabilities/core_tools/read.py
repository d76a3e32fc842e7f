"""read: a file's text by lines, an image, or an artifact."""

from __future__ import annotations

import asyncio
import codecs
import stat
import threading
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from a3s_code.capabilities.core_tools.conflict import lock_of
from a3s_code.capabilities.core_tools.lines import Window, cut_pieces, cut_text, number_lines
from a3s_code.capabilities.core_tools.place import Failed, PathText, PathTool, shown
from a3s_code.kernel.messages import Image
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.files import digest, open_regular
from a3s_code.system.paths import Resolved
from a3s_code.system.text import SAMPLE_BYTES, decode, guess_encoding, is_binary
from a3s_code.system.threads import finish

MAX_LINES = 2000
WHOLE_BYTES = 16 * 1024 * 1024
# What providers take: 5 MB once the bytes are in base64.
IMAGE_BYTES = 5 * 1024 * 1024 * 3 // 4
PIECE_BYTES = 1024 * 1024
SMALL_BYTES = 64 * 1024

_IMAGES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_BINARIES = (
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "zip archive"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x7fELF", "ELF program"),
    (b"SQLite format 3", "SQLite database"),
    (b"\xca\xfe\xba\xbe", "Java class or Mach-O program"),
    (b"\xcf\xfa\xed\xfe", "Mach-O program"),
)


class ReadArgs(BaseModel):
    file_path: PathText
    offset: int = Field(0, ge=0, description="lines to skip")
    limit: int = Field(MAX_LINES, ge=1, le=MAX_LINES)


class Read(PathTool):
    """Text with line numbers; its value is the plain text: for the host the whole file, unless it asked for a part.

    Remembers the digest of what it saw, so that a later write can tell whether the file is still the same. A file above
    WHOLE_BYTES is read only as far as needed and is not remembered.
    """

    name = "read"
    description = "Read a text file (numbered lines), an image, or an a3s:// output."
    Args = ReadArgs
    artifacts = True

    @staticmethod
    def path(args: ReadArgs) -> str:
        return args.file_path

    async def perform(self, args: ReadArgs, context: ToolContext, place: Resolved) -> ToolOutput:
        stop = threading.Event()
        if _is_small(place.real) and (lock := lock_of(place.real)).acquire(blocking=False):
            # A worker thread would cost more than the file itself.
            try:
                return _look(args, context, place, stop)
            finally:
                lock.release()
        return await finish(asyncio.to_thread(_look_alone, args, context, place, stop), stop.set)

    async def perform_on_text(self, args: ReadArgs, context: ToolContext, text: str) -> ToolOutput:
        return _show(args, context, cut_text(text, args.offset, args.limit), args.file_path, text)


def _is_small(real: Path) -> bool:
    try:
        found = real.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size <= SMALL_BYTES


def _look_alone(args: ReadArgs, context: ToolContext, place: Resolved, stop: threading.Event) -> ToolOutput:
    with lock_of(place.real):
        return _look(args, context, place, stop)


def _look(args: ReadArgs, context: ToolContext, place: Resolved, stop: threading.Event) -> ToolOutput:
    """To be called with the file's lock: an edit at the same time must not be forgotten for what was read before it."""
    output, seen = _read(args, context, place, stop)
    if seen is not None:
        context.files[str(place.real)] = seen
    return output


def _read(
    args: ReadArgs, context: ToolContext, place: Resolved, stop: threading.Event
) -> tuple[ToolOutput, str | None]:
    """The output, and the digest of the file if all of it was seen."""
    name = shown(context, place)
    with open_regular(place.real) as file:
        head = file.read(SAMPLE_BYTES)
        media_type = _media_type(head)
        content = head + file.read((IMAGE_BYTES if media_type else WHOLE_BYTES) + 1 - len(head))
        if media_type:
            return _image(name, media_type, content), digest(content)
        if is_binary(head):
            raise Failed(_refusal(name, head, file), "unsupported")
        if len(content) > WHOLE_BYTES:
            pieces = _pieces(file, guess_encoding(content[:PIECE_BYTES]), stop)
            window = cut_pieces(pieces, args.offset, args.limit)
            return _show(args, context, window, name, None), None
    text = decode(content).text
    return _show(args, context, cut_text(text, args.offset, args.limit), name, text), digest(content)


def _show(args: ReadArgs, context: ToolContext, window: Window, name: str, text: str | None) -> ToolOutput:
    if not window.lines and args.offset:
        raise Failed(f"offset {args.offset} is beyond the end: {name} has {window.total} lines", "invalid_argument")
    whole = context.origin == "host" and text is not None and not args.model_fields_set & {"offset", "limit"}
    value = text if whole else "\n".join(window.lines)
    metadata: dict[str, Any] = {"lines": len(window.lines), "total_lines": window.total}
    return ToolOutput(number_lines(window) if window.lines else f"({name} is empty)", metadata=metadata, value=value)


def _media_type(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for magic, media_type in _IMAGES if head.startswith(magic)), None)


def _image(name: str, media_type: str, content: bytes) -> ToolOutput:
    if len(content) > IMAGE_BYTES:
        raise Failed(f"{name} is an image of more than {IMAGE_BYTES:,} bytes; make it smaller first", "unsupported")
    text = f"{name}: {media_type}, {len(content):,} bytes"
    return ToolOutput(text, metadata={"media_type": media_type}, images=(Image(media_type, content),))


def _refusal(name: str, head: bytes, file: BufferedReader) -> str:
    size = file.seek(0, 2)
    kind = next((kind for magic, kind in _BINARIES if head.startswith(magic)), "unknown kind")
    return f"{name} is a binary file ({kind}, {size:,} bytes). Inspect it by a command, such as file, strings or xxd."


def _pieces(file: BufferedReader, encoding: str, stop: threading.Event) -> Iterator[str]:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)("backslashreplace")
    yield decoder.decode(file.read(PIECE_BYTES)).removeprefix("\ufeff")
    while not stop.is_set() and (piece := file.read(PIECE_BYTES)):
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)
