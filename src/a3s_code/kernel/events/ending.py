"""Verification and the end: the run ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.events.event import Event


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AgentEnd(Event):
    """The run ended: completed, limit_reached or cancelled."""

    type: ClassVar[Literal["agent_end"]] = "agent_end"
    text: str
    usage: Usage
    verification_summary: Mapping[str, Any] = field(default_factory=dict[str, Any])
    status: str = "completed"
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Error(Event):
    """The run failed."""

    type: ClassVar[Literal["error"]] = "error"
    message: str
    kind: str = ""
