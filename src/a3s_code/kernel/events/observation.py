"""Observation: a turn ends, and what else is noticed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.events.event import Event


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TurnEnd(Event):
    """A model call and its actions are done."""

    type: ClassVar[Literal["turn_end"]] = "turn_end"
    turn: int
    usage: Usage


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PersistenceFailed(Event):
    """A store did not take a record; the session goes on in memory."""

    type: ClassVar[Literal["persistence_failed"]] = "persistence_failed"
    session_id: str
    operation: str
    error: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BudgetThresholdHit(Event):
    """A budget is nearly or wholly used."""

    type: ClassVar[Literal["budget_threshold_hit"]] = "budget_threshold_hit"
    resource: str
    kind: str
    consumed: float
    limit: float
    message: str | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LimitReached(Event):
    """A limit ends the run."""

    type: ClassVar[Literal["limit_reached"]] = "limit_reached"
    limit: str
    message: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RunResumed(Event):
    """An interrupted run goes on."""

    type: ClassVar[Literal["run_resumed"]] = "run_resumed"
    run_id: str
    from_sequence: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PassivationRequested(Event):
    """The host asked the session to rest."""

    type: ClassVar[Literal["passivation_requested"]] = "passivation_requested"
    reason: str
    deadline_ms: int | None = None
