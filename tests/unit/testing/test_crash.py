"""crash_matrix finds what it is there to find, and ConversationScript knows where it stands."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from a3s_code import Agent, Harness, PermissionPolicy
from a3s_code.api.session import AgentSession
from a3s_code.errors import ModelError, ModelUnavailable, UsageError
from a3s_code.kernel.messages import Delta, Message, Observation, Reasoning, Reply, Text, ToolCall
from a3s_code.kernel.ports import ChatModel, Prompt
from a3s_code.kernel.store import Commit, Stored
from a3s_code.kernel.trace import RunEventRecord
from a3s_code.stores.sqlite import FileSessionStore
from a3s_code.testing import ConversationScript, CrashReport, crash_matrix

SCRIPT = [["One.", ToolCall("1", "ls", {})], ["Two.", ToolCall("2", "ls", {"path": "."})], "Three."]
Open = Callable[[ChatModel, Path, "str | None"], Any]


def make_session(model: ChatModel, folder: Path, session_id: str | None) -> AgentSession:
    return make_with(FileSessionStore)(model, folder, session_id)


def make_with(kind: type[FileSessionStore], **options: Any) -> Open:
    """Opens sessions with a store of that kind."""

    def make(model: ChatModel, folder: Path, session_id: str | None) -> AgentSession:
        given: Any = {**options, "model": model, "session_store": kind(folder)}
        if session_id is None:
            return Agent.create("").session(folder, **given)
        return Agent.create("").resume_session(session_id, **given)

    return make


def test_a_run_that_survives_is_reported_so() -> None:
    report = crash_matrix(make_session, SCRIPT, limit=5)
    assert str(report) == "5 injected, 5 survived, 0 lost, 0 repeated, 0 unopened"
    report.check()


def test_every_event_is_a_place_to_be_killed_at(tmp_path: Path) -> None:
    with make_session(ConversationScript(SCRIPT), tmp_path, None) as session:
        result = session.send("Begin.")
        count = len(session.run_events(result.run_id))
    assert crash_matrix(make_session, SCRIPT).injected == count
    assert crash_matrix(make_session, SCRIPT, every=10).injected == -(-count // 10)
    assert crash_matrix(make_session, SCRIPT, every=5, limit=2).injected == 2


class Forgetful(FileSessionStore):
    """Says that it has stored what it has not."""

    async def append(self, commit: Commit) -> None:
        if commit.entry.number < 4:
            await super().append(commit)


def test_a_store_that_forgets_is_found_out() -> None:
    report = crash_matrix(make_with(Forgetful), SCRIPT, every=6)
    assert report.lost
    assert report.survived < report.injected
    assert any("is lost" in problem for problem in report.problems)
    with pytest.raises(AssertionError, match=r"killed after event \d+ \(\w+\): event \d+"):
        report.check()


class Unreadable(FileSessionStore):
    async def load(self, session_id: str, after: int = -1) -> Stored:
        stored = await super().load(session_id, after)
        raise RuntimeError(f"{len(stored.entries)} entries are too many")


def test_a_session_that_does_not_open_is_counted() -> None:
    report = crash_matrix(make_with(Unreadable), SCRIPT, limit=3)
    assert (report.injected, report.survived, report.unopened) == (3, 0, 3)
    assert "does not open" in report.problems[0]


class Repeating:
    """A session whose events tell that it makes a call again that has ended."""

    def __init__(self, session: AgentSession) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run_events(self, run_id: str) -> list[RunEventRecord]:
        records = self._session.run_events(run_id)
        ended = [r for r in records if r.event.type in ("tool_start", "tool_end") and r.event.id == "1"]
        again = [*records, *ended] if records[-1].event.type == "agent_end" else records
        return [RunEventRecord(place, r.timestamp_ms, r.event) for place, r in enumerate(again)]


def test_a_call_that_is_made_again_is_counted() -> None:
    report = crash_matrix(lambda *given: Repeating(make_session(*given)), SCRIPT, every=30)
    assert report.repeated
    assert any("ls 1 is made again" in problem for problem in report.problems)


def test_what_the_host_looks_for_is_reported() -> None:
    def look(session: Any, folder: Path) -> None:
        assert folder.joinpath("sessions.db").exists()
        raise AssertionError("the house is on fire")

    report = crash_matrix(make_session, SCRIPT, limit=2, look=look)
    assert [problem.partition(": ")[2] for problem in report.problems] == [
        "AssertionError: the house is on fire",
        "a process ended with 1",
    ] * 2


def test_a_process_that_hangs_is_ended_at_its_deadline() -> None:
    def make(model: ChatModel, folder: Path, session_id: str | None) -> AgentSession:
        if session_id is not None:
            time.sleep(600)
        return make_session(model, folder, session_id)

    began = time.monotonic()
    report = crash_matrix(make, SCRIPT, limit=1, seconds=1.5)
    assert time.monotonic() - began < 20
    assert (report.injected, report.survived) == (1, 0)
    assert "did not come to its end within 1.5 s" in report.problems[0]


def test_an_invalid_request_is_a_problem() -> None:
    class Careless:
        """Sends what it has, and a result that nobody asked for."""

        async def assemble(self, *given: Any) -> Prompt:
            state = given[-1]
            stray = Message("tool", (Observation("nobody", "ls", "x"),))
            return Prompt("", (*state.history, stray), ())

    make = make_with(FileSessionStore, harness=Harness(assembler=Careless()))
    report = crash_matrix(make, ["Done."], limit=1)
    assert any("a request is not valid" in problem for problem in report.problems)


def test_a_run_that_does_not_complete_by_itself_is_refused() -> None:
    with pytest.raises(UsageError, match=r"does not complete without a crash.*no reply after its 1"):
        crash_matrix(make_session, [ToolCall("1", "ls", {})])


def test_without_a_kill_there_is_nothing_to_be_glad_of() -> None:
    with pytest.raises(AssertionError, match="no run was killed"):
        CrashReport(0, 0, 0, 0, 0, ()).check()


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    seen = tmp_path / "seen"

    def look(session: AgentSession, folder: Path) -> None:
        with seen.open("a") as file:
            file.write(f"{os.getpid()} {folder}\n")

    crash_matrix(make_session, SCRIPT, limit=2, look=look).check()
    lines = seen.read_text().splitlines()
    assert len(set(lines)) == 2
    for line in lines:
        pid, _, folder = line.partition(" ")
        assert not Path(folder).parent.exists()
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


async def said(model: ConversationScript, messages: Sequence[Message]) -> Message:
    async for piece in model.stream(Prompt("", tuple(messages), ())):
        if isinstance(piece, Reply):
            return piece.message
        assert isinstance(piece, Delta)
    raise AssertionError("no reply")


def conversation(*replies: Message) -> list[Message]:
    messages = [Message.user("Begin.")]
    for reply in replies:
        results = tuple(Observation(call.id, call.name, "x") for call in reply.calls)
        messages += [reply, Message("tool", results)] if results else [reply]
    return messages


async def test_the_reply_follows_the_last_one_of_the_conversation() -> None:
    script = [["One.", ToolCall("1", "ls", {})], [Reasoning("hm", "m"), ToolCall("2", "ls", {"path": "a"})], "Three."]
    replies: list[Message] = []
    for _ in script:
        replies.append(await said(ConversationScript(script), conversation(*replies)))
    assert [reply.text for reply in replies] == ["One.", "", "Three."]
    assert (await said(ConversationScript(script), conversation(replies[1]))).text == "Three.", "the first is compacted"
    foreign = Message("assistant", (Text("Of another."),))
    assert (await said(ConversationScript(script), conversation(foreign))).text == "One."
    with pytest.raises(ModelError, match="no reply after its 3"):
        await said(ConversationScript(script), conversation(*replies))


async def test_equal_replies_are_told_apart_by_their_number() -> None:
    call = [ToolCall("1", "ls", {})]
    model = ConversationScript([call, call, call, "Done."])
    replies: list[Message] = []
    for _ in range(4):
        replies.append(await said(model, conversation(*replies)))
    assert replies[-1].text == "Done."


async def test_functions_and_errors_of_a_script_have_their_turn() -> None:
    script = ["One.", ModelUnavailable("busy", provider="x"), lambda prompt: f"{len(prompt.messages)} messages", "End."]
    model = ConversationScript(script)
    replies = [await said(model, conversation())]
    with pytest.raises(ModelUnavailable):
        await said(model, conversation(*replies))
    replies.append(await said(model, conversation(*replies)))
    assert replies[1].text == "2 messages"
    assert (await said(model, conversation(*replies))).text == "End."
    with pytest.raises(ModelUnavailable):
        await said(ConversationScript(script), conversation(*replies[:1]))


def test_a_policy_is_stored_and_need_not_be_given_again() -> None:
    rules = PermissionPolicy(deny=["ls"])
    make = make_with(FileSessionStore, permission_policy=rules)

    def look(session: AgentSession, folder: Path) -> None:
        [run] = session.runs()
        assert any(r.event.type == "permission_denied" for r in session.run_events(run.id))

    crash_matrix(make, SCRIPT, limit=2, look=look).check()
