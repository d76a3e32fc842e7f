"""Action: calls are judged and run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from a3s_code.kernel.events.event import Event


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ToolInputDelta(Event):
    """A piece of a call's arguments while the model writes them."""

    type: ClassVar[Literal["tool_input_delta"]] = "tool_input_delta"
    delta: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ToolStart(Event):
    """A call was taken up; exactly one tool_end with its id follows."""

    type: ClassVar[Literal["tool_start"]] = "tool_start"
    id: str
    name: str
    args: str = ""
    args_digest: str = ""
    origin: str = "model"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ToolOutputDelta(Event):
    """Output of a call that still runs."""

    type: ClassVar[Literal["tool_output_delta"]] = "tool_output_delta"
    id: str
    name: str
    delta: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PermissionDenied(Event):
    """The gate refused a call."""

    type: ClassVar[Literal["permission_denied"]] = "permission_denied"
    tool_id: str
    tool_name: str
    args: str
    reason: str
    rule: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ConfirmationRequired(Event):
    """A person is asked about a call."""

    type: ClassVar[Literal["confirmation_required"]] = "confirmation_required"
    tool_id: str
    tool_name: str
    args: str
    timeout_ms: int | None = None
    args_digest: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ConfirmationReceived(Event):
    """The person answered."""

    type: ClassVar[Literal["confirmation_received"]] = "confirmation_received"
    tool_id: str
    approved: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ConfirmationTimeout(Event):
    """The person did not answer in time."""

    type: ClassVar[Literal["confirmation_timeout"]] = "confirmation_timeout"
    tool_id: str
    action_taken: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HookFailed(Event):
    """A hook raised, hung or could not start."""

    type: ClassVar[Literal["hook_failed"]] = "hook_failed"
    hook: str
    event_name: str
    error: str
    gating: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ToolEnd(Event):
    """A call ended, was refused or was cut off."""

    type: ClassVar[Literal["tool_end"]] = "tool_end"
    id: str
    name: str
    output: str
    exit_code: int
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error_kind: str | None = None
