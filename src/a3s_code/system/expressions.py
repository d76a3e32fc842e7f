"""What a search expression is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from a3s_code.system.charsets import CharSet

Border = Literal["^", "$", "b", "B", "<", ">"]


@dataclass(frozen=True, slots=True)
class Char:
    """One character; with `fold` in either case."""

    char: str
    fold: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """One character of a set; of None, any character of the line."""

    of: CharSet | None


@dataclass(frozen=True, slots=True)
class Edge:
    """A place between characters: line start and end, a word's border or none, a word's start and end."""

    border: Border


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`high` None: without end."""

    item: Node
    low: int
    high: int | None
    lazy: bool


@dataclass(frozen=True, slots=True)
class Group:
    """`number` from 1; None where it is not counted."""

    item: Node
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """What must or must not stand here, or before; or, with the sign `>`, what is never tried again."""

    item: Node
    sign: Literal["=", "!", "<=", "<!", ">"]


@dataclass(frozen=True, slots=True)
class Again:
    """What a group matched, once more."""

    number: int
    fold: bool


Node = Char | OneOf | Edge | Sequence | Choice | Repeat | Group | Around | Again


@dataclass(frozen=True, slots=True)
class Pattern:
    """An expression. `beyond`: it holds what ripgrep does not know."""

    node: Node
    beyond: bool
