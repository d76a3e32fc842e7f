"""What can be told only of a whole document: collections too long, numbers too large, attributes given twice."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from a3s_code.config.diagnostics import Diagnostic, line_start, span_of
from a3s_code.config.document import Attribute, Block, Call, Item, ListValue, ObjectValue, Scalar, Value
from a3s_code.config.faults import limit_fault
from a3s_code.config.limits import Limits
from a3s_code.config.tokens import Token

_Place = tuple[int, int]
_Node = Attribute | Block | Value


@dataclass(slots=True)
class _Findings:
    """Places (line, column) of what was found, for an excess with the tokens from there to the first one too many."""

    excess: list[tuple[_Place, int]] = field(default_factory=list[tuple[_Place, int]])
    too_large: list[_Place] = field(default_factory=list[_Place])
    repeated: list[_Place] = field(default_factory=list[_Place])


def review(
    text: str, tokens: Sequence[Token], items: tuple[Item, ...], limits: Limits, above: int = 0
) -> tuple[Diagnostic | None, tuple[Diagnostic, ...]]:
    """The first fault in `items`, which were read from `text`, and up to `limits.diagnostics` warnings.

    `above` is how many lines of the text stand before the first line of the items.
    """
    findings = _inspect(items, limits.collection_items)
    faults = []
    for place, skip in sorted(findings.excess)[:1]:
        token = _token_at(text, tokens, place, above, skip)
        faults.append(limit_fault("collection_items", limits, text, token.start, token.end))
    for place in sorted(findings.too_large)[:1]:
        token = _token_at(text, tokens, place, above)
        span = span_of(text, token.start, token.end)
        hint = "a number may be 1.7e308 at the most; put longer ones in quotes"
        faults.append(Diagnostic("acl.parse.invalid_number", "Number too large", span, hint))
    warnings = []
    for place in sorted(findings.repeated)[: limits.diagnostics]:
        token = _token_at(text, tokens, place, above)
        span = span_of(text, token.start, token.end)
        message, hint = "Attribute given before in this block; the last one counts", "remove one of them"
        warnings.append(Diagnostic("acl.parse.duplicate_attribute", message, span, hint, "warning"))
    return min(faults, key=lambda fault: fault.span, default=None), tuple(warnings)


def _inspect(items: tuple[Item, ...], most: int) -> _Findings:
    """Walks without recursion, however deep the document is."""
    findings = _Findings()
    groups: list[Sequence[_Node]] = [items]
    while groups:
        group = groups.pop()
        if len(group) > most:
            findings.excess.append(((group[most].line, group[most].column), 0))
        names: set[str] = set()
        for node in group:
            value = node
            if isinstance(node, Attribute):
                if node.name in names:
                    findings.repeated.append((node.line, node.column))
                names.add(node.name)
                value = node.value
            if isinstance(value, Scalar):
                if isinstance(value.value, float) and not math.isfinite(value.value):
                    findings.too_large.append((value.line, value.column))
            elif isinstance(value, ObjectValue):
                groups.append(value.members)
            elif isinstance(value, Call):
                groups.append(value.arguments)
            elif isinstance(value, ListValue | Block):
                groups.append(value.items)
                if isinstance(value, Block) and len(value.labels) > most:
                    findings.excess.append(((value.line, value.column), most + 1))
    return findings


def _token_at(text: str, tokens: Sequence[Token], place: _Place, above: int, skip: int = 0) -> Token:
    """The token at `place`, or the one `skip` tokens after it, comments left out."""
    line, column = place
    start = line_start(text, line + above) + column - 1
    at = bisect_left(tokens, start, key=lambda token: token.start)
    following = (token for token in islice(tokens, at, None) if token.kind != "Comment")
    return next(islice(following, skip, None))
