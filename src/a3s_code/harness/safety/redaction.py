"""What looks like a secret or like somebody's personal data, and the tokens to stand for it."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from a3s_code.harness.safety.covering import CoveringStream, Match, cover
from a3s_code.harness.safety.sanitize import LONGEST_LINE, TOKENS, LineSanitizer
from a3s_code.kernel.ports import TextStream

CUSTOM = "[REDACTED:CUSTOM]"
LONGEST = 25_000
"""No match of the table is longer: little more than that is ever held back."""

PART = 4_096

# A token stands where something was: what follows it must not look like the beginning of a word for that.
_AFTER_TOKEN = "".join(f"(?<!{re.escape(token)})" for token in TOKENS)
# In text that is escaped, as in JSON, the letter before a word may belong to what stands for a line end.
_APART = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4}))"
_WORD_START = rf"{_APART}(?:(?<!\])|{_AFTER_TOKEN})"
_NUMBER_START = rf"{_WORD_START}(?<![0-9][.-])(?<!-)"
_NUMBER_END = r"(?![A-Za-z0-9_])(?![.-][A-Za-z0-9])"
_BREAK = re.compile(r"[^A-Za-z0-9._%+@() -]|(?<![0-9)]) |(?<![0-9])\)|\((?![0-9]|\Z)| (?![0-9(]|\Z)")
"""What no match of the table goes over."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a kind of value looks like. Without `needs` in a text, which is found fast, there is no match in it."""

    name: str
    source: str
    need: str

    @property
    def expression(self) -> re.Pattern[str]:
        return _compile_once(self.source)

    @property
    def needs(self) -> re.Pattern[str]:
        return _compile_once(self.need)

    @property
    def token(self) -> str:
        return f"[REDACTED:{self.name}]"


def _pattern(name: str, expression: str, needs: str) -> Pattern:
    # In a lookahead, so that matches are found which begin inside another.
    return Pattern(name, f"(?=({expression}))", needs)


@functools.cache
def _compile_once(source: str) -> re.Pattern[str]:
    # When it is first looked for: most sessions have no security provider.
    return re.compile(source)


_DIGITS = r"[0-9](?:[ ().-]{0,2}[0-9]){6}"
"""What cards and numbers of persons have in common: seven digits, hardly anything between them."""
PATTERNS = (
    _pattern(
        "JWT",
        _WORD_START + r"(?<!-)"
        r"eyJ[A-Za-z0-9_-]{4,8192}\.eyJ[A-Za-z0-9_-]{4,8192}\.[A-Za-z0-9_-]{4,8192}",
        r"eyJ",
    ),
    _pattern(
        "GITHUB_TOKEN",
        _WORD_START + r"(?:gh[pousr]_[A-Za-z0-9]{36,512}|github_pat_[A-Za-z0-9_]{22,512})",
        r"gh[pousri]",
    ),
    _pattern(
        "API_KEY",
        _WORD_START
        + r"[sp]k[-_](?:[A-Za-z0-9]{20,512}[A-Za-z0-9_-]{0,512}"
        + r"|(?:ant|proj|svcacct|admin|live|test|or|lf)[-_][A-Za-z0-9_-]{16,512})",
        r"[sp]k[-_]",
    ),
    _pattern("AWS_KEY", _WORD_START + r"A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])", r"A[KS]IA"),
    _pattern(
        "EMAIL",
        _WORD_START
        + r"(?!git@)[A-Za-z0-9_](?:[A-Za-z0-9_%+-]|\.(?!\.)){0,63}"
        + r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9_-])",
        r"@",
    ),
    _pattern(
        "CC",
        _NUMBER_START
        + r"(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|35[0-9]{2}|6(?:011|[245][0-9]{2}))(?P<gap>[ -]?)"
        + r"[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{4}"
        + _NUMBER_END,
        _DIGITS,
    ),
    _pattern(
        "SSN",
        _NUMBER_START + r"(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}" + _NUMBER_END,
        _DIGITS,
    ),
    _pattern(
        "PHONE",
        # A plus at the start of a line is rather that of a diff, unless the number is written in groups.
        _WORD_START
        + r"(?:(?:(?!\A)(?<!\n)\+[1-9][0-9]{0,2}[ .-]?|\+[1-9][0-9]{0,2} )(?:\([0-9]{1,4}\)[ .-]?)?"
        + r"(?=(?:[ ().-]{0,2}[0-9]){7})[0-9]{1,4}(?:[ .-]?[0-9]{2,4}){2,4}"
        + r"|(?<![0-9][.-])(?<!-)(?:1[-.])?[2-9][0-9]{2}(?P<dash>[-.])[2-9][0-9]{2}(?P=dash)[0-9]{4}"
        + r"|(?<![0-9])\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[-. ][0-9]{4})"
        + _NUMBER_END,
        _DIGITS,
    ),
)


