"""A harness-driven runtime for coding agents.

    from a3s_code import Agent

    agent = Agent.create("agent.acl")
    session = agent.session("/my-project")
    print(session.send("Find where authentication errors are handled").text)

Names are loaded when they are first used; importing the package touches no disk, no network and no environment.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from a3s_code.api.agent import Agent, AsyncAgent
    from a3s_code.api.async_session import AsyncAgentSession
    from a3s_code.api.options import SessionOptions
    from a3s_code.api.results import AgentResult, ToolResult
    from a3s_code.api.session import AgentSession
    from a3s_code.errors import (
        A3SError,
        ArgumentError,
        ConfigError,
        HarnessError,
        ModelError,
        SessionBusy,
        ToolError,
        UsageError,
    )
    from a3s_code.harness.safety.confirmation import ConfirmationPolicy
    from a3s_code.harness.safety.permissions import PermissionPolicy
    from a3s_code.harness.safety.security import DefaultSecurityProvider
    from a3s_code.kernel.capability import Capability
    from a3s_code.kernel.contracts import Check
    from a3s_code.kernel.events import AgentEvent
    from a3s_code.kernel.hook import Hook
    from a3s_code.kernel.ports import Harness
    from a3s_code.stores.inmemory import MemorySessionStore
    from a3s_code.stores.sqlite import FileSessionStore
    from a3s_code.toolkit import Tool, tool

__version__ = "0.1.0"

_HOMES = {
    "Agent": "api.agent",
    "AsyncAgent": "api.agent",
    "AgentSession": "api.session",
    "AsyncAgentSession": "api.async_session",
    "SessionOptions": "api.options",
    "AgentResult": "api.results",
    "ToolResult": "api.results",
    "Harness": "kernel.ports",
    "AgentEvent": "kernel.events",
    "Capability": "kernel.capability",
    "Check": "kernel.contracts",
    "ConfirmationPolicy": "harness.safety.confirmation",
    "DefaultSecurityProvider": "harness.safety.security",
    "Hook": "kernel.hook",
    "PermissionPolicy": "harness.safety.permissions",
    "FileSessionStore": "stores.sqlite",
    "MemorySessionStore": "stores.inmemory",
    "Tool": "toolkit",
    "tool": "toolkit",
    "A3SError": "errors",
    "ArgumentError": "errors",
    "ConfigError": "errors",
    "HarnessError": "errors",
    "ModelError": "errors",
    "SessionBusy": "errors",
    "ToolError": "errors",
    "UsageError": "errors",
}

__all__ = [
    "A3SError",
    "Agent",
    "AgentEvent",
    "AgentResult",
    "AgentSession",
    "ArgumentError",
    "AsyncAgent",
    "AsyncAgentSession",
    "Capability",
    "Check",
    "ConfigError",
    "ConfirmationPolicy",
    "DefaultSecurityProvider",
    "FileSessionStore",
    "Harness",
    "HarnessError",
    "Hook",
    "MemorySessionStore",
    "ModelError",
    "PermissionPolicy",
    "SessionBusy",
    "SessionOptions",
    "Tool",
    "ToolError",
    "ToolResult",
    "UsageError",
    "tool",
]


def __getattr__(name: str) -> Any:
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module 'a3s_code' has no attribute {name!r}")
    with import_module("a3s_code.system.garbage").uncollected():
        module = import_module(f"a3s_code.{home}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
