"""The script of a child process that looks for a regular expression in files. Standard library only.

A process of its own, because an expression can take for ever, and only a process can be stopped then. In: one JSON
object on stdin. Out, one JSON value a line: for each file with matches an array [path, count, [[number, text, matched],
...]], and objects with `error`, `slow` (a path) or `skipped` (a number of files).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import stat
import sys
import time
from collections.abc import Iterator
from typing import Any

MAX_BYTES = 128 * 1024 * 1024
MAX_MEMORY = 2 * 1024 * 1024 * 1024
SECONDS = 1.0
BYTES_PER_SECOND = 10_000_000
LOOK_EVERY = 0.1


class TooSlow(Exception):
    """The expression took longer on one file than it may."""


class Watch:
    """Ends the work on a file after its share of processor time: also a search, for `re` lets signals through."""

    def __init__(self) -> None:
        self._end: float | None = None
        signal.signal(signal.SIGALRM, self._look)
        signal.setitimer(signal.ITIMER_REAL, LOOK_EVERY, LOOK_EVERY)

    def start(self, seconds: float) -> None:
        self._end = time.process_time() + seconds

    def stop(self) -> None:
        self._end = None

    def close(self) -> None:
        """Let no signal come any more: at the interpreter's end nobody would take it."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _look(self, *_: object) -> None:
        if self._end is not None and time.process_time() > self._end:
            self._end = None
            raise TooSlow


class Scanner:
    """Finds the matching lines of texts, whose line ends are `\\n`.

    `ascii_only` and `unicode` are the expression for texts of ASCII characters only and for the others. Each match
    holds one of `words`; with `fold` that is so in ASCII texts only, once they are in lower case. `whole`: a match is
    one of the words.
    """

    def __init__(
        self, *, ascii_only: str, unicode: str, words: list[str], fold: bool, whole: bool, context: int, cut: int
    ) -> None:
        self._ascii = re.compile(ascii_only, re.MULTILINE)
        self._unicode_text = unicode
        self._unicode: re.Pattern[str] | None = None
        self._words = words
        self._encoded = [word.encode() for word in words]
        self._fold = fold
        self._whole = whole
        self._context = context
        self._cut = cut

    def prepare(self, content: bytes) -> None:
        """Compile what `content` needs, once for all files."""
        if self._unicode is None and not content.isascii():
            self._unicode = re.compile(self._unicode_text, re.MULTILINE)

    def scan(self, content: bytes, limit: int) -> tuple[int, list[tuple[int, str, bool]]]:
        """How many lines match, and the first `limit` of them with their context: (number, text, matched).

        A text in UTF-16 says so by its mark. What holds a NUL is no text, and has no lines.
        """
        wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        if wide:
            content = content.decode("utf-16", "replace").encode("utf-8", "replace")
        content = content.removeprefix(b"\xef\xbb\xbf")
        if b"\0" in content or not self._may_match(content):
            return 0, []
        if content.isascii():
            return self._show(content.decode("ascii"), self._ascii, limit, by_word=True)
        self.prepare(content)
        assert self._unicode is not None
        return self._show(content.decode("utf-8", "surrogateescape"), self._unicode, limit, by_word=not self._fold)

    def _may_match(self, content: bytes) -> bool:
        if not self._encoded:
            return True
        if self._fold:
            if not content.isascii():
                return True
            content = content.lower()
        return any(word in content for word in self._encoded)

    def _show(
        self, text: str, expression: re.Pattern[str], limit: int, *, by_word: bool
    ) -> tuple[int, list[tuple[int, str, bool]]]:
        found = self._by_word(text, expression) if by_word and len(self._words) == 1 else _by_text(text, expression)
        starts = list(found)
        if not starts or limit <= 0:
            return len(starts), []
        numbers: list[int] = []
        number, before = 1, 0
        for start in starts[:limit]:
            number += text.count("\n", before, start)
            before = start
            numbers.append(number)
        if not self._context:
            shown = zip(numbers, starts, strict=False)
            return len(starts), [(number, self._line(text, start), True) for number, start in shown]
        lines = text.removesuffix("\n").split("\n")
        near = {other for number in numbers for other in range(number - self._context, number + self._context + 1)}
        matched = set(numbers)
        here = sorted(number for number in near if 0 < number <= len(lines))
        return len(starts), [(number, self._line(lines[number - 1], 0), number in matched) for number in here]

    def _by_word(self, text: str, expression: re.Pattern[str]) -> Iterator[int]:
        """Where the matching lines start: only lines that hold the word are looked at."""
        (word,) = self._words
        searched = text.lower() if self._fold else text
        position = searched.find(word)
        while position >= 0:
            start = text.rfind("\n", 0, position) + 1
            end = _end(text, position)
            if self._whole or expression.search(text, start, end):
                yield start
            position = searched.find(word, end)

    def _line(self, text: str, start: int) -> str:
        """The line that starts here, or so much of it that it can be seen to be longer than what is shown."""
        end = min(_end(text, start), start + self._cut + 2)
        return text[start:end]


def _by_text(text: str, expression: re.Pattern[str]) -> Iterator[int]:
    position = 0
    while position < len(text):
        found = expression.search(text, position)
        if found is None:
            return
        start = text.rfind("\n", 0, found.start()) + 1
        if start == len(text):  # an empty match after the last line
            return
        yield start
        position = _end(text, found.start()) + 1


def _end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def read(path: str) -> bytes:
    """A regular file's content. Raises OSError, ValueError when it is too large."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(path)
        if found.st_size > MAX_BYTES:
            raise ValueError(path)
        content = os.read(descriptor, found.st_size + 1)
        while len(content) < found.st_size and (more := os.read(descriptor, found.st_size - len(content))):
            content += more
    finally:
        os.close(descriptor)
    return content


def scan_files(scanner: Scanner, watch: Watch, root: str, files: list[str], limit: int) -> Iterator[Any]:
    """The answers for `files`, one after the other."""
    skipped = 0
    for path in files:
        try:
            content = read(os.path.join(root, path))  # noqa: PTH118  # a Path for each of many files costs too much
            scanner.prepare(content)
            watch.start(SECONDS + len(content) / BYTES_PER_SECOND)
            count, lines = scanner.scan(content, limit)
            watch.stop()
        except (ValueError, MemoryError):
            skipped += 1
            continue
        except TooSlow:
            yield {"slow": path}
            continue
        except OSError:
            continue
        finally:
            watch.stop()
        if count:
            limit -= count
            yield [path, count, lines]
    yield {"skipped": skipped}


def main() -> None:
    """Read the request, write the answers."""
    request = json.load(sys.stdin.buffer)
    with contextlib.suppress(ValueError, OSError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    try:
        scanner = Scanner(**request["scanner"])
    except (re.error, OverflowError, RecursionError) as error:
        write({"error": error.msg if isinstance(error, re.error) else str(error)})
        return
    watch = Watch()
    try:
        for answer in scan_files(scanner, watch, request["root"], request["files"], request["limit"]):
            write(answer)
    finally:
        watch.close()


def write(answer: Any) -> None:
    """At once, so that it is not lost when the time is up."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
