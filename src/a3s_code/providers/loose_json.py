"""JSON as small models print it: single quotes, Python's constants, line breaks in strings, doubled braces."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_BRACKET = re.compile(_STRING + r"|(?P<open>[\[{])|(?P<close>[\]}])", re.DOTALL)
_LOOSE = re.compile(r"(?P<string>" + _STRING + r")|(?P<name>\b(?:True|False|None)\b)|,(?=\s*[\]}])", re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)|\"", re.DOTALL)
_NAMES = {"True": "true", "False": "false", "None": "null"}


class _Broken:
    """Stands for text that holds no value."""


BROKEN: Final = _Broken()


def balanced(text: str, at: int) -> int | None:
    """Where the object or array that opens at `at` ends; None when the text ends before it."""
    depth = 0
    for found in _BRACKET.finditer(text, at):
        if found["open"]:
            depth += 1
        elif found["close"]:
            depth -= 1
            if depth == 0:
                return found.end()
    return None


def decode(text: str) -> Any:
    """The value that `text` spells, or BROKEN. Nothing is guessed: what is cut stays broken."""
    value = _read(text)
    if value is BROKEN and text.startswith("{{") and text.endswith("}}"):
        value = _read(text[1:-1])
        if value is BROKEN:
            value = _read(text.replace("{{", "{").replace("}}", "}"))
    return value


def _read(text: str) -> Any:
    for spelling in (text, _LOOSE.sub(_strict, text)):
        try:
            return json.loads(spelling, strict=False)
        except (ValueError, RecursionError):
            continue
    return BROKEN


def _strict(found: re.Match[str]) -> str:
    if found["name"]:
        return _NAMES[found["name"]]
    token = found["string"]
    if token is None:
        return ""
    return token if token[0] == '"' else '"' + _ESCAPE.sub(_escape, token[1:-1]) + '"'


def _escape(found: re.Match[str]) -> str:
    escaped: str | None = found[1]
    if escaped is None:
        return '\\"'
    if escaped[0] == "x" and len(escaped) == 3:
        return "\\u00" + escaped[1:]
    return "'" if escaped == "'" else found[0]
