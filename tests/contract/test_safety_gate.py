"""What every SafetyGate promises."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from a3s_code.harness.safety.gate import Gate, build_gate
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.kernel.contracts import Decision, Effect, Outcome
from a3s_code.kernel.ports import SafetyGate
from a3s_code.kernel.tool import Action


class HostGate:
    """A host's own gate: allows what touches nothing."""

    async def decide(self, action: Action) -> Decision:
        return Decision("deny" if action.changes else "allow", "host", "host")


GATES: dict[str, Callable[[Path], SafetyGate]] = {
    "default policy": lambda workspace: build_gate(None, workspace),
    "rules": lambda workspace: build_gate(
        PermissionPolicy(allow=["read", "bash(git:*)"], ask=["write(x)"], deny=["read(.env)", "bash(rm:*)"]), workspace
    ),
    "permissive": lambda workspace: build_gate(PermissionPolicy.permissive(), workspace),
    "host's gate": lambda workspace: build_gate(None, workspace, custom=HostGate()),
    "no policy at all": lambda workspace: Gate([]),
    "bare host's gate": lambda workspace: HostGate(),
}


@pytest.fixture(params=GATES)
def gate(request: pytest.FixtureRequest, tmp_path: Path) -> SafetyGate:
    (tmp_path / "a.py").write_text("x")
    (tmp_path / ".env").write_text("x")
    os.link(tmp_path / "a.py", tmp_path / "b.py")
    return GATES[request.param](tmp_path)


@pytest.fixture
def actions(tmp_path: Path) -> list[Action]:
    effects: list[tuple[str, tuple[Effect, ...]]] = [
        ("plan", ()),
        ("read", (Effect("read", str(tmp_path / "a.py"), "a.py"),)),
        ("read", (Effect("read", str(tmp_path / "b.py"), "b.py"),)),
        ("read", (Effect("read", "/etc/passwd", "/etc/passwd"),)),
        ("read", (Effect("read", "", ""),)),
        ("read", (Effect("read", "relative", "relative"),)),
        ("grep", (Effect("read", str(tmp_path), "."),)),
        ("write", (Effect("write", str(tmp_path / "x" / "y"), "x/y"),)),
        ("patch", (Effect("write", str(tmp_path / "x"), "x"), Effect("delete", str(tmp_path / "a.py"), "a.py"))),
        ("bash", (Effect("exec", "git status"),)),
        ("bash", (Effect("exec", "rm -rf $(cat .env) > 'x"),)),
        ("bash", (Effect("exec", ""),)),
        ("bash", (Effect("exec", "\0\ud800"),)),
        ("web_fetch", (Effect("net", "http://[::1"),)),
        ("pay", (Effect("spend", "1 EUR"), Effect("release", "v1"))),
        ("mcp__a__b", (Effect("net", "https://x.test"), Effect("exec", "ls"), Effect("read", "/x", "/x"))),
        ("", ()),
    ]
    return [Action(f"call-{i}", tool, {"n": i}, found, "model") for i, (tool, found) in enumerate(effects)]


async def test_every_call_gets_a_decision_with_a_reason(gate: SafetyGate, actions: list[Action]) -> None:
    for action in actions:
        decision = await gate.decide(action)
        assert isinstance(decision, Decision)
        assert decision.outcome in get_args(Outcome)
        assert decision.source
        assert decision.reason


async def test_the_same_call_gets_the_same_decision(gate: SafetyGate, actions: list[Action]) -> None:
    for action in actions:
        assert await gate.decide(action) == await gate.decide(action)


async def test_deciding_has_no_effect(gate: SafetyGate, actions: list[Action], tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for action in actions:
        await gate.decide(action)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


async def test_the_origin_of_a_call_changes_nothing(gate: SafetyGate, actions: list[Action]) -> None:
    for action in actions:
        by_host = Action(action.call_id, action.tool, action.arguments, action.effects, "host")
        assert await gate.decide(by_host) == await gate.decide(action)
