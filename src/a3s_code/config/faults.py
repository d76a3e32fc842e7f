"""Which diagnostic a fault becomes: from the token where the grammar stopped, and what it would have accepted there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from a3s_code.config.diagnostics import Code, Diagnostic, span_of
from a3s_code.config.limits import Limits
from a3s_code.config.tokens import (
    FAULTS,
    MALFORMED_NUMBER,
    PLUS_EQUAL,
    STRAY,
    UNTERMINATED_COMMENT,
    UNTERMINATED_STRING,
    Token,
    in_object,
    last_meaningful,
    open_brackets,
)

_UNEXPECTED: Final[Code] = "acl.parse.unexpected_token"
_EXPECTED: Final[Code] = "acl.parse.expected_token"

_QUOTE_IT = "put text in quotes"
_STRAY_HINTS = {
    "/": "put paths and URLs in quotes; a comment starts with #, // or /*",
    "$": 'nothing is expanded; write env("NAME")',
    ".": "a name holds no dot: nest with { }, and put text in quotes",
    "<": 'there are no here-documents; write "\\n" for a line break',
    "`": "quotes are \" or '",
    "\u2018": "quotes are \" or ', not typographic ones",
    "\u2019": "quotes are \" or ', not typographic ones",
    "\u201c": "quotes are \" or ', not typographic ones",
    "\u201d": "quotes are \" or ', not typographic ones",
}
_BRACKETS = {"LeftBrace": "{", "LeftBracket": "[", "LeftParen": "("}
_CLOSING = ("RightBrace", "RightBracket", "RightParen")

_LIMITS: Final[dict[str, tuple[Code, str]]] = {
    "document_bytes": ("acl.limit.document_bytes", "document is larger than {} bytes"),
    "token_bytes": ("acl.limit.token_bytes", "token is longer than {} bytes"),
    "nesting_depth": ("acl.limit.nesting_depth", "nesting depth is greater than {}"),
    "collection_items": ("acl.limit.collection_items", "collection has more than {} items"),
}


def limit_fault(limit: str, limits: Limits, text: str, start: int, end: int) -> Diagnostic:
    """The diagnostic of a broken `limit`, a field of Limits, over the characters from `start` up to `end`."""
    code, words = _LIMITS[limit]
    message = f"ACL parse limit exceeded: {words.format(getattr(limits, limit))}"
    return Diagnostic(code, message, span_of(text, start, end))


def explain(text: str, tokens: Sequence[Token], index: int, accepts: Collection[str]) -> Diagnostic:
    """Why the grammar stopped at `tokens[index]`, or at the end of the text where there is no such token.

    `accepts` are the terminals that it would have gone on with.
    """
    if index >= len(tokens):
        return _end_of_input(text, tokens, index, accepts)
    token = tokens[index]
    if token.kind in FAULTS:
        return _lexical(text, token)
    if _is_lone_string(tokens, index, accepts):
        return _lone_string(text, tokens, index)
    code, message, hint = _structural(tokens, index, accepts)
    return Diagnostic(code, message, span_of(text, token.start, token.end), hint)


def _end_of_input(text: str, tokens: Sequence[Token], index: int, accepts: Collection[str]) -> Diagnostic:
    if _is_lone_string(tokens, index, accepts):
        return _lone_string(text, tokens, index)
    opened = open_brackets(tokens)
    hint = _opened_at(text, tokens[opened[-1]]) if opened else None
    return Diagnostic("acl.parse.unexpected_eof", "Unexpected end of input", span_of(text, len(text), len(text)), hint)


def _opened_at(text: str, token: Token) -> str:
    start = span_of(text, token.start, token.end).start
    return f"the {_BRACKETS[token.kind]} at line {start.line}, column {start.column} is never closed"


def _is_lone_string(tokens: Sequence[Token], index: int, accepts: Collection[str]) -> bool:
    """Whether the fault is a string where an item should begin: only a key is followed by nothing but = or :."""
    if index == 0 or set(accepts) != {"_EQUAL", "_COLON"}:
        return False
    before = last_meaningful(tokens, index)
    return before is not None and before.kind == "String" and not in_object(tokens, open_brackets(tokens[:index]))


def _lone_string(text: str, tokens: Sequence[Token], index: int) -> Diagnostic:
    lone = last_meaningful(tokens, index)
    assert lone is not None
    span = span_of(text, lone.start, lone.end)
    return Diagnostic(_UNEXPECTED, "Unexpected token: String", span, 'write name = "text"')


def _lexical(text: str, token: Token) -> Diagnostic:
    span = span_of(text, token.start, token.end)
    first = text[token.start]
    if token.kind == UNTERMINATED_COMMENT:
        hint = f"the comment that begins at line {span.start.line}, column {span.start.column} is never closed"
        end = span_of(text, len(text), len(text))
        return Diagnostic("acl.parse.unexpected_eof", "Unexpected end of input", end, hint)
    if token.kind == UNTERMINATED_STRING:
        hint = 'close the string on its line; inside double quotes "\\n" is a line break'
        if first == "'" and "\\'" in text[token.start : token.end]:
            hint = "in single quotes \\' is a quote, so the string did not end there; use double quotes and \\\\"
        return Diagnostic("acl.parse.unterminated_string", "Unterminated string", span, hint)
    if token.kind == MALFORMED_NUMBER:
        hint = "a number is digits with at most one point and one exponent, _ only between digits; else " + _QUOTE_IT
        return Diagnostic("acl.parse.invalid_number", "Invalid number", span, hint)
    if token.kind == PLUS_EQUAL:
        return Diagnostic(
            "acl.parse.unsupported_operator", f"Unsupported operator: {PLUS_EQUAL}", span, "write = and the whole value"
        )
    assert token.kind == STRAY
    hint = _STRAY_HINTS.get(first, _QUOTE_IT)
    return Diagnostic("acl.parse.unexpected_character", "Unexpected character", span, hint)


def _structural(tokens: Sequence[Token], index: int, accepts: Collection[str]) -> tuple[Code, str, str | None]:
    """Code, message and hint for a valid token in a place where it cannot stand."""
    kind = tokens[index].kind
    if "NUMBER" in accepts:
        return _UNEXPECTED, f"Unexpected token in value position: {kind}", "a value is missing before it"
    if "_RPAR" in accepts:
        return _EXPECTED, f"Expected ',' or ')', found {kind}", "put commas between arguments"
    if "_EQUAL" in accepts and "LBRACE" in accepts:
        hint = 'write name = value, or name "label" { ... }'
        return _EXPECTED, f"Expected '=', ':' or '{{', found {kind}", hint
    if "_EQUAL" in accepts:
        return _EXPECTED, f"Expected '=' or ':', found {kind}", "write name = value; an object holds no blocks"
    if "LBRACE" in accepts:
        hint = "a block needs { after its labels; an attribute needs = on the line of its name"
        return _EXPECTED, f"Expected '{{', found {kind}", hint
    if in_object(tokens, open_brackets(tokens[:index])):
        return _EXPECTED, f"Expected a key or '}}', found {kind}", "the members of an object are name = value"
    return _UNEXPECTED, f"Unexpected token: {kind}", _misplaced(tokens, index)


def _misplaced(tokens: Sequence[Token], index: int) -> str | None:
    kind, before = tokens[index].kind, last_meaningful(tokens, index)
    if before is None and kind in ("LeftBrace", "LeftBracket"):
        return "JSON is not ACL; write name = value, one to a line"
    if kind in ("LeftBrace", "LeftBracket"):
        return 'write name = { ... } for an object, name "label" { ... } for a block'
    if kind == "LeftParen":
        return "the parenthesis of a call stands on the line of its name"
    if kind in _CLOSING:
        return "it closes nothing that is open"
    return "write name = value"
