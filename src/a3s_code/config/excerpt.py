"""A diagnostic as a person reads it: the place, the line with a caret below, the hint.

The line is shown with its values covered. Left bare are punctuation, true, false, null, and names that stand where a
key stands, as long as nothing before them is out of order: after a broken string, the next word may be a secret.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Sequence

from a3s_code.config.diagnostics import Diagnostic, Span, line_start
from a3s_code.config.tokens import (
    FAULTS,
    MALFORMED_NUMBER,
    PLUS_EQUAL,
    STRAY,
    UNTERMINATED_COMMENT,
    UNTERMINATED_STRING,
    Token,
    last_meaningful,
)

WIDTH = 100
LONGEST_KEY = 40
REACH = 60
"""How many tokens on either side of the fault are looked at; a line may hold a million."""
_COVERS = {
    "String": '"..."',
    "Ident": "...",
    "Number": "...",
    "Comment": "# ...",
    UNTERMINATED_STRING: '"...',
    UNTERMINATED_COMMENT: "/* ...",
    MALFORMED_NUMBER: "...",
    STRAY: "?",
}
_BEFORE_A_BLOCK = (None, "Newline")
_BEFORE_A_KEY = (None, "Newline", "LeftBrace", "Semicolon")
_BEFORE_A_VALUE = ("Equal", "Colon", "Comma", "LeftBracket", "LeftParen")
_AFTER_A_KEY = ("Equal", "Colon", "LeftBrace", PLUS_EQUAL)


def render(diagnostic: Diagnostic, text: str, tokens: Sequence[Token], file: str | None = None) -> str:
    return show(diagnostic.message, diagnostic.span, diagnostic.hint, text, tokens, file)


def show(
    message: str, span: Span, hint: str | None, text: str, tokens: Sequence[Token], file: str | None = None
) -> str:
    """`file:line:column: message`, the covered line, a caret and the hint, each on a line of its own."""
    lines = [f"{file or '<text>'}:{span.start.line}:{span.start.column}: {message}"]
    lines += _excerpt(span, text, tokens)
    if hint:
        lines.append(f"  hint: {hint}")
    return "\n".join(lines)


def _excerpt(span: Span, text: str, tokens: Sequence[Token]) -> list[str]:
    """The covered line and the carets below it; nothing where the line holds no token."""
    begin = line_start(text, span.start.line)
    finish = text.find("\n", begin)
    finish = len(text) if finish < 0 else finish
    start = begin + span.start.column - 1
    end = begin + span.end.column - 1 if span.end.line == span.start.line else finish

    middle = bisect_left(tokens, start, key=lambda token: token.start)
    broken = next((index for index, token in enumerate(tokens) if token.kind in FAULTS), len(tokens))
    sound = min(broken, middle + 1)
    shown, first, last = "", None, 0
    at = begin
    for index in range(max(0, middle - REACH), min(len(tokens), middle + REACH)):
        token = tokens[index]
        if token.end <= begin or token.start >= finish or token.kind == "Newline":
            continue
        shown += " " * min(token.start - at, WIDTH)
        if start <= token.start < end or token.start < start < token.end:
            first = len(shown) if first is None else first
            last = len(shown) + len(_cover(text, tokens, index, sound))
        shown += _cover(text, tokens, index, sound)
        at = min(token.end, finish)
    if not shown:
        return []
    first = len(shown) if first is None else first
    return _window(shown, first, max(1, last - first))


def _cover(text: str, tokens: Sequence[Token], index: int, sound: int) -> str:
    """The token as it is shown. Tokens from index `sound` on stand behind a fault, and may be anything."""
    token = tokens[index]
    shows = token.kind not in _COVERS or (token.kind == "Ident" and index < sound and _is_key(text, tokens, index))
    return text[token.start : token.end] if shows else _COVERS[token.kind]


def _is_key(text: str, tokens: Sequence[Token], index: int) -> bool:
    token = tokens[index]
    following = tokens[index + 1].kind if index + 1 < len(tokens) else None
    if following == "LeftParen":
        return text[token.start : token.end] == "env"
    previous = tokens[index - 1].kind if index else None
    meaningful = last_meaningful(tokens, index)
    stands_as_value = meaningful is not None and meaningful.kind in _BEFORE_A_VALUE
    is_short = token.end - token.start <= LONGEST_KEY
    is_block = following == "String" and previous in _BEFORE_A_BLOCK
    stands_as_key = is_block or (following in _AFTER_A_KEY and previous in _BEFORE_A_KEY)
    return is_short and stands_as_key and not stands_as_value


def _window(shown: str, first: int, length: int) -> list[str]:
    """The part of a long line around the carets, and the carets, which allow for wide characters."""
    left = max(0, first - WIDTH // 2)
    part = shown[left : left + WIDTH]
    blank = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in part[: first - left])
    carets = "^" * min(length, max(1, WIDTH - (first - left)))
    return [f"  {part.rstrip()}", f"  {' ' * blank}{carets}"]
