"""Stores: where sessions and outputs are kept. The classes are loaded when they are first used, SQLite with them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from a3s_code.stores.inmemory import MemorySessionStore as MemorySessionStore
    from a3s_code.stores.sqlite import FileSessionStore as FileSessionStore

_HOMES = {"FileSessionStore": "sqlite", "MemorySessionStore": "inmemory"}


def __getattr__(name: str) -> Any:
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module 'a3s_code.stores' has no attribute {name!r}")
    return getattr(import_module(f"a3s_code.stores.{home}"), name)
