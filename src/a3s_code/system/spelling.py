"""An expression in the spelling of an engine, and the words without which it cannot match."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from a3s_code.system.charsets import (
    ASCII,
    NEWLINE,
    UNICODE,
    Bracket,
    CharSet,
    Combined,
    Named,
    Span,
    members,
    spans,
    word_characters,
)
from a3s_code.system.expressions import Again, Around, Char, Choice, Edge, Group, Node, OneOf, Pattern, Repeat, Sequence

MAX_WORDS = 8

_RUST_EDGES = {"^": "^", "$": "$", "b": r"\b", "B": r"\B", "<": r"\b{start}", ">": r"\b{end}"}
_ASCII_EDGES = {"^": "^", "$": "$", "b": r"\b", "B": r"\B", "<": r"\b(?=\w)", ">": r"\b(?<=\w)"}
_UNICODE_EDGES = {
    "^": "^",
    "$": "$",
    "b": "(?:(?<=W)(?!W)|(?<!W)(?=W))",
    # Beside a byte that is no text there is neither a border nor the absence of one.
    "B": "(?:(?<=W)(?=W)|(?<!W)(?!W)(?<![\ud800-\udfff])(?![\ud800-\udfff]))",
    "<": "(?<!W)(?=W)",
    ">": "(?<=W)(?!W)",
}


@dataclass(frozen=True, slots=True)
class Needles:
    """Every match holds one of `words`; with `fold` in any case, here in lower case. `whole`: a match is no more."""

    words: tuple[str, ...] = ()
    fold: bool = False
    whole: bool = False


def in_rust(pattern: Pattern) -> str:
    """As ripgrep writes it, in what each of its versions knows where there is a choice."""
    return _rust(pattern.node)


def in_python(pattern: Pattern, *, ascii_only: bool) -> str:
    """As `re` writes it, to be compiled with MULTILINE; no match goes over a line's end.

    Right for texts of ASCII characters only, or for all, in which lone surrogates stand for bytes that are no text.
    """
    return _python(pattern.node, ASCII if ascii_only else UNICODE, counted=pattern.beyond)


def needles(pattern: Pattern) -> Needles:
    """The words to look for first; none where no word is needed."""
    found = _needed(pattern.node) or Needles()
    node = pattern.node
    chars = node.items if isinstance(node, Sequence) else (node,)
    whole = all(isinstance(item, Char) and not item.fold for item in chars)
    return Needles(found.words, found.fold, whole and bool(found.words))


def _rust(node: Node) -> str:
    match node:
        case Char(char, fold):
            return f"(?i:{_rust_char(char)})" if fold and char.lower() != char.upper() else _rust_char(char)
        case OneOf(charset):
            if charset is None:
                return "."
            folds = isinstance(charset, Bracket) and charset.fold
            return f"(?i:{_rust_set(charset)})" if folds else _rust_set(charset)
        case Edge(border):
            return _RUST_EDGES[border]
        case Sequence(items):
            return "".join(map(_rust, items))
        case Choice(items):
            return f"(?:{'|'.join(map(_rust, items))})"
        case Repeat(item, low, high, lazy):
            return f"(?:{_rust(item)}){_count(low, high)}{'?' if lazy else ''}"
        case Group(item):
            return f"(?:{_rust(item)})"
        case Around() | Again():
            raise ValueError(node)


def _rust_char(char: str) -> str:
    return f"\\{char}" if char in r"\.+*?()|[]{}^$#&-~" else char


def _rust_set(charset: CharSet) -> str:
    """In brackets, or in a spelling that can stand by itself and in brackets."""
    match charset:
        case Span(low, high):
            return f"\\x{{{low:x}}}-\\x{{{high:x}}}"
        case Named("posix", name, negated):
            return f"[[:{'^' if negated else ''}{name}:]]"
        case Named("perl", name, negated):
            return f"\\{name.upper() if negated else name}"
        case Named(_, name, negated):
            # Said in full: some versions take `sc` and `cf` for other properties.
            return f"\\{'P' if negated else 'p'}{{{'gc=' + name if name else 'Any'}}}"
        case Combined(sign, left, right):
            return f"[{_rust_set(left)}{sign}{_rust_set(right)}]"
        case Bracket(items, negated):
            return f"[{'^' if negated else ''}{''.join(map(_rust_set, items))}]"


def _python(node: Node, width: int, *, counted: bool) -> str:
    def spell(item: Node) -> str:
        return _python(item, width, counted=counted)

    match node:
        case Char(char, fold):
            return _python_set(Bracket((Span(ord(char), ord(char)),), fold=True), width) if fold else re.escape(char)
        case OneOf(charset):
            return _python_set(charset, width)
        case Edge(border):
            return _python_edge(border, width)
        case Sequence(items):
            return "".join(map(spell, items))
        case Choice(items):
            return f"(?:{'|'.join(map(spell, items))})"
        case Repeat(item, low, high, lazy):
            return f"(?:{spell(item)}){_count(low, high)}{'?' if lazy else ''}"
        case Group(item, number):
            return f"({'' if number and counted else '?:'}{spell(item)})"
        case Around(item, sign):
            return f"(?{sign}{spell(item)})"
        case Again(number, fold):
            return f"(?i:(?:\\{number}))" if fold else f"(?:\\{number})"


def _python_edge(border: str, width: int) -> str:
    if width == ASCII:
        return _ASCII_EDGES[border]
    spelled = _UNICODE_EDGES[border]
    return spelled.replace("W", _python_mask(word_characters(width), width)) if "W" in spelled else spelled


def _python_set(charset: CharSet | None, width: int) -> str:
    if charset is None:
        return "." if width == ASCII else "[^\n\ud800-\udfff]"
    return _python_mask(members(charset, width), width)


@lru_cache(128)
def _python_mask(mask: int, width: int) -> str:
    mask &= ~NEWLINE
    if not mask:
        return "(?!)"
    # Of a set that goes on to the last character it is shorter to say what is not in it.
    if mask >> (width - 1):
        rest = ((1 << width) - 1) & ~mask
        return "." if rest == NEWLINE else f"[^{_python_spans(rest)}]"
    return f"[{_python_spans(mask)}]"


def _python_spans(mask: int) -> str:
    ends = (low_high if low_high[0] != low_high[1] else low_high[:1] for low_high in spans(mask))
    return "".join("-".join(re.escape(chr(end)) for end in run) for run in ends)


def _count(low: int, high: int | None) -> str:
    if high is None:
        return {0: "*", 1: "+"}.get(low, f"{{{low},}}")
    return "?" if (low, high) == (0, 1) else f"{{{low},{high}}}"


def _needed(node: Node) -> Needles | None:
    match node:
        case Char(char, fold):
            return _word(char, fold=fold)
        case Group(item):
            return _needed(item)
        case Repeat(item, low):
            return _needed(item) if low else None
        case Choice(items):
            return _either([_needed(item) for item in items])
        case Sequence(items):
            return max(_parts(items), key=_worth, default=None)
        case _:
            return None


def _parts(items: Iterable[Node]) -> list[Needles]:
    """What each of neighbours needs, characters that follow one another as one word."""
    parts: list[Needles] = []
    run: list[Char] = []
    for item in items:
        if isinstance(item, Char) and (not run or run[-1].fold == item.fold):
            run.append(item)
            continue
        if isinstance(item, Edge):
            continue
        parts += _runs(run)
        run = [item] if isinstance(item, Char) else []
        needed = None if isinstance(item, Char) else _needed(item)
        if needed is not None:
            parts.append(needed)
    return parts + _runs(run)


def _runs(run: list[Char]) -> list[Needles]:
    found = _word("".join(item.char for item in run), fold=run[0].fold) if run else None
    return [found] if found else []


def _word(word: str, *, fold: bool) -> Needles | None:
    if not fold:
        return Needles((word,))
    return Needles((word.lower(),), fold=True) if word.isascii() else None


def _either(parts: list[Needles | None]) -> Needles | None:
    words: list[str] = []
    for part in parts:
        if part is None:
            return None
        words += part.words
    if len(words) > MAX_WORDS or len({part.fold for part in parts if part}) > 1:
        return None
    return Needles(tuple(words), bool(parts and parts[0] and parts[0].fold))


def _worth(found: Needles) -> float:
    return min(map(len, found.words)) - len(found.words) / 2
