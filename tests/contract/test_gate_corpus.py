"""The corpus of cases: each call prepared as the executor does it, and judged by the gate that a session has."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from a3s_code.capabilities.core_tools import CORE_TOOLS
from a3s_code.capabilities.core_tools.batch import Batch
from a3s_code.capabilities.core_tools.patch import Patch
from a3s_code.capabilities.git.tool import Git
from a3s_code.capabilities.web.fetch import WebFetch
from a3s_code.errors import InvalidRule
from a3s_code.harness.safety.gate import Gate, build_gate
from a3s_code.harness.safety.network import AddressGuard
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.messages import ToolCall
from a3s_code.kernel.preparation import Ready, expand, prepare
from a3s_code.kernel.rules import parse_rule
from a3s_code.kernel.tool import Action, ToolCatalog, ToolContext, ToolOutput
from a3s_code.toolkit import Tool

DATA = Path(__file__).parents[1] / "data" / "gate-corpus"
RANK = {"allow": 0, "ask": 1, "deny": 2}
MAX_REDIRECTS = 10
PUBLIC = "93.184.216.34"
FILES = sorted(DATA.glob("*.jsonl"))
Case = dict[str, Any]


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


class Named(Tool):
    """A tool of which the cases know the name: of an MCP server, or one that only makes other calls."""

    description = "named by a case"
    Args = Anything

    def __init__(self, name: str) -> None:
        self.name = name

    def effects(self, args: Any, workspace: Path) -> tuple[Effect, ...]:
        return (Effect("unknown", self.name),) if self.name.startswith("mcp__") else ()

    async def invoke(self, args: Any, context: ToolContext) -> ToolOutput:
        raise AssertionError("no case is carried out")


def fill(value: Any, places: Mapping[str, str]) -> Any:
    """`value` with the names of folders filled in."""
    match value:
        case str():
            for name, place in places.items():
                value = value.replace(name, place)
            return value
        case list():
            return [fill(entry, places) for entry in value]
        case dict():
            return {key: fill(entry, places) for key, entry in value.items()}
        case _:
            return value


def set_up(case: Case, top: Path) -> Case:
    """The case with its folders and files on disk."""
    folders = {name: top / name.lower() for name in ("WS", "OUT", "HOME")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    filled: Case = fill(case, {f"{{{name}}}": str(folder) for name, folder in folders.items()})
    for kind, path, *rest in filled.get("setup", []):
        place = folders["WS"] / path
        place.parent.mkdir(parents=True, exist_ok=True)
        match kind:
            case "dir":
                place.mkdir(parents=True, exist_ok=True)
            case "file":
                place.write_text("x\n")
            case "symlink":
                place.symlink_to(rest[0])
            case _:
                os.link(folders["WS"] / rest[0], place)
    return filled


def keep_valid(rules: list[str]) -> list[str]:
    """The rules that a configuration takes; the others are refused with their place when it is loaded."""
    kept: list[str] = []
    for rule in rules:
        try:
            kept.append(parse_rule(rule).text)
        except InvalidRule:
            continue
    return kept


def read_grants(skill: Mapping[str, Any]) -> tuple[Any, ...]:
    """The rules of a skill, given as a list or as a text with commas or blanks between."""
    given = skill.get("allowed-tools") or ()
    if isinstance(given, str):
        return tuple(re.findall(r"[^\s,()]+(?:\([^)]*\)?)?", given))
    return tuple(given) if isinstance(given, list) else ()


def make_action(catalog: ToolCatalog, workspace: Path, tool: str, arguments: Mapping[str, Any]) -> Action:
    """The call as the gate gets it; arguments that a tool does not know are dropped."""
    port = catalog.get(tool)
    assert port is not None
    known = port.spec.parameters.get("properties", {}) or arguments
    call = ToolCall("case", tool, {key: value for key, value in arguments.items() if key in known})
    found = prepare(catalog, workspace, call, "model").found
    unreadable = Action("case", tool, dict(arguments), (Effect("unknown", ""),), "model")
    if not isinstance(found, Ready):
        return unreadable
    try:
        return expand(catalog, workspace, found)
    except ValueError:
        return unreadable


class Net:
    """The names and redirects of one case."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._dns: Mapping[str, list[str]] = told.get("dns", {})
        self._turns = {name: iter(answers) for name, answers in told.get("dns_sequence", {}).items()}
        self.redirects: Mapping[str, str] = told.get("redirect", {})

    async def look_up(self, host: str) -> tuple[str, ...]:
        if host in self._turns:
            answer = next(self._turns[host], PUBLIC)
            return (answer,) if isinstance(answer, str) else tuple(answer)
        return tuple(self._dns.get(host, [PUBLIC]))


