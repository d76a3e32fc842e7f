"""What was recorded: the ordered events of a run, its snapshot, and a line for each call that was carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from a3s_code.kernel.contracts import Origin, RunStatus
from a3s_code.kernel.events import AgentEnd, AgentEvent, Error
from a3s_code.kernel.record import Record

Subscriber = Callable[[AgentEvent], None]


@dataclass(frozen=True, slots=True, eq=False)
class RunSnapshot(Record):
    """A run at one moment. Times are milliseconds since 1970; `event_count` counts every event it ever emitted."""

    id: str
    session_id: str
    status: RunStatus
    prompt: str
    created_at_ms: int
    updated_at_ms: int
    result_text: str | None = None
    error: str | None = None
    event_count: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class RunEventRecord(Record):
    """One event of a run, in its place: `sequence` counts from 0 without a gap."""

    sequence: int
    timestamp_ms: int
    event: AgentEvent

    def to_dict(self) -> dict[str, Any]:
        return {"sequence": self.sequence, "timestamp_ms": self.timestamp_ms, "event": self.event.to_dict()}


@dataclass(frozen=True, slots=True, eq=False)
class ActiveTool(Record):
    """A call that runs at this moment."""

    id: str
    name: str
    started_at_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class TraceEvent(Record):
    """One carried-out or refused call, without its argument values."""

    name: str
    success: bool
    exit_code: int
    duration_ms: int
    output_bytes: int
    origin: Origin
    run_id: str | None
    error_kind: str | None = None
    metadata_keys: tuple[str, ...] = ()
    artifact_uris: tuple[str, ...] = ()
    kind: str = "tool_execution"
    schema: str = "a3s.trace_event.v1"
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


Keep = Callable[[RunEventRecord, Callable[[bool], None]], None]
"""Stores a record, and calls back with whether it is durable."""

IN_MEMORY = 512
ENDINGS = (AgentEnd, Error)


class EventLog:
    """The ordered events of one run. Appended on one event loop; may be read from any thread.

    Without `keep` all events stay in memory, and subscribers hear of each at once. With it they hear of an event when
    it is stored, and only the newest stay in memory.
    """

    def __init__(self, now_ms: Callable[[], int], keep: Keep | None = None) -> None:
        self._now_ms = now_ms
        self._keep = keep
        self._records: list[RunEventRecord] = []
        self._subscribers: tuple[Subscriber, ...] = ()
        self._count = self._stored = 0
        self.finished = False

    def __len__(self) -> int:
        return self._count

    @property
    def first(self) -> int:
        """The sequence of the oldest record in memory; the number of all records where there is none."""
        return self._count - len(self._records)

    def append(self, event: AgentEvent) -> RunEventRecord:
        """Record `event` and tell the subscribers; they must not raise or block."""
        record = RunEventRecord(self._count, self._now_ms(), event)
        self._count += 1
        self._records.append(record)
        if self._keep is None:
            self._deliver(event)
        else:
            self._keep(record, partial(self._tell, record))
        return record

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers = (*self._subscribers, subscriber)

    def records(self, after: int = -1, limit: int | None = None) -> list[RunEventRecord]:
        """The records in memory with a sequence above `after`, at most `limit`."""
        start = max(after + 1 - self.first, 0)
        return self._records[start : None if limit is None else start + limit]

    def restore(self, count: int) -> None:
        """Go on behind `count` events that are in the store."""
        self._count = self._stored = count

    def _tell(self, record: RunEventRecord, durable: bool) -> None:
        if durable:
            self._stored = record.sequence + 1
            if len(self._records) > 2 * IN_MEMORY:
                keep_from = min(self._stored, self._count - IN_MEMORY) - self.first
                del self._records[: max(keep_from, 0)]
        self._deliver(record.event)

    def _deliver(self, event: AgentEvent) -> None:
        self.finished = type(event) in ENDINGS
        for subscriber in self._subscribers:
            subscriber(event)
