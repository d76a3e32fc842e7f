"""edit: an exact text in a file replaced by another."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, Field

from a3s_code.capabilities.core_tools.conflict import lock_of
from a3s_code.capabilities.core_tools.difference import short_diff
from a3s_code.capabilities.core_tools.likeness import find_nearest
from a3s_code.capabilities.core_tools.original import load, note_links
from a3s_code.capabilities.core_tools.place import Failed, PathText, PathTool
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.files import FileChanged, digest, write_atomic
from a3s_code.system.paths import Resolved
from a3s_code.system.text import line_end, newline_at, readable
from a3s_code.system.threads import finish

MAX_PLACES = 10
TRIES = 5
_END = re.compile(r"\r\n|\n|\r")
_PAIR = re.compile(r"\r\n")


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
    old = load(context, place, lambda text: _hint(text, args.old_string))
    text, count = _replace(old.text, args, old.name)
    after = old.encode(text)
    written = write_atomic(place.real, after, expected=old.digest)
    context.files[str(place.real)] = digest(after)
    metadata: dict[str, Any] = {
        "file_path": old.name,
        "replacements": count,
        "before": old.digest,
        "after": digest(after),
        "diff": short_diff(old.text, text, old.name),
    }
    times = "" if count == 1 else f" in {count} places"
    return ToolOutput(f"Edited {old.name}{times}{note_links(written.links)}", metadata=metadata)


def _replace(text: str, args: EditArgs, name: str) -> tuple[str, int]:
    old, new = args.old_string, args.new_string
    # A model writes \n for every line end; whoever writes \r means it, and gets it as written.
    literal = "\r" in old + new
    spans = find_spans(text, old, literal=literal)
    starts = [start for start, _ in spans]
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

    newline_for = _find_newlines(text)
    parts: list[str] = []
    done = 0
    for start, end in spans:
        parts += (text[done:start], new if literal else _keep_ends(text[start:end], new, newline_for(start)))
        done = end
    return "".join(parts) + text[done:], len(spans)


def find_spans(text: str, old: str, *, literal: bool) -> list[tuple[int, int]]:
    """Where `old` stands, from and to; unless `literal` each `\\n` in it is any line end.

    No pattern does this: on many equal lines it would go back and forth for ever, and hold up all threads.
    """
    if literal:
        return _find_all(text, old)
    if line_end(text) == "\r":
        return _find_all(text, old.replace("\n", "\r"))
    # Where a pair of characters became one, all that follows has moved by one more.
    moved = [found.start() - count for count, found in enumerate(_PAIR.finditer(text))]
    spans = _find_all(text.replace("\r\n", "\n"), old)
    return [(start + bisect_left(moved, start), end + bisect_left(moved, end)) for start, end in spans]


def _find_all(text: str, old: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = text.find(old)
    while start >= 0:
        spans.append((start, start + len(old)))
        start = text.find(old, start + len(old))
    return spans


def _find_newlines(text: str) -> Callable[[int], str]:
    """newline_at for positions that only grow, for which a long line is gone through once."""
    newline, end = "", -1

    def find(position: int) -> str:
        nonlocal newline, end
        if position > end:
            newline = newline_at(text, position)
            found = text.find("\n", position)
            end = found if found >= 0 else len(text)
        return newline

    return find


def _keep_ends(found: str, new: str, newline: str) -> str:
    """`new` with the line ends of what it replaces: line by line where there are as many, else those of the first and
    last lines that stay, and `newline` between."""
    old_lines, ends = _END.split(found), _END.findall(found)
    lines = new.split("\n")
    fill = len(lines) - 1 - len(ends)
    if fill:
        most = min(len(lines), len(old_lines)) - 1
        head = next((place for place in range(most) if lines[place] != old_lines[place]), most)
        tail = next((back for back in range(most - head) if lines[-1 - back] != old_lines[-1 - back]), most - head)
        ends = [*ends[:head], *[newline] * (len(lines) - 1 - head - tail), *(ends[-tail:] if tail else [])]
    return "".join(itertools.chain.from_iterable(zip(lines, [*ends, ""], strict=True)))


def _hint(text: str, wanted: str) -> str:
    nearest = find_nearest(readable(text), wanted)
    return "" if nearest is None else f" {nearest.render()}"
