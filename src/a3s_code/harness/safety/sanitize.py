"""Cleans text on its way to the model, the events and the artifacts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from a3s_code.harness.safety.covering import CoveringStream, Match, cover
from a3s_code.harness.safety.credentials import known_secrets, spell
from a3s_code.kernel.ports import Sanitizer, StreamSanitizer, TextStream
from a3s_code.kernel.validity import legible

__all__ = [
    "LONGEST_LINE",
    "REDACTED",
    "TOKENS",
    "LineSanitizer",
    "SanitizerChain",
    "TextSanitizer",
    "adapt",
    "known_secrets",
]

REDACTED = "[REDACTED]"
TOKENS = (
    REDACTED,
    *(
        f"[REDACTED:{name}]"
        for name in ("SSN", "EMAIL", "PHONE", "API_KEY", "CC", "AWS_KEY", "GITHUB_TOKEN", "JWT", "CUSTOM")
    ),
)
"""All that this library puts in place of what it covers."""

MIN_SECRET = 8
MIN_CORE = 6
LONGEST_LINE = 16_384
SHORT = 100

MOST_KNOWN = 4_096


class TextSanitizer:
    """Makes text valid UTF-8 without NUL, and takes known secrets out of it.

    A NUL or half a surrogate pair becomes U+FFFD, each of `secrets` becomes `[REDACTED]`, also as base64, in a URL,
    escaped in JSON or HTML, and line by line. Secrets under 8 characters are left, for they would match by
    chance. Cleaning twice gives what cleaning once gives; text with nothing to clean comes back as the same object.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spellings = {form for secret in secrets if len(secret) >= MIN_SECRET for form in spell(secret)}
        cores = {core for form in spellings if len(core := _core(legible(form))) >= MIN_CORE}
        self._finder = _Literals(cores) if cores else None
        self._known: set[str] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def clean(self, text: str) -> str:
        """The text, ready to be sent and stored; may be called from any thread."""
        if text in self._known:
            return text
        cleaned = legible(text)
        if self._finder is not None:
            cleaned = cover(self._finder, cleaned)
        # The short texts of a run, names and paths, come again and again.
        if cleaned is text and len(text) <= SHORT:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known.add(text)
        return cleaned

    def stream(self) -> TextStream:
        """The same for a text that comes in pieces; only what may be the beginning of a secret is held back."""
        return _SendableStream(None if self._finder is None else CoveringStream(self._finder))


class _SendableStream:
    def __init__(self, inner: CoveringStream | None) -> None:
        self._inner = inner

    def feed(self, text: str) -> str:
        text = legible(text)
        return text if self._inner is None else self._inner.feed(text)

    def finish(self) -> str:
        return "" if self._inner is None else self._inner.finish()


