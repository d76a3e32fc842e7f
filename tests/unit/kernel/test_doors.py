"""What a running tool may ask of the executor, and what the host may ask without running anything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from a3s_code.errors import RunLimit
from a3s_code.harness.hooks import HookEngine
from a3s_code.harness.safety.confirmation import ConfirmationPolicy, Confirmations
from a3s_code.harness.safety.sanitize import TextSanitizer
from a3s_code.kernel import events
from a3s_code.kernel.authorization import Authorization
from a3s_code.kernel.contracts import Confirmation, Decision, Effect
from a3s_code.kernel.executor import DEADLINE_GRACE_MS, Caller, Surroundings, ToolExecutor
from a3s_code.kernel.messages import Observation, ToolCall
from a3s_code.kernel.ports import Emit, Limits, Question
from a3s_code.kernel.state import Run, SessionState
from a3s_code.kernel.tool import Action, ToolCatalog, ToolContext, ToolOutput, ToolSpec
from a3s_code.stores.artifacts import MemoryArtifactStore
from a3s_code.system.clock import SystemClock

NOBODY = Confirmations(ConfirmationPolicy(), None, SystemClock())


class Several:
    """A tool that makes the calls it is given, one after the other."""

    spec = ToolSpec("several", "makes calls", {"type": "object"})

    def parse(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return arguments

    def effects(self, args: Mapping[str, Any], workspace: Path) -> tuple[Effect, ...]:
        return ()

    def calls(self, args: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
        return [(name, given) for name, given in args["calls"]]

    async def invoke(self, args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        seen = [await context.call(name, given) for name, given in args["calls"]]
        return ToolOutput("; ".join(item.output for item in seen))


class Act:
    """A tool that changes what it is told to, or follows a redirect it is told of."""

    spec = ToolSpec("act", "acts", {"type": "object"})

    def __init__(self) -> None:
        self.ran: list[str] = []

    def parse(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return arguments

    def effects(self, args: Mapping[str, Any], workspace: Path) -> tuple[Effect, ...]:
        return (Effect("write", str(args.get("on"))),)

    async def invoke(self, args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        if "then" in args:
            decision = await context.permit({"on": args["then"]})
            if decision.outcome != "allow":
                return ToolOutput.failure(f"stopped: {decision.reason}", "permission_denied")
        self.ran.append(str(args.get("on")))
        return ToolOutput("done")


class ByTarget:
    """A gate that looks at the first effect's target."""

    def __init__(self) -> None:
        self.asked: list[Action] = []

    async def decide(self, action: Action) -> Decision:
        self.asked.append(action)
        outcomes = [await self.decide(inner) for inner in action.calls]
        target = action.effects[0].target if action.effects else ""
        own = Decision("deny" if "secret" in target else "ask" if "ask" in target else "allow", f"on {target}", "test")
        return max([own, *outcomes], key=lambda decision: ("allow", "ask", "deny").index(decision.outcome))


class SaidNothing:
    """A person before the first question."""

    def objects(self, call_id: str) -> bool:
        return False


class Stage:
    def __init__(
        self,
        tmp_path: Path,
        confirmer: Any = None,
        guard: Any = None,
        hooks: HookEngine | None = None,
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
        tools: tuple[Any, ...] = (),
    ) -> None:
        self.act, self.gate, clock = Act(), ByTarget(), SystemClock()
        self.hooks = hooks or HookEngine()
        self.state = SessionState("session-1", tmp_path)
        self.run = Run("run-1", "session-1", "go", clock.now_ms)
        authorization = Authorization(self.gate, confirmer or NOBODY, self.hooks, "session-1")
        surroundings = Surroundings(clock, limits, MemoryArtifactStore(), {})
        catalog = ToolCatalog([Several(), self.act, *tools])
        self.executor = ToolExecutor(self.state, catalog, authorization, TextSanitizer(), self.hooks, surroundings)
        self.caller = Caller("model", self.run.emit, self.run, guard)

    async def call(self, name: str, **args: Any) -> Observation:
        return await self.executor.execute(ToolCall("c1", name, args), self.caller)

    @property
    def seen(self) -> list[events.AgentEvent]:
        return [record.event for record in self.run.log.records()]


