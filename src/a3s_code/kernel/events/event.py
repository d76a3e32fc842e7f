"""What all events share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Event:
    """What all events share: their `type` (also `event_type`) and `to_dict()`.

    Two events of one class with the same fields are equal. This is said here once, since to generate it for each of the
    many classes is a good part of what importing them costs.
    """

    type: ClassVar[str]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash((type(self), *_values(self)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{item.name}={getattr(self, item.name)!r}" for item in fields(self))
        return f"{type(self).__name__}({shown})"

    @property
    def event_type(self) -> str:
        return self.type

    def to_dict(self) -> dict[str, Any]:
        """The event as plain JSON values, `type` first."""
        body: dict[str, Any] = {"type": self.type}
        for item in fields(self):
            body[item.name] = _plain(getattr(self, item.name))
        return body


def _values(event: Any) -> tuple[Any, ...]:
    return tuple(getattr(event, item.name) for item in fields(event))


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    return str(value)