class _Literals:
    """Finds texts as they are."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = sorted(texts, key=lambda text: (-len(text), text))
        self._longest = len(self._texts[0])
        self._by_character: dict[str, list[str]] = {}
        self._by_pair: dict[str, list[str]] = {}
        for text in self._texts:
            self._by_character.setdefault(text[0], []).append(text)
            self._by_pair.setdefault(text[:2], []).append(text)

    def find(self, text: str, start: int, end: int) -> Sequence[Match]:
        found = list(self._look(text, start, end) if end - start <= SHORT else self._search(text, start, end))
        found.sort()
        return found

    def decided(self, text: str, start: int, fresh: int) -> int:
        for place in range(max(start, len(text) - self._longest + 1), len(text)):
            if (wanted := self._by_character.get(text[place])) is not None:
                rest = text[place:]
                if any(len(item) > len(rest) and item.startswith(rest) for item in wanted):
                    return place
        return len(text)

    def _look(self, text: str, start: int, end: int) -> Iterator[Match]:
        """Place by place, which is faster in a short text."""
        for place in range(start, end):
            for wanted in self._by_pair.get(text[place : place + 2], ()):
                if text.startswith(wanted, place):
                    yield place, place + len(wanted), REDACTED

    def _search(self, text: str, start: int, end: int) -> Iterator[Match]:
        """One by one, which is faster in a long text."""
        for wanted in self._texts:
            last = min(len(text), end + len(wanted) - 1)
            place = text.find(wanted, start, last)
            while place >= 0:
                yield place, place + len(wanted), REDACTED
                place = text.find(wanted, place + 1, last)


class SanitizerChain:
    """Sanitizers one after the other, as one."""

    def __init__(self, sanitizers: Iterable[StreamSanitizer]) -> None:
        self._sanitizers = tuple(sanitizers)

    def clean(self, text: str) -> str:
        """The text, cleaned by all of them in turn."""
        for sanitizer in self._sanitizers:
            text = sanitizer.clean(text)
        return text

    def stream(self) -> TextStream:
        """The same for a text that comes in pieces."""
        return _StreamChain([sanitizer.stream() for sanitizer in self._sanitizers])


class _StreamChain:
    def __init__(self, streams: Sequence[TextStream]) -> None:
        self._streams = streams

    def feed(self, text: str) -> str:
        for stream in self._streams:
            text = stream.feed(text) if text else ""
        return text

    def finish(self) -> str:
        text = ""
        for stream in self._streams:
            text = (stream.feed(text) if text else "") + stream.finish()
        return text


class LineSanitizer:
    """Gives a sanitizer that only cleans a stream as well, in which whole lines are cleaned, one by one.

    So nothing that spans lines is found in a stream, and a line of more than 16,384 characters is cleaned in parts of
    that length.
    """

    def __init__(self, sanitizer: Sanitizer) -> None:
        self._sanitizer = sanitizer

    def clean(self, text: str) -> str:
        """The text, as the sanitizer cleans it."""
        return self._sanitizer.clean(text)

    def stream(self) -> TextStream:
        """The lines, each as soon as it is whole."""
        return _LineStream(self._sanitizer)


class _LineStream:
    def __init__(self, sanitizer: Sanitizer) -> None:
        self._sanitizer = sanitizer
        self._held = ""

    def feed(self, text: str) -> str:
        *whole, self._held = (self._held + text).split("\n")
        shown = [self._clean(f"{line}\n") for line in whole]
        while len(self._held) > LONGEST_LINE:
            shown.append(self._sanitizer.clean(self._held[:LONGEST_LINE]))
            self._held = self._held[LONGEST_LINE:]
        return "".join(shown)

    def finish(self) -> str:
        held, self._held = self._held, ""
        return self._sanitizer.clean(held) if held else ""

    def _clean(self, line: str) -> str:
        parts = [line[place : place + LONGEST_LINE] for place in range(0, len(line), LONGEST_LINE)]
        return "".join(map(self._sanitizer.clean, parts))


def adapt(sanitizer: Sanitizer) -> StreamSanitizer:
    """The sanitizer itself where it has a stream of its own, else with one that shows whole lines."""
    if callable(getattr(sanitizer, "stream", None)):
        return sanitizer  # type: ignore[return-value]  # it was looked at
    return LineSanitizer(sanitizer)


def _core(secret: str) -> str:
    """The longest part of a secret that no token can take part in, so that covering makes no new secrets."""
    longest = max(re.split("|".join(map(re.escape, TOKENS)), secret), key=len)
    trimmed = _trim(longest)
    while trimmed != longest:
        longest, trimmed = trimmed, _trim(trimmed)
    return "" if any(longest in token for token in TOKENS) else longest


def _trim(text: str) -> str:
    """Without the end of a token at its start, and without the start of one at its end."""
    for token in TOKENS:
        for size in range(len(token) - 1, 0, -1):
            if text.startswith(token[-size:]):
                text = text[size:]
            if text.endswith(token[:size]):
                text = text[: len(text) - size]
    return text