async def judge(case: Case, gate: Gate, net: Net, workspace: Path) -> Decision:
    """The decision on the call, and on what becomes of a fetch that is redirected."""
    names = {call["tool"] for call in list_calls(case["tool"], case["args"])}
    own = [tool for tool in (*CORE_TOOLS, Batch(), Patch(), Git(), WebFetch()) if tool.spec.name in names]
    catalog = ToolCatalog([*own, *(Named(name) for name in names - {tool.spec.name for tool in own})])
    grants = read_grants(case.get("skill", {}))
    arguments = case["args"]
    decision = Decision("ask")
    for _ in range(MAX_REDIRECTS):
        action = replace(make_action(catalog, workspace, case["tool"], arguments), grants=grants)
        decision = await gate.decide(action)
        target = net.redirects.get(str(arguments.get("url")))
        if decision.outcome != "allow" or target is None:
            break
        arguments = {**arguments, "url": target}
    return decision


def list_calls(tool: str, arguments: Any) -> list[dict[str, Any]]:
    """The call and those in it."""
    found = [{"tool": tool}]
    calls = arguments.get("calls") if isinstance(arguments, dict) else None
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict) and isinstance(call.get("tool"), str):
            found += list_calls(call["tool"], call.get("args"))
    return found


async def decide(case: Case, top: Path) -> Decision:
    filled = set_up(case, top)
    rules = filled["policy"]
    workspace = (top / "ws").resolve()
    policy = PermissionPolicy(
        allow=keep_valid(rules["allow"]),
        ask=keep_valid(rules["ask"]),
        deny=keep_valid(rules["deny"]),
        default_decision=rules["default"],
    )
    net = Net(filled.get("net", {}))
    gate = build_gate(policy, workspace, top / "home", guard=AddressGuard(net.look_up))
    return await judge(filled, gate, net, workspace)


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_no_case_is_decided_more_loosely_and_few_more_strictly(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases: list[Case] = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    counts: Counter[str] = Counter()
    unsafe: list[str] = []
    for case in cases:
        top = tmp_path / case["id"]
        monkeypatch.setenv("HOME", str(top / "home"))
        decision = await decide(case, top)
        difference = RANK[decision.outcome] - RANK[case["expect"]]
        counts["exact" if not difference else "unsafe" if difference < 0 else "strict"] += 1
        counts["strict allow"] += difference > 0 and case["expect"] == "allow"
        if difference:
            told = f"{case['id']}: {case['expect']} expected, got {decision.outcome}: {ascii(case['args'])[:100]}"
            print(f"{told}; {decision.source}: {decision.reason[:100]}")
        if difference < 0:
            unsafe.append(case["id"])
    print(f"{file.name}: {len(cases)} cases, {counts['exact']} exact, {len(unsafe)} unsafe, {counts['strict']} strict")
    assert not unsafe
    assert counts["strict"] <= 0.03 * len(cases)
    assert counts["strict allow"] <= 0.02 * sum(case["expect"] == "allow" for case in cases)


def test_the_cases_are_many_and_differ() -> None:
    cases = [json.loads(line) for file in FILES for line in file.read_text("utf-8").splitlines()]
    assert len(cases) > 1000
    assert len({case["id"] for case in cases}) == len(cases)
    assert {case["expect"] for case in cases} == set(RANK)
