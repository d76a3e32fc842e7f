"""How much ACL text is read before it is refused."""

from __future__ import annotations

from dataclasses import dataclass, fields

from a3s_code.errors import InvalidOption

DEEPEST = 100
"""The greatest nesting depth that may be asked for: values are compared and read back by recursion."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one document. Bytes are UTF-8.

    `collection_items` holds for each list, object, block body, label list, argument list and for the document itself;
    `token_bytes` for each token, comments included; `diagnostics` is how many errors are collected. Raises
    InvalidOption on a value out of range.
    """

    document_bytes: int = 1024 * 1024
    nesting_depth: int = 64
    collection_items: int = 10_000
    token_bytes: int = 256 * 1024
    diagnostics: int = 100

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise InvalidOption(f"{item.name} must be a whole number, 0 or more", field=item.name)
        if self.nesting_depth > DEEPEST:
            raise InvalidOption(f"nesting_depth must be {DEEPEST} or less", field="nesting_depth")


DEFAULT_LIMITS = Limits()
