"""Compaction: the history is shortened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from a3s_code.kernel.events.event import Event


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ContextCompacted(Event):
    """The history was shortened."""

    type: ClassVar[Literal["context_compacted"]] = "context_compacted"
    session_id: str
    before_messages: int
    after_messages: int
    percent_before: float
    summary: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CompactionRepaired(Event):
    """A summary had lost contract fields; they were restored."""

    type: ClassVar[Literal["compaction_repaired"]] = "compaction_repaired"
    session_id: str
    restored: tuple[str, ...]