class Redaction:
    """Covers what looks like a key, a token, a card, a person's number or address, each by a token of its kind.

    Same text, same result, and covering twice changes nothing. In a stream a word is held back until its end is seen.
    """

    def clean(self, text: str) -> str:
        """The text with all of it covered; the same object where there is nothing."""
        return cover(_TABLE, text)

    def stream(self) -> TextStream:
        """The same for a text that comes in pieces."""
        return CoveringStream(_TABLE)


def find_values(text: str) -> Iterator[tuple[str, str]]:
    """What the table finds in a text: the kind in lower case, and the value."""
    for start, end, token in _TABLE.find(text, 0, len(text)):
        yield token[len("[REDACTED:") : -1].lower(), text[start:end]


class _Table:
    """Finds what matches the table."""

    def find(self, text: str, start: int, end: int) -> Sequence[Match]:
        there: dict[str, bool] = {}
        found: list[Match] = []
        for pattern in PATTERNS:
            needs = pattern.needs.pattern
            if needs not in there:
                there[needs] = pattern.needs.search(text, start) is not None
            if there[needs]:
                found += _matches(pattern, text, start, end)
        found.sort(key=lambda match: match[0])
        return found

    def decided(self, text: str, start: int, fresh: int) -> int:
        """Up to the last word, which the next piece may go on with; a word without end is let go part by part."""
        end = len(text) - LONGEST if len(text) - LONGEST > start + PART else start
        for found in _BREAK.finditer(text, max(start, fresh - 2)):
            end = max(end, found.end())
        return end


def _matches(pattern: Pattern, text: str, start: int, end: int) -> Iterator[Match]:
    for found in pattern.expression.finditer(text, start):
        if found.start() >= end:
            return
        if pattern.name != "CC" or _passes_luhn(found[1]):
            yield found.start(), found.end(1), pattern.token


_TABLE = _Table()


def _passes_luhn(number: str) -> bool:
    digits = [int(char) for char in number if char.isdigit()]
    doubled = [digit if place % 2 else digit * 2 for place, digit in enumerate(reversed(digits), 1)]
    return sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0


class CustomPatterns:
    """A host's own expressions, each covered by `[REDACTED:CUSTOM]`, within one line each.

    One that is no regular expression is left out, with a warning. The expressions are trusted: one that takes for ever
    on some line takes for ever here; no line is longer than 16,384 characters.
    """

    def __init__(self, patterns: Iterable[str | re.Pattern[str]]) -> None:
        self._patterns = list(_compile(patterns))

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def clean(self, text: str) -> str:
        """The text with what they find covered, line by line; tokens in it stay as they are."""
        stream = self.stream()
        cleaned = stream.feed(text) + stream.finish()
        return text if cleaned == text else cleaned

    def stream(self) -> TextStream:
        """The same for a text that comes in pieces, whole lines at a time."""
        return LineSanitizer(_Line(self._patterns)).stream()

    def find_values(self, text: str) -> Iterator[tuple[str, str]]:
        """What they find in a text: the kind, and the value."""
        for place in range(0, len(text), LONGEST_LINE):
            for pattern in self._patterns:
                yield from (
                    ("custom", found[0]) for found in pattern.finditer(text, place, place + LONGEST_LINE) if found[0]
                )


class _Line:
    def __init__(self, patterns: Sequence[re.Pattern[str]]) -> None:
        self._patterns = patterns

    def clean(self, text: str) -> str:
        for pattern in self._patterns:
            parts = _TOKEN.split(text)
            parts[::2] = [pattern.sub(_token, part) for part in parts[::2]]
            text = "".join(parts)
        return text


_TOKEN = re.compile("(" + "|".join(map(re.escape, TOKENS)) + ")")


def _token(found: re.Match[str]) -> str:
    return CUSTOM if found[0] else ""


def _compile(patterns: Iterable[str | re.Pattern[str]]) -> Iterator[re.Pattern[str]]:
    for pattern in patterns:
        try:
            yield re.compile(pattern)
        except (re.error, TypeError, RecursionError, OverflowError) as error:
            text = f"the custom pattern {pattern!r} is left out: {error}"
            warnings.warn(text, UserWarning, stacklevel=4)
