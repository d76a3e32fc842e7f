"""edit: an exact text in a file replaced by another."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any

from pydantic import BaseModel, Field

from a3s_code.capabilities.core_tools.conflict import lock_of, require_unchanged
from a3s_code.capabilities.core_tools.difference import short_diff
from a3s_code.capabilities.core_tools.likeness import find_nearest
from a3s_code.capabilities.core_tools.place import Failed, PathText, PathTool, shown
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.files import FileChanged, FileTooLarge, digest, read_bytes, write_atomic
from a3s_code.system.paths import Resolved
from a3s_code.system.text import Decoded, decode, is_binary, newline_at, readable, with_newlines
from a3s_code.system.threads import finish

MAX_BYTES = 16 * 1024 * 1024
MAX_PLACES = 10
TRIES = 5


class EditArgs(BaseModel):
    file_path: PathText
    old_string: str
    new_string: str
    replace_all: bool = Field(False)


class Edit(PathTool):
    r"""Replaces `old_string`, which must stand in the file once, or everywhere with `replace_all`.

    A `\n` in it matches any line end; the new text takes the line ends of its place. All bytes around it stay, also
    those that are no text. The file need not have been read, but one that was must not have changed since by other
    hands. Edits of one file at the same time come one after the other, each on what the one before left.
    """

    name = "edit"
    description = "Replace exact text in a file; old_string must be unique unless replace_all."
    Args = EditArgs
    kinds = ("read", "write")

    @staticmethod
    def path(args: EditArgs) -> str:
        return args.file_path

    async def perform(self, args: EditArgs, context: ToolContext, place: Resolved) -> ToolOutput:
        if not args.old_string:
            raise Failed("old_string is empty; to create a file, use write", "invalid_argument")
        if args.old_string == args.new_string:
            raise Failed("old_string and new_string are identical; nothing would change", "invalid_argument")
        return await finish(asyncio.to_thread(_edit, args, context, place))


def _edit(args: EditArgs, context: ToolContext, place: Resolved) -> ToolOutput:
    with lock_of(place.real):
        for _ in range(TRIES - 1):
            # Another process may write between the reading and the writing.
            with contextlib.suppress(FileChanged):
                return _replace_once(args, context, place)
        return _replace_once(args, context, place)


def _replace_once(args: EditArgs, context: ToolContext, place: Resolved) -> ToolOutput:
    name = shown(context, place)
    try:
        before = read_bytes(place.real, MAX_BYTES)
    except FileTooLarge as large:
        raise Failed(f"{name} is too large to edit: {large}", "unsupported") from None
    if is_binary(before):
        raise Failed(f"{name} is a binary file, which edit does not change", "unsupported")
    old = decode(before)
    require_unchanged(context, place, before, lambda: _hint(old.text, args.old_string))
    text, count = _replace(old.text, args, name)
    after = _encode(old, text)
    write_atomic(place.real, after, expected=digest(before))
    context.files[str(place.real)] = digest(after)
    metadata: dict[str, Any] = {
        "file_path": name,
        "replacements": count,
        "before": digest(before),
        "after": digest(after),
        "diff": short_diff(old.text, text, name),
    }
    times = "" if count == 1 else f" in {count} places"
    return ToolOutput(f"Edited {name}{times}", metadata=metadata)


def _replace(text: str, args: EditArgs, name: str) -> tuple[str, int]:
    old, new = args.old_string, args.new_string
    # A model writes \n for every line end; whoever writes \r means it, and gets it as written.
    literal = "\r" in old + new
    pattern = re.compile(re.escape(old) if literal else r"\r?\n".join(map(re.escape, old.split("\n"))))
    starts = [found.start() for found in pattern.finditer(text)]
    if not starts:
        raise Failed(f"old_string is not in {name}.{_hint(text, old)}", "not_found")
    if len(starts) > 1 and not args.replace_all:
        lines = ", ".join(str(text.count("\n", 0, start) + 1) for start in starts[:MAX_PLACES])
        more = ", ..." if len(starts) > MAX_PLACES else ""
        raise Failed(
            f"old_string stands in {name} {len(starts)} times, at lines {lines}{more}. "
            "Give more of the text around one of them, or set replace_all.",
            "invalid_argument",
        )

    def put(found: re.Match[str]) -> str:
        return new if literal else with_newlines(new, newline_at(text, found.start()))

    return pattern.sub(put, text), len(starts)


def _hint(text: str, wanted: str) -> str:
    nearest = find_nearest(readable(text), wanted)
    return "" if nearest is None else f" {nearest.render()}"


def _encode(old: Decoded, text: str) -> bytes:
    try:
        return old.format.encode(text)
    except UnicodeEncodeError as error:
        character = ascii(error.object[error.start])
        text = f"the file is in {old.format.encoding}, which cannot hold {character}; nothing was changed"
        raise Failed(text, "invalid_argument") from None
