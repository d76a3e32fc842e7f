"""The values that strings and numbers of ACL stand for."""

from __future__ import annotations

import math
import re

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "0": "\0", '"': '"', "\\": "\\", "/": "/"}
_HEX = "[0-9a-fA-F]"
_PAIR = rf"u([dD][89abAB]{_HEX}{{2}})\\u([dD][c-fC-F]{_HEX}{{2}})"
_ESCAPE = re.compile(rf"\\(?:{_PAIR}|u({_HEX}{{4}})|u\{{({_HEX}{{1,6}})\}}|(.))")
_GREATEST = int(1.7976931348623157e308)
_LONGEST_INTEGER = 309
"""In digits, as many as the greatest float has: a longer one is no number to most readers."""


def text_of(lexeme: str) -> str:
    """What a string with its quotes stands for. An escape that means nothing keeps its backslash."""
    inner = lexeme[1:-1]
    if "\\" not in inner:
        return inner
    if lexeme[0] == "'":
        return inner.replace("\\'", "'")
    return _ESCAPE.sub(_unescape, inner)


def _unescape(match: re.Match[str]) -> str:
    high, low, four, braced, letter = match.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    if letter:
        return _ESCAPES.get(letter, match[0])
    code = int(four or braced, 16)
    is_character = code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF
    return chr(code) if is_character else match[0]


def number_of(lexeme: str) -> int | float:
    """A whole number exactly, any other as a float; infinite where it is too large for one."""
    digits = lexeme.replace("_", "")
    if not digits.lstrip("-").isdigit():
        return float(digits)
    if len(digits.lstrip("-").lstrip("0")) > _LONGEST_INTEGER:
        return math.inf
    number = int(digits)
    return number if abs(number) <= _GREATEST else math.inf
