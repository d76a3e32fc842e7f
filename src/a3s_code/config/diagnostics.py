"""What is wrong with an ACL text, and where.

A message names kinds of tokens and never quotes the text: configuration files hold secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
Code = Literal[
    "acl.limit.document_bytes",
    "acl.limit.token_bytes",
    "acl.limit.nesting_depth",
    "acl.limit.collection_items",
    "acl.parse.unexpected_token",
    "acl.parse.expected_token",
    "acl.parse.unexpected_eof",
    "acl.parse.unterminated_string",
    "acl.parse.invalid_number",
    "acl.parse.unexpected_character",
    "acl.parse.unsupported_operator",
    "acl.parse.duplicate_attribute",
]


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text. `line` and `column` count from 1, the column in characters; `offset` counts bytes from 0."""

    line: int
    column: int
    offset: int


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From `start` up to, not including, `end`."""

    start: Position
    end: Position


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a stable `code`, words for a person, where it is, and what to write instead, where that is clear."""

    code: Code
    message: str
    span: Span
    hint: str | None = None
    severity: Severity = "error"

    @property
    def line(self) -> int:
        return self.span.start.line

    @property
    def column(self) -> int:
        return self.span.start.column

    def __str__(self) -> str:
        return f"Parse {self.severity} at line {self.line}, column {self.column}: {self.message}"


def locate(text: str, index: int) -> Position:
    """The position of the character at `index`. Lines end at a line feed."""
    line_start = text.rfind("\n", 0, index) + 1
    return Position(
        line=text.count("\n", 0, index) + 1,
        column=index - line_start + 1,
        offset=byte_length(text[:index]),
    )


def line_start(text: str, line: int) -> int:
    """The index of the first character of `line`, which counts from 1; that of the end where there is no such line."""
    start = 0
    for _ in range(line - 1):
        end = text.find("\n", start)
        if end < 0:
            return len(text)
        start = end + 1
    return start


def span_of(text: str, start: int, end: int) -> Span:
    """The span of the characters from `start` up to `end`."""
    return Span(locate(text, start), locate(text, end))


def byte_length(text: str) -> int:
    """How many bytes `text` takes in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
