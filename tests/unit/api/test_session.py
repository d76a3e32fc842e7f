"""Sessions: the verbs, both kinds, on a scripted model and a real workspace."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from a3s_code import Agent, AsyncAgent, Check, PermissionPolicy, SessionBusy, SessionOptions, ToolError, tool
from a3s_code.errors import (
    ConfigError,
    InvalidOption,
    InvalidRequest,
    ModelError,
    SessionClosed,
    UnknownRun,
    WorkspaceError,
)
from a3s_code.kernel.messages import Image, ToolCall
from a3s_code.testing import ScriptedModel

ALLOW_ALL = PermissionPolicy(default_decision="allow")


@tool(effects=())
async def nap(seconds: float) -> str:
    """Sleep."""
    await asyncio.sleep(seconds)
    return "rested"


@pytest.fixture
def agent() -> Iterator[Agent]:
    with Agent.create("") as agent:
        yield agent


def call(name: str, call_id: str = "c1", **args: Any) -> ToolCall:
    return ToolCall(call_id, name, args)


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def is_alive(pid: str) -> bool:
    """Whether the process runs; one that only waits for its parent to take its exit code is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_send_takes_text_or_a_dict_and_gives_the_result(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path, model=ScriptedModel(["one", "two"]))
    assert session.send("hello").text == "one"
    result = session.send({"prompt": "hello"})
    assert (result.text, result.status, result.verdict, str(result)) == ("two", "completed", "not_applicable", "two")
    assert result.usage.estimated
    assert result.cost is None
    assert result.total_tokens == result.prompt_tokens + result.completion_tokens


