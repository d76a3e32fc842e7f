"""Whatever a tool, a model or a module of the host does: pairs closed, one end, history valid, session usable."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from a3s_code import A3SError, Agent, AsyncAgent, Harness, PermissionPolicy, tool
from a3s_code.errors import HarnessError, ModelProtocolError, UsageError
from a3s_code.kernel.contracts import Effect, Usage, Verification
from a3s_code.kernel.messages import Message, Observation, Reply, Text, TextDelta, ToolCall
from a3s_code.kernel.tool import ToolContext, ToolOutput, ToolSpec
from a3s_code.testing import FakeClock, ScriptedModel

ALLOW_ALL = PermissionPolicy(default_decision="allow")


@pytest.fixture
def agent() -> Iterator[Agent]:
    with Agent.create("") as agent:
        yield agent


class Odd:
    """A tool that does what a test tells it to."""

    spec = ToolSpec("odd", "odd", {"type": "object", "properties": {}})

    def __init__(self, act: Any, effects: Any = ()) -> None:
        self._act = act
        self._effects = effects

    def parse(self, arguments: Any) -> Any:
        return arguments

    def effects(self, args: Any, workspace: Any) -> Any:
        return self._effects

    async def invoke(self, args: Any, context: ToolContext) -> Any:
        if isinstance(self._act, BaseException):
            raise self._act
        return self._act


@tool(effects=())
def fine() -> str:
    """Do well."""
    return "fine"


def calls(*names: str) -> list[ToolCall]:
    return [ToolCall(f"c{number}", name, {}) for number, name in enumerate(names)]


def check_story(session: Any) -> None:
    """Every run tells a whole story, and the history is paired."""
    for run in session.runs():
        types = [record.event.type for record in session.run_events(run.id)]
        assert types[0] == "agent_start"
        assert sum(name in ("agent_end", "error") for name in types) == 1
        assert types[-1] in ("agent_end", "error")
        started = [record.event.id for record in session.run_events(run.id) if record.event.type == "tool_start"]
        ended = [record.event.id for record in session.run_events(run.id) if record.event.type == "tool_end"]
        assert sorted(started) == sorted(ended)
    history = session.history()
    for before, after in itertools.pairwise([*history, None]):
        assert before is not None
        results = [part.call_id for part in after.parts if isinstance(part, Observation)] if after else []
        assert results == [call.id for call in before.calls]


ODD_TOOLS: dict[str, tuple[Any, Any]] = {
    "exits": (SystemExit(3), ()),
    "interrupts": (KeyboardInterrupt(), ()),
    "cancels itself": (asyncio.CancelledError(), ()),
    "raises": (ZeroDivisionError("oops"), ()),
    "gives nothing": (None, ()),
    "gives text": ("text", ()),
    "gives no text": (ToolOutput(None), ()),  # type: ignore[arg-type]  # that is the point
    "gives bytes": (ToolOutput(b"x"), ()),  # type: ignore[arg-type]  # as above
    "gives no metadata": (ToolOutput("x", metadata=None), ()),  # type: ignore[arg-type]  # as above
    "gives no exit code": (ToolOutput("x", exit_code=None), ()),  # type: ignore[arg-type]  # as above
    "has odd effects": (ToolOutput("x"), ["read"]),
    "has no effects": (ToolOutput("x"), None),
    "gives odd characters": (ToolOutput("nul \0 lone \ud800"), (Effect("read", "."),)),
}


@pytest.mark.parametrize("name", ODD_TOOLS)
@pytest.mark.parametrize("together", [False, True], ids=["alone", "beside another"])
def test_a_tool_that_misbehaves_costs_its_own_call_only(
    agent: Agent, tmp_path: Path, name: str, together: bool
) -> None:
    asked = calls("odd", "fine") if together else calls("odd")
    model = ScriptedModel([asked, "done", "again"])
    session = agent.session(tmp_path, model=model, tools=[Odd(*ODD_TOOLS[name]), fine], permission_policy=ALLOW_ALL)
    result = session.send("go")
    assert (result.status, result.text) == ("completed", "done")
    if together:
        assert session.history()[2].parts[1].output == "fine"  # type: ignore[union-attr]  # an observation
    assert session.tool("odd").name == "odd"
    assert session.send("and now?").text == "again"
    check_story(session)


@pytest.mark.parametrize("error", [SystemExit(2), StopIteration(), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_a_plain_function_may_raise_anything(agent: Agent, tmp_path: Path, error: BaseException) -> None:
    @tool(effects=())
    def leave() -> str:
        """Leave."""
        raise error

    session = agent.session(
        tmp_path, model=ScriptedModel([calls("leave", "fine"), "done", "again"]), tools=[leave, fine]
    )
    assert session.send("go").text == "done"
    check_story(session)


def reply(*parts: Any, usage: Any = Usage(1, 1)) -> Reply:  # noqa: B008 - a frozen value
    return Reply(Message("assistant", parts), "end", usage)


ODD_STREAMS: dict[str, list[Any]] = {
    "nothing": [],
    "half an answer": [TextDelta("half ")],
    "two replies": [reply(Text("a")), reply(Text("b"))],
    "more after the reply": [reply(Text("a")), TextDelta("b")],
    "no delta": ["text"],
    "no message": [Reply(None, "end", Usage())],  # type: ignore[arg-type]  # that is the point
    "a user's message": [Reply(Message.user("x"), "end", Usage())],
    "no usage": [reply(Text("a"), usage=None)],
    "a call without a name": [reply(ToolCall("1", None, {}))],  # type: ignore[arg-type]  # that is the point
}


@pytest.mark.parametrize("name", ODD_STREAMS)
def test_a_model_that_misbehaves_fails_the_run_with_a_protocol_error(agent: Agent, tmp_path: Path, name: str) -> None:
    class OddModel:
        name = "odd/model"

        async def stream(self, prompt: Any) -> AsyncIterator[Any]:
            for piece in ODD_STREAMS[name]:
                yield piece

    session = agent.session(tmp_path, model=OddModel(), clock=FakeClock())
    with pytest.raises(ModelProtocolError) as raised:
        session.send("go")
    assert raised.value.result.status == "failed"
    check_story(session)


@pytest.mark.parametrize("error", [SystemExit(2), asyncio.CancelledError(), ZeroDivisionError()], ids=repr)
def test_a_model_that_raises_fails_the_run_and_is_named(agent: Agent, tmp_path: Path, error: BaseException) -> None:
    class Raising:
        name = "odd/model"

        async def stream(self, prompt: Any) -> AsyncIterator[Any]:
            yield TextDelta("half ")
            raise error

    session = agent.session(tmp_path, model=Raising())
    with pytest.raises(HarnessError, match="model") as raised:
        session.send("go")
    assert raised.value.result.text == "half "
    check_story(session)


class Giving:
    """A module whose every verb gives the same."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __getattr__(self, verb: str) -> Any:
        async def give(*args: Any) -> Any:
            return self._value

        return give


