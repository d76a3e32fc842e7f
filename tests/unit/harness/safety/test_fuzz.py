"""Random calls: none raises, and none that cannot be read is waved through."""

from __future__ import annotations

import json
import os
import random
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest

from a3s_code.harness.safety.command import split
from a3s_code.harness.safety.gate import Gate, build_gate
from a3s_code.harness.safety.network import AddressGuard
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.tool import Action

SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
CALLS = max(2_000, int(100_000 * SCALE))
CASES = Path(__file__).parents[3] / "data" / "gate-corpus"
RANK = {"allow": 0, "ask": 1, "deny": 2}
P99_MS, LONG_MS = 2.0, 100.0
SPLICES = [
    "'",
    '"',
    "\\",
    "$(",
    ")",
    "`",
    "${x:-",
    "}",
    ";",
    "&&",
    "|",
    "\n",
    ">",
    "<<E\n",
    "\nE\n",
    "{",
    "(",
    "#",
    "$x",
]
SPLICES += [
    "*",
    "~",
    "..",
    "/",
    "\t",
    "=",
    "--",
    "\x00",
    "\x1b",
    "\u200b",
    "\u202e",
    "\ud800",
    "\ue000",
    "\U0001f600",
    "sudo ",
]
SPLICES += [
    "if ",
    "; then ",
    "; fi",
    "for x in ",
    "; do ",
    "; done",
    "eval ",
    "cd ",
    "xargs ",
    "find . -exec ",
    "[[ ",
    " ]]",
]
SPLICES += ["((", "))", "case x in ", ") ", ";; esac", "f() ", "A=1 ", "git ", "rm ", "sh -c ", "push "]
VALUES: list[Any] = [
    None,
    7,
    -1.5,
    True,
    [],
    {},
    [["git"]],
    {"a": {"b": [1]}},
    b"x",
    "x" * 5_000,
    "\x00",
    float("nan"),
    object(),
]
TOOLS = [
    "read",
    "write",
    "edit",
    "patch",
    "ls",
    "glob",
    "grep",
    "bash",
    "git",
    "web_fetch",
    "batch",
    "mcp__a__b__c",
    "Bash",
    "",
]
POLICIES: list[PermissionPolicy | None] = [
    None,
    PermissionPolicy.permissive(),
    PermissionPolicy(allow=["*"]),
    PermissionPolicy(allow=["*"], deny=["bash(rm:*)", "read(.env)", "write(secrets/**)", "web_fetch(domain:*.test)"]),
    PermissionPolicy(allow=["bash(git:*)", "bash(* -v)", "read(src/**)", "glob"], ask=["git(push:*)", "mcp__a"]),
    PermissionPolicy(allow=["bash(ls:*)"], deny=["*(*x*)"], default_decision="deny"),
]


async def look_up(host: str) -> tuple[str, ...]:
    return ("93.184.216.34",)


