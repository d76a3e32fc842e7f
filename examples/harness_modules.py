"""Replace each harness module, and the model, with an object of your own that has the port's verb.

Prints:

    router: research
    planner: 2 steps
    selector: ['read', 'grep']
    assembler: system text of 27 characters
    gate: read -> allow
    sanitizer: cleaned 1 output
    verifier: asked twice
    compactor: asked after 2 turns
    model: my/echo
    answer: The port is 8080.
    verdict: needs_review
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from a3s_code import Agent, Harness
from a3s_code.kernel.contracts import Decision, Intent, Plan, PlanStep, Usage, Verification
from a3s_code.kernel.messages import Delta, Message, Reply, Request, Text, TextDelta, ToolCall
from a3s_code.kernel.ports import Execute, Prompt
from a3s_code.kernel.state import SessionState
from a3s_code.kernel.tool import Action, ToolCatalog, ToolSpec

told: dict[str, str] = {}


class MyRouter:
    async def route(self, request: Request, state: SessionState) -> Intent:
        told["router"] = "research"
        return Intent(request.prompt, mode="research")


class MyPlanner:
    async def plan(self, intent: Intent, state: SessionState) -> Plan | None:
        plan = Plan("find the port", (PlanStep("1", "read the settings"), PlanStep("2", "answer")))
        told["planner"] = f"{len(plan.steps)} steps"
        return plan


class MySelector:
    async def select(self, intent: Intent, catalog: ToolCatalog, state: SessionState) -> tuple[ToolSpec, ...]:
        chosen = tuple(spec for spec in catalog.specs if spec.name in ("read", "grep"))
        told["selector"] = str([spec.name for spec in chosen])
        return chosen


class MyAssembler:
    async def assemble(
        self, intent: Intent, plan: Plan | None, tools: tuple[ToolSpec, ...], state: SessionState
    ) -> Prompt:
        system = "Answer in one short sentence"[:27]
        told["assembler"] = f"system text of {len(system)} characters"
        return Prompt(system, tuple(state.history), tools)


class MyGate:
    """Asked besides the workspace boundary and the deny rules; the strictest answer wins."""

    async def decide(self, action: Action) -> Decision:
        outcome = "allow" if action.tool == "read" else "deny"
        told["gate"] = f"{action.tool} -> {outcome}"
        return Decision("allow" if action.tool == "read" else "deny", "only read, says my gate", source="my gate")


class MySanitizer:
    def clean(self, text: str) -> str:
        if "s3cret" in text:
            told["sanitizer"] = "cleaned 1 output"
        return text.replace("s3cret", "******")


class MyVerifier:
    """Asks once more before it is content."""

    def __init__(self) -> None:
        self._asked = 0

    async def verify(self, state: SessionState, execute: Execute) -> Verification:
        self._asked += 1
        told["verifier"] = "asked once" if self._asked == 1 else "asked twice"
        return Verification("needs_review", feedback="Are you sure?" if self._asked == 1 else None)


class MyCompactor:
    def __init__(self) -> None:
        self._turns = 0

    async def compact(self, state: SessionState) -> Sequence[Message] | None:
        self._turns += 1
        told["compactor"] = f"asked after {self._turns} turns"
        return None


class MyModel:
    """Any object with a name and a stream(prompt) is a model."""

    name = "my/echo"

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta | Reply]:
        told["model"] = self.name
        if not any(message.role == "tool" for message in prompt.messages):
            call = ToolCall("call-1", "read", {"file_path": "settings.ini"})
            yield Reply(Message("assistant", (call,)), "tool_calls", Usage(20, 5))
            return
        assert "s3cret" not in str(prompt.messages)
        yield TextDelta("The port is 8080.")
        yield Reply(Message("assistant", (Text("The port is 8080."),)), "end", Usage(40, 6))


def main() -> None:
    harness = Harness(
        router=MyRouter(),
        planner=MyPlanner(),
        assembler=MyAssembler(),
        selector=MySelector(),
        gate=MyGate(),
        sanitizer=MySanitizer(),
        verifier=MyVerifier(),
        compactor=MyCompactor(),
    )
    with tempfile.TemporaryDirectory() as workspace:
        Path(workspace, "settings.ini").write_text("port = 8080\npassword = s3cret\n")
        with Agent.create("") as agent, agent.session(workspace, model=MyModel(), harness=harness) as session:
            result = session.send("Which port does the service use?")
    order = ("router", "planner", "selector", "assembler", "gate", "sanitizer", "verifier", "compactor", "model")
    for module in order:
        print(f"{module}: {told[module]}")
    print(f"answer: {result.text}")
    print(f"verdict: {result.verdict}")


if __name__ == "__main__":
    main()