@pytest.mark.parametrize(
    ("module", "value"),
    [
        ("router", None),
        ("selector", None),
        ("assembler", None),
        ("assembler", "text"),
        ("verifier", None),
        ("verifier", "verified"),
        ("compactor", "abc"),
        ("compactor", [None]),
    ],
)
def test_a_module_that_gives_the_wrong_thing_is_named(agent: Agent, tmp_path: Path, module: str, value: Any) -> None:
    harness = Harness(**{module: Giving(value)})
    session = agent.session(tmp_path, model=ScriptedModel([calls("ls"), "two"]), harness=harness)
    with pytest.raises(HarnessError) as raised:
        session.send("go")
    assert raised.value.module == module
    assert all(isinstance(message, Message) for message in session.history())
    check_story(session)


def test_a_gate_that_gives_no_decision_denies(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path, model=ScriptedModel([calls("ls"), "done"]), harness=Harness(gate=Giving(None)))
    assert [denied.tool for denied in session.send("go").denied] == ["ls"]


def test_a_tool_that_swallows_the_cancellation_does_not_make_it_undone(agent: Agent, tmp_path: Path) -> None:
    began = threading.Event()

    @tool(effects=())
    async def stubborn() -> str:
        """Go on."""
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
        return "I go on"

    model = ScriptedModel([calls("stubborn"), "never asked"])
    session = agent.session(tmp_path, model=model, tools=[stubborn])
    stream = session.stream("go")
    began.wait(5)
    assert session.cancel()
    assert stream.result().status == "cancelled"
    assert len(model.prompts) == 1
    check_story(session)


