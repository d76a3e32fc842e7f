"""A capability: a named bundle of what an agent can do."""

from __future__ import annotations

from dataclasses import dataclass

from a3s_code.kernel.hook import Hook
from a3s_code.kernel.ports import Policy
from a3s_code.kernel.tool import ToolPort


@dataclass(frozen=True, slots=True)
class Capability:
    """Tools, policies and hooks that belong together and are switched on together."""

    name: str
    tools: tuple[ToolPort, ...] = ()
    policies: tuple[Policy, ...] = ()
    hooks: tuple[Hook, ...] = ()
