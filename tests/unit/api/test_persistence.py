"""Stored sessions: what is kept, what comes back, and what is said where it cannot be kept."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from a3s_code import Agent, AgentSession, AsyncAgent, Harness, PermissionPolicy, SessionOptions, tool
from a3s_code.api.async_session import AsyncAgentSession
from a3s_code.errors import (
    InvalidRequest,
    ModelUnavailable,
    RunNotResumable,
    SessionBusy,
    SessionClosed,
    SessionExists,
    SessionInUse,
    StoreError,
    UnknownRun,
    UnknownSession,
    UsageError,
)
from a3s_code.kernel.events import AgentEvent
from a3s_code.kernel.messages import Message, Observation, Piece, Reasoning, Text, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.store import Commit, SessionStore, Stored
from a3s_code.stores import FileSessionStore, MemorySessionStore
from a3s_code.testing import ConversationScript, FakeClock, LoopbackServer, ScriptedModel

ALLOW = PermissionPolicy(default_decision="allow")
KEY = "sk-test-77aa5f3c9a7e1b2d4c6f8091"
OTHER = "p4ss-f0r-the-d4tabase-9921"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return work


@pytest.fixture
def store(tmp_path: Path) -> FileSessionStore:
    return FileSessionStore(tmp_path / "store")


@pytest.fixture(params=["file", "memory"])
def either(request: pytest.FixtureRequest, store: FileSessionStore) -> SessionStore:
    return store if request.param == "file" else MemorySessionStore()


class Opener:
    """Opens sessions of one agent with one store and one policy, unless told otherwise."""

    def __init__(self, work: Path, store: SessionStore | None) -> None:
        self.agent = Agent.create("")
        self.work = work
        self.given: dict[str, Any] = {} if store is None else {"session_store": store}

    def new(self, *replies: Any, **options: Any) -> AgentSession:
        return self.agent.session(
            self.work,
            **{"model": ScriptedModel(replies), "permission_policy": ALLOW, **self.given, **options},
        )

    def again(self, session_id: str, *replies: Any, **options: Any) -> AgentSession:
        return self.agent.resume_session(session_id, **{"model": ScriptedModel(replies), **self.given, **options})


@pytest.fixture
def sessions(work: Path, store: FileSessionStore) -> Opener:
    return Opener(work, store)


@pytest.fixture
def sessions_of_either(work: Path, either: SessionStore) -> Opener:
    return Opener(work, either)


def copied(store: FileSessionStore) -> FileSessionStore:
    """The store as a process that dies at this moment leaves it."""
    place = store.directory.with_name("copy")
    return FileSessionStore(shutil.copytree(store.directory, place))


def call(call_id: str, name: str, **arguments: Any) -> ToolCall:
    return ToolCall(call_id, name, arguments)


def results(session: AgentSession) -> list[Observation]:
    return [part for message in session.history() for part in message.parts if isinstance(part, Observation)]


def plain_events(session: AgentSession, run_id: str) -> list[Any]:
    return [json.loads(json.dumps(record.to_dict(), default=str)) for record in session.run_events(run_id)]


def counting(folder: Path) -> Any:
    @tool(effects=("write",))
    def count() -> str:
        """Count one up."""
        with folder.joinpath("count").open("a") as file:
            file.write("x")
        return "counted"

    return count


def counted(folder: Path) -> int:
    return len((folder / "count").read_text())


def test_a_session_comes_back_as_it_was(sessions_of_either: Opener, work: Path) -> None:
    work.joinpath("a.txt").write_text("hello\n")
    replies = [["I look.", call("1", "read", file_path="a.txt"), call("2", "bash", command="echo hi")], "Done é."]
    with sessions_of_either.new(*replies, session_id="s") as session:
        result = session.send("Look.")
        before = (session.history(), plain_events(session, result.run_id), session.runs(), session.trace_events())
    with sessions_of_either.again("s", "Once more.") as session:
        after = (session.history(), plain_events(session, result.run_id), session.runs(), session.trace_events())
        assert [dict(run) for run in after[2]] == [dict(run) for run in before[2]]
        assert [dict(line) for line in after[3]] == [dict(line) for line in before[3]]
        assert after[:2] == before[:2]
        assert session.workspace == work
        assert session.session_id == "s"
        assert session.write_file("a.txt", "changed\n").ok, "it is known which files were read"
        assert session.send("Again?").text == "Once more."
        assert len(session.runs()) == 2


def test_the_next_request_goes_out_with_the_whole_history(sessions: Opener) -> None:
    with sessions.new("First.", session_id="s") as session:
        session.send("One?")
    model = ScriptedModel(["Second."])
    with sessions.again("s", model=model) as session:
        session.send("Two?")
    assert [message.text for message in model.prompts[0].messages] == ["One?", "First.", "Two?"]


def test_an_id_that_the_store_holds_already_is_refused(sessions_of_either: Opener) -> None:
    sessions_of_either.new("Done.", session_id="s").close()
    with pytest.raises(SessionExists, match="resume_session"):
        sessions_of_either.new("Done.", session_id="s")
    sessions_of_either.again("s").close()


async def test_an_async_session_is_refused_when_it_is_first_used(work: Path, either: SessionStore) -> None:
    async with AsyncAgent.create("") as agent:
        first = await agent.session(work, session_id="s", session_store=either, model=ScriptedModel(["Done."]))
        second = agent.session(work, session_id="s", session_store=either, model=ScriptedModel(["Done."]))
        with pytest.raises(SessionInUse):
            await second.send("Go.")
        await first.close()
        third = agent.session(work, session_id="s", session_store=either, model=ScriptedModel(["Done."]))
        with pytest.raises(SessionExists):
            await third.send("Go.")
        with pytest.raises(SessionExists):
            await third


def test_a_session_that_is_open_in_this_process_is_in_use(sessions_of_either: Opener) -> None:
    with sessions_of_either.new("Done.", session_id="s"):
        with pytest.raises(SessionInUse, match="this process") as caught:
            sessions_of_either.again("s")
        assert caught.value.pid == os.getpid()
        with pytest.raises(SessionInUse):
            sessions_of_either.new(session_id="s")
    sessions_of_either.again("s").close()


HOLD = """
import sys, time
from a3s_code import Agent
from a3s_code.stores import FileSessionStore
from a3s_code.testing import ScriptedModel
session = Agent.create("").session(
    sys.argv[1], session_id="s", session_store=FileSessionStore(sys.argv[2]), model=ScriptedModel(["Done."])
)
session.send("Go.")
print("open", flush=True)
time.sleep(60)
"""


def test_a_session_of_another_process_is_in_use_until_that_dies(sessions: Opener, store: FileSessionStore) -> None:
    command = [sys.executable, "-c", HOLD, str(sessions.work), str(store.directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(SessionInUse, match=str(process.pid)) as caught:
            sessions.again("s")
        assert caught.value.pid == process.pid
        assert [record.pid for record in sessions.agent.sessions(store)] == [process.pid]
        process.kill()
    with sessions.again("s", "Yes.") as session:
        assert session.send("Are you there?").text == "Yes."


def test_an_unknown_session_is_told_and_left_free(sessions_of_either: Opener) -> None:
    with pytest.raises(UnknownSession):
        sessions_of_either.again("s")
    sessions_of_either.new("Done.", session_id="s").close()


def test_without_a_store_there_is_nothing_to_resume_or_save(work: Path) -> None:
    sessions = Opener(work, None)
    with pytest.raises(UsageError, match="no store to resume"):
        sessions.again("s")
    with sessions.new("Done.") as session, pytest.raises(UsageError, match="no store"):
        session.save()


def test_only_the_last_run_and_only_one_that_is_not_complete_goes_on(sessions: Opener) -> None:
    with sessions.new(ModelUnavailable("down", provider="x"), "Done.", session_id="s", llm_max_attempts=1) as session:
        with pytest.raises(ModelUnavailable):
            session.send("One.")
        [failed] = session.runs()
        done = session.send("Two.")
        with pytest.raises(RunNotResumable, match="other runs came after"):
            session.resume_run(failed.id)
        with pytest.raises(RunNotResumable, match="completed"):
            session.resume_run(done.run_id)
        with pytest.raises(UnknownRun):
            session.resume_run("run-of-nobody")
    with pytest.raises(SessionClosed):
        session.resume_run(failed.id)
    with sessions.again("s") as session:
        with pytest.raises(RunNotResumable, match="other runs came after"):
            session.resume_run(failed.id)
        with pytest.raises(RunNotResumable, match="completed"):
            session.resume_run(done.run_id)


def in_both_ways(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.parametrize("stored", [False, True], ids=["in memory", "from a store"])(test)


def continued(sessions: Opener, session: AgentSession, stored: bool, *replies: Any, **options: Any) -> AgentSession:
    """The session to go on with: the same, or one that was opened from the store."""
    if not stored:
        return session
    session.close()
    return sessions.again(session.session_id, *replies, **options)


@in_both_ways
def test_a_run_whose_retries_are_used_up_goes_on_later(sessions: Opener, work: Path, stored: bool) -> None:
    down = [ModelUnavailable("overloaded", provider="x") for _ in range(3)]
    options: Any = {"tools": [counting(work)], "clock": FakeClock()}
    session = sessions.new(call("1", "count"), *down, "Done.", llm_max_attempts=3, **options)
    with pytest.raises(ModelUnavailable) as caught:
        session.send("Count.")
    assert caught.value.result.status == "failed"
    [run] = session.runs()
    assert (run.status, run.error) == ("failed", str(caught.value))
    session = continued(sessions, session, stored, "Done.", **options)
    assert [dict(again) for again in session.runs()] == [dict(run)]
    result = session.resume_run(run.id)
    assert (result.text, result.status, result.run_id, result.turns) == ("Done.", "completed", run.id, 3)
    assert result.tool_calls_count == 1
    assert result.usage.output_tokens > 0
    assert counted(work) == 1
    kinds = [record.event.type for record in session.run_events(run.id)]
    assert [kind for kind in kinds if kind in ("agent_start", "error", "run_resumed", "agent_end")] == [
        "agent_start",
        "error",
        "run_resumed",
        "agent_end",
    ]
    session.close()


@in_both_ways
def test_a_cancelled_run_goes_on_later(sessions: Opener, work: Path, stored: bool) -> None:
    begun: list[str] = []

    @tool(effects=("write",))
    async def wait() -> str:
        """Wait."""
        begun.append("wait")
        await asyncio.sleep(60)
        return "waited"

    options: Any = {"tools": [counting(work), wait]}
    session = sessions.new([call("1", "count"), call("2", "wait")], "Done.", **options)
    session.subscribe(lambda event: begun.append(event.type))
    with session.stream("Wait.") as stream:
        for event in stream:
            if event.type == "tool_start" and event.name == "wait":
                break
    [run] = session.runs()
    assert run.status == "cancelled"
    session = continued(sessions, session, stored, "Done.", **options)
    result = session.resume_run(run.id)
    assert (result.status, result.text) == ("completed", "Done.")
    assert counted(work) == 1
    assert begun.count("wait") <= 1
    assert [seen.error_kind for seen in results(session)] == [None, "cancelled"]
    session.close()


@in_both_ways
def test_a_run_at_its_limit_goes_on_with_its_limits_anew(sessions: Opener, work: Path, stored: bool) -> None:
    steps = [call(str(number), "count") for number in range(4)]
    options: Any = {"tools": [counting(work)], "duplicate_tool_call_threshold": None}
    model = ConversationScript([*([f"{n}", step] for n, step in enumerate(steps)), "Done."])
    session = sessions.new(model=model, max_tool_rounds=2, **options)
    result = session.send("Count to four.")
    assert (result.status, result.limit) == ("limit_reached", "turns")
    session = continued(sessions, session, stored, model=model, **options)
    result = session.resume_run(result.run_id)
    assert (result.status, result.turns) == ("limit_reached", 4)
    session = continued(sessions, session, stored, model=model, **options)
    result = session.resume_run(result.run_id)
    assert (result.status, result.text, result.turns, result.limit) == ("completed", "Done.", 5, None)
    assert counted(work) == 4
    session.close()


def test_a_run_cannot_be_resumed_while_another_goes_on(sessions: Opener, work: Path) -> None:
    @tool(effects=())
    async def wait() -> str:
        """Wait."""
        await asyncio.sleep(60)
        return ""

    with sessions.new(ModelUnavailable("down", provider="x"), call("1", "wait"), llm_max_attempts=1, tools=[wait]) as s:
        with pytest.raises(ModelUnavailable):
            s.send("One.")
        with s.stream("Two."), pytest.raises(SessionBusy):
            s.resume_run(s.runs()[0].id)


def test_stored_options_come_back_and_given_ones_win(sessions: Opener, work: Path) -> None:
    options: Any = {"permission_policy": PermissionPolicy(deny=["ls"], default_decision="allow"), "max_tool_rounds": 1}
    with sessions.new("Done.", session_id="s", tenant_id="acme", budget={"max_tokens": 9}, **options) as session:
        assert session.labels.tenant_id == "acme"
    with sessions.again("s", call("1", "ls")) as session:
        assert session.labels.tenant_id == "acme"
        result = session.send("List.")
        assert result.status == "limit_reached"
    with sessions.again("s", call("1", "ls"), "Done.", budget=None, max_tool_rounds=5) as session:
        result = session.send("List.")
        assert result.status == "completed"
        assert [denied.tool for denied in result.denied] == ["ls"]
    with sessions.again("s", call("1", "ls"), "Done.", permission_policy=ALLOW, budget=None, max_tool_rounds=5) as s:
        assert s.send("List.").denied == ()


def test_a_guard_that_is_not_given_again_is_warned_of(sessions: Opener, caplog: pytest.LogCaptureFixture) -> None:
    class Router:
        async def route(self, *given: Any) -> Any:
            raise AssertionError("never asked")

    sessions.new(session_id="s", harness=Harness(router=Router())).close()
    sessions.again("s").close()
    assert "session s had harness, which is not given now" in caplog.text


class Recording(FileSessionStore):
    """A file store that also keeps all it was given as it was given."""

    given: bytes = b""

    async def append(self, commit: Commit) -> None:
        self.given += b"\n".join([commit.entry.body, commit.summary, *commit.blobs.values()])
        await super().append(commit)


def test_no_secret_is_ever_stored(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("DATABASE_PASSWORD", OTHER)
    work.joinpath(".env").write_text(f"OPENAI_API_KEY={KEY}\nDATABASE_PASSWORD={OTHER}\n")
    store = Recording(tmp_path / "store")
    replies: list[Any] = [
        ["Let us see.", call("1", "bash", command="cat .env; yes | head -c 50000; cat .env")],
        call("2", "bash", command=f"echo {KEY}; ls /{OTHER}"),
        f"The key is {KEY}.",
    ]
    with LoopbackServer(replies) as server:
        acl = f"""
        default_model = "openai/m"
        providers "openai" {{ base_url = "{server.base_url}" api_key = env("OPENAI_API_KEY") }}
        """
        with Agent.create(acl) as agent:
            with agent.session(work, session_id="s", permission_policy=ALLOW, session_store=store) as session:
                result = session.send(f"My key is {KEY}, the password {OTHER}.")
                assert result.tool_calls_count == 2
            with agent.resume_session("s", session_store=store) as session:
                texts = repr(session.history()) + repr(plain_events(session, result.run_id))
                assert "[redacted" in texts.lower() or "***" in texts or "redacted" in texts
    assert len(store.given) > 50_000
    kept = b"".join(path.read_bytes() for path in store.directory.rglob("*") if path.is_file())
    for secret in (KEY, OTHER):
        assert secret not in texts
        assert secret.encode() not in store.given
        assert secret.encode() not in kept


def test_what_is_not_saved_by_itself_is_saved_when_asked(sessions: Opener, store: FileSessionStore) -> None:
    with sessions.new("One.", "Two.", "Three.", session_id="s", auto_save=False) as session:
        heard: list[AgentEvent] = []
        session.subscribe(heard.append)
        first = session.send("One?")
        assert heard[-1].type == "agent_end", "nobody has to wait for a save"
        assert sessions.agent.sessions(store) == []
        session.save()
        second = session.send("Two?")
        session.save()
        session.save()
        session.send("Three?")
        before = [plain_events(session, run) for run in (first.run_id, second.run_id)]
    with sessions.again("s") as session:
        assert [run.id for run in session.runs()] == [first.run_id, second.run_id]
        assert [plain_events(session, run) for run in (first.run_id, second.run_id)] == before
        assert [message.text for message in session.history()] == ["One?", "One.", "Two?", "Two."]


def test_what_was_never_saved_is_not_there(sessions: Opener, store: FileSessionStore) -> None:
    with sessions.new("One.", session_id="s", auto_save=False) as session:
        session.send("One?")
    with pytest.raises(UnknownSession):
        sessions.again("s")


class Failing(FileSessionStore):
    """A store whose disk is full for a while."""

    full = False
    refused = 0

    async def append(self, commit: Commit) -> None:
        if self.full:
            self.refused += 1
            raise StoreError("the disk is full")
        await super().append(commit)


def test_a_store_that_fails_is_told_of_once_and_gets_everything_later(work: Path, tmp_path: Path) -> None:
    store = Failing(tmp_path / "store")
    sessions = Opener(work, store)

    @tool(effects=())
    def fill(full: bool) -> str:
        """Fill the disk, or empty it."""
        store.full = full
        return "so be it"

    replies = [
        call("1", "fill", full=True),
        [call("2", "ls"), call("3", "bash", command="echo on")],
        "Filled.",
        "Still full.",
        call("4", "fill", full=False),
        "Emptied.",
    ]
    heard: list[AgentEvent] = []
    with sessions.new(*replies, session_id="s", tools=[fill]) as session:
        session.subscribe(heard.append)
        first = session.send("Fill it.")
        assert (first.status, first.text) == ("completed", "Filled.")
        with pytest.raises(StoreError, match="could not be saved"):
            session.save()
        assert session.send("And now?").text == "Still full."
        assert session.send("Empty it.").text == "Emptied."
        session.save()
        failures = [event for event in heard if event.type == "persistence_failed"]
        assert [(event.session_id, event.operation, event.error) for event in failures] == [
            ("s", "append", "the disk is full")
        ]
        before = [plain_events(session, run.id) for run in session.runs()]
        told = [json.loads(json.dumps(event.to_dict(), default=str)) for event in heard]
        assert told == [record["event"] for events in before for record in events], "each was heard of once, in order"
        history = session.history()
    assert store.refused > 1
    with sessions.again("s", tools=[fill]) as session:
        assert [plain_events(session, run.id) for run in session.runs()] == before
        assert session.history() == history


def test_a_store_that_cannot_even_be_opened_does_not_stop_the_session(work: Path, tmp_path: Path) -> None:
    class Closed(FileSessionStore):
        async def claim(self, session_id: str) -> None:
            raise StoreError("the disk is gone")

    sessions = Opener(work, Closed(tmp_path / "store"))
    with sessions.new("Done.") as session:
        result = session.send("Go.")
        assert result.text == "Done."
        kinds = [record.event.type for record in session.run_events(result.run_id)]
        assert kinds.count("persistence_failed") == 1


def test_a_session_on_a_read_only_disk_opens_and_goes_on_in_memory(
    sessions: Opener, work: Path, store: FileSessionStore
) -> None:
    class ReadOnly(FileSessionStore):
        writable = False

        async def claim(self, session_id: str) -> None:
            self._refuse()
            await super().claim(session_id)

        async def append(self, commit: Commit) -> None:
            self._refuse()
            await super().append(commit)

        def _refuse(self) -> None:
            if not self.writable:
                raise StoreError("the disk is read-only")

    with sessions.new("First.") as session:
        session.send("One.")
    disk = ReadOnly(store.directory)
    with Opener(work, disk).again(session.session_id, "Second.", "Third.") as again:
        result = again.send("Two.")
        assert result.text == "Second."
        kinds = [record.event.type for record in again.run_events(result.run_id)]
        assert kinds.count("persistence_failed") == 1
        disk.writable = True
        assert again.send("Three.").text == "Third."
        with pytest.raises(SessionInUse):
            sessions.again(session.session_id)
    with sessions.again(session.session_id) as stored:
        assert [run.prompt for run in stored.runs()] == ["One.", "Two.", "Three."]


def test_a_store_that_raises_what_it_should_not_is_survived(work: Path, tmp_path: Path) -> None:
    class Broken(FileSessionStore):
        async def append(self, commit: Commit) -> None:
            raise ZeroDivisionError("oops")

    sessions = Opener(work, Broken(tmp_path / "store"))
    with sessions.new("Done.") as session:
        result = session.send("Go.")
        [failed] = [r.event for r in session.run_events(result.run_id) if r.event.type == "persistence_failed"]
        assert "ZeroDivisionError" in failed.error


def test_events_that_are_in_memory_no_more_are_read_from_the_store(sessions: Opener) -> None:
    text = "".join(chr(97 + number % 26) * 16 for number in range(2500))
    with sessions.new(text, session_id="s") as session:
        heard: list[AgentEvent] = []
        session.subscribe(heard.append)
        run = session.send("Talk.").run_id
        records = session.run_events(run)
        assert len(records) > 2500
        assert [record.sequence for record in records] == list(range(len(records)))
        assert [record.event for record in records] == heard
        assert "".join(record.event.text for record in records if record.event.type == "text_delta") == text
        windows: list[Any] = []
        while more := session.run_events(run, after=windows[-1].sequence if windows else -1, limit=700):
            assert len(more) <= 700
            windows += more
        assert windows == records
        assert session.run_events(run, after=len(records) - 3) == records[-2:]
        assert session.run_events(run, limit=0) == []
        before = plain_events(session, run)
    with sessions.again("s") as session:
        assert plain_events(session, run) == before
        assert [record.sequence for record in session.run_events(run, after=1000, limit=5)] == [*range(1001, 1006)]


def test_whole_outputs_are_there_after_a_restart(sessions: Opener, work: Path) -> None:
    work.joinpath("a.txt").write_text("".join(f"line {number}\n" for number in range(9000)))
    with sessions.new(call("1", "bash", command="cat a.txt"), "Done.", session_id="s") as session:
        session.send("Show it.")
        [seen] = results(session)
        assert seen.artifact is not None
        uri = seen.artifact.uri
        whole = session.artifact(uri)
    read, grep = (
        call("2", "read", file_path=uri, offset=8000, limit=2),
        call("3", "grep", pattern="line 4321", path=uri),
    )
    with sessions.again("s", [read, grep], "Done.") as session:
        assert session.artifact(uri) == whole
        assert session.artifact(uri, offset=7, limit=6) == whole[7:13] == "line 1"
        session.send("Read on.")
        first, second = results(session)[-2:]
        assert "line 7999" in first.output or "line 8000" in first.output
        assert "line 4321" in second.output
        with pytest.raises(InvalidRequest, match="no output"):
            session.artifact("a3s://tool-output/bash/0")


def test_what_smaller_limits_left_out_stays_out(sessions: Opener, store: FileSessionStore) -> None:
    @tool(effects=())
    def shout(number: int) -> str:
        """Say a number very often."""
        return f"{number}\n" * 20_000

    loud = [call(str(number), "shout", number=number) for number in range(3)]
    with sessions.new(*loud, "Done.", session_id="s", tools=[shout]) as session:
        session.send("Be loud.")
        uris = [seen.artifact.uri for seen in results(session) if seen.artifact is not None]
    with sessions.again("s", "Done.", artifact_store_limits={"max_items": 1}) as session:
        session.send("Say nothing.")
    assert len(asyncio.run(_blobs(store, uris))) == 1
    with sessions.again("s", artifact_store_limits={"max_items": 9}) as session:
        assert session.artifact(uris[2]).startswith("2\n")
        for uri in uris[:2]:
            with pytest.raises(InvalidRequest):
                session.artifact(uri)


def test_the_oldest_outputs_make_room_in_the_store_too(sessions: Opener, store: FileSessionStore) -> None:
    @tool(effects=())
    def shout(number: int) -> str:
        """Say a number very often."""
        return f"{number}\n" * 20_000

    def loud(number: int) -> ToolCall:
        return call(str(number), "shout", number=number)

    options: Any = {"tools": [shout], "artifact_store_limits": {"max_items": 2}}
    with sessions.new(loud(1), loud(2), loud(3), "Done.", session_id="s", **options) as session:
        session.send("Be loud.")
        uris = [seen.artifact.uri for seen in results(session) if seen.artifact is not None]
        assert len(uris) == 3
    kept = asyncio.run(_blobs(store, uris))
    assert len(kept) == 2
    with sessions.again("s", loud(4), "Done.", tools=[shout]) as session:
        with pytest.raises(InvalidRequest):
            session.artifact(uris[0])
        assert session.artifact(uris[2]).startswith("3\n")
        session.send("Once more.")
        with pytest.raises(InvalidRequest, match="make room"):
            session.artifact(uris[1])
    with sessions.again("s") as session:
        with pytest.raises(InvalidRequest):
            session.artifact(uris[1])
        assert session.artifact(uris[2]).startswith("3\n")


async def _blobs(store: FileSessionStore, uris: Sequence[str]) -> Mapping[str, bytes]:
    return await store.blobs([uri.rpartition("/")[2] for uri in uris])


def test_a_compacted_history_comes_back_compacted(sessions: Opener) -> None:
    steps = [[f"Step {n}.", call(f"c{n}", "bash", command=f"yes {n} | head -c 8000")] for n in range(6)]
    with sessions.new(*steps, "Done.", session_id="s", max_context_tokens=8000) as session:
        run = session.send("Begin.").run_id
        assert any(record.event.type == "context_compacted" for record in session.run_events(run))
        history = session.history()
    with sessions.again("s") as session:
        assert session.history() == history


def test_images_and_thoughts_come_back_byte_for_byte(sessions: Opener, work: Path) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
    work.joinpath("a.png").write_bytes(png)
    block = '{"type":"thinking",  "thinking":"h\\u00e9 \\ud83d\\ude00","signature":"a+/="}'
    thought = Reasoning("hé", "scripted/model", block)
    given = {"prompt": "Look.", "attachments": [{"data": png, "media_type": "image/png"}]}
    replies = [[thought, "So.", call("1", "read", file_path="a.png")], "Done."]
    with sessions.new(*replies, session_id="s") as session:
        session.send(given)
        history = session.history()
    model = ScriptedModel(["Again."])
    with sessions.again("s", model=model) as session:
        assert session.history() == history
        [back] = [part for part in history[1].parts if isinstance(part, Reasoning)]
        assert back.block == block
        session.send("More?")
    assert list(model.prompts[0].messages[: len(history)]) == history


def test_a_request_with_a_history_of_its_own_leaves_that_of_the_session(sessions: Opener) -> None:
    own = [Message.user("Before."), Message("assistant", (Text("I see."),))]
    down = ModelUnavailable("down", provider="x")
    with sessions.new("One.", call("1", "ls"), down, session_id="s", llm_max_attempts=1) as session:
        session.send("One?")
        with pytest.raises(ModelUnavailable):
            session.send({"prompt": "Aside?", "history": own})
        run = session.runs()[-1]
    model = ScriptedModel(["Aside."])
    with sessions.again("s", model=model) as session:
        assert session.resume_run(run.id).text == "Aside."
        assert [message.text for message in session.history()] == ["One?", "One."]
    sent = model.prompts[0].messages
    assert [message.text for message in sent[:3]] == ["Before.", "I see.", "Aside?"]
    assert len(sent) == 5


class Waiting:
    """A model that waits for ever."""

    name = "waiting/model"

    async def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
        await asyncio.sleep(600)
        raise AssertionError
        yield


def test_all_sessions_are_listed_with_what_became_of_them(sessions: Opener, store: FileSessionStore) -> None:
    sessions.new(session_id="new").close()
    with sessions.new("Done.", session_id="done") as session:
        session.send("Finish.")
    broken = sessions.new(ModelUnavailable("down", provider="x"), session_id="broken", llm_max_attempts=1)
    with pytest.raises(ModelUnavailable):
        broken.send("Fail.")
    broken.close()
    with sessions.new(model=Waiting(), session_id="busy") as session, session.stream("Wait " * 100) as stream:
        events = iter(stream)
        assert next(events).type == "agent_start"
        now = {record.id: record for record in sessions.agent.sessions()}
        assert [(name, record.status, record.run_count) for name, record in now.items()] == [
            ("new", "created", 0),
            ("done", "completed", 1),
            ("broken", "failed", 1),
            ("busy", "executing", 1),
        ]
        assert [record.pid for record in now.values()] == [None, None, None, os.getpid()]
        assert now["done"].prompt == "Finish."
        assert now["busy"].prompt == ("Wait " * 100)[:200]
        assert all(record.workspace == sessions.work for record in now.values())
        assert now["done"].updated_at_ms >= now["done"].created_at_ms > 1_700_000_000_000
        dead = copied(store)
        assert [r.status for r in sessions.agent.sessions(dead)] == ["created", "completed", "failed", "interrupted"]
        assert sessions.agent.sessions(dead)[-1].pid is None
    assert sessions.agent.sessions(store)[-1].status == "cancelled"


def test_a_damaged_session_is_listed_and_the_others_are_not_hidden(sessions: Opener, work: Path) -> None:
    class Damaged(MemorySessionStore):
        async def load(self, session_id: str, after: int = -1) -> Stored:
            stored = await super().load(session_id, after)
            return Stored((), b"", "the disk ate it") if session_id == "bad" else stored

        async def sessions(self) -> Any:
            found = await super().sessions()
            return [type(item)(item.session_id, b"?" * 99, item.pid) for item in found]

    store = Damaged()
    sessions = Opener(work, store)
    for name in ("bad", "good"):
        with sessions.new("Done.", session_id=name) as session:
            session.send("Go.")
    bad, good = sessions.agent.sessions(store)
    assert (bad.id, bad.status) == ("bad", "damaged")
    assert "the disk ate it" in bad.prompt
    assert (good.id, good.prompt, good.run_count) == ("good", "Go.", 1)
    with pytest.raises(StoreError, match="the disk ate it"):
        sessions.again("bad")
    with sessions.again("good") as session:
        assert len(session.history()) == 2


def test_the_configuration_names_the_store(tmp_path: Path, work: Path) -> None:
    folder = tmp_path / "kept"
    configurations = {
        "dir": f'sessions_dir = "{folder / "a"}"',
        "url": f'storage_backend = "file"\nstorage_url = "{folder / "b"}"',
        "memory": 'storage_backend = "memory"',
    }
    for name, acl in configurations.items():
        with Agent.create(acl) as agent:
            with agent.session(work, session_id=name, model=ScriptedModel(["Done."])) as session:
                session.send("Go.")
            assert [(record.id, record.status) for record in agent.sessions()] == [(name, "completed")]
            with agent.resume_session(name, model=ScriptedModel(["Done."])) as session:
                assert len(session.history()) == 2
        with Agent.create(acl) as agent:
            assert [record.id for record in agent.sessions()] == ([] if name == "memory" else [name])
    assert sorted(path.parent.name for path in folder.rglob("sessions.db")) == ["a", "b"]
    with Agent.create("") as agent:
        assert agent.sessions() == []
        with agent.session(work, model=ScriptedModel(["Done."])) as session, pytest.raises(UsageError):
            session.save()


def test_a_store_that_is_given_wins_over_the_configured_one(tmp_path: Path, work: Path) -> None:
    own = MemorySessionStore()
    with Agent.create(f'sessions_dir = "{tmp_path / "kept"}"') as agent:
        with agent.session(work, session_id="s", session_store=own, model=ScriptedModel(["Done."])) as session:
            session.send("Go.")
        assert [record.id for record in agent.sessions(own)] == ["s"]
        with pytest.raises(UnknownSession):
            agent.resume_session("s")
        agent.resume_session("s", SessionOptions(session_store=own)).close()


async def test_an_async_agent_does_the_same(work: Path, either: SessionStore) -> None:
    given: Any = {"session_store": either, "permission_policy": ALLOW}
    async with AsyncAgent.create("") as agent:
        session = agent.session(work, session_id="s", model=ScriptedModel([call("1", "ls"), "Done."]), **given)
        async with session:
            heard: list[str] = []
            leave = session.subscribe(lambda event: heard.append(event.type))
            result = await session.send("Go.")
            assert heard[0] == "agent_start"
            assert heard[-1] == "agent_end"
            leave()
            await session.save()
            before = await session.run_events(result.run_id)
        [record] = await agent.sessions(either)
        assert (record.id, record.status) == ("s", "completed")
        async with await agent.resume_session("s", model=ScriptedModel(["More."]), session_store=either) as session:
            assert isinstance(session, AsyncAgentSession)
            assert [dict(r) for r in await session.run_events(result.run_id)] == [dict(r) for r in before]
            with pytest.raises(RunNotResumable):
                await session.resume_run(result.run_id)
            assert (await session.send("More?")).text == "More."


def test_a_session_is_used_from_several_event_loops(work: Path, store: FileSessionStore) -> None:
    agent = AsyncAgent.create("")
    script = ScriptedModel([[call("1", "ls")], "One.", "Two.", "Three."])
    session = agent.session(work, session_id="s", model=script, session_store=store, permission_policy=ALLOW)

    async def send(prompt: str) -> str:
        return (await session.send(prompt)).text

    assert [asyncio.run(send(prompt)) for prompt in ("1?", "2?", "3?")] == ["One.", "Two.", "Three."]
    history = asyncio.run(session.history())
    asyncio.run(session.close())
    again = asyncio.run(agent.resume_session("s", session_store=store, model=ScriptedModel([])))
    assert asyncio.run(again.history()) == history
    asyncio.run(again.close())


def test_many_sessions_share_a_store(work: Path, either: SessionStore) -> None:
    async def make() -> None:
        async with AsyncAgent.create("") as agent:
            opened = [
                agent.session(work, session_id=f"s{number}", session_store=either, model=ScriptedModel([f"{number}."]))
                for number in range(20)
            ]
            results = await asyncio.gather(*(session.send("Go.") for session in opened))
            assert [result.text for result in results] == [f"{number}." for number in range(20)]
            for session in opened:
                await session.close()
            for number in range(20):
                async with await agent.resume_session(
                    f"s{number}", session_store=either, model=ScriptedModel([])
                ) as session:
                    assert [message.text for message in await session.history()] == ["Go.", f"{number}."]

    asyncio.run(make())


def in_a_fork(work: Callable[[], object]) -> int:
    """Do the work in a fork of this process; gives its exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    end = time.monotonic() + 30
    while not (done := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(done[1])


def test_a_fork_has_sessions_of_its_own_and_leaves_those_of_its_parent(sessions: Opener) -> None:
    parent = os.getpid()

    def in_child() -> None:
        with pytest.raises(SessionInUse) as caught:
            sessions.again("s")
        assert caught.value.pid == parent
        with sessions.new("Of the child.", session_id="child") as own:
            assert own.send("Go.").text == "Of the child."

    with sessions.new("One.", "Two.", session_id="s") as session:
        session.send("1?")
        assert in_a_fork(in_child) == 0
        assert session.send("2?").text == "Two."
    with sessions.again("child") as session:
        assert [message.text for message in session.history()] == ["Go.", "Of the child."]
    with sessions.again("s") as session:
        assert [message.text for message in session.history()] == ["1?", "One.", "2?", "Two."]


def test_what_a_fork_does_with_the_session_of_its_parent_is_not_stored(sessions: Opener) -> None:
    def in_child() -> None:
        session.send("Of the child?")

    with sessions.new("One.", "Two.", session_id="s") as session:
        session.send("1?")
        in_a_fork(in_child)
        assert session.send("2?").text == "Two."
    with sessions.again("s") as session:
        assert [message.text for message in session.history()] == ["1?", "One.", "2?", "Two."]


def test_models_are_named_and_found_again(work: Path, store: FileSessionStore) -> None:
    with LoopbackServer(["One.", "Two."]) as server:
        acl = f'providers "test" {{ base_url = "{server.base_url}" api_key = "k" models "m" {{ }} }}'
        with Agent.create(acl) as agent:
            with agent.session(work, session_id="s", model="test/m", session_store=store) as session:
                session.send("1?")
            with agent.resume_session("s", session_store=store) as session:
                assert session.send("2?").text == "Two."
        assert [request.json["model"] for request in server.requests] == ["m", "m"]


def test_direct_calls_are_kept_too(sessions: Opener, work: Path) -> None:
    work.joinpath("a.txt").write_text("old\n")
    with sessions.new(session_id="s") as session:
        assert session.read_file("a.txt") == "old\n"
        lines = session.trace_events()
        assert [line.name for line in lines] == ["read"]
    with sessions.again("s") as session:
        assert [dict(line) for line in session.trace_events()] == [dict(line) for line in lines]