async def test_cancelling_a_waiting_run_lets_nothing_overtake(tmp_path: Path) -> None:
    @tool(effects=())
    async def nap() -> str:
        """Sleep."""
        await asyncio.sleep(0.2)
        return "rested"

    async with AsyncAgent.create("") as agent:
        model = ScriptedModel([calls("nap"), "first", "third"])
        session = agent.session(tmp_path, model=model, tools=[nap], on_busy="queue")
        first, second, third = (session.stream(name) for name in ("A", "B", "C"))
        await asyncio.sleep(0.05)
        assert await session.cancel_run(second.run_id)
        assert ((await first.result()).text, (await third.result()).text) == ("first", "third")
        roles = [message.role for message in await session.history()]
        assert roles == ["user", "assistant", "tool", "assistant", "user", "assistant"]


async def test_closing_a_queueing_session_asks_the_model_nothing_more(tmp_path: Path) -> None:
    @tool(effects=())
    async def nap() -> str:
        """Sleep."""
        await asyncio.sleep(60)
        return "rested"

    async with AsyncAgent.create("") as agent:
        model = ScriptedModel([calls("nap"), "never", "never"])
        session = agent.session(tmp_path, model=model, tools=[nap], on_busy="queue")
        streams = [session.stream(name) for name in "ABC"]
        await asyncio.sleep(0.05)
        await session.close()
        assert [run.status for run in await session.runs()] == ["cancelled"] * 3
        assert len(model.prompts) == 1
        assert len(streams) == 3


def test_closing_a_session_stops_its_direct_calls(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path)
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(session.bash("touch began; sleep 60; touch late")))
    thread.start()
    while not (tmp_path / "began").exists():
        time.sleep(0.005)
    session.close()
    thread.join(5)
    assert [result.error_kind for result in results] == ["cancelled"]
    assert not (tmp_path / "late").exists()


def test_blocking_sessions_nest_in_tools_to_any_depth(agent: Agent, tmp_path: Path) -> None:
    def ask(depth: int, kind: str) -> str:
        if depth == 0:
            return agent.session(tmp_path).bash("echo bottom").output.strip()

        async def deeper_async() -> str:
            """Go deeper."""
            return ask(depth - 1, kind)

        def deeper() -> str:
            """Go deeper."""
            return ask(depth - 1, kind)

        below = tool(name="deeper", effects=())(deeper_async if (kind == "async" or depth % 2) else deeper)
        session = agent.session(tmp_path, model=ScriptedModel([calls("deeper"), "done"]), tools=[below])
        session.send("go")
        return session.history()[2].text

    assert ask(3, "async") == "bottom"
    assert ask(4, "mixed") == "bottom"


def test_a_hundred_plain_tools_that_use_sessions_do_not_wait_for_each_other(agent: Agent, tmp_path: Path) -> None:
    @tool(effects=())
    def nested() -> str:
        """Use a session."""
        inner = agent.session(tmp_path, model=ScriptedModel([calls("fine"), "inner"]), tools=[fine])
        return inner.send("go").text

    model = ScriptedModel([calls(*["nested"] * 100), "done"])
    session = agent.session(tmp_path, model=model, tools=[nested])
    assert session.send("go").text == "done"
    assert {part.output for part in session.history()[2].parts} == {"inner"}  # type: ignore[union-attr]  # observations


@pytest.mark.parametrize(("verb", "answer"), [("cancel", True), ("close", None)])
def test_an_async_tool_may_stop_its_own_blocking_session(
    agent: Agent, tmp_path: Path, verb: str, answer: bool | None
) -> None:
    answers = []

    @tool(effects=())
    async def stop() -> str:
        """Stop the session."""
        answers.append(getattr(session, verb)())
        return "stopped"

    session = agent.session(tmp_path, model=ScriptedModel([calls("stop"), "never"]), tools=[stop])
    assert session.send("go").status == "cancelled"
    assert answers == [answer]
    check_story(session)


