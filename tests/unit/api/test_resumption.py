"""What goes wrong between a session and its store, or while a run is gone on with, loses and repeats nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from a3s_code import AsyncAgent, ConfirmationPolicy, PermissionPolicy, SessionOptions, tool
from a3s_code.api.async_session import AsyncAgentSession
from a3s_code.api.keeping import kept_options, plain_options
from a3s_code.errors import A3SError, ModelUnavailable, StoreError, StoreVersionError
from a3s_code.kernel.facts import Fact
from a3s_code.kernel.journal import StoredJournal
from a3s_code.kernel.messages import Image, Message, Observation, Reasoning, Text, ToolCall
from a3s_code.kernel.packing import pack, read, references, unpack, write
from a3s_code.kernel.store import BEGINNING, Commit, Listing, Stored, seal
from a3s_code.kernel.tool import ToolOutput
from a3s_code.stores import FileSessionStore, MemorySessionStore
from a3s_code.testing import FakeClock, ScriptedModel

ALLOW = PermissionPolicy(default_decision="allow")
ASK = PermissionPolicy(default_decision="ask")
PATIENT = ConfirmationPolicy(enabled=True, default_timeout_ms=None)
SECONDS = 10


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return work


def call(call_id: str, name: str, **arguments: Any) -> ToolCall:
    return ToolCall(call_id, name, arguments)


def results(history: Sequence[Message]) -> list[Observation]:
    return [part for message in history for part in message.parts if isinstance(part, Observation)]


async def until(there: Callable[[], Any]) -> Any:
    async with asyncio.timeout(SECONDS):
        while not (found := there()):
            await asyncio.sleep(0.005)
    return found


async def question(session: AsyncAgentSession) -> str:
    async with asyncio.timeout(SECONDS):
        while not (waiting := await session.pending_confirmations()):
            await asyncio.sleep(0.005)
    return waiting[0].tool_id


class Paying:
    """A tool that pays, and one that waits, and how often each was made."""

    def __init__(self) -> None:
        self.paid: list[str] = []
        self.waiting = 0

        @tool(effects=("write",))
        def pay(to: str) -> str:
            """Pay somebody."""
            self.paid.append(to)
            return f"paid {to}"

        @tool(effects=("write",))
        async def wait() -> str:
            """Wait."""
            self.waiting += 1
            await asyncio.sleep(600)
            return "waited"

        self.tools = [pay, wait]


def killed(store: FileSessionStore, folder: Path) -> FileSessionStore:
    """The store as a process that dies at this moment leaves it."""
    return FileSessionStore(shutil.copytree(store.directory, folder / "copy"))


async def test_a_run_that_is_cancelled_while_it_waits_for_another_is_stored_with_its_request(
    work: Path, tmp_path: Path
) -> None:
    paying, store = Paying(), FileSessionStore(tmp_path / "store")
    options: Any = {"session_store": store, "tools": paying.tools}
    async with AsyncAgent.create("") as agent:
        session = await agent.session(
            work,
            session_id="s",
            model=ScriptedModel([call("1", "wait")]),
            permission_policy=ALLOW,
            on_busy="queue",
            **options,
        )
        first = asyncio.create_task(session.send("One."))
        await until(lambda: paying.waiting)
        second = asyncio.create_task(session.send({"prompt": "Two.", "history": [Message.user("Before.")]}))
        await asyncio.sleep(0.02)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await session.cancel()
        await first
        await session.close()
        model = ScriptedModel(["Done."])
        session = await agent.resume_session("s", model=model, **options)
        runs = await session.runs()
        assert [(run.prompt, run.status) for run in runs] == [("One.", "cancelled"), ("Two.", "cancelled")]
        assert (await session.resume_run(runs[-1].id)).text == "Done."
        assert [message.text for message in model.prompts[0].messages] == ["Before.", "Two."]


@pytest.mark.parametrize("stored", [False, True], ids=["in memory", "from a store"])
async def test_what_was_said_at_a_limit_is_not_taken_for_the_answer(work: Path, stored: bool) -> None:
    options: Any = {"session_store": MemorySessionStore()} if stored else {}
    async with AsyncAgent.create("") as agent:
        model = ScriptedModel([call("1", "ls"), "So far.", "Really done."])
        session = await agent.session(
            work, session_id="s", model=model, max_tool_rounds=2, last_turn_at_limit=True, **options
        )
        result = await session.send("Go.")
        assert (result.status, result.text) == ("limit_reached", "So far.")
        if stored:
            await session.close()
            session = await agent.resume_session("s", model=ScriptedModel(["Really done."]), **options)
        result = await session.resume_run(result.run_id)
        assert (result.status, result.text) == ("completed", "Really done.")


@pytest.mark.parametrize("stored", [False, True], ids=["in memory", "stored"])
async def test_a_run_goes_on_as_soon_as_its_end_was_heard_of(work: Path, stored: bool) -> None:
    options: Any = {"session_store": MemorySessionStore()} if stored else {}
    async with AsyncAgent.create("") as agent, asyncio.timeout(SECONDS):
        model = ScriptedModel([call("1", "ls"), call("2", "ls", path="."), "Done."])
        session = await agent.session(work, model=model, max_tool_rounds=1, **options)
        stream = session.stream("Go.")
        async for _ in stream:
            pass
        for status in ("limit_reached", "completed"):
            assert (await session.resume_run(stream.run_id)).status == status


async def test_saves_may_overlap_and_each_returns_when_all_before_it_is_stored(work: Path, tmp_path: Path) -> None:
    store = FileSessionStore(tmp_path / "store")
    steps = [call(str(number), "ls") for number in range(8)]
    async with AsyncAgent.create("") as agent, asyncio.timeout(SECONDS):
        session = await agent.session(
            work,
            session_id="s",
            model=ScriptedModel([*steps, "Done."]),
            session_store=store,
            auto_save=False,
            duplicate_tool_call_threshold=None,
        )
        sending = asyncio.create_task(session.send("Go."))
        while not sending.done():
            await asyncio.gather(session.save(), session.save())
        await session.save()
        run = (await sending).run_id
        before = len(await session.run_events(run))
        await session.close()
        session = await agent.resume_session("s", model=ScriptedModel(), session_store=store)
        assert len(await session.run_events(run)) == before


async def test_a_number_that_python_does_not_write_is_stored_all_the_same(work: Path) -> None:
    @tool(effects=())
    def count() -> ToolOutput:
        """Count far."""
        return ToolOutput("much", metadata={"n": 10**5000, "deep": [{"n": -(10**5000)}]})

    store = MemorySessionStore()
    async with AsyncAgent.create("") as agent, asyncio.timeout(SECONDS):
        model = ScriptedModel([call("1", "count"), "Done."])
        session = await agent.session(work, session_id="s", model=model, session_store=store, tools=[count])
        heard: list[str] = []
        session.subscribe(lambda event: heard.append(event.type))
        assert (await session.send("Go.")).text == "Done."
        assert heard.count("tool_end") == heard.count("agent_end") == 1
        await session.close()
        session = await agent.resume_session("s", model=ScriptedModel(), session_store=store)
        [seen] = results(await session.history())
        assert seen.metadata["n"] == hex(10**5000)


class Odd(MemorySessionStore):
    """Raises at one verb what no store may raise."""

    def __init__(self, verb: str) -> None:
        super().__init__()
        self.verb = verb

    def _raise(self, verb: str) -> None:
        if verb == self.verb:
            raise ZeroDivisionError("oops")

    async def claim(self, session_id: str) -> None:
        self._raise("claim")
        await super().claim(session_id)

    async def release(self, session_id: str) -> None:
        self._raise("release")
        await super().release(session_id)

    async def load(self, session_id: str, after: int = -1) -> Stored:
        self._raise("load")
        return await super().load(session_id, after)

    async def blobs(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        self._raise("blobs")
        return await super().blobs(digests)

    async def sessions(self) -> Sequence[Listing]:
        self._raise("sessions")
        return await super().sessions()


@pytest.mark.parametrize("verb", ["claim", "load", "blobs", "release", "sessions"])
async def test_a_store_that_raises_anything_anywhere_neither_ends_a_run_nor_leaks(work: Path, verb: str) -> None:
    store = Odd(verb)
    async with AsyncAgent.create("") as agent, asyncio.timeout(SECONDS):
        session = agent.session(work, session_id="s", model=ScriptedModel(["Done."]), session_store=store)
        result = await session.send("Go.")
        assert (result.status, result.text) == ("completed", "Done.")
        await session.close()
        if verb == "sessions":
            with pytest.raises(StoreError, match="ZeroDivisionError"):
                await agent.sessions(store)
        elif verb in ("load", "blobs"):
            with pytest.raises(StoreError, match="ZeroDivisionError"):
                await agent.resume_session("s", session_store=store)


async def test_a_store_that_does_not_answer_does_not_hold_up_the_session() -> None:
    class Silent(MemorySessionStore):
        silent = True

        async def append(self, commit: Commit) -> None:
            if self.silent:
                await asyncio.sleep(600)
            await super().append(commit)

    store = Silent()
    failures: list[A3SError] = []
    told: list[bool] = []
    header: Fact = {"k": "session", "id": "s"}
    journal = StoredJournal(store, "s", header, dict[str, Any], patience=0.05)
    journal.failed = failures.append
    async with asyncio.timeout(SECONDS):
        await journal.open()
        journal.note({"k": "state"}, told.append)
        await journal.settled()
        assert [str(failure) for failure in failures] == ["the session store did not answer within 0.05 s"]
        assert told == [False]
        store.silent = False
        journal.note({"k": "answer"}, told.append)
        await journal.settled()
        await journal.close()
    kept = [fact["k"] for entry in (await store.load("s")).entries for fact in read(entry.body)]
    assert kept == ["session", "state", "answer"]
    assert told == [False, True]


def test_a_journal_whose_writer_was_cut_off_says_nothing_too_early() -> None:
    class Slow(MemorySessionStore):
        async def append(self, commit: Commit) -> None:
            await asyncio.sleep(0.05)
            await super().append(commit)

    store = Slow()
    journal = StoredJournal(store, "s", {"k": "session", "id": "s"}, dict[str, Any])

    async def begin() -> None:
        await journal.open()
        for _ in range(5):
            journal.note({"k": "state"})
        await asyncio.sleep(0.01)
        for _ in range(3):
            journal.note({"k": "state"})

    async def go_on(noted: int) -> None:
        journal.note({"k": "answer"})
        async with asyncio.timeout(SECONDS):
            await journal.settled()
        kept = sum(len(read(entry.body)) for entry in (await store.load("s")).entries)
        assert kept == noted

    asyncio.run(begin())
    for noted in range(10, 16):
        asyncio.run(go_on(noted))


def test_a_loop_that_stands_still_does_not_hold_up_another(work: Path) -> None:
    store = MemorySessionStore()
    agent = AsyncAgent.create("")
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()

    async def begin() -> AsyncAgentSession:
        session = await agent.session(work, model=ScriptedModel(["One.", "Two."]), session_store=store)
        await session.send("One?")
        session._parts.state.journal.note({"k": "state", "plan": None, "verified_changes": 0})
        return session

    async def go_on(session: AsyncAgentSession) -> str:
        async with asyncio.timeout(SECONDS):
            text = (await session.send("Two?")).text
            await session.close()
            return text

    session = first.run_until_complete(begin())
    assert second.run_until_complete(go_on(session)) == "Two."
    first.run_until_complete(asyncio.sleep(0.01))
    first.close()
    second.close()


async def test_an_output_that_comes_back_as_it_goes_stays_in_the_store() -> None:
    store = MemorySessionStore()
    journal = StoredJournal(store, "s", {"k": "session", "id": "s"}, dict[str, Any])
    await journal.open()
    text = "long " * 1000
    journal.note({"k": "artifact", "uri": "a", "text": text})
    await journal.settled()
    journal.note({"k": "dropped", "uri": "a"})
    journal.note({"k": "artifact", "uri": "a", "text": text})
    await journal.settled()
    fact = read((await store.load("s")).entries[-1].body)[-1]
    assert unpack(fact, await store.blobs(list(references(fact))))["text"] == text


def test_a_key_that_looks_like_a_reference_is_none() -> None:
    value = {"$blob": None, "of": {"$blob": "a" * 64, "x": [{"$blob": {"$blob": "b" * 64}}]}}
    blobs: dict[str, bytes] = {}
    packed = pack({"given": value, "long": "x" * 2000}, blobs)
    assert list(references(packed)) == list(blobs)
    assert unpack(packed, blobs) == {"given": value, "long": "x" * 2000}


async def stopped_at_a_question(
    agent: AsyncAgent, work: Path, tmp_path: Path, paying: Paying, *replies: Any
) -> FileSessionStore:
    """A store as a process leaves it that dies while a call waits for a person."""
    store = FileSessionStore(tmp_path / "store")
    session = await agent.session(
        work,
        session_id="s",
        model=ScriptedModel(replies),
        session_store=store,
        tools=paying.tools,
        permission_policy=ASK,
        confirmation_policy=PATIENT,
    )
    sending = asyncio.create_task(session.send("Pay."))
    await question(session)
    await session.history()
    left = killed(store, tmp_path)
    await session.cancel()
    await sending
    return left


async def test_a_persons_no_holds_where_the_rules_allow_by_now(work: Path, tmp_path: Path) -> None:
    paying = Paying()
    async with AsyncAgent.create("") as agent:
        store = await stopped_at_a_question(agent, work, tmp_path, paying, call("1", "pay", to="Ann"))
        session = await agent.resume_session(
            "s", model=ScriptedModel(["Done."]), session_store=store, tools=paying.tools, permission_policy=ALLOW
        )
        assert await session.confirm_tool_use("1", approved=False, reason="not her")
        [run] = await session.runs()
        result = await session.resume_run(run.id)
        assert paying.paid == []
        assert [(denied.tool, denied.reason.rpartition("; ")[2]) for denied in result.denied] == [("pay", "not her")]


async def test_a_call_that_only_waited_for_its_person_is_told_as_not_carried_out(work: Path, tmp_path: Path) -> None:
    paying = Paying()
    async with AsyncAgent.create("") as agent:
        store = await stopped_at_a_question(agent, work, tmp_path, paying, call("1", "pay", to="Ann"))
        session = await agent.resume_session(
            "s", model=ScriptedModel(["Done."]), session_store=store, tools=paying.tools
        )
        await session.confirm_tool_use("1", approved=True)
        [run] = await session.runs()
        await session.resume_run(run.id)
        ended = [record.event for record in await session.run_events(run.id) if record.event.type == "tool_end"]
        assert [event.output for event in ended] == [
            "Not carried out: it waited for an answer when the process ended.",
            "paid Ann",
        ]
        assert paying.paid == ["Ann"]


async def test_an_answer_is_durable_when_it_is_taken(work: Path) -> None:
    class Slow(MemorySessionStore):
        seconds = 0.0

        async def append(self, commit: Commit) -> None:
            await asyncio.sleep(self.seconds)
            await super().append(commit)

    paying, store, secret = Paying(), Slow(), "sk-ant-api03-0123456789abcdefABCDEF"
    async with AsyncAgent.create('providers "openai" { api_key = "%s" }' % secret) as agent:  # noqa: UP031 - ACL has braces
        session = await agent.session(
            work,
            session_id="s",
            model=ScriptedModel([call("1", "pay", to="Ann"), "Done."]),
            session_store=store,
            tools=paying.tools,
            permission_policy=ASK,
            confirmation_policy=PATIENT,
        )
        sending = asyncio.create_task(session.send("Pay."))
        tool_id = await question(session)
        await session.history()
        store.seconds = 0.1
        assert await session.confirm_tool_use(tool_id, approved=True, reason=f"take {secret}")
        stored = b"".join(entry.body for entry in (await store.load("s")).entries)
        assert b'"k":"answer"' in stored
        assert secret.encode() not in stored
        assert (await sending).text == "Done."
        assert paying.paid == ["Ann"]


async def test_nothing_is_shown_that_is_not_stored(work: Path) -> None:
    class Slow(MemorySessionStore):
        async def append(self, commit: Commit) -> None:
            await asyncio.sleep(0.05)
            await super().append(commit)

    store = Slow()
    async with AsyncAgent.create("") as agent:
        session = await agent.session(work, session_id="s", model=ScriptedModel(["Done."]), session_store=store)
        stream = session.stream("Go.")
        await asyncio.sleep(0.01)
        for _ in range(4):
            history, shown = await session.history(), await session.run_events(stream.run_id)
            facts = [fact for entry in (await store.load("s")).entries for fact in read(entry.body)]
            assert len(history) <= sum(fact["k"] == "message" for fact in facts)
            assert len(shown) <= sum(len(fact.get("texts", "1")) for fact in facts if fact["k"] in ("event", "deltas"))
        assert (await stream.result()).text == "Done."


async def test_another_conversation_in_between_does_not_lose_the_result_of_a_call(work: Path, tmp_path: Path) -> None:
    paying, store = Paying(), FileSessionStore(tmp_path / "store")
    async with AsyncAgent.create("") as agent:
        model = ScriptedModel([[call("1", "pay", to="Ann"), call("2", "wait")]])
        session = await agent.session(
            work, session_id="s", model=model, session_store=store, tools=paying.tools, permission_policy=ALLOW
        )
        sending = asyncio.create_task(session.send("Pay."))
        await until(lambda: paying.waiting)
        await session.history()
        left = killed(store, tmp_path)
        await session.cancel()
        await sending
        model = ScriptedModel(["Aside.", "On."])
        session = await agent.resume_session("s", model=model, session_store=left, tools=paying.tools)
        await session.send(
            {"prompt": "By the way?", "history": [Message.user("Q."), Message("assistant", (Text("A."),))]}
        )
        await session.send("Go on.")
        paid, waited = results(await session.history())
        assert (paid.output, waited.error_kind) == ("paid Ann", "interrupted")
        await session.close()
        session = await agent.resume_session("s", model=ScriptedModel(), session_store=left, tools=paying.tools)
        assert results(await session.history()) == [paid, waited]


class Forgetful(MemorySessionStore):
    """Has lost all long texts by the time it is read."""

    async def blobs(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        return {}


async def test_a_call_whose_arguments_are_lost_is_not_made(work: Path, tmp_path: Path) -> None:
    paying, whole = Paying(), "Ann " * 1000
    async with AsyncAgent.create("") as agent:
        store = await stopped_at_a_question(agent, work, tmp_path, paying, call("1", "pay", to=whole))
        forgetful = Forgetful()
        for entry in (await store.load("s")).entries:
            await forgetful.append(Commit("s", entry, b""))
        session = await agent.resume_session(
            "s", model=ScriptedModel(["Done."]), session_store=forgetful, tools=paying.tools, permission_policy=ALLOW
        )
        assert await session.pending_confirmations() == []
        [run] = await session.runs()
        result = await session.resume_run(run.id)
        assert paying.paid == []
        assert "cannot be read from the store" in results(await session.history())[0].output
        told = [record.event for record in await session.run_events(result.run_id)]
        assert "lost" in next(event.error for event in told if event.type == "persistence_failed"), (
            "a resumed run tells it"
        )


async def test_lost_images_and_thoughts_do_not_make_the_history_unsendable(work: Path) -> None:
    store = MemorySessionStore()
    block = '{"type":"thinking","thinking":"%s","signature":"a"}' % ("hm " * 500)
    async with AsyncAgent.create("") as agent:
        model = ScriptedModel([[Reasoning("hm", "scripted/model", block), "A picture."]])
        session = await agent.session(work, session_id="s", model=model, session_store=store)
        await session.send(
            {"prompt": "See?", "attachments": [{"data": b"\x89PNG\r\n\x1a\n", "media_type": "image/png"}]}
        )
        await session.close()
        forgetful, stored = Forgetful(), await store.load("s")
        for entry in stored.entries:
            await forgetful.append(Commit("s", entry, stored.summary))
        model = ScriptedModel(["On."])
        session = await agent.resume_session("s", model=model, session_store=forgetful)
        parts = [part for message in await session.history() for part in message.parts]
        assert not [part for part in parts if isinstance(part, Image)]
        assert [part.block for part in parts if isinstance(part, Reasoning)] == [None]
        assert (await session.send("And now?")).text == "On."


async def test_a_session_of_a_newer_version_is_not_guessed_at(work: Path) -> None:
    store = MemorySessionStore()
    header = {"k": "session", "id": "s", "version": 2, "workspace": str(work), "at": 0, "options": {}, "left": []}
    await store.append(Commit("s", seal(BEGINNING, 0, write([header])), b""))
    async with AsyncAgent.create("") as agent:
        with pytest.raises(StoreVersionError, match="newer version"):
            await agent.resume_session("s", session_store=store)
        [listed] = await agent.sessions(store)
        assert listed.status == "damaged"


async def test_sessions_with_a_store_of_their_own_are_listed_where_the_configured_one_is_the_hosts(work: Path) -> None:
    async with AsyncAgent.create("", storage_backend="custom") as agent:
        assert await agent.sessions() == []
        await agent.session(work, session_id="s", model=ScriptedModel(), session_store=MemorySessionStore())
        assert [record.id for record in await agent.sessions()] == ["s"]


async def test_what_was_used_is_counted_whole_after_a_restart(work: Path) -> None:
    store = MemorySessionStore()
    options: Any = {"llm_max_attempts": 2, "clock": FakeClock()}
    down = ModelUnavailable("down", provider="x")
    async with AsyncAgent.create("") as agent:
        model = ScriptedModel([down, call("1", "ls"), "", "Well:", down, down])
        session = await agent.session(work, session_id="s", model=model, session_store=store, **options)
        with pytest.raises(ModelUnavailable) as caught:
            await session.send("Go.")
        used, total = caught.value.result.usage, session._parts.state.usage
        await session.close()
        session = await agent.resume_session("s", model=ScriptedModel(["Done."]), session_store=store, **options)
        assert session._parts.state.usage == total
        result = await session.resume_run((await session.runs())[-1].id)
        assert result.usage.total_tokens > used.total_tokens
        assert session._parts.state.usage == result.usage


async def test_ids_that_a_clock_gives_again_do_not_replace_a_stored_run(work: Path) -> None:
    store = MemorySessionStore()
    async with AsyncAgent.create("") as agent:
        session = await agent.session(
            work, session_id="s", model=ScriptedModel(["One."]), session_store=store, clock=FakeClock()
        )
        await session.send("One?")
        await session.close()
        session = await agent.resume_session("s", model=ScriptedModel(["Two."]), session_store=store, clock=FakeClock())
        await session.send("Two?")
        assert [run.prompt for run in await session.runs()] == ["One?", "Two?"]


def test_an_option_that_says_never_comes_back_and_one_that_says_nothing_is_not_missed() -> None:
    given = SessionOptions(
        duplicate_tool_call_threshold=None, circuit_breaker_threshold=None, sandbox="auto", hooks=(), tools=[]
    )
    plain, left = plain_options(given)
    assert left == []
    assert vars(kept_options(plain)) == {
        "duplicate_tool_call_threshold": None,
        "circuit_breaker_threshold": None,
        "sandbox": "auto",
    }


async def test_a_session_that_could_not_be_claimed_is_claimed_before_it_is_written_to(work: Path) -> None:
    store = Odd("nothing")
    async with AsyncAgent.create("") as agent:
        session = await agent.session(work, session_id="s", model=ScriptedModel(["One."]), session_store=store)
        await session.send("One?")
        await session.close()
        before = len((await store.load("s")).entries)
        store.verb = "claim"
        session = await agent.resume_session("s", model=ScriptedModel(["Two.", "Three."]), session_store=store)
        assert (await session.send("Two?")).text == "Two."
        assert len((await store.load("s")).entries) == before, "nobody writes without the claim"
        store.verb = "nothing"
        await session.send("Three?")
        assert [listing.pid for listing in await store.sessions()] == [os.getpid()]
        await session.close()
        session = await agent.resume_session("s", model=ScriptedModel(), session_store=store)
        assert [run.prompt for run in await session.runs()] == ["One?", "Two?", "Three?"]
