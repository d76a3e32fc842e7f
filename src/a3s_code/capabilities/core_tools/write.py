"""write: a whole file."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from pydantic import BaseModel

from a3s_code.capabilities.core_tools.conflict import lock_of, require_unchanged
from a3s_code.capabilities.core_tools.original import note_links
from a3s_code.capabilities.core_tools.place import Failed, PathText, PathTool, shown
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.files import ABSENT, FileChanged, FileTooLarge, digest, read_bytes, write_atomic
from a3s_code.system.paths import Resolved, brief
from a3s_code.system.text import TextFormat, count_lines, decode, is_binary, line_end, with_newlines
from a3s_code.system.threads import finish

KEPT_BYTES = 16 * 1024 * 1024
_ENDS = {"\r\n": "CRLF", "\r": "CR"}


class WriteArgs(BaseModel):
    file_path: PathText
    content: str


class Write(PathTool):
    """Creates or replaces a file, whole or not at all.

    An existing file keeps its mode, encoding, byte order mark and line ends. One that this session saw with another
    content is not replaced; one that it never saw may be.
    """

    name = "write"
    description = "Create or replace a file; folders are made."
    Args = WriteArgs
    kinds = ("write",)

    @staticmethod
    def path(args: WriteArgs) -> str:
        return args.file_path

    async def perform(self, args: WriteArgs, context: ToolContext, place: Resolved) -> ToolOutput:
        return await finish(asyncio.to_thread(_write, args, context, place))


def _write(args: WriteArgs, context: ToolContext, place: Resolved) -> ToolOutput:
    with lock_of(place.real):
        output = _replace(args, context, place)
        context.files[str(place.real)] = output.metadata["after"]
        return output


def _replace(args: WriteArgs, context: ToolContext, place: Resolved) -> ToolOutput:
    before, expected = _existing(context, place)
    content, note = _encode(args.content, before)
    try:
        written = write_atomic(place.real, content, expected=expected)
    except FileNotFoundError:  # /proc and the like: missing folders are made elsewhere
        raise Failed(f"{brief(place.given)} cannot be created: nothing can be made in that folder") from None
    created = expected == ABSENT
    lines = count_lines(args.content)
    metadata: dict[str, Any] = {
        "file_path": shown(context, place),
        "created": created,
        "bytes": len(content),
        "lines": lines,
        "before": expected or None,
        "after": digest(content),
    }
    size = f"{_count(lines, 'line')}, {_count(len(content), 'byte')}"
    verb = "Created" if created else "Replaced"
    text = f"{verb} {metadata['file_path']}: {size}{note}{note_links(written.links)}"
    return ToolOutput(text, metadata=metadata)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _existing(context: ToolContext, place: Resolved) -> tuple[bytes, str | None]:
    """The content to be replaced, and the digest by which the file is known again."""
    try:
        before = read_bytes(place.real, KEPT_BYTES)
    except FileNotFoundError:
        return b"", ABSENT
    except FileTooLarge:
        if str(place.real) in context.files:
            raise FileChanged("the file was changed since it was read") from None
        return b"", None
    require_unchanged(context, place, before)
    return before, digest(before)


def _encode(text: str, before: bytes) -> tuple[bytes, str]:
    """The bytes for `text` in the manner of the content before, and a note on what that changed."""
    old = decode(b"" if is_binary(before) else before)
    note = ""
    if (end := line_end(old.text)) != "\n" and "\r" not in text and "\n" in text:
        text, note = with_newlines(text, end), f" ({_ENDS[end]} line ends, as before)"
    if old.format.bom:
        text = text.removeprefix("\ufeff")
    with contextlib.suppress(UnicodeEncodeError):
        return old.format.encode(text), note
    with contextlib.suppress(UnicodeEncodeError):
        return TextFormat().encode(text), f"{note} (now in UTF-8: {old.format.encoding} cannot hold all of it)"
    raise Failed("content holds a lone surrogate, which is no character", "invalid_argument")
