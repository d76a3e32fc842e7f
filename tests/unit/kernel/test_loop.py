"""The loop, with its modules replaced by plain objects of the tests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from a3s_code.errors import HarnessError, ModelError, ModelProtocolError
from a3s_code.harness.compaction.trimmer import Trimmer
from a3s_code.harness.context.assembler import PromptAssembler
from a3s_code.harness.hooks import HookEngine
from a3s_code.harness.intent import PlainRouter
from a3s_code.harness.planning import NoPlanner
from a3s_code.harness.safety.confirmation import ConfirmationPolicy, Confirmations
from a3s_code.harness.safety.repetition import RepetitionGuard
from a3s_code.harness.safety.sanitize import TextSanitizer
from a3s_code.harness.selection import CoreSelector
from a3s_code.kernel.authorization import Authorization
from a3s_code.kernel.contracts import Decision, Effect, Usage, Verification
from a3s_code.kernel.executor import Surroundings, ToolExecutor
from a3s_code.kernel.ledger import RunLedger
from a3s_code.kernel.loop import AgentLoop
from a3s_code.kernel.messages import Message, Reply, Request, Text, TextDelta, ToolCall
from a3s_code.kernel.ports import Execute, Limits, Modules
from a3s_code.kernel.state import Run, SessionState
from a3s_code.kernel.tool import Action, ToolCatalog, ToolContext, ToolOutput, ToolSpec
from a3s_code.stores.artifacts import MemoryArtifactStore
from a3s_code.system.clock import SystemClock
from a3s_code.testing import ScriptedModel

NOBODY = Confirmations(ConfirmationPolicy(), None, SystemClock())


class Echo:
    """A tool that gives back its text; with `hang` it waits for ever."""

    spec = ToolSpec("echo", "says it again", {"type": "object", "properties": {"text": {"type": "string"}}})

    def parse(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return arguments

    def effects(self, args: Mapping[str, Any], workspace: Path) -> tuple[Effect, ...]:
        return (Effect("write", "x"),) if args.get("write") else ()

    async def invoke(self, args: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        if args.get("hang"):
            await asyncio.sleep(60)
        return ToolOutput(str(args.get("text", "")))


class AllowAll:
    async def decide(self, action: Action) -> Decision:
        return Decision("allow")


class Content:
    """A verifier that is content, after as many rounds of feedback as it was given."""

    def __init__(self, *feedback: str) -> None:
        self._feedback = list(feedback)

    async def verify(self, state: SessionState, execute: Execute) -> Verification:
        return Verification("needs_review", feedback=self._feedback.pop(0) if self._feedback else None)


class Stage:
    """A loop on a stage: scripted model, echo tool, and one run at a time."""

    def __init__(self, tmp_path: Path, *replies: Any, limits: Limits | None = None, **modules: Any) -> None:
        self.model = ScriptedModel(replies)
        self.state = SessionState("session-1", tmp_path)
        self.clock = SystemClock()
        self.ledger = RunLedger("session-1", self.clock)
        limits = limits or Limits()
        catalog = ToolCatalog([Echo()])
        defaults = {
            "router": PlainRouter(),
            "planner": NoPlanner(),
            "assembler": PromptAssembler(),
            "selector": CoreSelector(),
            "gate": AllowAll(),
            "sanitizer": TextSanitizer(),
            "verifier": Content(),
            "compactor": Trimmer(200_000),
            "hooks": HookEngine(),
            "guard": RepetitionGuard,
        }
        parts = Modules(**{**defaults, **modules})
        authorization = Authorization(parts.gate, NOBODY, parts.hooks, "session-1")
        surroundings = Surroundings(self.clock, limits, MemoryArtifactStore(), {})
        executor = ToolExecutor(self.state, catalog, authorization, parts.sanitizer, parts.hooks, surroundings)
        self.loop = AgentLoop(self.state, parts, self.model, catalog, executor, limits)

    def begin(self, prompt: str = "go", history: Sequence[Message] | None = None) -> Run:
        request = Request(prompt, history=None if history is None else tuple(history))
        run, _ = self.ledger.begin(request, queue=False)
        run.start(self.loop.run(run, request))
        return run

    async def play(self, prompt: str = "go", history: Sequence[Message] | None = None) -> Run:
        run = self.begin(prompt, history)
        await run.wait()
        return run


def types(run: Run) -> list[str]:
    return [record.event.type for record in run.log.records()]


def echo(text: str = "hi", call_id: str = "c1", **more: Any) -> ToolCall:
    return ToolCall(call_id, "echo", {"text": text, **more})


async def test_a_run_goes_through_its_phases_and_tells_so_in_order(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ["looking", echo()], "done")
    run = await stage.play("say hi")
    assert (run.status, run.text, run.turns, run.calls) == ("completed", "done", 2, 1)
    shown = [name for name in types(run) if name not in ("text_delta", "tool_input_delta")]
    assert shown == [
        "agent_start",
        "intent_resolved",
        "turn_start",
        "tool_start",
        "tool_end",
        "turn_end",
        "turn_start",
        "turn_end",
        "agent_end",
    ]
    assert [record.sequence for record in run.log.records()] == list(range(len(run.log)))


async def test_the_history_pairs_every_call_with_its_result(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [echo("a", "1"), echo("b", "2")], "done")
    await stage.play("go")
    roles = [message.role for message in stage.state.history]
    assert roles == ["user", "assistant", "tool", "assistant"]
    assert [part.output for part in stage.state.history[2].parts] == ["a", "b"]  # type: ignore[union-attr]  # observations


async def test_each_prompt_is_the_last_one_and_more(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [echo("a")], [echo("b")], "done", "again")
    await stage.play("first")
    await stage.play("second")
    for before, after in itertools.pairwise(stage.model.prompts):
        assert after.messages[: len(before.messages)] == before.messages
        assert (after.system, after.tools) == (before.system, before.tools)


async def test_a_model_that_fails_fails_the_run_and_keeps_the_history(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [echo()], ModelProtocolError("cut"))
    run = await stage.play("go")
    assert run.status == "failed"
    assert isinstance(run.error, ModelProtocolError)
    assert types(run)[-1] == "error"
    assert [message.role for message in stage.state.history] == ["user", "assistant", "tool"]


async def test_a_stream_that_ends_without_a_reply_is_no_answer(tmp_path: Path) -> None:
    class Cut:
        name = "cut/model"

        async def stream(self, prompt: Any) -> Any:
            yield TextDelta("half an ans")

    stage = Stage(tmp_path)
    stage.loop._dialogue._model = Cut()
    run = await stage.play("go")
    assert isinstance(run.error, ModelProtocolError)
    assert run.status == "failed"


@pytest.mark.parametrize("module", ["router", "planner", "selector", "assembler", "verifier", "compactor"])
async def test_a_module_that_raises_fails_the_run_and_is_named(tmp_path: Path, module: str) -> None:
    class Broken:
        def __getattr__(self, verb: str) -> Any:
            async def fail(*args: Any) -> Any:
                raise ZeroDivisionError("oops")

            return fail

    run = await Stage(tmp_path, [echo()], "done", **{module: Broken()}).play("go")
    assert run.status == "failed"
    assert isinstance(run.error, HarnessError)
    assert run.error.module == module
    assert isinstance(run.error.__cause__, ZeroDivisionError)


async def test_feedback_of_the_verifier_goes_to_the_model_as_a_message(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "done", "now really", verifier=Content("the tests fail"))
    run = await stage.play("go")
    assert (run.text, run.turns, run.verification.verdict) == ("now really", 2, "needs_review")
    assert stage.model.prompts[1].messages[-1].text == "[notice] the tests fail"


async def test_a_compactor_replaces_the_history(tmp_path: Path) -> None:
    class LastOnly:
        async def compact(self, state: SessionState) -> Sequence[Message] | None:
            return [Message.user("short")] if len(state.history) > 2 else None

    stage = Stage(tmp_path, [echo()], "done", compactor=LastOnly())
    await stage.play("go")
    assert [message.text for message in stage.model.prompts[1].messages] == ["short"]


async def test_the_turn_limit_ends_the_run_as_a_status_with_everything_kept(tmp_path: Path) -> None:
    stage = Stage(tmp_path, *([f"round {n}", echo(str(n), str(n))] for n in range(5)), limits=Limits(max_tool_rounds=3))
    run = await stage.play("go")
    assert (run.status, run.limit, run.turns, run.text) == ("limit_reached", "turns", 3, "round 2")
    assert types(run)[-2:] == ["limit_reached", "agent_end"]
    assert len(stage.state.history) == 7


async def test_cancel_keeps_pairing_and_ends_with_agent_end(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [echo("fast", "1"), echo("slow", "2", hang=True), echo("late", "3", write=True)], "next")
    run = stage.begin("go")
    while "tool_end" not in types(run):
        await asyncio.sleep(0.001)
    assert run.cancel()
    await run.wait()
    assert run.status == "cancelled"
    assert types(run)[-1] == "agent_end"
    outputs = [part.output for part in stage.state.history[-1].parts]  # type: ignore[union-attr]  # observations
    assert outputs[0] == "fast"
    assert all("Interrupted" in output for output in outputs[1:])
    assert (await stage.play("go on")).text == "next"


async def test_cancel_while_the_model_speaks_keeps_what_it_said_and_marks_it(tmp_path: Path) -> None:
    class Slow:
        name = "slow/model"
        closed = False

        async def stream(self, prompt: Any) -> Any:
            try:
                yield TextDelta("The answer ")
                await asyncio.sleep(60)
            finally:
                self.closed = True

    stage, slow = Stage(tmp_path), Slow()
    stage.loop._dialogue._model = slow
    run = stage.begin("go")
    while "text_delta" not in types(run):
        await asyncio.sleep(0.001)
    run.cancel()
    await run.wait()
    assert (run.status, run.text) == ("cancelled", "The answer ")
    assert stage.state.history[-1].text == "The answer \n[interrupted here]"
    assert slow.closed


async def test_a_run_cancelled_before_it_began_still_tells_a_whole_story(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "never")
    run = stage.begin("go")
    assert run.task is not None
    run.task.cancel()
    await run.wait()
    assert (run.status, types(run)) == ("cancelled", ["agent_start", "agent_end"])


async def test_an_explicit_history_is_used_once_and_not_kept(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "one", "two", "three")
    await stage.play("first")
    await stage.play("second", history=[Message.user("other"), Message("assistant", (Text("talk"),))])
    await stage.play("third")
    assert [message.text for message in stage.model.prompts[1].messages] == ["other", "talk", "second"]
    assert [message.text for message in stage.model.prompts[2].messages] == ["first", "one", "third"]


async def test_a_paused_reply_is_asked_to_go_on(tmp_path: Path) -> None:
    paused = Reply(Message("assistant", (Text("wait"),)), "pause", Usage(1, 1))
    run = await Stage(tmp_path, paused, "done").play("go")
    assert (run.text, run.turns) == ("done", 2)


async def test_usage_adds_up_over_the_turns(tmp_path: Path) -> None:
    replies = [
        Reply(Message("assistant", (echo(),)), "tool_calls", Usage(10, 2, 3)),
        Reply(Message("assistant", (Text("done"),)), "end", Usage(20, 4, 5)),
    ]
    run = await Stage(tmp_path, *replies).play("go")
    assert run.usage == Usage(30, 6, 8)
    assert run.usage.prompt_tokens == 38


@pytest.mark.parametrize(
    "raised", [ModelError("the key k-s3cr3t-9Qx was refused", provider="x"), ValueError("k-s3cr3t-9Qx")]
)
async def test_an_error_tells_no_secret(tmp_path: Path, raised: Exception) -> None:
    told: list[Any] = []

    async def observe(message: dict[str, Any]) -> None:
        told.append(message["payload"])

    hooks = HookEngine()
    hooks.register_hook("watch", "on_error", observe)
    stage = Stage(tmp_path, raised, sanitizer=TextSanitizer(["k-s3cr3t-9Qx"]), hooks=hooks)
    run = await stage.play()
    await hooks.close()
    assert run.status == "failed"
    assert "[REDACTED]" in str(run.error)
    for shown in (run.error, run.snapshot(), run.log.records(), told):
        assert "s3cr3t" not in f"{shown} {shown!r}"
