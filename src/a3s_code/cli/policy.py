"""`a3s-code policy check`: what would be decided on a call, and why. Nothing is run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from a3s_code.api.agent import Agent
from a3s_code.api.confirmers import escape
from a3s_code.api.requests import call_arguments
from a3s_code.api.session import AgentSession
from a3s_code.cli.command import Command
from a3s_code.errors import ConfigNotFound, InvalidOption
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.kernel.contracts import Decision
from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers.scripted import ScriptedModel

EXIT_CODES: Mapping[str, int] = {"allow": 0, "ask": 3, "deny": 4}
SHOWN_EFFECTS = 20


def check(arguments: argparse.Namespace) -> int:
    """Print the decision on the call that the arguments spell; the exit code tells the outcome."""
    with _open_agent(arguments) as agent:
        policy, model = _policy(arguments), ScriptedModel([])
        session = agent.session(arguments.workspace, permission_policy=policy, model=model)
        decision = session.policy.check(arguments.tool, **_arguments(session, arguments))
    print(json.dumps(_describe(decision), indent=2) if arguments.json else _render(decision))
    return EXIT_CODES[decision.outcome]


def _open_agent(arguments: argparse.Namespace) -> Agent:
    if arguments.config is not None:
        return Agent.create(arguments.config)
    try:
        return Agent.create()
    except ConfigNotFound:
        return Agent.create("")


def _policy(arguments: argparse.Namespace) -> PermissionPolicy | None:
    if not (arguments.allow or arguments.ask or arguments.deny):
        return None
    return PermissionPolicy(allow=arguments.allow, ask=arguments.ask, deny=arguments.deny)


def _arguments(session: AgentSession, arguments: argparse.Namespace) -> dict[str, Any]:
    given: Sequence[str] = arguments.argument
    if arguments.args is not None:
        try:
            named = json.loads(arguments.args)
        except ValueError as error:
            raise InvalidOption(f"--args is no JSON: {error}", field="args", hint='write {"command": "ls"}') from None
        if not isinstance(named, dict):
            raise InvalidOption("--args is no JSON object", field="args", hint='write {"command": "ls"}')
        return {str(name): value for name, value in named.items()}
    definition = next((item for item in session.tool_definitions() if item["name"] == arguments.tool), None)
    if definition is None:
        return {}
    return call_arguments(ToolSpec(**definition), tuple(given), {})


def _describe(decision: Decision) -> Mapping[str, Any]:
    return {
        "outcome": decision.outcome,
        "reason": decision.reason,
        "source": decision.source,
        "rule": decision.rule,
        "effects": [{"kind": effect.kind, "target": effect.target} for effect in decision.effects],
    }


def _render(decision: Decision) -> str:
    lines = [f"{decision.outcome}: {escape(decision.reason)}" if decision.reason else decision.outcome]
    lines.append(
        f"  decided by {escape(decision.source)}" + (f", rule {escape(decision.rule)}" if decision.rule else "")
    )
    lines += [f"  {effect.kind} {escape(effect.target)}" for effect in decision.effects[:SHOWN_EFFECTS]]
    if len(decision.effects) > SHOWN_EFFECTS:
        lines.append(f"  and {len(decision.effects) - SHOWN_EFFECTS} more effects")
    return "\n".join(lines)


def _declare(parser: argparse.ArgumentParser) -> None:
    below = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    summary = "Say what would be decided on a call. Exit code: 0 allow, 3 ask, 4 deny."
    one = below.add_parser("check", help=summary, description=summary)
    one.add_argument("tool", help="the tool's name, such as bash")
    one.add_argument("argument", nargs="*", help="its arguments in the order of its schema, such as 'git status'")
    one.add_argument("--args", help="the arguments as a JSON object instead", metavar="JSON")
    one.add_argument("--workspace", type=Path, default=Path(), help="the folder the agent works in; default: this one")
    one.add_argument("--config", help="an .acl file; default: the one that is found", metavar="FILE")
    for field in ("allow", "ask", "deny"):
        text = f"a rule that {field}s, in place of the configuration's; may be repeated"
        one.add_argument(f"--{field}", action="append", default=[], help=text, metavar="RULE")
    one.add_argument("--json", action="store_true", help="print the decision as JSON")
    one.set_defaults(action=check)


def _run(arguments: argparse.Namespace) -> int:
    code: int = arguments.action(arguments)
    return code


COMMAND = Command("policy", "Ask what the gate would decide.", _declare, _run)
