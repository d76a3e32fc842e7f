"""What every Policy promises."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from a3s_code.harness.safety.boundary import ReleaseGuard, WorkspaceBoundary
from a3s_code.harness.safety.gate import Gate
from a3s_code.harness.safety.grants import DefaultPolicy, Grant, Grants
from a3s_code.harness.safety.permissions import PermissionPolicy, parse_rules
from a3s_code.harness.safety.restrictions import Restrictions
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.ports import Policy
from a3s_code.kernel.tool import Action

RANK = {"allow": 0, "ask": 1, "deny": 2}
ALLOWED = ("read(src/**)", "bash(git:*)", "write(/tmp/*)")
DENIED = ("read(.env)", "bash(rm:*)", "write(**/*.lock)", "mcp__x")


def grants(workspace: str) -> list[Grant]:
    return [Grant(rule, workspace, "/home/u") for rule in parse_rules(PermissionPolicy(allow=ALLOWED).allow)]


POLICIES: dict[str, Callable[[str], Policy]] = {
    "restrictions": lambda ws: Restrictions(parse_rules(DENIED), parse_rules(["edit"]), ws, "/home/u"),
    "no restrictions": lambda ws: Restrictions((), (), ws, "/home/u"),
    "boundary": lambda ws: WorkspaceBoundary(grants(ws), ws, "/home/u"),
    "releases": lambda ws: ReleaseGuard(grants(ws), ws, "/home/u", skills=True),
    "grants, else ask": lambda ws: Grants(grants(ws), "ask", ws, "/home/u"),
    "grants, else deny": lambda ws: Grants(grants(ws), "deny", ws, "/home/u"),
    "grants, else allow": lambda ws: Grants((), "allow", ws, "/home/u"),
    "default policy": lambda ws: DefaultPolicy(ws, "/home/u"),
}
WORDS = [
    "git",
    "rm",
    "cat",
    ".env",
    "src/a",
    "../x",
    "/tmp/f",
    "$X",
    "'",
    "`",
    ">",
    "<",
    "&&",
    "|",
    "\n",
    "sudo",
    "push",
    "\0",
    "*",
    "(",
    "cd",
]


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> Policy:
    return POLICIES[request.param](str(tmp_path.resolve()))


def make_actions(workspace: Path, count: int) -> list[Action]:
    """Random calls of all kinds, the same in every run."""
    source = random.Random(5)
    found = []
    for number in range(count):
        effects: list[Effect] = []
        for _ in range(source.choice([0, 1, 1, 1, 2])):
            kind = source.choice(["read", "write", "delete", "exec", "net", "spend", "release"])
            given = source.choice(["", "src/a", ".env", "../x", "/etc/passwd", "a\0b", "x.lock", "~"])
            target = os.path.normpath(workspace / given) if given else ""
            if kind == "exec":
                target = given = " ".join(source.choice(WORDS) for _ in range(source.randint(0, 6)))
            effects.append(Effect(kind, target, given))  # type: ignore[arg-type]  # one of the literals
        tool = source.choice(["read", "write", "edit", "bash", "git", "grep", "mcp__x__y", "plan", "Bash", "\u00e9"])
        found.append(Action(f"c{number}", tool, {"a": number}, tuple(effects), "model"))
    return found


def test_it_has_a_name_and_judges_or_has_no_opinion(policy: Policy, tmp_path: Path) -> None:
    assert policy.name
    for action in make_actions(tmp_path, 300):
        decision = policy.judge(action)
        assert decision is None or (decision.outcome in RANK and decision.reason and decision.source)


def test_it_gives_the_same_answer_twice(policy: Policy, tmp_path: Path) -> None:
    for action in make_actions(tmp_path, 100):
        assert policy.judge(action) == policy.judge(action)


async def test_beside_others_it_never_loosens(policy: Policy, tmp_path: Path) -> None:
    class Asks:
        name = "asks"

        def judge(self, action: Action) -> Decision:
            return Decision("ask")

    for action in make_actions(tmp_path, 100):
        alone = policy.judge(action)
        together = await Gate([Asks(), policy]).decide(action)
        assert RANK[together.outcome] == max(1, RANK[alone.outcome] if alone else 0)


def test_a_restricting_policy_never_allows(tmp_path: Path) -> None:
    for name in ("restrictions", "boundary", "releases"):
        judge = POLICIES[name](str(tmp_path.resolve())).judge
        found = {decision.outcome for action in make_actions(tmp_path, 300) if (decision := judge(action))}
        assert "allow" not in found
        assert found
