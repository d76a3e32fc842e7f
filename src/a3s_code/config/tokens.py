"""The tokens of an ACL text, found before the parser runs.

The parser needs limits that hold before it builds anything, an error needs the brackets around it, and a shown line
needs its values covered: all three read this list. What a valid token is stands in the grammar alone; added here is
what a text may hold instead of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from a3s_code.config.diagnostics import byte_length

KINDS: Final[Mapping[str, str]] = {
    "IDENT": "Ident",
    "STRING": "String",
    "NUMBER": "Number",
    "TRUE": "True",
    "FALSE": "False",
    "NULL": "Null",
    "LBRACE": "LeftBrace",
    "_RBRACE": "RightBrace",
    "LSQB": "LeftBracket",
    "_RSQB": "RightBracket",
    "_LPAR": "LeftParen",
    "_RPAR": "RightParen",
    "_EQUAL": "Equal",
    "_COLON": "Colon",
    "_COMMA": "Comma",
    "_SEMICOLON": "Semicolon",
    "_NL": "Newline",
    "COMMENT": "Comment",
}
"""The grammar's terminals and the names they have in messages."""

PLUS_EQUAL: Final = "PlusEqual"
UNTERMINATED_STRING: Final = "UnterminatedString"
UNTERMINATED_COMMENT: Final = "UnterminatedComment"
MALFORMED_NUMBER: Final = "MalformedNumber"
STRAY: Final = "Character"

_BLANK: Final = "BLANK"
_FAULTS: Final = (
    (PLUS_EQUAL, r"\+="),
    (UNTERMINATED_STRING, r"[\"'][^\r\n]*"),
    (UNTERMINATED_COMMENT, r"/\*[\s\S]*"),
    # The look behind tries each run of signs once, from its start: otherwise a long run would cost its square.
    (MALFORMED_NUMBER, r"(?:[0-9]|(?<![-+.])[-+.]+[0-9])[\w.+-]*"),
    (STRAY, r"[\s\S]"),
)
FAULTS: Final = frozenset(kind for kind, _ in _FAULTS)
"""The kinds that no valid text holds."""

OPENERS: Final = {"LeftBrace": "RightBrace", "LeftBracket": "RightBracket", "LeftParen": "RightParen"}
CLOSERS: Final = frozenset(OPENERS.values())
_SILENT: Final = ("Newline", "Comment")


class Token(NamedTuple):
    """A kind and the characters it covers, from `start` up to `end`."""

    kind: str
    start: int
    end: int


class Scanner:
    """Cuts text into tokens. `terminals` are the grammar's, by name, as regular expressions."""

    def __init__(self, terminals: Mapping[str, str]) -> None:
        kinds = {**KINDS, _BLANK: _BLANK, **{kind: kind for kind in FAULTS}}
        patterns = [*terminals.items(), *_FAULTS]
        self._pattern = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in patterns))
        self._kinds = {name: kinds[name] for name, _ in patterns}

    def scan(self, text: str, token_bytes: int) -> tuple[list[Token], Token | None]:
        """All tokens, blanks left out; or those up to the first longer than `token_bytes`, and that one."""
        tokens: list[Token] = []
        kinds = self._kinds
        for match in self._pattern.finditer(text):
            kind = kinds[match.lastgroup or STRAY]
            if kind == _BLANK:
                continue
            token = Token(kind, match.start(), match.end())
            if (token.end - token.start) * 4 > token_bytes and byte_length(match[0]) > token_bytes:
                return tokens, token
            tokens.append(token)
        return tokens, None


def too_deep(tokens: Sequence[Token], depth: int) -> Token | None:
    """The first opening bracket that lies deeper than `depth`."""
    level = 0
    for token in tokens:
        if token.kind in OPENERS:
            level += 1
            if level > depth:
                return token
        elif token.kind in CLOSERS and level:
            level -= 1
    return None


def open_brackets(tokens: Sequence[Token]) -> list[int]:
    """The indexes of the brackets that are still open after `tokens`, outermost first."""
    opened: list[int] = []
    for index, token in enumerate(tokens):
        if token.kind in OPENERS:
            opened.append(index)
        elif opened and OPENERS[tokens[opened[-1]].kind] == token.kind:
            opened.pop()
    return opened


def last_meaningful(tokens: Sequence[Token], end: int) -> Token | None:
    """The last token before index `end` that is neither a newline nor a comment."""
    return next((tokens[at] for at in range(end - 1, -1, -1) if tokens[at].kind not in _SILENT), None)


def in_object(tokens: Sequence[Token], opened: Sequence[int]) -> bool:
    """Whether the innermost of the `opened` brackets holds the members of an object, not of a block."""
    if not opened or tokens[opened[-1]].kind != "LeftBrace":
        return False
    if len(opened) > 1 and tokens[opened[-2]].kind != "LeftBrace":
        return True
    before = last_meaningful(tokens, opened[-1])
    return before is not None and before.kind in ("Equal", "Colon")
