"""The gate: one decision on each call, the strictest of all who judge it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from a3s_code.harness.safety.boundary import ReleaseGuard, WorkspaceBoundary
from a3s_code.harness.safety.effects import compile_effects
from a3s_code.harness.safety.grants import DefaultPolicy, Grant, Grants
from a3s_code.harness.safety.network import AddressGuard
from a3s_code.harness.safety.permissions import PermissionPolicy, parse_rules
from a3s_code.harness.safety.restrictions import Restrictions
from a3s_code.harness.safety.subject import one_look
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.ports import Policy, SafetyGate
from a3s_code.kernel.tool import Action

_RANK = {"allow": 0, "ask": 1, "deny": 2}


class Gate:
    """Asks all policies, and a host's own gate where there is one; the strictest answer wins, the first among equals.

    Who raises denies. Where nobody has an opinion the call is asked about. `compiler` works out the effects of a
    call, `hider` tells whether a rule keeps a file from being read and is None where no rule can, `guard` judges the
    URLs of calls that nobody denies; `named` tells it which hosts an allow rule names.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        custom: SafetyGate | None = None,
        *,
        compiler: Callable[[Action], tuple[Effect, ...]] | None = None,
        hider: Callable[[str], bool] | None = None,
        guard: AddressGuard | None = None,
        named: Callable[[str], bool] = lambda url: False,
    ) -> None:
        self._policies = tuple(policies)
        self._custom = custom
        self._compiler = compiler
        self.hider = hider
        self._guard = guard
        self._named = named

    async def decide(self, action: Action) -> Decision:
        """The decision on `action`, with the source and the rule that made it; never raises but when cancelled.

        Of a call that makes others, known beforehand, it is the strictest of them all.
        """
        own = await self._decide_alone(action)
        strictest = own
        for number, call in enumerate(action.calls, 1):
            if strictest.outcome == "deny":
                break
            inner = await self.decide(replace(call, grants=call.grants or action.grants))
            if _RANK[inner.outcome] > _RANK[strictest.outcome]:
                strictest = replace(inner, reason=f"call {number}, {call.tool}: {inner.reason}", effects=own.effects)
        return strictest

    def hides(self, path: str) -> bool:
        """Whether a rule denies or asks about reading the file at this real path; who searches leaves it out."""
        return self.hider is not None and self.hider(path)

    async def _decide_alone(self, action: Action) -> Decision:
        strictest: Decision | None = None
        effects = action.effects
        with one_look():
            for policy in self._policies:
                strictest = _stricter(strictest, _judge(policy, action))
            try:
                effects = action.effects if self._compiler is None else self._compiler(action)
            except Exception as problem:  # noqa: BLE001 - a call whose effects cannot be told must not run
                strictest = _refuse("gate", problem)
        if self._custom is not None:
            strictest = _stricter(strictest, await _ask_host(self._custom, action))
        if strictest is None:
            strictest = Decision("ask", "no policy allows it", "gate")
        if self._guard is not None and strictest.outcome != "deny":
            strictest, effects = await self._ask_guard(self._guard, action, strictest, effects)
        return strictest if strictest.effects else replace(strictest, effects=effects)

    async def _ask_guard(
        self, guard: AddressGuard, action: Action, decision: Decision, effects: tuple[Effect, ...]
    ) -> tuple[Decision, tuple[Effect, ...]]:
        try:
            found, pinned = await guard.judge(action, self._named, look_up=decision.outcome == "allow")
        except Exception as problem:  # noqa: BLE001 - whatever the guard raises, the call must not run
            return _refuse(guard.name, problem), effects
        if found is not None and _RANK[found.outcome] > _RANK[decision.outcome]:
            decision = found
        return decision, pinned if len(effects) == len(action.effects) else effects


def build_gate(
    policy: PermissionPolicy | None,
    workspace: Path,
    home: Path | None = None,
    extra: Sequence[Policy] = (),
    custom: SafetyGate | None = None,
    guard: AddressGuard | None = None,
) -> Gate:
    """The gate of a session.

    `policy` None takes the default policy: reading inside the workspace and calls without effects are allowed, the
    rest asks. `extra` policies can only make it stricter. A `custom` gate answers in place of the allow rules and the
    default; the boundary and the rules that deny or ask hold besides it. `guard` looks up the hosts of URLs.
    """
    root = os.path.realpath(workspace)
    home_folder = os.path.realpath(home or Path.home())
    rules = policy or PermissionPolicy()
    grants = [Grant(rule, root, home_folder) for rule in parse_rules(rules.allow)]
    restrictions = Restrictions(parse_rules(rules.deny), parse_rules(rules.ask), root, home_folder)
    policies: list[Policy] = [
        restrictions,
        WorkspaceBoundary(grants, root, home_folder),
        ReleaseGuard(grants, root, home_folder, skills=rules.default_decision == "ask"),
        *extra,
    ]
    if custom is None and policy is None:
        policies.append(DefaultPolicy(root, home_folder))
    elif custom is None:
        policies.append(Grants(grants, rules.default_decision, root, home_folder))
    return Gate(
        policies,
        custom,
        compiler=lambda action: compile_effects(action, root, home_folder),
        hider=restrictions.hides if restrictions.cover_reading else None,
        guard=guard or AddressGuard(),
        named=lambda url: any(grant.names_host(url) for grant in grants),
    )


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