async def test_a_call_inside_a_call_is_judged_and_observed_like_any_other(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    seen = await stage.call("several", calls=[("act", {"on": "a"}), ("act", {"on": "secret"}), ("act", {"on": "b"})])
    assert seen.output == "done; Not allowed: on secret; done"
    assert stage.act.ran == ["a", "b"]
    starts = [event.id for event in stage.seen if isinstance(event, events.ToolStart)]
    ends = [event.id for event in stage.seen if isinstance(event, events.ToolEnd)]
    assert starts == ["c1", "c1.1", "c1.2", "c1.3"]
    assert ends == ["c1.1", "c1.2", "c1.3", "c1"]
    assert [refusal.call.id for refusal in stage.run.refused] == ["c1.2"]
    assert [line.name for line in stage.state.trace] == ["act", "act", "act", "several"]


async def test_calls_inside_each_other_end_at_a_depth(tmp_path: Path) -> None:
    calls: list[Any] = [("act", {"on": "a"})]
    for _ in range(20):
        calls = [("several", {"calls": calls})]
    stage = Stage(tmp_path)
    assert "nested" in (await stage.call("several", calls=calls)).output
    assert stage.act.ran == []


async def test_a_tool_asks_again_for_what_it_meets_on_its_way(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    assert (await stage.call("act", on="a", then="b")).output == "done"
    assert (await stage.call("act", on="a", then="secret")).output == "stopped: on secret"
    assert stage.act.ran == ["a"]


async def test_what_would_be_decided_is_told_without_doing_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    told = [await stage.executor.foresee(ToolCall("x", "act", {"on": on})) for on in ("a", "ask", "secret")]
    assert [decision.outcome for decision in told] == ["allow", "ask", "deny"]
    assert (await stage.executor.foresee(ToolCall("x", "secret", {}))).outcome == "deny"
    nested = {"calls": [("act", {"on": "a"}), ("several", {"calls": [("act", {"on": "secret"})]})]}
    assert (await stage.executor.foresee(ToolCall("x", "several", nested))).outcome == "deny"
    assert (stage.act.ran, stage.seen, stage.state.trace) == ([], [], [])


async def test_a_hook_changes_the_arguments_before_they_are_judged(tmp_path: Path) -> None:
    hooks = HookEngine()
    hooks.register_hook("aim", "pre_tool_use", lambda event: {"action": "continue", "modified": {"on": "secret"}})
    stage = Stage(tmp_path, hooks=hooks)
    assert (await stage.call("act", on="a")).error_kind == "permission_denied"
    start = stage.seen[0]
    assert isinstance(start, events.ToolStart)
    assert start.args == '{"on":"secret"}'


async def test_a_hook_that_blocks_denies_and_says_so(tmp_path: Path) -> None:
    hooks = HookEngine()
    hooks.register_hook("never", "pre_tool_use", lambda event: {"action": "block", "reason": "not on a Friday"})
    stage = Stage(tmp_path, hooks=hooks)
    assert "not on a Friday" in (await stage.call("act", on="a")).output
    assert stage.act.ran == []
    denied = [event for event in stage.seen if isinstance(event, events.PermissionDenied)]
    assert [event.source for event in denied] == ["hook never"]


async def test_a_hook_that_raises_denies(tmp_path: Path) -> None:
    def broken(event: Mapping[str, Any]) -> None:
        raise RuntimeError("the rules cannot be loaded")

    hooks = HookEngine()
    hooks.register_hook("rules", "pre_tool_use", broken)
    stage = Stage(tmp_path, hooks=hooks)
    seen = await stage.call("act", on="a")
    assert seen.error_kind == "permission_denied"
    assert "hook_error" in seen.output
    assert stage.act.ran == []
    assert "hook_failed" in [event.type for event in stage.seen]


async def test_a_hook_never_allows_what_the_gate_denies(tmp_path: Path) -> None:
    hooks = HookEngine()
    hooks.register_hook("yes", "pre_tool_use", lambda event: {"action": "continue"})
    hooks.register_hook("please", "permission_request", lambda event: {"action": "continue"})
    stage = Stage(tmp_path, hooks=hooks)
    assert (await stage.call("act", on="secret")).error_kind == "permission_denied"
    assert (await stage.call("act", on="ask")).error_kind == "permission_denied"
    assert stage.act.ran == []


async def test_a_hook_that_escalates_turns_an_allow_into_a_question(tmp_path: Path) -> None:
    asked: list[str] = []

    class Person(SaidNothing):
        async def confirm(self, question: Question, emit: Emit) -> Confirmation:
            asked.append(question.decision.reason)
            return Confirmation(approved=True)

    hooks = HookEngine()
    hooks.register_hook("look", "pre_tool_use", lambda event: {"action": "escalate", "reason": "look at it"})
    stage = Stage(tmp_path, Person(), hooks=hooks)
    assert (await stage.call("act", on="a")).output == "done"
    assert asked == ["look at it"]
    assert (await stage.call("act", on="secret")).error_kind == "permission_denied"
    assert asked == ["look at it"]


async def test_what_runs_is_what_was_shown(tmp_path: Path) -> None:
    class Meddling(SaidNothing):
        async def confirm(self, question: Question, emit: Emit) -> Confirmation:
            question.action.arguments["deep"].append("more")
            return Confirmation(approved=True)

    stage = Stage(tmp_path, Meddling())
    seen = await stage.call("act", on="ask", deep=["x"])
    assert seen.error_kind == "permission_denied"
    assert "changed while" in seen.output
    assert stage.act.ran == []


async def test_a_host_that_keeps_its_arguments_cannot_change_a_call_that_runs(tmp_path: Path) -> None:
    given = {"on": "a", "calls": [("act", {"on": "a"})]}

    class Waiting(SaidNothing):
        async def confirm(self, question: Question, emit: Emit) -> Confirmation:
            return Confirmation(approved=True)

    stage = Stage(tmp_path, Waiting())
    task = asyncio.create_task(stage.executor.execute(ToolCall("c1", "several", given), stage.caller))
    await asyncio.sleep(0)
    given["calls"][0][1]["on"] = "secret"  # type: ignore[index]  # a test's own nested value
    await task
    assert stage.act.ran in (["a"], [])


async def test_a_guard_that_ends_the_run_lets_no_further_call_act(tmp_path: Path) -> None:
    class Strict:
        def check(self, call: ToolCall) -> ToolOutput | None:
            raise RunLimit("repetition", "in circles")

        def note(self, call: ToolCall, seen: Observation, changed: bool) -> None:
            pass

    stage = Stage(tmp_path, guard=Strict())
    assert (await stage.call("act", on="a")).failed
    assert stage.act.ran == []
    assert stage.run.due is not None


@pytest.mark.parametrize("origin", ["host", "check"])
async def test_hooks_see_the_hosts_own_calls_too(tmp_path: Path, origin: Any) -> None:
    hooks = HookEngine()
    hooks.register_hook("never", "pre_tool_use", lambda event: {"action": "block", "reason": "no"})
    stage = Stage(tmp_path, hooks=hooks)
    seen = await stage.executor.execute(ToolCall("c1", "act", {"on": "a"}), Caller(origin, stage.run.emit))
    assert seen.error_kind == "permission_denied"


async def test_a_hook_is_asked_about_what_a_call_meets_on_its_way(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def guard(message: dict[str, Any]) -> Any:
        return {"action": "block", "reason": "not there"} if message["payload"]["args"].get("on") == "b" else None

    stage.hooks.register_hook("guard", "pre_tool_use", guard)
    assert (await stage.call("act", on="a", then="b")).output == "stopped: not there"
    assert stage.act.ran == []


async def test_a_hook_cannot_send_a_call_elsewhere_on_its_way(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def change(message: dict[str, Any]) -> Any:
        return {"action": "continue", "modified": {"on": "c"}} if message["payload"]["args"].get("on") == "b" else None

    stage.hooks.register_hook("change", "pre_tool_use", change)
    assert "a hook changed" in (await stage.call("act", on="a", then="b")).output
    assert stage.act.ran == []


async def test_the_time_of_a_call_stands_still_while_others_work_for_it(tmp_path: Path) -> None:
    async def late(pending: Any) -> bool:
        await asyncio.sleep(0.3)
        return True

    confirmer = Confirmations(ConfirmationPolicy(default_timeout_ms=None), late, SystemClock())
    stage = Stage(tmp_path, confirmer, limits=Limits(tool_timeout_ms=150 - DEADLINE_GRACE_MS))
    seen = await stage.call("several", calls=[("act", {"on": "ask 1"}), ("act", {"on": "ask 2"})])
    assert seen.output == "done; done"


async def test_a_tool_that_has_ended_makes_no_more_calls(tmp_path: Path) -> None:
    kept: list[ToolContext] = []

    class Keeps(Act):
        spec = ToolSpec("keeps", "keeps its context", {"type": "object"})

        async def invoke(self, args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
            kept.append(context)
            return ToolOutput("done")

    stage = Stage(tmp_path, tools=(Keeps(),))
    await stage.call("keeps", on="a")
    with pytest.raises(LookupError, match="ended"):
        await kept[0].call("act", {"on": "b"})
    with pytest.raises(LookupError, match="ended"):
        await kept[0].permit({"on": "b"})
    assert stage.act.ran == []
