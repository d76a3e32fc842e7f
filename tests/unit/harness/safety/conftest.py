"""Asks a gate about a call as the core tools would declare it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from a3s_code.harness.safety.gate import build_gate
from a3s_code.harness.safety.network import AddressGuard
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.tool import Action

KINDS = {
    "read": "read",
    "grep": "read",
    "ls": "read",
    "glob": "read",
    "write": "write",
    "edit": "write",
    "patch": "write",
}

Judge = Callable[..., Decision]


def make_action(workspace: Path, home: Path, tool: str, subject: str | None) -> Action:
    """`subject` is the command of bash and git, the path of a file tool, the URL of web_fetch, None for no effect."""
    effects: tuple[Effect, ...] = ()
    arguments: dict[str, Any] = {}
    if subject is not None:
        if tool in ("bash", "git"):
            effects = (Effect("exec", subject if tool == "bash" else f"git {subject}"),)
        elif tool == "web_fetch":
            effects = (Effect("net", subject),)
        else:
            path = home / subject[2:] if subject.startswith("~/") else workspace / subject
            real = str(path.resolve()) if subject else ""
            effects = (Effect("read" if KINDS[tool] == "read" else "write", real, subject),)
        arguments = {"subject": subject}
    return Action("call-1", tool, arguments, effects, "model")


async def look_up(host: str) -> tuple[str, ...]:
    """Every name is public."""
    return ("93.184.216.34",)


def run_now(coroutine: Any) -> Decision:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the gate waited for something")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return (tmp_path / "home").resolve()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "ws").mkdir()
    return (tmp_path / "ws").resolve()


@pytest.fixture
def decide(workspace: Path, home: Path) -> Judge:
    """decide(tool, subject, allow=[...], ask=[...], deny=[...], default="ask") -> Decision; rules=False: no policy."""

    def decide(tool: str, subject: str | None, *, rules: bool = True, default: Any = "ask", **lists: Any) -> Decision:
        policy = PermissionPolicy(default_decision=default, **lists) if rules else None
        gate = build_gate(policy, workspace, home, guard=AddressGuard(look_up))
        return run_now(gate.decide(make_action(workspace, home, tool, subject)))

    return decide


@pytest.fixture
def act(workspace: Path, home: Path) -> Callable[[str, str | None], Action]:
    return lambda tool, subject: make_action(workspace, home, tool, subject)


@pytest.fixture
def decide_action(workspace: Path, home: Path) -> Callable[..., Decision]:
    """decide_action(action, allow=[...], ask=[...], deny=[...], default="ask") -> Decision; rules=False: no policy."""

    def decide_action(action: Action, *, rules: bool = True, default: Any = "ask", **lists: Any) -> Decision:
        policy = PermissionPolicy(default_decision=default, **lists) if rules else None
        return run_now(build_gate(policy, workspace, home, guard=AddressGuard(look_up)).decide(action))

    return decide_action
