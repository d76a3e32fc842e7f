"""The gate: one decision on each call, the strictest of all who judge it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from a3s_code.harness.safety.boundary import WorkspaceBoundary
from a3s_code.harness.safety.grants import DefaultPolicy, Grant, Grants
from a3s_code.harness.safety.permissions import PermissionPolicy, parse_rules
from a3s_code.harness.safety.restrictions import Restrictions
from a3s_code.kernel.contracts import Decision
from a3s_code.kernel.ports import Policy, SafetyGate
from a3s_code.kernel.tool import Action

_RANK = {"allow": 0, "ask": 1, "deny": 2}


class Gate:
    """Asks all policies, and a host's own gate where there is one; the strictest answer wins, the first among equals.

    Who raises denies. Where nobody has an opinion the call is asked about.
    """

    def __init__(self, policies: Sequence[Policy], custom: SafetyGate | None = None) -> None:
        self._policies = tuple(policies)
        self._custom = custom

    async def decide(self, action: Action) -> Decision:
        """The decision on `action`, with the source and the rule that made it; never raises but when cancelled."""
        strictest: Decision | None = None
        for policy in self._policies:
            strictest = _stricter(strictest, _judge(policy, action))
        if self._custom is not None:
            strictest = _stricter(strictest, await _ask_host(self._custom, action))
        if strictest is None:
            strictest = Decision("ask", "no policy allows it", "gate")
        return strictest if strictest.effects else replace(strictest, effects=action.effects)


def build_gate(
    policy: PermissionPolicy | None,
    workspace: Path,
    home: Path | None = None,
    extra: Sequence[Policy] = (),
    custom: SafetyGate | None = None,
) -> SafetyGate:
    """The gate of a session.

    `policy` None takes the default policy: reading inside the workspace and calls without effects are allowed, the
    rest asks. `extra` policies can only make it stricter. A `custom` gate answers in place of the allow rules and the
    default; the boundary and the rules that deny or ask hold besides it.
    """
    root = os.path.realpath(workspace)
    home_folder = os.path.realpath(home or Path.home())
    rules = policy or PermissionPolicy()
    grants = [Grant(rule, root, home_folder) for rule in parse_rules(rules.allow)]
    policies: list[Policy] = [
        Restrictions(parse_rules(rules.deny), parse_rules(rules.ask), root, home_folder),
        WorkspaceBoundary(grants, root, home_folder),
        *extra,
    ]
    if custom is None and policy is None:
        policies.append(DefaultPolicy(root, home_folder))
    elif custom is None:
        policies.append(Grants(grants, rules.default_decision, root, home_folder))
    return Gate(policies, custom)


def _stricter(first: Decision | None, second: Decision | None) -> Decision | None:
    if first is None or second is None:
        return first or second
    return second if _RANK[second.outcome] > _RANK[first.outcome] else first


def _judge(policy: Policy, action: Action) -> Decision | None:
    try:
        return _check(policy.judge(action), policy.name)
    except Exception as problem:  # noqa: BLE001 - whatever a policy raises, the call must not run
        return _refuse(getattr(policy, "name", "policy"), problem)


async def _ask_host(gate: SafetyGate, action: Action) -> Decision | None:
    try:
        answer = await gate.decide(action)
    except Exception as problem:  # noqa: BLE001 - whatever a host's gate raises, the call must not run
        return _refuse("host gate", problem)
    return _check(answer, "host gate") or Decision("deny", "the host's gate gave no decision", "host gate")


def _check(answer: object, source: str) -> Decision | None:
    if answer is None:
        return None
    if isinstance(answer, Decision) and answer.outcome in _RANK:
        return answer
    return Decision("deny", f"{source} answered with {type(answer).__name__}, not a decision", source)


def _refuse(source: str, problem: Exception) -> Decision:
    return Decision("deny", f"{source} failed: {type(problem).__name__}: {problem}", source)