def test_an_async_tool_may_stop_the_stream_it_runs_in_but_not_wait_for_it(agent: Agent, tmp_path: Path) -> None:
    refused = []
    opened = threading.Event()

    @tool(effects=())
    async def stop() -> str:
        """Stop the stream."""
        await asyncio.to_thread(opened.wait, 10)
        with pytest.raises(UsageError, match="cannot be waited for from one of its own tools") as caught:
            stream.result()
        refused.append(caught.value)
        stream.cancel()
        return "stopped"

    session = agent.session(tmp_path, model=ScriptedModel([calls("stop"), "never"]), tools=[stop])
    stream = session.stream("go")
    opened.set()
    assert stream.result().status == "cancelled"
    assert len(refused) == 1
    check_story(session)


def test_output_shown_from_a_thread_streams_as_it_comes_and_not_after_the_end(agent: Agent, tmp_path: Path) -> None:
    @tool(effects=())
    def tell(context: ToolContext) -> str:
        """Tell."""
        for number in range(3):
            context.progress(f"{number}")
            time.sleep(0.1)
        threading.Timer(0.1, context.progress, ["too late"]).start()
        return "told"

    session = agent.session(tmp_path, model=ScriptedModel([calls("tell"), "done"]), tools=[tell])
    arrived = [time.monotonic() for event in session.stream("go") if event.type == "tool_output_delta"]
    assert len(arrived) == 3
    assert arrived[2] - arrived[0] > 0.1
    time.sleep(0.2)
    check_story(session)


def test_a_callback_that_raises_does_not_lose_the_result(agent: Agent, tmp_path: Path) -> None:
    def fail(event: Any) -> None:
        raise RuntimeError("host bug")

    assert agent.session(tmp_path).tool("write", {"file_path": "a", "content": "x"}, on_event=fail).ok


def test_arguments_keep_the_names_of_the_tools_schema(agent: Agent, tmp_path: Path) -> None:
    @tool(effects=())
    def camel(fileName: str) -> str:  # noqa: N803 - the point
        """Take a name."""
        return fileName

    session = agent.session(tmp_path, tools=[camel])
    assert session.tool("camel", {"fileName": "a"}).output == "a"
    assert session.tool("read", {"filePath": "missing"}).error_kind == "not_found"
    with pytest.raises(A3SError, match="twice"):
        session.tool("read", {"filePath": "a", "file_path": "b"})


@pytest.mark.parametrize("args", [{"path": {1: 2, "b": 3}}, {"path": [[[[[]]]]] * 3}], ids=["mixed keys", "nested"])
def test_odd_arguments_are_observed(agent: Agent, tmp_path: Path, args: Any) -> None:
    assert agent.session(tmp_path).tool("ls", args).error_kind == "invalid_argument"
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    assert agent.session(tmp_path).tool("ls", {"path": cyclic}).error_kind == "invalid_argument"


def test_an_explicit_history_that_is_cut_at_a_bad_place_is_paired(agent: Agent, tmp_path: Path) -> None:
    model = ScriptedModel([calls("ls"), "one", "two", "three"])
    session = agent.session(tmp_path, model=model)
    session.send("go")
    whole = session.history()
    session.send({"prompt": "more", "history": whole[:2]})
    session.send({"prompt": "more", "history": whole[2:]})
    assert [message.role for message in model.prompts[2].messages] == ["user", "assistant", "tool", "user"]
    assert [message.role for message in model.prompts[3].messages] == ["user", "assistant", "user"]


def test_a_stream_that_is_dropped_cancels_its_run_even_when_the_collector_drops_it(
    agent: Agent, tmp_path: Path
) -> None:
    @tool(effects=())
    async def nap() -> str:
        """Sleep."""
        await asyncio.sleep(60)
        return "rested"

    model = ScriptedModel([calls("nap"), calls("nap"), "done"])
    session = agent.session(tmp_path, model=model, tools=[nap])
    session.stream("dropped at once")
    ring: list[Any] = [iter(session.stream("half read, and part of a ring"))]
    ring.append(ring)
    next(ring[0])
    del ring
    gc.collect()
    assert session.send("go").text == "done"
    assert [run.status for run in session.runs()] == ["cancelled", "cancelled", "completed"]


def test_a_verdict_needs_no_module_to_be_there(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(
        tmp_path, model=ScriptedModel(["x"]), harness=Harness(verifier=Giving(Verification("stale")))
    )
    assert session.send("go").verdict == "stale"
