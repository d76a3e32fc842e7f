"""What ACL text says, before anybody asks what it means: attributes, blocks and values, in order, each with its place.

Equality ignores places: `a: 1` equals `a = 1`. Text values are left out of every repr, since they may be secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

from a3s_code.config.diagnostics import Diagnostic

Atom = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, number, true, false or null. A bare word is the text of its name."""

    value: Atom = field(repr=False)
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)

    @property
    def kind(self) -> str:
        """ "text", "a number", "true or false" or "null"."""
        if isinstance(self.value, str):
            return "text"
        if isinstance(self.value, bool):
            return "true or false"
        return "null" if self.value is None else "a number"

    def plain(self) -> Atom:
        return self.value


@dataclass(frozen=True, slots=True)
class ListValue:
    """Values in square brackets."""

    items: tuple[Value, ...]
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)
    kind: ClassVar[str] = "a list"

    def plain(self) -> list[Any]:
        return [item.plain() for item in self.items]


@dataclass(frozen=True, slots=True)
class ObjectValue:
    """Members in braces, in a place where a value stands."""

    members: tuple[Attribute, ...]
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)
    kind: ClassVar[str] = "an object"

    def plain(self) -> dict[str, Any]:
        return {member.name: member.value.plain() for member in self.members}


@dataclass(frozen=True, slots=True)
class Call:
    """A function call. Parsing never evaluates one."""

    name: str
    arguments: tuple[Value, ...]
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)
    kind: ClassVar[str] = "a call"

    def plain(self) -> Call:
        return self


Value = Scalar | ListValue | ObjectValue | Call


@dataclass(frozen=True, slots=True)
class Attribute:
    """`name = value`."""

    name: str
    value: Value
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Block:
    """`name "label" { ... }`."""

    name: str
    labels: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)
    kind: ClassVar[str] = "a block"

    @property
    def attributes(self) -> Mapping[str, Value]:
        """By name; of two with one name the last."""
        return _attributes(self.items)

    @property
    def blocks(self) -> tuple[Block, ...]:
        return _blocks(self.items)


Item = Attribute | Block


@dataclass(frozen=True, slots=True)
class Document:
    """A whole text: its `items` in order, and the `warnings` that parsing gave."""

    items: tuple[Item, ...] = ()
    file: str | None = field(default=None, compare=False)
    warnings: tuple[Diagnostic, ...] = field(default=(), compare=False)

    @property
    def attributes(self) -> Mapping[str, Value]:
        """By name; of two with one name the last."""
        return _attributes(self.items)

    @property
    def blocks(self) -> tuple[Block, ...]:
        return _blocks(self.items)

    def as_blocks(self) -> tuple[Block, ...]:
        """The document as blocks alone: an attribute becomes an unlabelled block of its name that holds it."""
        return tuple(
            item if isinstance(item, Block) else Block(item.name, (), (item,), item.line, item.column)
            for item in self.items
        )


def _attributes(items: Iterable[Item]) -> Mapping[str, Value]:
    return MappingProxyType({item.name: item.value for item in items if isinstance(item, Attribute)})


def _blocks(items: Iterable[Item]) -> tuple[Block, ...]:
    return tuple(item for item in items if isinstance(item, Block))