def test_a_session_without_rules_reads_and_does_nothing_else(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("content of a")
    replies = [
        [
            call("read", file_path="a.txt"),
            call("write", "c2", file_path="b.txt", content="x"),
            call("bash", "c3", command="touch c"),
        ],
        "done",
    ]
    session = agent.session(tmp_path, model=ScriptedModel(replies))
    result = session.send("look")
    outputs = [part.output for part in session.history()[2].parts]  # type: ignore[union-attr]  # observations
    assert "content of a" in outputs[0]
    assert [denied["tool"] for denied in result.denied] == ["write", "bash"]
    assert all("nobody can be asked" in denied.reason for denied in result.denied)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_stream_gives_the_events_and_then_the_result(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path, model=ScriptedModel(["  indented\n\n    text  "]))
    with session.stream("go") as events:
        seen = list(events)
    assert (seen[0].type, seen[-1].type) == ("agent_start", "agent_end")
    assert "".join(event.text for event in seen if event.type == "text_delta") == "  indented\n\n    text  "
    assert events.result().text == "  indented\n\n    text  "
    assert list(events) == []


def test_leaving_a_stream_cancels_the_run(agent: Agent, tmp_path: Path) -> None:
    model = ScriptedModel([call("nap", seconds=60), "next"])
    session = agent.session(tmp_path, model=model, tools=[nap])
    for event in session.stream("go"):
        if event.type == "tool_start":
            break
    assert session.runs()[-1].status == "cancelled"
    assert session.send("again").text == "next"


async def test_leaving_an_async_stream_cancels_the_run_and_the_next_send_waits_for_that(tmp_path: Path) -> None:
    async with AsyncAgent.create("") as agent:
        session = agent.session(tmp_path, model=ScriptedModel([call("nap", seconds=60), "next"]), tools=[nap])
        async for event in session.stream("go"):
            if event.type == "tool_start":
                break
        assert (await session.send("again")).text == "next"
        assert [run["status"] for run in await session.runs()] == ["cancelled", "completed"]


async def test_an_async_stream_can_be_read_and_gives_its_result(tmp_path: Path) -> None:
    agent = await AsyncAgent.create("")
    session = await agent.session(tmp_path, model=ScriptedModel(["hello there"]))
    async with session.stream("go") as events:
        seen = [event async for event in events]
    assert seen[-1].type == "agent_end"
    assert (await events.result()).text == "hello there"
    await agent.close()


def test_a_failed_run_raises_with_the_result_and_keeps_the_history(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path, model=ScriptedModel([["first", call("ls")]]))
    with pytest.raises(ModelError) as raised:
        session.send("go")
    assert (raised.value.result.status, raised.value.result.tool_calls_count) == ("failed", 1)
    assert [message.role for message in session.history()] == ["user", "assistant", "tool"]
    assert session.runs()[-1].error is not None


def test_a_failed_stream_ends_with_its_error_event_and_result_raises(agent: Agent, tmp_path: Path) -> None:
    events = agent.session(tmp_path, model=ScriptedModel([])).stream("go")
    assert [event.type for event in events][-1] == "error"
    with pytest.raises(ModelError):
        events.result()


def test_run_records_can_be_read_as_objects_and_as_mappings(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path, model=ScriptedModel(["hi"]))
    session.send("hello")
    latest = session.runs()[-1]
    assert latest["id"] == latest.id
    snapshot = session.run_snapshot(latest["id"])
    assert (snapshot.status, snapshot["prompt"], snapshot.result_text) == ("completed", "hello", "hi")
    records = session.run_events(latest["id"])
    assert [record["sequence"] for record in records] == list(range(snapshot.event_count))
    assert session.run_events(latest.id, after=1, limit=2) == records[2:4]
    assert [record.timestamp_ms for record in records] == sorted(record.timestamp_ms for record in records)
    assert not session.cancel_run(latest["id"])
    assert session.current_run() is None
    with pytest.raises(UnknownRun, match="no-such-run"):
        session.run_events("no-such-run")


def test_active_tools_and_current_run_show_what_goes_on(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path, model=ScriptedModel([call("nap", "n1", seconds=60)]), tools=[nap])
    stream = session.stream("go")
    wait_until(session.active_tools)
    assert [(active["id"], active.name) for active in session.active_tools()] == [("n1", "nap")]
    current = session.current_run()
    assert current is not None
    assert (current.id, current.status) == (stream.run_id, "executing")
    assert session.cancel()
    assert (session.active_tools(), session.current_run(), session.cancel()) == ([], None, False)
    assert stream.result().status == "cancelled"


def test_cancel_from_another_thread_ends_send_as_cancelled(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path, model=ScriptedModel([call("nap", seconds=60)]), tools=[nap])
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(session.send("go")))
    thread.start()
    wait_until(session.active_tools)
    assert session.cancel_run(session.runs()[-1].id)
    thread.join(5)
    assert [result.status for result in results] == ["cancelled"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc to look processes up in")
def test_cancel_returns_when_the_process_tree_is_dead(agent: Agent, tmp_path: Path) -> None:
    command = "echo $$ > pid; (sleep 300 & echo $! > child; wait) & sleep 300"
    session = agent.session(tmp_path, model=ScriptedModel([call("bash", command=command)]), permission_policy=ALLOW_ALL)
    stream = session.stream("go")
    wait_until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    began = time.monotonic()
    session.cancel()
    assert time.monotonic() - began < 2
    for name in ("pid", "child"):
        assert not is_alive((tmp_path / name).read_text().strip())
    assert stream.result().status == "cancelled"


async def test_cancelling_an_awaited_send_cleans_up_and_goes_on(tmp_path: Path) -> None:
    async with AsyncAgent.create("") as agent:
        session = agent.session(tmp_path, model=ScriptedModel([call("nap", seconds=60), "next"]), tools=[nap])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await session.send("go")
        assert [run.status for run in await session.runs()] == ["cancelled"]
        assert (await session.send("again")).text == "next"


def test_a_second_send_is_busy_and_nothing_is_interleaved(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path, model=ScriptedModel([call("nap", seconds=60)]), tools=[nap])
    with session.stream("go"):
        wait_until(session.active_tools)
        with pytest.raises(SessionBusy, match="on_busy"):
            session.send("me too")
    assert [message.text for message in session.history() if message.role == "user"] == ["go"]


async def test_a_queueing_session_does_one_send_after_the_other(tmp_path: Path) -> None:
    async with AsyncAgent.create("") as agent:
        replies = [text for number in range(5) for text in ([call("nap", seconds=0.01)], f"answer {number}")]
        session = agent.session(tmp_path, model=ScriptedModel(replies), tools=[nap], on_busy="queue")
        results = await asyncio.gather(*(session.send(f"question {number}") for number in range(5)))
        assert [result.text for result in results] == [f"answer {number}" for number in range(5)]


def test_concurrent_calls_of_one_reply_run_together(agent: Agent, tmp_path: Path) -> None:
    calls = [call("nap", f"c{number}", seconds=0.3) for number in range(10)]
    session = agent.session(tmp_path, model=ScriptedModel([calls, "done"]), tools=[nap])
    began = time.monotonic()
    session.send("rest")
    assert time.monotonic() - began < 1.5


def test_direct_tools_pass_the_same_gate_with_origin_host(agent: Agent, tmp_path: Path) -> None:
    policy = PermissionPolicy(allow=["read"], deny=["bash(rm *)"])
    session = agent.session(tmp_path, permission_policy=policy)
    seen: list[Any] = []
    assert session.write_file("a.txt", "one\ntwo\n").ok
    assert session.bash({"command": "cat a.txt"}).output == "one\ntwo\n"
    assert session.tool("bash", {"command": "rm a.txt"}, on_event=seen.append).error_kind == "permission_denied"
    assert [event.type for event in seen] == ["tool_start", "permission_denied", "tool_end"]
    assert {event.origin for event in session.trace_events()} == {"host"}
    assert session.runs() == []


def test_direct_tools_take_a_dict_or_positions_and_keywords(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path)
    session.write_file("src/a.py", "x = 1\ny = 2\nz = 3\n")
    assert session.read_file("src/a.py") == "x = 1\ny = 2\nz = 3\n"
    assert session.read_file({"filePath": "src/a.py", "offset": 1, "limit": 1}) == "y = 2"
    assert session.read_file("src/a.py", limit=1) == "x = 1"
    assert session.edit_file("src/a.py", "x = 1", "x = 9").ok
    assert session.glob("**/*.py") == ["src/a.py"]
    assert session.grep("y =").value == [{"path": "src/a.py", "line": 2, "text": "y = 2"}]
    assert "src/" in session.ls().output
    with pytest.raises(InvalidRequest, match="twice"):
        session.read_file("src/a.py", file_path="b")
    with pytest.raises(InvalidRequest, match="at most"):
        session.ls("a", "b", "c")


def test_read_file_and_glob_raise_with_the_result(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path)
    with pytest.raises(ToolError) as raised:
        session.read_file("missing.txt")
    assert raised.value.result.error_kind == "not_found"
    with pytest.raises(ToolError):
        session.glob("*", path="../..", colour="red")


def test_unknown_tools_and_arguments_are_typed_results(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path)
    unknown = session.tool("reed", {"file_path": "a"})
    assert (unknown.error_kind, "read" in unknown.output) == ("unknown_tool", True)
    ill = session.tool("read", {"file_path": 3, "limt": 1})
    assert ill.error_kind == "invalid_argument"
    assert "file_path" in ill.output
    assert "limit" in ill.output
    with pytest.raises(InvalidRequest):
        session.tool("read", "a.txt")  # type: ignore[arg-type]  # that it is refused is the point


def test_tool_names_and_definitions_list_all_tools_in_a_fixed_order(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path, tools=[nap])
    core = ["read", "write", "edit", "patch", "ls", "glob", "grep", "bash", "batch"]
    names = [*core, "git", "web_fetch", "web_search", "nap"]
    assert session.tool_names() == names
    assert [definition["name"] for definition in session.tool_definitions()] == names
    assert all(definition["parameters"]["type"] == "object" for definition in session.tool_definitions())


def test_the_blocking_classes_work_inside_a_tool_of_both_kinds(agent: Agent, tmp_path: Path) -> None:
    @tool(effects=())
    def ask_blocking(question: str) -> str:
        """Ask another session."""
        return agent.session(tmp_path, model=ScriptedModel(["from a thread"])).send(question).text

    @tool(effects=())
    async def ask_on_the_loop(question: str) -> str:
        """Ask another session."""
        return agent.session(tmp_path, model=ScriptedModel(["from the loop"])).send(question).text

    calls = [call("ask_blocking", "1", question="?"), call("ask_on_the_loop", "2", question="?")]
    session = agent.session(tmp_path, model=ScriptedModel([calls, "done"]), tools=[ask_blocking, ask_on_the_loop])
    session.send("go")
    assert [part.output for part in session.history()[2].parts] == ["from a thread", "from the loop"]  # type: ignore[union-attr]


async def test_the_blocking_classes_work_inside_a_running_loop(tmp_path: Path) -> None:
    with Agent.create("") as agent:
        assert agent.session(tmp_path, model=ScriptedModel(["hi"])).send("hello").text == "hi"


def test_images_travel_as_attachments(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    model = ScriptedModel(["seen"])
    attachments = ["a.png", {"mediaType": "image/gif", "data": "R0lG"}]
    agent.session(tmp_path, model=model).send({"prompt": "what is it?", "attachments": attachments})
    images = [part for part in model.prompts[0].messages[0].parts if isinstance(part, Image)]
    assert [(image.media_type, image.data) for image in images] == [("image/png", b"\x89PNG"), ("image/gif", b"GIF")]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ({}, "no prompt"),
        ({"promt": "x"}, "promt"),
        ({"prompt": ""}, "empty"),
        ({"prompt": 3}, "int"),
        ({"prompt": "x", "attachments": "a.png"}, "not a list"),
        ({"prompt": "x", "attachments": ["a.exe"]}, "no image"),
        ({"prompt": "x", "attachments": ["missing.png"]}, "cannot be read"),
        ({"prompt": "x", "attachments": [{"media_type": "image/png", "data": b"x" * 4_000_000}]}, "4,000,000 bytes"),
        ({"prompt": "x", "attachments": [{"media_type": "image/png", "data": "%%%"}]}, "base64"),
        ({"prompt": "x", "history": [{"role": "system", "content": "x"}]}, "role"),
        (None, "NoneType"),
        (7, "int"),
    ],
    ids=repr,
)
def test_a_bad_request_is_refused_before_anything_begins(
    agent: Agent, tmp_path: Path, request_: Any, words: str
) -> None:
    session = agent.session(tmp_path, model=ScriptedModel([]))
    with pytest.raises(InvalidRequest, match=words):
        session.send(request_)
    assert session.runs() == []


