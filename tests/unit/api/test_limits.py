"""Limits end a run with everything done so far; what was reserved before a call is settled after it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from a3s_code import Agent, AsyncAgent, PermissionPolicy, tool
from a3s_code.errors import ContextOverflow, ModelProtocolError, ModelUnavailable
from a3s_code.kernel.contracts import Effect, Usage
from a3s_code.kernel.events import AgentEvent
from a3s_code.kernel.messages import Image, Message, Piece, Reasoning, ReasoningDelta, Reply, Text, TextDelta, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.tool import ToolOutput, ToolSpec
from a3s_code.testing import FakeClock, LoopbackServer, ScriptedModel

ALLOW = PermissionPolicy(default_decision="allow")


@tool(effects=())
def look(number: int) -> str:
    """Look at a number."""
    return f"seen {number}"


def looks(count: int) -> list[Any]:
    return [ToolCall(str(number), "look", {"number": number}) for number in range(count)]


def told(session: Any, kind: str) -> list[AgentEvent]:
    run = session.runs()[-1]
    return [record.event for record in session.run_events(run.id) if record.event.type == kind]


@pytest.mark.parametrize("wanted", [False, True])
def test_a_run_at_its_last_turn_keeps_what_it_did_and_may_say_where_it_stands(wanted: bool, tmp_path: Path) -> None:
    model = ScriptedModel([*looks(3 - wanted), "Two were seen, one is open."])
    with Agent.create("") as agent:
        session = agent.session(tmp_path, model=model, tools=[look], max_tool_rounds=3, last_turn_at_limit=wanted)
        result = session.send("look at three")
        assert (result.status, result.limit, result.turns) == ("limit_reached", "turns", 3)
        assert result.text == ("Two were seen, one is open." if wanted else "")
        assert [prompt.calls for prompt in model.prompts] == [True, True, not wanted]
        assert [message.role for message in session.history()][-2:] == (
            ["user", "assistant"] if wanted else ["assistant", "tool"]
        )
        (limit,) = told(session, "limit_reached")
        assert "max_tool_rounds" in limit.message  # type: ignore[union-attr]  # its type was asked for
        model.prompts.clear()


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_the_last_turn_forbids_calls_and_drops_those_that_are_made_all_the_same(api: Any, tmp_path: Path) -> None:
    with LoopbackServer([*looks(1), [Text("one is open"), ToolCall("9", "look", {"number": 9})]]) as server:
        acl = f'default_model = "x/m"\nproviders "x" {{ base_url = "{server.base_url}" api = "{api}" }}'
        with Agent.create(acl) as agent:
            session = agent.session(tmp_path, tools=[look], max_tool_rounds=2, last_turn_at_limit=True)
            result = session.send("look")
            sent = [json.loads(request.body) for request in server.requests]
    assert (result.status, result.text, result.tool_calls_count) == ("limit_reached", "one is open", 1)
    assert "tool_choice" not in sent[0]
    assert sent[1]["tool_choice"] == ("none" if api == "openai" else {"type": "none"})
    assert sent[1]["tools"] == sent[0]["tools"]
    assert not session.history()[-1].calls
    assert server.violations == []


def test_a_run_ends_in_the_middle_of_a_model_call_or_a_tool_when_its_time_is_up(tmp_path: Path) -> None:
    async def main() -> None:
        @tool(effects=())
        async def sleep() -> str:
            """Sleep."""
            await asyncio.sleep(60)
            return "slept"

        class Slow(ScriptedModel):
            async def stream(self, prompt: Any) -> Any:
                async for piece in super().stream(prompt):
                    yield piece
                    await asyncio.sleep(60)

        async with AsyncAgent.create("") as agent:
            loop = asyncio.get_running_loop()
            for model, last in (
                (Slow(["a long answer that never ends"]), "assistant"),
                (ScriptedModel([ToolCall("1", "sleep", {})]), "tool"),
            ):
                session = agent.session(tmp_path, model=model, tools=[sleep], max_execution_time_ms=300)
                began = loop.time()
                result = await session.send("go")
                assert loop.time() - began < 2
                assert (result.status, result.limit) == ("limit_reached", "time")
                history = await session.history()
                assert history[-1].role == last
                assert "nterrupted" in history[-1].text
                assert (await session.runs())[-1].error == "limit_reached: time"

    asyncio.run(main())


def spending(*pairs: tuple[Any, Usage]) -> ScriptedModel:
    def reply(item: Any, usage: Usage) -> Reply:
        message = Message("assistant", (item,))
        return Reply(message, "tool_calls" if message.calls else "end", usage, "scripted/model")

    return ScriptedModel([reply(item, usage) for item, usage in pairs])


def test_a_budget_of_tokens_is_reserved_before_the_call_and_settled_after_it(tmp_path: Path) -> None:
    calls = [(call, Usage(2_000, 200)) for call in looks(6)]
    with Agent.create("") as agent:
        session = agent.session(tmp_path, model=spending(*calls), tools=[look], budget={"max_tokens": 10_000})
        result = session.send("look")
        assert (result.status, result.limit) == ("limit_reached", "tokens")
        assert result.usage.total_tokens <= 10_000
        assert result.turns == result.tool_calls_count + 1  # the last one was refused before it was sent
        assert [event.kind for event in told(session, "budget_threshold_hit")] == ["soft"]  # type: ignore[union-attr]


def test_a_budget_of_money_needs_a_price_and_ends_the_run_before_it_is_overdrawn(tmp_path: Path) -> None:
    with LoopbackServer([*looks(1) * 50]) as server:
        acl = f"""
        default_model = "x/m"
        providers "x" {{
          base_url = "{server.base_url}"
          models "m" {{ cost = {{ input = 1000, output = 1000 }} }}
        }}
        budget {{ max_cost = 8 }}
        """
        with Agent.create(acl) as agent:
            session = agent.session(tmp_path, tools=[look], permission_policy=ALLOW, duplicate_tool_call_threshold=None)
            result = session.send("look")
    assert (result.status, result.limit) == ("limit_reached", "cost")
    assert result.cost is not None
    assert Decimal(1) < result.cost <= 8


def test_a_run_that_reached_its_limit_goes_on_with_its_limits_anew(tmp_path: Path) -> None:
    with Agent.create("") as agent:
        model = ScriptedModel([*looks(3), "all seen"])
        session = agent.session(tmp_path, model=model, tools=[look], max_tool_rounds=2)
        first = session.send("look at three")
        assert first.status == "limit_reached"
        second = session.resume_run(first.run_id)
        assert (second.status, second.text, second.run_id, second.turns) == ("completed", "all seen", first.run_id, 4)
        assert second.tool_calls_count == 3


def test_a_history_that_is_too_long_is_shortened_and_sent_again(tmp_path: Path) -> None:
    long = "word " * 2_000

    def refuse(prompt: Any) -> Any:
        if sum(len(message.text) for message in prompt.messages) > 9_000:
            raise ContextOverflow("prompt is too long", provider="scripted", status=400)
        return "short enough"

    @tool(effects=())
    def read_long() -> str:
        """Read."""
        return long

    calls = [ToolCall("1", "read_long", {}), ToolCall("2", "read_long", {})]
    with Agent.create("") as agent:
        session = agent.session(tmp_path, model=ScriptedModel([calls, refuse, refuse, refuse]), tools=[read_long])
        assert session.send("go").text == "short enough"
        assert told(session, "context_compacted")
        assert session.history()[0].text == "go"


def test_a_history_that_cannot_be_shortened_ends_the_run_with_a_typed_error(tmp_path: Path) -> None:
    asked: list[int] = []

    def refuse(prompt: Any) -> Any:
        asked.append(1)
        raise ContextOverflow("prompt is too long", provider="scripted", status=400)

    with Agent.create("") as agent:
        session = agent.session(tmp_path, model=ScriptedModel([refuse] * 9))
        with pytest.raises(ContextOverflow):
            session.send("go")
    assert len(asked) <= 3


def test_an_empty_reply_is_asked_to_go_on_and_never_a_success(tmp_path: Path) -> None:
    empty = Reply(Message("assistant", ()), "end", Usage(1, 1))
    thought = Reply(Message("assistant", (Reasoning("hm", "scripted/model"),)), "end", Usage(1, 1))
    with Agent.create("") as agent:
        session = agent.session(tmp_path, model=ScriptedModel([empty, "here it is"]))
        assert session.send("go").text == "here it is"
        assert [message.role for message in session.history()] == ["user", "user", "assistant"]
        session = agent.session(tmp_path, model=ScriptedModel([thought, "Now I look:", "done"]))
        assert session.send("go").text == "done"
        session = agent.session(tmp_path, model=ScriptedModel([empty] * 9))
        with pytest.raises(ModelProtocolError, match="no answer") as raised:
            session.send("go")
        assert raised.value.result.turns == 4


class Pieces:
    """A model that gives prepared pieces, one list a call; an exception among them is raised."""

    name = "scripted/model"

    def __init__(self, *calls: list[Any]) -> None:
        self.calls = list(calls)
        self.asked = 0

    async def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
        self.asked += 1
        for piece in self.calls[self.asked - 1]:
            if isinstance(piece, BaseException):
                raise piece
            yield piece


def saying(text: str, stop: Any = "end") -> Reply:
    return Reply(Message("assistant", (Text(text),)), stop, Usage(10, 5), "scripted/model")


def overflow() -> ContextOverflow:
    return ContextOverflow("prompt is too long", provider="scripted", status=400)


@pytest.mark.parametrize(
    "half",
    [
        [TextDelta("half"), overflow()],
        [ReasoningDelta("hm"), overflow()],
        [TextDelta("half"), saying("half", "context_overflow")],
        [ReasoningDelta("hm"), saying("half", "context_overflow")],
    ],
    ids=["text, error", "thought, error", "text, stop", "thought, stop"],
)
def test_what_was_shown_of_an_answer_that_found_no_room_is_withdrawn(half: list[Any], tmp_path: Path) -> None:
    model = Pieces(*([saying("z" * 2_000)] for _ in range(3)), half, [TextDelta("whole"), saying("whole")])
    with Agent.create("") as agent:
        session = agent.session(tmp_path, model=model)
        for letter in "abc":
            session.send(letter * 3_000)
        assert session.send("d").text == "whole"
        assert len(told(session, "text_withdrawn")) == 1
    model = Pieces(*([saying("z" * 2_000)] for _ in range(3)), [overflow()], [TextDelta("whole"), saying("whole")])
    with Agent.create("") as agent:
        session = agent.session(tmp_path, model=model)
        for letter in "abc":
            session.send(letter * 3_000)
        assert session.send("d").text == "whole"
        assert told(session, "text_withdrawn") == []


def test_requests_that_were_too_long_leave_a_session_that_can_be_used(tmp_path: Path) -> None:
    def refuse(prompt: Any) -> Any:
        if sum(len(message.text) for message in prompt.messages) > 50_000:
            raise overflow()
        return "short enough"

    with Agent.create("") as agent:
        session = agent.session(tmp_path, model=ScriptedModel([refuse] * 20))
        for _ in range(3):
            with pytest.raises(ContextOverflow):
                session.send("x" * 100_000)
        assert session.send("hello").text == "short enough"


def test_a_text_that_was_withdrawn_is_no_result_where_the_budget_ends_the_retries(tmp_path: Path) -> None:
    model = Pieces([TextDelta("half"), ModelUnavailable("down", provider="scripted")], [saying("whole")])
    limits: list[str | None] = []
    for spare in range(0, 12_000, 200):
        model.asked = 0
        with Agent.create("") as agent:
            session = agent.session(tmp_path, model=model, clock=FakeClock(), budget={"max_tokens": 500 + spare})
            result = session.send("go")
            limits.append(result.limit if model.asked == 1 else None)
            assert result.text == ("whole" if result.status == "completed" else "")
            assert len(told(session, "text_withdrawn")) == min(model.asked, 1)
    assert "tokens" in limits


def test_a_last_turn_that_breaks_off_leaves_what_was_said_before(tmp_path: Path) -> None:
    call = Reply(
        Message("assistant", (Text("I look."), ToolCall("1", "look", {"number": 1}))), "tool_calls", Usage(1, 1)
    )
    down = ModelUnavailable("down", provider="scripted", status=503)
    with Agent.create("") as agent:
        session = agent.session(
            tmp_path,
            model=Pieces([call], [TextDelta("One was se"), down]),
            tools=[look],
            clock=FakeClock(),
            max_tool_rounds=2,
            last_turn_at_limit=True,
            llm_max_attempts=1,
        )
        result = session.send("go")
        assert (result.status, result.limit, result.text) == ("limit_reached", "turns", "I look.")
        assert len(told(session, "text_withdrawn")) == 1


def test_where_the_time_is_up_there_is_no_last_turn(tmp_path: Path) -> None:
    @tool(effects=())
    async def hold_on() -> str:
        """Does not let itself be stopped."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "held on"
        return "slept"

    model = ScriptedModel([ToolCall("1", "hold_on", {}), "a last word"])
    with Agent.create("") as agent:
        session = agent.session(
            tmp_path, model=model, tools=[hold_on], max_execution_time_ms=200, last_turn_at_limit=True
        )
        result = session.send("go")
        assert (result.status, result.limit, result.text) == ("limit_reached", "time", "")
        assert len(model.prompts) == 1


def test_an_image_of_a_tool_that_no_model_takes_does_not_spoil_the_session(tmp_path: Path) -> None:
    class Drawing:
        spec = ToolSpec("draw", "Draws.", {"type": "object"})

        def __init__(self, images: Any) -> None:
            self.images = images

        def parse(self, arguments: Any) -> Any:
            return arguments

        def effects(self, args: Any, workspace: Path) -> tuple[Effect, ...]:
            return ()

        async def invoke(self, args: Any, context: Any) -> ToolOutput:
            return ToolOutput("a circle", images=self.images)

    for images, shown in (((Image("image/svg+xml", b"<svg/>"),), "left out"), ("circle", "another type")):
        with LoopbackServer([ToolCall("1", "draw", {}), "seen", "again"]) as server:
            acl = f'default_model = "x/m"\nproviders "x" {{ base_url = "{server.base_url}" api = "anthropic" }}'
            with Agent.create(acl) as agent:
                session = agent.session(tmp_path, tools=[Drawing(images)])
                assert session.send("draw").text == "seen"
                assert session.send("more").text == "again"
                assert shown in session.history()[2].text
            assert server.violations == []
