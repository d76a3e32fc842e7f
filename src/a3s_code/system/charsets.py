"""Sets of characters in an expression, as ripgrep understands them, and their members.

The members of a set are the bits of a number: bit n stands for character n. They are asked for either among ASCII
characters only or among all; a lone surrogate, which stands for a byte that is no text, is in no set.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache, reduce
from itertools import chain
from operator import or_
from typing import Literal

ASCII = 128
UNICODE = 0x110000
NEWLINE = 1 << 10

_SURROGATES = ((1 << 0x800) - 1) << 0xD800
_LAST_ASSIGNED = 0x32400
_TAGS = range(0xE0000, 0xE0200)
_SPACES = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_JOINERS_AND_CIRCLED = "\u200c\u200d\u24b6-\u24e9\U0001f130-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189"
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\0-\x7f",
    "blank": "\t ",
    "cntrl": "\0-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@[-`{-~",
    "space": "\t-\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_CATEGORIES = {
    "letter": "L", "casedletter": "LC", "uppercaseletter": "Lu", "lowercaseletter": "Ll", "titlecaseletter": "Lt",
    "modifierletter": "Lm", "otherletter": "Lo", "mark": "M", "nonspacingmark": "Mn", "spacingmark": "Mc",
    "enclosingmark": "Me", "number": "N", "decimalnumber": "Nd", "letternumber": "Nl", "othernumber": "No",
    "punctuation": "P", "connectorpunctuation": "Pc", "dashpunctuation": "Pd", "openpunctuation": "Ps",
    "closepunctuation": "Pe", "initialpunctuation": "Pi", "finalpunctuation": "Pf", "otherpunctuation": "Po",
    "symbol": "S", "mathsymbol": "Sm", "currencysymbol": "Sc", "modifiersymbol": "Sk", "othersymbol": "So",
    "separator": "Z", "spaceseparator": "Zs", "lineseparator": "Zl", "paragraphseparator": "Zp",
    "control": "Cc", "format": "Cf", "any": "",
}  # fmt: skip
_SHORT = {short.lower(): short for short in _CATEGORIES.values()}


@dataclass(frozen=True, slots=True)
class Span:
    """The characters from `low` to `high`, by their numbers."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Named:
    """A set with a name: w, d, s; of POSIX such as alpha, which is ASCII; or a general category such as Lu."""

    kind: Literal["perl", "posix", "category"]
    name: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Bracket:
    """What stands in brackets; with `fold` whatever the case."""

    items: tuple[CharSet, ...]
    negated: bool = False
    fold: bool = False


@dataclass(frozen=True, slots=True)
class Combined:
    """Two sets by `&&` (both), `--` (only the left one) or `~~` (one of the two)."""

    sign: str
    left: Bracket
    right: Bracket


CharSet = Span | Named | Bracket | Combined


def category(name: str) -> str | None:
    """The short name of a general category, by any spelling of it; None where there is none of that name."""
    plain = re.sub(r"[\s_-]", "", name).lower()
    return _CATEGORIES.get(plain, _SHORT.get(plain))


def is_posix(name: str) -> bool:
    return name in _POSIX


@lru_cache(256)
def members(charset: CharSet, width: int) -> int:
    """The members below `width`, which is ASCII or UNICODE."""
    match charset:
        case Span(low, high):
            return (((1 << (high - low + 1)) - 1) << low) & everything(width)
        case Named(kind, name, negated):
            found = _named(kind, name) if width == UNICODE else _named_in_ascii(kind, name)
        case Combined(sign, left, right):
            one, other = members(left, width), members(right, width)
            return one & other if sign == "&&" else one & ~other if sign == "--" else one ^ other
        case Bracket(items, negated, fold):
            # What is no ASCII may be the other case of something that is.
            wide = UNICODE if fold and width == ASCII and not _is_ascii(charset) else width
            found = reduce(or_, (members(item, wide) for item in items), 0)
            found = (_folded(found, wide) if fold else found) & everything(width)
    return found ^ everything(width) if negated else found


@cache
def everything(width: int) -> int:
    """All characters below `width`."""
    return ((1 << width) - 1) & ~_SURROGATES


def word_characters(width: int) -> int:
    """What `\\w` stands for."""
    return members(Named("perl", "w"), width)


@lru_cache(128)
def spans(mask: int) -> tuple[tuple[int, int], ...]:
    """The runs of neighbouring members, first and last."""
    return tuple((run.start(), run.end() - 1) for run in re.finditer("1+", bin(mask)[:1:-1]))


def _is_ascii(charset: CharSet) -> bool:
    match charset:
        case Span(_, high):
            return high < ASCII
        case Named(kind, _, negated):
            return kind == "posix" and not negated
        case Bracket(items, negated):
            return not negated and all(_is_ascii(item) for item in items)
        case Combined(sign, left, right):
            return _is_ascii(left) and (sign != "~~" or _is_ascii(right))


def _spelled(text: str) -> int:
    """The members of a set written as in brackets: single characters and ranges."""
    pairs = re.findall(r"(.)(?:-(.))?", text, re.DOTALL)
    return reduce(or_, (members(Span(ord(low), ord(high or low)), UNICODE) for low, high in pairs))


def _named_in_ascii(kind: str, name: str) -> int:
    if kind == "category":
        return _of_characters(n for n in range(ASCII) if unicodedata.category(chr(n)).startswith(_prefixes(name)))
    return _spelled(_POSIX[{"w": "word", "d": "digit", "s": "space"}[name] if kind == "perl" else name])


@cache
def _named(kind: str, name: str) -> int:
    if kind == "posix":
        return _spelled(_POSIX[name])
    if kind == "category":
        return _of_category(_prefixes(name))
    if name == "s":
        return _spelled(_SPACES)
    return (
        _of_category(("Nd",))
        if name == "d"
        else _of_category(("L", "M", "Nl", "Nd", "Pc")) | _spelled(_JOINERS_AND_CIRCLED)
    )


def _prefixes(name: str) -> tuple[str, ...]:
    return ("Lu", "Ll", "Lt") if name == "LC" else (name,)


def _of_category(prefixes: tuple[str, ...]) -> int:
    if prefixes == ("",):
        return everything(UNICODE)
    of = unicodedata.category
    return _of_characters(n for n in chain(range(_LAST_ASSIGNED), _TAGS) if of(chr(n)).startswith(prefixes))


def _of_characters(numbers: Iterable[int]) -> int:
    bits = bytearray(UNICODE // 8)
    for number in numbers:
        bits[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(bits, "little") & ~_SURROGATES


def _folded(mask: int, width: int) -> int:
    """`mask` and its members in their other cases."""
    if width == ASCII:
        upper, lower = _spelled("A-Z"), _spelled("a-z")
        return mask | (mask & upper) << 32 | (mask & lower) >> 32
    bits = mask.to_bytes(UNICODE // 8, "little")
    alike = (group for group in _case_groups() if any(bits[n >> 3] >> (n & 7) & 1 for n in group))
    return mask | _of_characters(chain.from_iterable(alike))


@cache
def _case_groups() -> tuple[tuple[int, ...], ...]:
    """Characters that are the same but for their case: those with the same simple case folding."""
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for number in range(_LAST_ASSIGNED):
        if (folded := _fold(chr(number))) != chr(number):
            groups[ord(folded)].append(number)
    return tuple((folded, *others) for folded, others in groups.items())


def _fold(char: str) -> str:
    for folded in (char.casefold(), char.lower()):
        if len(folded) == 1:
            return folded
    return char
