"""The script of a child process that looks for a regular expression in files. Standard library only.

A process of its own, because an expression can take for ever, and only a process can be stopped then. In: one JSON
object on stdin. Out: for each file with matches a JSON array [path, count, [[number, text, matched], ...]], and an
object with `error` or `skipped`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

MAX_BYTES = 64 * 1024 * 1024
_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "word": r"\w",
    "punct": "!-/:-@\\[-`{-~",
    "xdigit": "0-9a-fA-F",
}
# What makes a match depend on more than the line's own characters from left to right.
_LOOKS_AROUND = re.compile(r"\(\?(?![:aimsux-])|[*+?}]\+|\\[AZz]")


def translate(pattern: str) -> str:
    """The pattern in Python's spelling: named groups and POSIX classes differ."""
    pattern = re.sub(r"\(\?<(?![=!])", "(?P<", pattern)
    pattern = re.sub(r"\[:(\w+):\]", lambda found: _CLASSES.get(found[1], found[0]), pattern)
    return re.sub(r"(?<!\\)((?:\\\\)*)\\z", r"\1\\Z", pattern)


class Scanner:
    """Finds the matching lines of texts."""

    def __init__(self, pattern: str, *, ignore_case: bool, context: int) -> None:
        flags = re.IGNORECASE if ignore_case else re.NOFLAG
        self._context = context
        self._line = re.compile(translate(pattern), flags)
        # Finds at least the lines that match, often more: it may run over a line's end.
        self._text = None if _LOOKS_AROUND.search(pattern) else re.compile(translate(pattern), flags | re.MULTILINE)

    def starts(self, text: str) -> Iterator[int]:
        """Where the matching lines of `text` start; its line ends are `\\n`."""
        position = 0
        while position < len(text):
            if self._text is not None:
                found = self._text.search(text, position)
                if found is None:
                    return
                position = text.rfind("\n", 0, found.start()) + 1
                if position == len(text):  # an empty match after the last line
                    return
            end = text.find("\n", position)
            end = len(text) if end < 0 else end
            if self._line.search(text[position:end]):
                yield position
            position = end + 1

    def scan(self, text: str, limit: int) -> tuple[int, list[tuple[int, str, bool]]]:
        """How many lines match, and the first `limit` of them with their context: (number, text, matched)."""
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        starts = list(self.starts(text))
        if not starts or limit <= 0:
            return len(starts), []
        numbers: list[int] = []
        number, before = 1, 0
        for start in starts[:limit]:
            number += text.count("\n", before, start)
            before = start
            numbers.append(number)
        if not self._context:
            return len(starts), [
                (number, _line_at(text, start), True) for number, start in zip(numbers, starts, strict=False)
            ]
        lines = text.removesuffix("\n").split("\n")
        shown = {near for number in numbers for near in range(number - self._context, number + self._context + 1)}
        matched = set(numbers)
        return len(starts), [(n, lines[n - 1], n in matched) for n in sorted(shown) if 0 < n <= len(lines)]


def read(path: str) -> str | None:
    """The text of a file; None for a binary one. Raises OSError, ValueError when it is too large."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        size = os.fstat(descriptor).st_size
        if size > MAX_BYTES:
            raise ValueError(path)
        content = os.read(descriptor, size + 1)
        while len(content) < size and (more := os.read(descriptor, size)):
            content += more
    finally:
        os.close(descriptor)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "backslashreplace")
    return None if b"\0" in content else content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def _line_at(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start:] if end < 0 else text[start:end]


def scan_files(scanner: Scanner, root: str, files: list[str], limit: int) -> Iterator[Any]:
    skipped = 0
    for path in files:
        try:
            text = read(os.path.join(root, path))  # noqa: PTH118  # a Path for each of many files costs too much
        except ValueError:
            skipped += 1
            continue
        except OSError:
            continue
        count, lines = (0, []) if text is None else scanner.scan(text, limit)
        if count:
            limit -= count
            yield [path, count, lines]
    yield {"skipped": skipped}


def main() -> None:
    """Read the request, write the answers."""
    request = json.load(sys.stdin.buffer)
    try:
        scanner = Scanner(request["pattern"], ignore_case=request["ignore_case"], context=request["context"])
    except (re.error, OverflowError, RecursionError) as error:
        answers: Iterator[Any] = iter([{"error": error.msg if isinstance(error, re.error) else str(error)}])
    else:
        answers = scan_files(scanner, request["root"], request["files"], request["limit"])
    for answer in answers:
        sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
