"""Named things of a block, an object or an override, in one shape."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from a3s_code.config.document import Attribute, Block, Item, ListValue, ObjectValue, Scalar, Value
from a3s_code.config.limits import DEFAULT_LIMITS
from a3s_code.config.secret import Secret
from a3s_code.errors import ConfigError

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """`name` in snake_case: apiKey, APIKey, api-key and api_key are one."""
    return _HUMP.sub("_", name).replace("-", "_").lower()


@dataclass(frozen=True, slots=True)
class Entry:
    """One named value or block. Entries of the same `group` stood in one pair of braces; line 0 is an override."""

    name: str
    content: Value | Block
    line: int
    column: int
    group: object

    @property
    def key(self) -> str:
        return canonical(self.name)

    @property
    def is_override(self) -> bool:
        return self.line == 0

    @property
    def is_body(self) -> bool:
        return isinstance(self.content, Block | ObjectValue)

    @property
    def is_null(self) -> bool:
        return isinstance(self.content, Scalar) and self.content.value is None


def entries_of(items: Iterable[Item]) -> list[Entry]:
    """The entries of one body, in order."""
    group = object()
    return [
        Entry(item.name, item.value if isinstance(item, Attribute) else item, item.line, item.column, group)
        for item in items
    ]


def value_of(key: str, plain: Any, depth: int = 1) -> Value:
    """The value that `plain` is in ACL; `key` names it in errors."""
    if depth > DEFAULT_LIMITS.nesting_depth:
        raise ConfigError(f"{key} is nested too deeply", key=key, hint="a value may not contain itself")
    if isinstance(plain, Secret):
        return Scalar(plain.reveal())
    if isinstance(plain, Decimal):
        return Scalar(float(plain))
    if isinstance(plain, os.PathLike):
        plain = os.fspath(plain)
    if plain is None or isinstance(plain, str | int | float):
        return Scalar(plain)
    if isinstance(plain, list | tuple):
        return ListValue(tuple(value_of(f"{key}[{index}]", item, depth + 1) for index, item in enumerate(plain)))
    if isinstance(plain, Mapping):
        if not all(isinstance(name, str) for name in plain):
            raise ConfigError(f"{key} has a name that is not text", key=key, hint="use text for every name")
        return ObjectValue(tuple(Attribute(n, value_of(f"{key}.{n}", item, depth + 1)) for n, item in plain.items()))
    message = f"{key} must be made of str, int, float, bool, None, list and dict; found {type(plain).__name__}"
    raise ConfigError(message, key=key, hint="give the setting as plain values")
