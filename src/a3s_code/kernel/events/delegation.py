"""Action: work is handed to children and lanes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from a3s_code.kernel.events.event import Event


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SubagentStart(Event):
    """A child run began."""

    type: ClassVar[Literal["subagent_start"]] = "subagent_start"
    task_id: str
    session_id: str
    parent_session_id: str
    agent: str
    description: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SubagentProgress(Event):
    """A child run moved on."""

    type: ClassVar[Literal["subagent_progress"]] = "subagent_progress"
    task_id: str
    session_id: str
    status: str
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SubagentEnd(Event):
    """A child run ended."""

    type: ClassVar[Literal["subagent_end"]] = "subagent_end"
    task_id: str
    session_id: str
    agent: str
    output: str
    success: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ExternalTaskPending(Event):
    """Work waits for an outside worker."""

    type: ClassVar[Literal["external_task_pending"]] = "external_task_pending"
    task_id: str
    session_id: str
    lane: str
    command_type: str
    payload: Mapping[str, Any]
    timeout_ms: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ExternalTaskCompleted(Event):
    """An outside worker answered."""

    type: ClassVar[Literal["external_task_completed"]] = "external_task_completed"
    task_id: str
    session_id: str
    success: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CommandRetry(Event):
    """A lane tries a command again."""

    type: ClassVar[Literal["command_retry"]] = "command_retry"
    command_id: str
    command_type: str
    lane: str
    attempt: int
    delay_ms: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CommandDeadLettered(Event):
    """A lane gave a command up."""

    type: ClassVar[Literal["command_dead_lettered"]] = "command_dead_lettered"
    command_id: str
    command_type: str
    lane: str
    error: str
    attempts: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class QueueAlert(Event):
    """A lane is filling up."""

    type: ClassVar[Literal["queue_alert"]] = "queue_alert"
    level: str
    alert_type: str
    message: str
