"""Records: frozen values that can be read as objects and as mappings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any


class Record(Mapping[str, Any]):
    """A dataclass that is also a mapping of its public fields: `run["id"]` and `run.id` are the same."""

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        if key in self.__dataclass_fields__:  # type: ignore[attr-defined]  # every subclass is a dataclass
            return getattr(self, key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return (item.name for item in fields(self))  # type: ignore[arg-type]  # as above

    def __len__(self) -> int:
        return len(fields(self))  # type: ignore[arg-type]  # as above
