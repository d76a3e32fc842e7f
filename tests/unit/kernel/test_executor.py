"""The executor: one door, and what comes out of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from a3s_code.errors import ArgumentError
from a3s_code.harness.hooks import HookEngine
from a3s_code.harness.safety.confirmation import ConfirmationPolicy, Confirmations
from a3s_code.harness.safety.sanitize import adapt
from a3s_code.kernel import events
from a3s_code.kernel.authorization import Authorization
from a3s_code.kernel.contracts import Confirmation, Decision, Effect, EffectKind, Origin, Outcome
from a3s_code.kernel.executor import DEADLINE_GRACE_MS, Caller, Surroundings, ToolExecutor
from a3s_code.kernel.messages import Observation, ToolCall
from a3s_code.kernel.ports import Emit, Limits, Question
from a3s_code.kernel.state import Run, SessionState
from a3s_code.kernel.tool import Action, ToolCatalog, ToolContext, ToolOutput, ToolSpec
from a3s_code.stores.artifacts import MemoryArtifactStore
from a3s_code.system.clock import SystemClock

Body = Callable[[Mapping[str, Any], ToolContext], Awaitable[ToolOutput]]


NOBODY = Confirmations(ConfirmationPolicy(), None, SystemClock())


class Probe:
    """A tool whose body is a function of the test."""

    def __init__(self, name: str, body: Body, *kinds: EffectKind, needs: tuple[str, ...] = ()) -> None:
        self.spec = ToolSpec(name, "a probe", {"type": "object"})
        self._body = body
        self._kinds = kinds
        self._needs = needs

    def parse(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in self._needs:
            if name not in arguments:
                raise ArgumentError(f"{name}: expected a value, got nothing")
        return arguments

    def effects(self, args: Mapping[str, Any], workspace: Path) -> tuple[Effect, ...]:
        return tuple(Effect(kind, str(workspace / "x")) for kind in self._kinds)

    async def invoke(self, args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        return await self._body(args, context)


class Answering:
    """A gate with one answer."""

    def __init__(self, outcome: Outcome, reason: str = "because the test says so") -> None:
        self.decision = Decision(outcome, reason, source="test")
        self.asked: list[Action] = []

    async def decide(self, action: Action) -> Decision:
        self.asked.append(action)
        return self.decision


class Clean:
    def clean(self, text: str) -> str:
        return text.replace("hunter2", "[REDACTED]")


class Ticking:
    def __init__(self) -> None:
        self._ticks = count(1)

    def now_ms(self) -> int:
        return next(self._ticks)

    def new_id(self, kind: str) -> str:
        return f"{kind}-{next(self._ticks)}"


class SaidNothing:
    """A person before the first question."""

    def objects(self, call_id: str) -> bool:
        return False


class Bench:
    """An executor with its surroundings, and the events it emitted."""

    def __init__(
        self,
        tmp_path: Path,
        *tools: Probe,
        gate: Any = None,
        confirmer: Any = None,
        watchers: tuple[Any, ...] = (),
        sanitizer: Any = None,
        **limits: int,
    ) -> None:
        self.state = SessionState("session-1", tmp_path)
        self.gate = gate or Answering("allow")
        self.artifacts = MemoryArtifactStore()
        self.clock = Ticking()
        self.run = Run("run-1", "session-1", "do it", self.clock.now_ms)
        self.hooks = HookEngine()
        authorization = Authorization(self.gate, confirmer or NOBODY, self.hooks, "session-1")
        surroundings = Surroundings(self.clock, Limits(**limits), self.artifacts, {}, watchers=watchers)
        self.executor = ToolExecutor(
            self.state, ToolCatalog(tools), authorization, adapt(sanitizer or Clean()), self.hooks, surroundings
        )

    @property
    def seen(self) -> list[events.AgentEvent]:
        return [record.event for record in self.run.log.records()]

    async def call(self, name: str, origin: Origin = "model", **args: Any) -> Observation:
        return await self.executor.execute(ToolCall("c1", name, args), Caller(origin, self.run.emit, self.run))

    async def calls(self, *names: str) -> list[Observation]:
        done: dict[int, Observation] = {}
        asked = [ToolCall(f"c{index}", name, {}) for index, name in enumerate(names)]
        await self.executor.execute_all(asked, Caller("model", self.run.emit, self.run), done)
        return [done[index] for index in range(len(names))]


async def say_ok(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
    return ToolOutput("ok")


async def test_a_call_is_judged_invoked_and_observed_between_its_two_events(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Probe("look", say_ok, "read"))
    seen = await bench.call("look", path="a")
    assert (seen.output, seen.exit_code, seen.failed) == ("ok", 0, False)
    start, end = bench.seen
    assert isinstance(start, events.ToolStart)
    assert isinstance(end, events.ToolEnd)
    assert (start.id, start.args, start.origin) == ("c1", '{"path":"a"}', "model")
    assert len(start.args_digest) == 64
    assert end.output == "ok"
    assert [action.tool for action in bench.gate.asked] == ["look"]


async def test_denied_call_becomes_an_observation(tmp_path: Path) -> None:
    ran: list[str] = []

    async def body(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        ran.append("ran")
        return ToolOutput("ok")

    bench = Bench(tmp_path, Probe("act", body, "write"), gate=Answering("deny", "rules say no"))
    seen = await bench.call("act")
    assert not ran
    assert seen.error_kind == "permission_denied"
    assert "rules say no" in seen.output
    assert [type(event).__name__ for event in bench.seen] == ["ToolStart", "PermissionDenied", "ToolEnd"]
    assert [refusal.call.name for refusal in bench.run.refused] == ["act"]


async def test_an_ask_with_nobody_to_ask_is_denied_with_the_reason(tmp_path: Path) -> None:
    seen = await Bench(tmp_path, Probe("act", say_ok, "write"), gate=Answering("ask", "writing asks")).call("act")
    assert seen.error_kind == "permission_denied"
    assert "writing asks" in seen.output
    assert "nobody can be asked" in seen.output


@pytest.mark.parametrize("origin", ["host", "check"])
async def test_the_hosts_own_call_satisfies_an_ask_but_never_a_deny(tmp_path: Path, origin: Origin) -> None:
    asked = Bench(tmp_path, Probe("act", say_ok, "write"), gate=Answering("ask"))
    denied = Bench(tmp_path, Probe("act", say_ok, "write"), gate=Answering("deny"))
    assert (await asked.call("act", origin)).output == "ok"
    assert (await denied.call("act", origin)).error_kind == "permission_denied"


@pytest.mark.parametrize(
    ("approved", "output"), [(True, "ok"), (False, "Not allowed: because the test says so; not today")]
)
async def test_a_confirmer_decides_an_ask(tmp_path: Path, approved: bool, output: str) -> None:
    class Person(SaidNothing):
        async def confirm(self, question: Question, emit: Emit) -> Confirmation:
            return Confirmation(approved, "" if approved else "not today")

    bench = Bench(tmp_path, Probe("act", say_ok, "write"), gate=Answering("ask"), confirmer=Person())
    assert (await bench.call("act")).output == output
    names = [event.type for event in bench.seen]
    assert names[0] == "tool_start"


async def test_a_confirmer_that_fails_has_not_said_yes(tmp_path: Path) -> None:
    class Broken(SaidNothing):
        async def confirm(self, question: Question, emit: Emit) -> Confirmation:
            raise RuntimeError("no terminal")

    bench = Bench(tmp_path, Probe("act", say_ok, "write"), gate=Answering("ask"), confirmer=Broken())
    seen = await bench.call("act")
    assert seen.error_kind == "permission_denied"
    assert "no terminal" in seen.output


async def test_a_gate_that_fails_denies(tmp_path: Path) -> None:
    class Broken:
        async def decide(self, action: Action) -> Decision:
            raise RuntimeError("gate is down")

    seen = await Bench(tmp_path, Probe("act", say_ok), gate=Broken()).call("act")
    assert seen.error_kind == "permission_denied"
    assert "gate is down" in seen.output


async def test_an_unknown_tool_names_the_nearest_ones(tmp_path: Path) -> None:
    seen = await Bench(tmp_path, Probe("grep", say_ok), Probe("write", say_ok)).call("gerp")
    assert seen.error_kind == "unknown_tool"
    assert "Nearest: grep" in seen.output


async def test_arguments_that_do_not_fit_are_observed_and_nothing_is_judged(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Probe("act", say_ok, needs=("path",)))
    seen = await bench.call("act")
    assert seen.error_kind == "invalid_argument"
    assert "path: expected a value" in seen.output
    assert not bench.gate.asked


async def test_arguments_that_were_no_object_are_never_half_used(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Probe("act", say_ok))
    call = ToolCall("c1", "act", {}, malformed='{"path": "a')
    seen = await bench.executor.execute(call, Caller("model", bench.run.emit, bench.run))
    assert seen.error_kind == "invalid_argument"
    assert not bench.gate.asked


async def test_a_tool_that_raises_is_observed_with_type_and_message(tmp_path: Path) -> None:
    async def body(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        raise KeyError("colour")

    seen = await Bench(tmp_path, Probe("act", body)).call("act")
    assert seen.error_kind == "failed"
    assert "KeyError: 'colour'" in seen.output


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError("from within")], ids=repr)
async def test_a_tool_that_exits_or_cancels_itself_ends_its_call_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    async def body(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        raise error

    bench = Bench(tmp_path, Probe("leave", body, "read"), Probe("good", say_ok, "read"))
    assert (await bench.call("leave")).error_kind == "failed"
    assert [seen.error_kind for seen in await bench.calls("leave", "good")] == ["failed", None]


async def test_one_failing_call_never_loses_its_siblings_results(tmp_path: Path) -> None:
    async def fail(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        raise OSError("gone")

    bench = Bench(tmp_path, Probe("good", say_ok, "read"), Probe("bad", fail, "read"))
    results = await bench.calls("good", "bad", "good", "nope")
    assert [seen.error_kind for seen in results] == [None, "failed", None, "unknown_tool"]
    assert [seen.call_id for seen in results] == ["c0", "c1", "c2", "c3"]


async def test_calls_that_change_nothing_run_together(tmp_path: Path) -> None:
    everybody_is_here = asyncio.Barrier(3)

    async def body(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        await everybody_is_here.wait()
        return ToolOutput("met")

    bench = Bench(tmp_path, Probe("look", body, "read"), Probe("fetch", body, "net"), Probe("custom", body, "unknown"))
    results = await asyncio.wait_for(bench.calls("look", "fetch", "custom"), 5)
    assert [seen.output for seen in results] == ["met"] * 3


async def test_calls_that_change_something_run_alone_and_in_order(tmp_path: Path) -> None:
    running, most, order = 0, 0, []

    async def body(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        nonlocal running, most
        running += 1
        most = max(most, running)
        order.append(context.call_id)
        await asyncio.sleep(0.01)
        running -= 1
        return ToolOutput("ok")

    bench = Bench(tmp_path, Probe("write", body, "write"), Probe("run", body, "exec"), Probe("look", body, "read"))
    await bench.calls("write", "run", "look", "write")
    assert most == 1
    assert order == ["c0", "c1", "c2", "c3"]


async def test_a_tool_past_its_timeout_is_stopped_and_says_so(tmp_path: Path) -> None:
    async def body(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        await asyncio.sleep(60)
        return ToolOutput("never")

    bench = Bench(tmp_path, Probe("slow", body), tool_timeout_ms=100 - DEADLINE_GRACE_MS)
    began = time.monotonic()
    seen = await bench.call("slow")
    assert seen.error_kind == "timeout"
    assert time.monotonic() - began < 5


async def test_cancelling_ends_each_started_call_exactly_once_and_keeps_what_was_done(tmp_path: Path) -> None:
    waiting = asyncio.Event()

    async def stuck(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        waiting.set()
        await asyncio.sleep(60)
        return ToolOutput("never")

    bench = Bench(tmp_path, Probe("good", say_ok, "read"), Probe("stuck", stuck, "read"), Probe("late", say_ok, "exec"))
    done: dict[int, Observation] = {}
    asked = [ToolCall(f"c{index}", name, {}) for index, name in enumerate(["good", "stuck", "late"])]
    task = asyncio.create_task(bench.executor.execute_all(asked, Caller("model", bench.run.emit, bench.run), done))
    await waiting.wait()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done[0].output == "ok"
    starts = [event.id for event in bench.seen if isinstance(event, events.ToolStart)]
    ends = [event.id for event in bench.seen if isinstance(event, events.ToolEnd)]
    assert sorted(starts) == sorted(ends) == ["c0", "c1"]
    assert not bench.state.active


async def test_long_output_shows_head_and_tail_and_can_be_read_whole(tmp_path: Path) -> None:
    whole = "\n".join(f"line {number} é" for number in range(20_000))

    async def body(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        return ToolOutput(whole)

    bench = Bench(tmp_path, Probe("long", body), observation_bytes=4_096)
    seen = await bench.call("long")
    assert len(seen.output.encode()) <= 4_096
    assert seen.output.startswith("line 0 é\n")
    assert seen.output.endswith("line 19999 é")
    assert seen.artifact is not None
    assert seen.artifact.uri in seen.output
    assert bench.artifacts.get(seen.artifact.uri) == whole


async def test_the_host_gets_long_output_whole(tmp_path: Path) -> None:
    async def body(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        return ToolOutput("x" * 100_000)

    seen = await Bench(tmp_path, Probe("long", body)).call("long", "host")
    assert len(seen.output) == 100_000
    assert seen.artifact is None


async def test_secrets_are_cleaned_from_output_events_and_arguments(tmp_path: Path) -> None:
    async def body(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        context.progress("key hunter2")
        return ToolOutput("the key is hunter2")

    bench = Bench(tmp_path, Probe("leak", body))
    seen = await bench.call("leak", key="hunter2")
    assert "hunter2" not in seen.output
    assert "hunter2" not in str([event.to_dict() for event in bench.seen])


async def test_what_could_not_be_cleaned_is_withheld(tmp_path: Path) -> None:
    class Broken:
        def clean(self, text: str) -> str:
            raise LookupError("no rules")

    bench = Bench(tmp_path, Probe("leak", say_ok), sanitizer=Broken())
    seen = await bench.call("leak", key="hunter2")
    assert "no rules" in seen.output
    assert "hunter2" not in str([event.to_dict() for event in bench.seen])


async def test_shown_arguments_are_bounded_and_the_digest_is_of_the_whole(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Probe("look", say_ok))
    await bench.call("look", text="a" * 10_000)
    await bench.call("look", text="a" * 10_001)
    first, second = (event for event in bench.seen if isinstance(event, events.ToolStart))
    assert len(first.args) <= 2_048
    assert first.args == second.args
    assert first.args_digest != second.args_digest


async def test_every_call_leaves_a_trace_line_without_argument_values(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Probe("look", say_ok))
    await bench.call("look", path="private")
    await bench.call("nope", "host")
    first, second = bench.state.trace
    assert (first.name, first.success, first.origin, first["exit_code"]) == ("look", True, "model", 0)
    assert (second.success, second.error_kind, second.origin) == (False, "unknown_tool", "host")
    assert "private" not in repr(bench.state.trace)


async def test_only_calls_that_may_change_something_count_as_changes(tmp_path: Path) -> None:
    async def not_there(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        return ToolOutput.failure("no such text", "not_found")

    async def fail(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        raise OSError("half way")

    bench = Bench(
        tmp_path,
        Probe("look", say_ok, "read"),
        Probe("act", say_ok, "write"),
        Probe("miss", not_there, "write"),
        Probe("break", fail, "write"),
        Probe("custom", say_ok, "unknown"),
    )
    await bench.calls("look", "act", "look", "act")
    await bench.call("act", "check")
    assert bench.state.changes == 2
    await bench.call("miss")
    assert bench.state.changes == 2, "a call that says nothing was done is no change"
    await bench.calls("break", "custom")
    assert bench.state.changes == 4, "a call that broke off, or that does not say what it does, may be one"


async def test_metadata_of_any_kind_is_cleaned_and_ends_the_call(tmp_path: Path) -> None:
    async def body(args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        return ToolOutput("ok", metadata={1: {"hunter2"}, "raw": b"hunter2", "path": Path("/hunter2"), "n": 1.5})

    bench = Bench(tmp_path, Probe("odd", body))
    seen = await bench.call("odd")
    assert "hunter2" not in repr(bench.seen)
    assert seen.metadata["n"] == 1.5
    assert [event.type for event in bench.seen] == ["tool_start", "tool_end"]
    assert bench.state.trace[0].metadata_keys == ("1", "n", "path", "raw")


async def test_a_refused_call_is_kept_without_its_secrets(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Probe("leak", say_ok), gate=Answering("deny"))
    await bench.call("leak", key="hunter2")
    assert bench.run.refused[0].call.arguments == {"key": "[REDACTED]"}


async def test_who_only_observes_sees_no_secrets(tmp_path: Path) -> None:
    bench, told = Bench(tmp_path, Probe("leak", say_ok)), []

    async def observe(message: dict[str, Any]) -> None:
        told.append(message["payload"]["args"])

    bench.hooks.register_hook("watch", "post_tool_use", observe)
    await bench.call("leak", key="hunter2")
    await bench.hooks.close()
    assert told == [{"key": "[REDACTED]"}]


async def test_arguments_nested_without_end_are_refused_and_the_run_goes_on(tmp_path: Path) -> None:
    bench, deep = Bench(tmp_path, Probe("look", say_ok)), [1]
    for _ in range(5_000):
        deep = [deep]  # type: ignore[list-item]  # a list in a list
    for name in ("look", "nonsense"):
        assert (await bench.call(name, text=deep)).failed
    assert "nested too deep" in bench.seen[1].output
    assert [event.type for event in bench.seen] == ["tool_start", "tool_end"] * 2
