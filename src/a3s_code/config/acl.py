"""The ACL parser: text in, a Document or a Diagnostic out. No other file imports lark.

The scan finds the tokens, and with them the limits and the lexical faults; the grammar does the structure. Where the
grammar stops, the token that stands there says what went wrong.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pkgutil import get_data
from typing import TYPE_CHECKING, Any

from a3s_code.config import excerpt
from a3s_code.config.diagnostics import Diagnostic, byte_length, line_start, span_of
from a3s_code.config.document import Attribute, Block, Call, Document, Item, ListValue, ObjectValue, Scalar
from a3s_code.config.faults import explain, limit_fault
from a3s_code.config.limits import DEFAULT_LIMITS, Limits
from a3s_code.config.review import review
from a3s_code.config.scalars import number_of, text_of
from a3s_code.config.tokens import Scanner, Token, too_deep
from a3s_code.errors import AclError

if TYPE_CHECKING:
    from lark import Lark
    from lark import Token as Lexeme

_CONSTANTS = {"true": True, "false": False, "null": None}
_LONE_RETURN = re.compile(r"\r(?!\n)")
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(text: str, limits: Limits = DEFAULT_LIMITS, file: str | None = None) -> Document:
    """The document in `text`; `file` names it in messages. Raises AclError for the first fault in it."""
    text = _normalise(text)
    tokens, fault = _scan(text, limits)
    items: tuple[Item, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    if fault is None:
        items, fault = _build(text, tokens)
    if fault is None:
        fault, warnings = review(text, tokens, items, limits)
    if fault is not None:
        rendered = excerpt.render(fault, text, tokens, file)
        raise AclError(fault.message, diagnostic=fault, rendered=rendered, file=file)
    return Document(items, file, warnings)


def collect_diagnostics(
    text: str, limits: Limits = DEFAULT_LIMITS, budget: int | None = None
) -> tuple[list[Diagnostic], bool]:
    """Up to `budget` faults (by default `limits.diagnostics`), and whether there are more.

    After a fault the search goes on at the first token on a later line, as if the document began there; a broken limit
    ends it.
    """
    budget = limits.diagnostics if budget is None else budget
    text = _normalise(text)
    tokens, fault = _scan(text, limits)
    found: list[Diagnostic] = []
    begin = 0
    while fault is None and len(found) <= budget:
        items, syntax = _build(text, tokens, begin)
        if syntax is None:
            above = text.count("\n", 0, tokens[begin].start) if begin else 0
            fault, _ = review(text, tokens, items, limits, above)
            break
        found.append(syntax)
        begin = bisect_left(tokens, line_start(text, syntax.line + 1), key=lambda token: token.start)
        if begin >= len(tokens):
            break
    if fault is not None:
        found.append(fault)
    return found[:budget], len(found) > budget


def render(diagnostic: Diagnostic, text: str, file: str | None = None) -> str:
    """The diagnostic as a person reads it: place and message, the line of `text` with its values covered, the hint."""
    text = _normalise(text)
    tokens, _ = _machine().scanner.scan(text, byte_length(text))
    return excerpt.render(diagnostic, text, tokens, file)


def render_at(line: int, column: int, message: str, hint: str | None, text: str, file: str | None = None) -> str:
    """The same for a message about the token of `text` that begins at that place."""
    text = _normalise(text)
    tokens, _ = _machine().scanner.scan(text, byte_length(text))
    start = line_start(text, line) + column - 1
    end = next((token.end for token in tokens[bisect_left(tokens, start, key=lambda token: token.start) :]), len(text))
    return excerpt.show(message, span_of(text, start, end), hint, text, tokens, file)


def _normalise(text: str) -> str:
    """Without a byte order mark, and with a line feed for each lone carriage return."""
    text = text.removeprefix("\ufeff")
    return _LONE_RETURN.sub("\n", text) if "\r" in text else text


def _scan(text: str, limits: Limits) -> tuple[list[Token], Diagnostic | None]:
    """The tokens, and the first limit that they break."""
    if byte_length(text) > limits.document_bytes:
        return [], limit_fault("document_bytes", limits, text, 0, 0)
    surrogate = _SURROGATE.search(text)
    if surrogate:
        span = span_of(text, surrogate.start(), surrogate.end())
        hint = "a lone surrogate is half a character; the text was decoded wrongly"
        return [], Diagnostic("acl.parse.unexpected_character", "Unexpected character", span, hint)
    tokens, long = _machine().scanner.scan(text, limits.token_bytes)
    if long is not None:
        return [*tokens, long], limit_fault("token_bytes", limits, text, long.start, long.end)
    deep = too_deep(tokens, limits.nesting_depth)
    if deep is not None:
        return tokens, limit_fault("nesting_depth", limits, text, deep.start, deep.end)
    return tokens, None


def _build(text: str, tokens: Sequence[Token], begin: int = 0) -> tuple[tuple[Item, ...], Diagnostic | None]:
    """The items from `tokens[begin]` on, with lines counted from there; or the fault that stops them."""
    from lark.exceptions import UnexpectedInput

    start = tokens[begin].start if begin else 0
    margin = text.rfind("\n", 0, start) + 1
    try:
        # Blanks instead of what stands before on the line keep the columns right.
        rest = " " * (start - margin) + text[start:]
        return _machine().lark.parse(rest), None  # type: ignore[return-value]  # what _Nodes.document makes
    except UnexpectedInput as error:
        at_end = getattr(getattr(error, "token", None), "type", "") == "$END"
        stopped = len(text) if at_end else margin + getattr(error, "pos_in_stream", 0)
        accepts: Collection[str] = error.interactive_parser.accepts()  # type: ignore[no-untyped-call]  # lark's own
    # Explained outside of the handler, and raised by the caller: lark's exception quotes the text and stays behind.
    index = bisect_left(tokens, stopped, key=lambda token: token.start)
    return (), explain(text, tokens[begin:], index - begin, accepts)


@dataclass(frozen=True, slots=True)
class _Machine:
    lark: Lark
    scanner: Scanner


@cache
def _machine() -> _Machine:
    """The parser and the scanner, both made from the grammar file, once in a process."""
    from lark import Lark

    grammar = get_data("a3s_code.config", "acl.lark")
    assert grammar is not None
    lark = Lark(grammar.decode(), parser="lalr", lexer="contextual", start="document", transformer=_Nodes())
    return _Machine(lark, Scanner({terminal.name: terminal.pattern.to_regexp() for terminal in lark.terminals}))


class _Nodes:
    """Makes the document while the parser runs, bottom up, without recursion: a method for each rule of the grammar."""

    def document(self, children: list[Item]) -> tuple[Item, ...]:
        return tuple(children)

    def attribute(self, children: list[Any]) -> Attribute:
        key, value = children
        return Attribute(_name(key), value, key.line, key.column)

    def block(self, children: list[Any]) -> Block:
        name, *rest = children
        brace = next(index for index, child in enumerate(rest) if _is_brace(child))
        labels = tuple(_name(label) for label in rest[:brace])
        return Block(str(name), labels, tuple(rest[brace + 1 :]), name.line, name.column)

    def string(self, children: list[Lexeme]) -> Scalar:
        return Scalar(text_of(children[0]), children[0].line or 0, children[0].column or 0)

    def number(self, children: list[Lexeme]) -> Scalar:
        return Scalar(number_of(children[0]), children[0].line or 0, children[0].column or 0)

    def constant(self, children: list[Lexeme]) -> Scalar:
        return Scalar(_CONSTANTS[children[0]], children[0].line or 0, children[0].column or 0)

    def word(self, children: list[Lexeme]) -> Scalar:
        return Scalar(str(children[0]), children[0].line or 0, children[0].column or 0)

    def sequence(self, children: list[Any]) -> ListValue:
        bracket, *items = children
        return ListValue(tuple(items), bracket.line, bracket.column)

    def mapping(self, children: list[Any]) -> ObjectValue:
        brace, *members = children
        return ObjectValue(tuple(members), brace.line, brace.column)

    def call(self, children: list[Any]) -> Call:
        name, *arguments = children
        return Call(str(name), tuple(arguments), name.line, name.column)


def _is_brace(child: Any) -> bool:
    return getattr(child, "type", None) == "LBRACE"


def _name(lexeme: Lexeme) -> str:
    return text_of(lexeme) if lexeme.type == "STRING" else str(lexeme)
