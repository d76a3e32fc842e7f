"""Action: the model is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from a3s_code.kernel.events.event import Event


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TurnStart(Event):
    """A model call begins; turns count from 1."""

    type: ClassVar[Literal["turn_start"]] = "turn_start"
    turn: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TextDelta(Event):
    """A piece of the answer, exactly as it came."""

    type: ClassVar[Literal["text_delta"]] = "text_delta"
    text: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReasoningDelta(Event):
    """A piece of the model's reasoning."""

    type: ClassVar[Literal["reasoning_delta"]] = "reasoning_delta"
    text: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TextWithdrawn(Event):
    """The text shown in this turn is void; the turn is asked again."""

    type: ClassVar[Literal["text_withdrawn"]] = "text_withdrawn"
    turn: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ModelRetry(Event):
    """A model call failed and is made again after `delay_ms`; `attempt` is the number of the call to come, `model` who
    is asked."""

    type: ClassVar[Literal["model_retry"]] = "model_retry"
    attempt: int
    delay_ms: int
    error: str
    model: str = ""
