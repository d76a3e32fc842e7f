"""What happened: one closed union of frozen events, grouped by the phase of the loop that emits them.

Order in a run: agent_start first; each tool_start has exactly one tool_end with the same id, permission and
confirmation events between; exactly one of agent_end and error, last. `to_dict()` gives plain JSON values with `type`;
`decode` reads them back, and gives an UnknownEvent for a type of a later version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, get_args

from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.events.compaction import CompactionRepaired, ContextCompacted
from a3s_code.kernel.events.context import (
    ContextResolved,
    ContextResolving,
    MemoriesSearched,
    MemoryCleared,
    MemoryRecalled,
    MemoryStored,
    PrefixChanged,
    WorkspaceUntrusted,
)
from a3s_code.kernel.events.delegation import (
    CommandDeadLettered,
    CommandRetry,
    ExternalTaskCompleted,
    ExternalTaskPending,
    QueueAlert,
    SubagentEnd,
    SubagentProgress,
    SubagentStart,
)
from a3s_code.kernel.events.ending import AgentEnd, Error
from a3s_code.kernel.events.event import Event
from a3s_code.kernel.events.intent import (
    AgentModeChanged,
    AgentStart,
    GoalAchieved,
    GoalExtracted,
    GoalProgress,
    IntentResolved,
    PlanningEnd,
    PlanningStart,
    StepEnd,
    StepStart,
    TaskUpdated,
)
from a3s_code.kernel.events.model import (
    ModelRetry,
    ReasoningDelta,
    TextDelta,
    TextWithdrawn,
    TurnStart,
)
from a3s_code.kernel.events.observation import (
    BudgetThresholdHit,
    LimitReached,
    PassivationRequested,
    PersistenceFailed,
    RunResumed,
    TurnEnd,
)
from a3s_code.kernel.events.tools import (
    ConfirmationReceived,
    ConfirmationRequired,
    ConfirmationTimeout,
    HookFailed,
    PermissionDenied,
    ToolEnd,
    ToolInputDelta,
    ToolOutputDelta,
    ToolStart,
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnknownEvent(Event):
    """An event of a type this version does not know; `body` is all it carried."""

    type: ClassVar[Literal["unknown"]] = "unknown"
    event_name: str
    body: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {"type": self.event_name, **self.body}


AgentEvent = (
    AgentStart
    | AgentModeChanged
    | IntentResolved
    | GoalExtracted
    | GoalProgress
    | GoalAchieved
    | PlanningStart
    | PlanningEnd
    | TaskUpdated
    | StepStart
    | StepEnd
    | ContextResolving
    | ContextResolved
    | MemoryStored
    | MemoryRecalled
    | MemoriesSearched
    | MemoryCleared
    | PrefixChanged
    | WorkspaceUntrusted
    | TurnStart
    | TextDelta
    | ReasoningDelta
    | TextWithdrawn
    | ModelRetry
    | ToolInputDelta
    | ToolStart
    | ToolOutputDelta
    | PermissionDenied
    | ConfirmationRequired
    | ConfirmationReceived
    | ConfirmationTimeout
    | HookFailed
    | ToolEnd
    | SubagentStart
    | SubagentProgress
    | SubagentEnd
    | ExternalTaskPending
    | ExternalTaskCompleted
    | CommandRetry
    | CommandDeadLettered
    | QueueAlert
    | TurnEnd
    | PersistenceFailed
    | BudgetThresholdHit
    | LimitReached
    | RunResumed
    | PassivationRequested
    | ContextCompacted
    | CompactionRepaired
    | AgentEnd
    | Error
    | UnknownEvent
)

EVENT_TYPES: Mapping[str, type[Event]] = {event.type: event for event in get_args(AgentEvent)}


def decode(body: Mapping[str, Any]) -> AgentEvent:
    """The event that `to_dict()` gave; raises TypeError where a field is missing."""
    values = {str(key): value for key, value in body.items() if key != "type"}
    name = str(body.get("type", ""))
    kind = EVENT_TYPES.get(name)
    if kind is None or kind is UnknownEvent:
        return UnknownEvent(name, values)
    known = {item.name: item.type for item in fields(kind)}
    built: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            continue
        if known[key] == "Usage":
            value = Usage(**value)
        elif str(known[key]).startswith("tuple"):
            value = tuple(value)
        built[key] = value
    event: Any = kind(**built)
    return event  # type: ignore[no-any-return]  # kind is a member of the union


__all__ = [
    "EVENT_TYPES",
    "AgentEnd",
    "AgentEvent",
    "AgentModeChanged",
    "AgentStart",
    "BudgetThresholdHit",
    "CommandDeadLettered",
    "CommandRetry",
    "CompactionRepaired",
    "ConfirmationReceived",
    "ConfirmationRequired",
    "ConfirmationTimeout",
    "ContextCompacted",
    "ContextResolved",
    "ContextResolving",
    "Error",
    "Event",
    "ExternalTaskCompleted",
    "ExternalTaskPending",
    "GoalAchieved",
    "GoalExtracted",
    "GoalProgress",
    "HookFailed",
    "IntentResolved",
    "LimitReached",
    "MemoriesSearched",
    "MemoryCleared",
    "MemoryRecalled",
    "MemoryStored",
    "ModelRetry",
    "PassivationRequested",
    "PermissionDenied",
    "PersistenceFailed",
    "PlanningEnd",
    "PlanningStart",
    "PrefixChanged",
    "QueueAlert",
    "ReasoningDelta",
    "RunResumed",
    "StepEnd",
    "StepStart",
    "SubagentEnd",
    "SubagentProgress",
    "SubagentStart",
    "TaskUpdated",
    "TextDelta",
    "TextWithdrawn",
    "ToolEnd",
    "ToolInputDelta",
    "ToolOutputDelta",
    "ToolStart",
    "TurnEnd",
    "TurnStart",
    "UnknownEvent",
    "WorkspaceUntrusted",
    "decode",
]