def test_a_workspace_that_cannot_be_one_is_refused(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for bad in (tmp_path / "missing", tmp_path / "file", "\0", ""):
        with pytest.raises(WorkspaceError):
            agent.session(bad)
    with pytest.raises(InvalidOption, match="options"):
        agent.session(tmp_path, {"model": "a/b"})  # type: ignore[arg-type]  # that it is refused is the point
    with pytest.raises(InvalidOption, match="colour"):
        agent.session(tmp_path, colour="red")  # type: ignore[call-arg]  # as above


def test_a_session_without_a_usable_model_opens_and_says_why_at_the_first_request(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path)
    assert session.bash("echo hi").output == "hi\n"
    with pytest.raises(ConfigError, match="default_model"):
        session.send("hello")
    with pytest.raises(ConfigError, match="provider/model"):
        agent.session(tmp_path, model="noslash").send("hello")
    with pytest.raises(ConfigError, match="nowhere"):
        agent.session(tmp_path, model="nowhere/model").send("hello")


def test_a_closed_session_and_a_closed_agent_say_so(tmp_path: Path) -> None:
    agent = Agent.create("")
    session = agent.session(tmp_path, model=ScriptedModel([call("nap", seconds=60)]), tools=[nap])
    stream = session.stream("go")
    wait_until(session.active_tools)
    agent.close()
    assert stream.result().status == "cancelled"
    for verb in (lambda: session.send("x"), lambda: session.ls(), lambda: agent.session(tmp_path)):
        with pytest.raises(SessionClosed):
            verb()
    assert session.runs()[-1].status == "cancelled"
    session.close()


def test_checks_prove_the_work_and_the_verdict_says_so(agent: Agent, tmp_path: Path) -> None:
    writes = call("write", file_path="a.txt", content="good")
    options = SessionOptions(permission_policy=ALLOW_ALL, checks=[Check("grep -q good a.txt", id="good")])
    proved = agent.session(tmp_path, options, model=ScriptedModel([writes, "done"])).send("go")
    assert (proved.verdict, proved.verification_status) == ("verified", "passed")
    spoil = call("write", file_path="a.txt", content="bad")
    failed = agent.session(
        tmp_path, options, model=ScriptedModel([call("read", file_path="a.txt"), spoil, "all tests pass"])
    )
    result = failed.send("go")
    assert (result.verdict, result.verification_summary["failed_subjects"]) == ("failed", ["good"])
    unproved = agent.session(
        tmp_path, permission_policy=ALLOW_ALL, model=ScriptedModel([call("bash", command="true"), "ok"])
    )
    assert unproved.send("go").verdict == "unverified"


def test_a_check_that_the_rules_deny_is_skipped_and_proves_nothing(agent: Agent, tmp_path: Path) -> None:
    policy = PermissionPolicy(allow=["write"], deny=["bash"])
    model = ScriptedModel([call("write", file_path="a", content="x"), "done"])
    result = agent.session(tmp_path, model=model, permission_policy=policy, checks=["true"]).send("go")
    assert result.verdict == "unverified"
    assert any("skipped" in risk for risk in result.residual_risks)


def test_a_clock_of_the_host_makes_a_run_deterministic(agent: Agent, tmp_path: Path) -> None:
    class Fixed:
        def __init__(self) -> None:
            self.ids = 0

        def now_ms(self) -> int:
            return 1_000

        def new_id(self, kind: str) -> str:
            self.ids += 1
            return f"{kind}-{self.ids}"

    def play() -> str:
        session = agent.session(tmp_path, model=ScriptedModel([call("ls"), "done"]), clock=Fixed())
        session.send("go")
        return str([record.to_dict() for record in session.run_events("run-2")])

    assert play() == play()


def test_labels_of_the_host_are_carried(agent: Agent, tmp_path: Path) -> None:
    session = agent.session(tmp_path, tenant_id="acme", correlation_id="42", session_id="mine")
    assert (session.labels.tenant_id, session.labels.correlation_id, session.session_id) == ("acme", "42", "mine")