def read_commands() -> list[str]:
    found: list[str] = []
    for file in sorted(CASES.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            command = json.loads(line)["args"].get("command")
            if isinstance(command, str) and len(command) < 2_000:
                found.append(command)
    return found


def mutate(source: random.Random, commands: list[str]) -> str:
    """A command of the corpus, cut, spliced, doubled, or put into another."""
    text = source.choice(commands)
    for _ in range(source.randint(0, 4)):
        at = source.randint(0, len(text))
        match source.randrange(5):
            case 0:
                text = text[:at] + text[at + source.randint(1, 5) :]
            case 1:
                text = text[:at] + source.choice(SPLICES) + text[at:]
            case 2:
                text = text[:at] + source.choice(commands)[: source.randint(1, 60)] + text[at:]
            case 3:
                text = source.choice(SPLICES) + text + source.choice(SPLICES)
            case _:
                text = f"{text}{source.choice([';', '&&', '|', ' '])}{source.choice(commands)}"
    return text


def scramble(source: random.Random) -> str:
    kind = source.randrange(4)
    if kind == 0:
        return "".join(
            chr(source.choice([source.randrange(128), source.randrange(0x3000)])) for _ in range(source.randint(0, 60))
        )
    if kind == 1:
        return source.choice(SPLICES) * source.randint(1, 80)
    if kind == 2:
        return source.randbytes(source.randint(0, 80)).decode("utf-8", "surrogateescape")
    return "".join(source.choice(SPLICES + list(string.ascii_lowercase)) for _ in range(source.randint(1, 40)))


def make_action(source: random.Random, commands: list[str], workspace: Path, depth: int = 0) -> Action:
    tool = source.choice(TOOLS)
    text = mutate(source, commands) if source.random() < 0.7 else scramble(source)
    kinds = {
        "bash": "exec",
        "git": "exec",
        "Bash": "exec",
        "web_fetch": "net",
        "write": "write",
        "edit": "write",
        "batch": "",
    }
    kind = kinds.get(tool, "read")
    if source.random() < 0.1:
        kind = source.choice(["read", "write", "delete", "exec", "net", "spend", "release", "unknown"])
    target = text
    if kind in ("read", "write", "delete"):
        target = os.path.normpath(workspace / text[:80].replace("\x00", "")) if source.random() < 0.9 else text
    effects = (Effect(kind, f"git {text}" if tool == "git" else target, text),) if kind else ()  # type: ignore[arg-type]  # one of the literals
    value = text if source.random() < 0.8 else source.choice(VALUES)
    arguments = {source.choice(["command", "pattern", "path", "glob", "url", "x"]): value for _ in range(2)}
    grants = tuple(source.choice(["read", "bash(git:*)", "bash(", "*", 7, None]) for _ in range(source.randint(0, 2)))
    nested = source.randint(0, 3) if tool == "batch" and depth < 3 else 0
    calls = tuple(make_action(source, commands, workspace, depth + 1) for _ in range(nested))
    return Action("c", tool, arguments, effects, "model", grants, calls)  # type: ignore[arg-type]  # grants of the wrong type are part of the test


def is_unreadable(action: Action) -> bool:
    return any(
        (effect.kind == "exec" and bool(split(effect.target).fault)) or (effect.kind == "unknown" and not effect.target)
        for effect in action.effects
    ) or any(is_unreadable(call) for call in action.calls)


@pytest.fixture
def gates(workspace: Path, home: Path) -> list[Gate]:
    (workspace / "src").mkdir()
    (workspace / ".env").touch()
    (workspace / "secrets").mkdir()
    return [build_gate(policy, workspace, home, guard=AddressGuard(look_up)) for policy in POLICIES]


async def test_no_random_call_raises_and_none_that_cannot_be_read_is_allowed(
    gates: list[Gate], workspace: Path
) -> None:
    source = random.Random(7)
    commands = read_commands()
    outcomes = dict.fromkeys(RANK, 0)
    failed: list[str] = []
    lax: list[str] = []
    taken: list[float] = []
    for _ in range(CALLS):
        action = make_action(source, commands, workspace)
        gate = source.choice(gates)
        started = time.thread_time()
        decision = await gate.decide(action)
        taken.append((time.thread_time() - started) * 1000)
        outcomes[decision.outcome] += 1
        if " failed: " in decision.reason:
            failed.append(f"{decision.reason}: {action.tool} {ascii(action.effects)[:300]}")
        if decision.outcome == "allow" and is_unreadable(action):
            lax.append(f"{action.tool} {ascii(action.effects)[:300]}")
    p99 = quantiles(taken, n=100)[98]
    told = f"calls: {CALLS} tried, {len(failed)} failed, {len(lax)} lax, {outcomes}"
    print(f"{told}; p99 {p99:.2f} ms, most {max(taken):.1f} ms")
    assert not failed, failed[:5]
    assert not lax, lax[:5]
    assert min(outcomes.values()) > CALLS / 100
    # Measured under a loaded test run; the figure itself is benchmarks/decisions.py.
    assert p99 < 10 * P99_MS


def grow(length: int) -> Iterator[str]:
    """Commands of `length` characters, of many parts, of many words, and deep."""
    yield "ls -la; " * (length // 8) + "ls"
    yield "cd src && cat a > b; " * (length // 21) + "ls"
    yield "echo " + "word " * (length // 5)
    yield "echo '" + "x" * length + "'"
    yield "$(" * (length // 4) + "ls" + ")" * (length // 4)
    yield "((" * (length // 4)
    yield "sudo " * (length // 5) + "ls"
    yield "bash -c '" * 5 + "ls" * (length // 2) + "'" * 5
    yield "cat <<E\n" + "line $x\n" * (length // 8) + "E\n"
    yield "find . " + "-exec ls {} + " * (length // 14)
    yield "a=" * (length // 2)
    yield "git " + "-c x=y " * (length // 7) + "log"
    yield "xargs " * (length // 6) + "ls"
    yield "env -S '" + "ls " * (length // 3) + "'"
    yield "echo " + "{a,b}" * (length // 5)
    yield "echo " + "../" * (length // 3)


@pytest.mark.parametrize("number", range(sum(1 for _ in grow(100))))
async def test_long_commands_are_decided_in_bounded_time(gates: list[Gate], number: int) -> None:
    command = list(grow(200_000))[number]
    worst = 0.0
    for gate in (gates[0], gates[3]):
        started = time.thread_time()
        decision = await gate.decide(Action("c", "bash", {"command": command}, (Effect("exec", command),), "model"))
        worst = max(worst, (time.thread_time() - started) * 1000)
        assert isinstance(decision, Decision)
        assert " failed: " not in decision.reason
    print(f"200 KB: {worst:.0f} ms for {command[:20]!r}")
    assert worst < 10 * LONG_MS


@pytest.mark.parametrize(
    "make", [lambda: {"x": {1: {2}}}, lambda: {"x": object()}, lambda: {7: "x"}], ids=["set", "object", "key"]
)
async def test_arguments_of_any_type_are_judged(workspace: Path, home: Path, make: Callable[[], Any]) -> None:
    gate = build_gate(PermissionPolicy(allow=["*"], deny=["mcp__a(*drop*)"]), workspace, home)
    decision = await gate.decide(Action("c", "mcp__a__b", make(), (Effect("unknown", "mcp__a__b"),), "model"))
    assert decision.outcome == "allow"
    deep: Any = "drop"
    for _ in range(100_000):
        deep = [deep]
    assert (await gate.decide(Action("c", "mcp__a__b", {"x": deep}, (), "model"))).outcome != "allow"
