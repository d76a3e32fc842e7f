"""Context: the prompt is put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from a3s_code.kernel.events.event import Event


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ContextResolving(Event):
    """Context sources are being asked."""

    type: ClassVar[Literal["context_resolving"]] = "context_resolving"
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ContextResolved(Event):
    """The prompt's items are chosen."""

    type: ClassVar[Literal["context_resolved"]] = "context_resolved"
    total_items: int
    total_tokens: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MemoryStored(Event):
    """A memory was written."""

    type: ClassVar[Literal["memory_stored"]] = "memory_stored"
    memory_id: str
    memory_type: str
    importance: float
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MemoryRecalled(Event):
    """A memory entered the context."""

    type: ClassVar[Literal["memory_recalled"]] = "memory_recalled"
    memory_id: str
    content: str
    relevance: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MemoriesSearched(Event):
    """The memory was searched."""

    type: ClassVar[Literal["memories_searched"]] = "memories_searched"
    query: str | None = None
    tags: tuple[str, ...] = ()
    result_count: int = 0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MemoryCleared(Event):
    """Memories were dropped."""

    type: ClassVar[Literal["memory_cleared"]] = "memory_cleared"
    tier: str
    count: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PrefixChanged(Event):
    """The stable part of the prompt moved, and why."""

    type: ClassVar[Literal["prefix_changed"]] = "prefix_changed"
    cause: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class WorkspaceUntrusted(Event):
    """Configuration of the workspace was left unused."""

    type: ClassVar[Literal["workspace_untrusted"]] = "workspace_untrusted"
    path: str
    digest: str
    reason: str
