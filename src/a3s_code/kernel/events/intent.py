"""Intent: the request is read, and planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from a3s_code.kernel.events.event import Event


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AgentStart(Event):
    """A run began."""

    type: ClassVar[Literal["agent_start"]] = "agent_start"
    prompt: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AgentModeChanged(Event):
    """The kind of work changed."""

    type: ClassVar[Literal["agent_mode_changed"]] = "agent_mode_changed"
    mode: str
    agent: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IntentResolved(Event):
    """The router's reading of the request."""

    type: ClassVar[Literal["intent_resolved"]] = "intent_resolved"
    mode: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GoalExtracted(Event):
    """The goal the plan serves."""

    type: ClassVar[Literal["goal_extracted"]] = "goal_extracted"
    goal: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GoalProgress(Event):
    """A step towards the goal ended."""

    type: ClassVar[Literal["goal_progress"]] = "goal_progress"
    goal: str
    progress: float
    completed_steps: int
    total_steps: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GoalAchieved(Event):
    """The goal is reached."""

    type: ClassVar[Literal["goal_achieved"]] = "goal_achieved"
    goal: str
    total_steps: int
    duration_ms: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlanningStart(Event):
    """Planning began."""

    type: ClassVar[Literal["planning_start"]] = "planning_start"
    prompt: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlanningEnd(Event):
    """The plan stands."""

    type: ClassVar[Literal["planning_end"]] = "planning_end"
    plan: Mapping[str, Any]
    estimated_steps: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TaskUpdated(Event):
    """The task list changed."""

    type: ClassVar[Literal["task_updated"]] = "task_updated"
    session_id: str
    tasks: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StepStart(Event):
    """Work on a plan step began."""

    type: ClassVar[Literal["step_start"]] = "step_start"
    step_id: str
    description: str
    step_number: int
    total_steps: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StepEnd(Event):
    """A plan step ended."""

    type: ClassVar[Literal["step_end"]] = "step_end"
    step_id: str
    status: str
    step_number: int
    total_steps: int
