"""Cancellation at every await of a run: nothing is left of it, nothing done is lost, and the session goes on."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from a3s_code import Agent, AsyncAgent, PermissionPolicy, SessionOptions, tool
from a3s_code.api.async_session import AsyncAgentSession
from a3s_code.api.portal import portal
from a3s_code.errors import SessionInUse
from a3s_code.kernel.events import AgentEvent
from a3s_code.kernel.hook import Hook
from a3s_code.kernel.messages import Message, Observation, ToolCall
from a3s_code.kernel.store import SessionStore
from a3s_code.providers.scripted import as_reply
from a3s_code.stores import FileSessionStore
from a3s_code.testing import Canned, LoopbackRequest, LoopbackServer, ScriptedModel, answers
from a3s_code.testing.stepping import Steps

SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
AT_ONCE = 6
DEADLINE = 20.0
ORPHAN_SECONDS = 2.0
PAUSE = 0.001
PIECES = 30
MARK = "[interrupted here]"
CONFIG = """
default_model = "test/m"
providers "test" {{
  api = "{api}"
  api_key = "k"
  base_url = "{url}"
  models "m" {{ stream = true }}
}}
"""
APIS: tuple[Literal["openai", "anthropic"], ...] = ("openai", "anthropic")

_numbers = itertools.count(random.SystemRandom().randrange(10**8, 9 * 10**8))


@tool(effects=())
async def ponder(rounds: int) -> str:
    """Think for some rounds, and tidy up."""
    try:
        for _ in range(rounds):
            await asyncio.sleep(0.001)
    finally:
        await asyncio.sleep(0)
    return f"pondered {rounds} rounds"


@tool(effects=())
def block(seconds: float) -> str:
    """Block a thread."""
    time.sleep(seconds)
    return "blocked"


@tool(effects=("spend",))
async def pay(amount: int) -> str:
    """Pay."""
    await asyncio.sleep(0)
    return f"paid {amount}"


async def look_at(event: Mapping[str, Any]) -> None:
    await asyncio.sleep(0)


async def agree(pending: object) -> bool:
    await asyncio.sleep(0.005)
    return True


def turn(number: int, token: str) -> Sequence[str | ToolCall]:
    """What the model answers in each of the six turns."""

    def call(place: int, name: str, **arguments: Any) -> ToolCall:
        return ToolCall(f"call_{number}_{place}", name, arguments)

    read = [call(place, "read", file_path=f"{place}.txt") for place in range(3)]
    command = f"sleep {token} & sleep 0.05; kill $!; echo slept"
    turns: Sequence[Sequence[str | ToolCall]] = [
        ["I read three files.", *read],
        ["I write one.", call(0, "write", file_path="new.txt", content="new\n"), call(1, "read", file_path="new.txt")],
        ["I wait for a command.", call(0, "bash", command=command)],
        ["I think.", call(0, "ponder", rounds=3), call(1, "block", seconds=0.01), call(2, "grep", pattern="text")],
        ["I pay.", call(0, "pay", amount=3), call(1, "ls")],
        ["All six turns are done, and this is what they came to."],
    ]
    return turns[number]


def answer(request: LoopbackRequest) -> Canned:
    """The turn that is due, by what stands in the request; `again` is answered at once."""
    assert request.api is not None
    sent = json.dumps(request.json["messages"])
    messages = [message for message in request.json["messages"] if message["role"] == "assistant"]
    said = [message for message in messages if MARK not in json.dumps(message)]
    words = sent.rpartition("token ")[2].split('"')[0].split(" ")
    item = ["accepted"] if words[1:] == ["again"] else turn(len(said), words[0])
    body = answers.streamed(as_reply(item, request, 100, "test/m"), request.api, request.number)
    size = max(1, len(body) // PIECES)
    pieces: list[bytes | float] = []
    for at in range(0, len(body), size):
        pieces += [body[at : at + size], PAUSE]
    return Canned.sse(*pieces)


@dataclass
class Attempt:
    """One run that is ended at the `at`-th place, and what was wrong afterwards."""

    way: Way
    at: int | None
    folder: Path
    store: SessionStore | None = None
    token: str = field(default_factory=lambda: f"1000.{next(_numbers)}")
    status: str = "hangs"
    faults: list[str] = field(default_factory=list[str])

    @property
    def prompt(self) -> str:
        return f"do it, token {self.token}"

    @property
    def again(self) -> str:
        return f"{self.prompt} again"


def prepare(folder: Path, store: SessionStore | None = None) -> SessionOptions:
    """The files of the scene, and what its session is told."""
    folder.mkdir(exist_ok=True)
    for place in range(3):
        folder.joinpath(f"{place}.txt").write_text(f"text of {place}\n")
    return SessionOptions(
        permission_policy=PermissionPolicy(ask=["pay"], default_decision="allow"),
        on_confirm=agree,
        hooks=[Hook("look", "pre_tool_use", look_at)],
        tools=[ponder, block, pay],
        session_store=store,
    )


Way = Callable[[AsyncAgentSession, str, Steps], Awaitable[None]]


async def cancel_the_session(session: AsyncAgentSession, prompt: str, steps: Steps) -> None:
    cancelling: list[asyncio.Task[bool]] = []
    steps.then = lambda: cancelling.append(asyncio.ensure_future(session.cancel()))
    result = await session.send(prompt)
    assert result.status in ("cancelled", "completed")
    for task in cancelling:
        assert await task is (result.status == "cancelled")


async def cancel_and_resume(session: AsyncAgentSession, prompt: str, steps: Steps) -> None:
    await cancel_the_session(session, prompt, steps)


async def cancel_the_task(session: AsyncAgentSession, prompt: str, steps: Steps) -> None:
    task = asyncio.ensure_future(session.send(prompt))
    steps.then = task.cancel
    if steps.at == 0:
        task.cancel()
    await asyncio.wait({task})
    assert task.cancelled() or task.result().status == "completed"


async def let_a_timeout_pass(session: AsyncAgentSession, prompt: str, steps: Steps) -> None:
    try:
        async with asyncio.timeout(None) as limit:
            steps.then = lambda: limit.reschedule(0)
            result = await session.send(prompt)
            assert result.status == "completed"
    except TimeoutError:
        assert steps.fired


async def leave_the_stream(session: AsyncAgentSession, prompt: str, steps: Steps) -> None:
    async for _ in session.stream(prompt):
        if steps.fired:
            break


async def leave_the_block_of_the_stream(session: AsyncAgentSession, prompt: str, steps: Steps) -> None:
    async with session.stream(prompt) as stream:
        async for _ in stream:
            if steps.fired:
                break


async def raise_while_the_stream_is_read(session: AsyncAgentSession, prompt: str, steps: Steps) -> None:
    """The exception, and with it everything its frames hold, is there while the next send is made."""
    try:
        async for _ in session.stream(prompt):
            if steps.fired:
                raise LookupError
    except LookupError:
        assert (await session.send(f"{prompt} again")).text == "accepted"


async def cancel_who_reads_the_stream(session: AsyncAgentSession, prompt: str, steps: Steps) -> None:
    """As above."""

    async def read() -> None:
        async for _ in session.stream(prompt):
            pass

    task = asyncio.ensure_future(read())
    steps.then = task.cancel
    try:
        await task
    except asyncio.CancelledError:
        assert (await session.send(f"{prompt} again")).text == "accepted"


async def close_the_session(session: AsyncAgentSession, prompt: str, steps: Steps) -> None:
    closing: list[asyncio.Task[None]] = []
    steps.then = lambda: closing.append(asyncio.ensure_future(session.close()))
    result = await session.send(prompt)
    assert result.status in ("cancelled", "completed")
    for task in closing or [asyncio.ensure_future(session.close())]:
        await task


WAYS: Mapping[str, Sequence[Way]] = {
    "session.cancel": (cancel_the_session, cancel_and_resume),
    "task.cancel and timeout": (cancel_the_task, let_a_timeout_pass),
    "stream left": (
        leave_the_stream,
        leave_the_block_of_the_stream,
        raise_while_the_stream_is_read,
        cancel_who_reads_the_stream,
    ),
    "session closed": (close_the_session,),
}


@contextmanager
def served() -> Iterator[list[str]]:
    """A configuration for each wire format."""
    with LoopbackServer(answer) as server:
        yield [CONFIG.format(api=api, url=server.base_url) for api in APIS]
        assert not server.violations


async def make(attempt: Attempt, agent: AsyncAgent) -> int:
    """Make the attempt and look at what is left of it; gives how many places there were."""
    options = prepare(attempt.folder, attempt.store)
    session = agent.session(attempt.folder, options)
    steps = Steps(attempt.at)
    with steps:
        task = asyncio.ensure_future(attempt.way(session, attempt.prompt, steps))
    try:
        await asyncio.wait_for(task, DEADLINE)
        await asyncio.wait_for(look_after(attempt, session, steps), DEADLINE)
        await asyncio.wait_for(go_on(attempt, agent, session, options), DEADLINE)
    except TimeoutError:
        attempt.faults.append(f"it hangs: {[task.get_name() for task in steps.unfinished]}")
    except Exception as error:  # noqa: BLE001 - counted with the place where it came up
        attempt.faults.append(f"{type(error).__name__}: {error}")
    finally:
        await asyncio.wait_for(session.close(), DEADLINE)
    return steps.count


async def look_after(attempt: Attempt, session: AsyncAgentSession, steps: Steps) -> None:
    """Note whatever of the run is left over, lost, or told in a wrong way."""
    if attempt.way is leave_the_stream:
        await asyncio.wait(steps.tasks)
    if current := await session.current_run():
        attempt.faults.append(f"the run goes on: {current.status}")
    if steps.unfinished:
        await asyncio.wait(steps.unfinished, timeout=1)
    runs = await session.runs()
    if not runs:
        attempt.status = "not begun"
        return
    run = runs[0]
    events = [record.event for record in await session.run_events(run.id)]
    history = await session.history()
    attempt.status = run.status
    attempt.faults += [*story_faults(events, run.status), *losses(events, history, run.status)]
    if attempt.at is None and run.status != "completed":
        attempt.faults.append(f"nobody cancelled it, and it is {run.status}")
    if left := [task.get_name() for task in steps.unfinished]:
        attempt.faults.append(f"tasks go on: {left}")
    if active := await session.active_tools():
        attempt.faults.append(f"calls go on: {active}")


def story_faults(events: Sequence[AgentEvent], status: str) -> Iterator[str]:
    kinds = [event.type for event in events]
    if status not in ("cancelled", "completed"):
        yield f"it is {status}"
    if [kind for kind in kinds if kind in ("agent_end", "error")] != ["agent_end"] or kinds[-1] != "agent_end":
        yield f"it ends with {kinds[-3:]}"
    starts, ends = (Counter(event.id for event in events if event.type == kind) for kind in ("tool_start", "tool_end"))
    if starts != ends or set(starts.values()) > {1}:
        yield f"started: {starts}; ended: {ends}"


def losses(events: Sequence[AgentEvent], history: Sequence[Message], status: str) -> Iterator[str]:
    """What was shown or done and does not stand in the history."""
    results = {part.call_id: part for message in history for part in message.parts if isinstance(part, Observation)}
    for event in events:
        if event.type == "tool_end" and event.error_kind != "cancelled":
            seen = results.get(event.id)
            if seen is None or seen.output != event.output:
                yield f"the result of {event.id} is lost"
    said = [message for message in history if message.role == "assistant"]
    turns = [index for index, event in enumerate(events) if event.type == "turn_start"]
    for number, (begin, end) in enumerate(itertools.pairwise([*turns, len(events)])):
        shown = "".join(event.text for event in events[begin:end] if event.type == "text_delta")
        if not shown:
            continue
        whole = as_reply(turn(number, ""), None, 0, "").message.text
        if number >= len(said) or said[number].text not in (whole, f"{shown}\n{MARK}"):
            yield f"{shown!r} was shown, and {[message.text for message in said[number:]]} stands in the history"


async def go_on(attempt: Attempt, agent: AsyncAgent, session: AsyncAgentSession, options: SessionOptions) -> None:
    """Use the session again: with the next request, or with the run that was cancelled; a stored one is opened anew."""
    history = await session.history()
    again: Any = attempt.again
    if attempt.way is close_the_session:
        known = {record.id for record in await agent.sessions(attempt.store)} if attempt.store is not None else set()
        if session.session_id in known:
            session = await agent.resume_session(session.session_id, options)
            if (stored := await session.history()) != history:
                attempt.faults.append(f"stored: {stored[-3:]}; it was: {history[-3:]}")
        else:
            # It was not kept, or closed before it was.
            again = {"prompt": again, "history": history}
            session = agent.session(attempt.folder, options)
    if attempt.way is cancel_and_resume and attempt.status == "cancelled":
        attempt.faults += await resume(session)
        return
    result = await session.send(again)
    if (result.status, result.text) != ("completed", "accepted"):
        attempt.faults.append(f"the next send: {result.status}, {result.text!r}")


async def resume(session: AsyncAgentSession) -> list[str]:
    run = (await session.runs())[0]
    before = [record.event for record in await session.run_events(run.id)]
    result = await session.resume_run(run.id)
    after = [record.event for record in await session.run_events(run.id, after=len(before) - 1)]
    done = {event.id for event in before if event.type == "tool_end" and event.error_kind != "cancelled"}
    again = done & {event.id for event in after if event.type == "tool_start"}
    faults = [f"made again: {again}"] if again else []
    if (result.status, result.text) != ("completed", turn(5, "")[0]):
        faults.append(f"the resumed run: {result.status}, {result.text!r}")
    return faults


def alive(tokens: set[str]) -> int:
    """How many processes have one of the tokens in their arguments; one that only waits to be reaped is dead."""
    count = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z":
                words = folder.joinpath("cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                count += words[0].endswith("sleep") and not tokens.isdisjoint(words)
        except OSError:
            continue
    return count


@pytest.mark.parametrize("name", WAYS)
async def test_a_run_can_be_ended_at_every_await(name: str, tmp_path: Path) -> None:
    numbers = itertools.count()

    stored = FileSessionStore(tmp_path / "sessions")

    def attempt(way: Way, at: int | None, store: SessionStore | None = None) -> Attempt:
        return Attempt(way, at, tmp_path / str(next(numbers)), store)

    with served() as configurations:
        agents = [AsyncAgent.create(configuration) for configuration in configurations]
        whole = [attempt(way, None) for way in WAYS[name]]
        places = min([await make(one, agent) for one in whole for agent in agents[:1]])
        assert [one.faults for one in whole] == [[]] * len(whole)
        count = max(30, int(places * SCALE))
        at = sorted({round(place * places / count) for place in range(count + 1)})
        ways = WAYS[name]
        tried = [
            attempt(ways[index % len(ways)], place, stored if place < 6 or index // len(ways) % 2 else None)
            for index, place in enumerate(at)
        ]
        turns = asyncio.Semaphore(AT_ONCE)

        async def take_turn(index: int, one: Attempt) -> None:
            async with turns:
                await make(one, agents[index // len(ways) // 2 % 2])

        await asyncio.gather(*(take_turn(index, one) for index, one in enumerate(tried)))
        await asyncio.sleep(ORPHAN_SECONDS)
        orphans = await asyncio.to_thread(alive, {one.token for one in tried})
        for agent in agents:
            await agent.close()
        await stored.close()
    lost = {f"{one.way.__name__} at {one.at}": one.faults for one in tried if one.faults}
    states = Counter(one.status for one in tried)
    print(
        f"{name}: {places} places, {len(tried)} injected, {len(tried) - len(lost)} survived, {len(lost)} lost, "
        f"{orphans} orphans; {dict(states)}"
    )
    assert not lost, json.dumps(lost, indent=1)
    assert not orphans


async def close_and_give_up(session: AsyncAgentSession, prompt: str, at: int | None) -> int:
    """Close the session while its command runs, and cancel the closing at that place."""
    steps = Steps(at)
    async for event in session.stream(prompt):
        if event.type == "tool_start" and event.name == "bash":
            with steps:
                closing = asyncio.ensure_future(session.close())
            steps.then = closing.cancel
            await asyncio.wait({closing})
            break
    return steps.count


async def test_closing_that_is_cancelled_at_any_await_closes_all_the_same(tmp_path: Path) -> None:
    store = FileSessionStore(tmp_path / "sessions")
    tokens: set[str] = set()
    lost: dict[int, str] = {}

    async def close(agent: AsyncAgent, at: int | None) -> int:
        attempt = Attempt(close_the_session, at, tmp_path / str(at), store)
        options = prepare(attempt.folder, store)
        tokens.add(attempt.token)
        session = agent.session(attempt.folder, options)
        count = await close_and_give_up(session, attempt.prompt, at)
        deadline = time.monotonic() + ORPHAN_SECONDS
        while True:
            try:
                again = await agent.resume_session(session.session_id, options)
                break
            except SessionInUse:
                if time.monotonic() > deadline:
                    lost[at or 0] = "the session stays open"
                    return count
                await asyncio.sleep(0.01)
        if (await again.send(attempt.again)).text != "accepted":
            lost[at or 0] = "the next send"
        await again.close()
        return count

    with served() as configurations:
        agent = AsyncAgent.create(configurations[0])
        places = await close(agent, None)
        for at in range(1, places + 1):
            await close(agent, at)
        await asyncio.sleep(ORPHAN_SECONDS)
        orphans = await asyncio.to_thread(alive, tokens)
        await agent.close()
    await store.close()
    counts = f"{places} injected, {places - len(lost)} survived, {len(lost)} lost, {orphans} orphans"
    print(f"closing: {places} places, {counts}")
    assert not lost, json.dumps(lost, indent=1)
    assert not orphans


def be_interrupted(verb: str, configuration: str, folder: Path, token: str) -> None:
    """What the child process of the test below does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    attempt = Attempt(cancel_the_task, None, folder, token=token)
    with Agent.create(configuration) as agent, agent.session(folder, prepare(folder)) as session:
        print("ready", flush=True)
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if verb == "send":
                session.send(attempt.prompt)
            else:
                for _ in session.stream(attempt.prompt):
                    pass
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            text = session.send(attempt.again).text
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            text = session.send(attempt.again).text
        faults = [] if text == "accepted" else [f"the next send: {text!r}"]
        run = session.runs()[0]
        if run.prompt == attempt.prompt:
            events = [record.event for record in session.run_events(run.id)]
            faults += [*story_faults(events, run.status), *losses(events, session.history(), run.status)]
        faults += [f"calls go on: {active}"] if (active := session.active_tools()) else []
        print(json.dumps({"status": run.status, "faults": faults}))


@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups to interrupt")
def test_ctrl_c_ends_a_blocking_run_at_any_time(tmp_path: Path) -> None:
    chance = random.Random(4)
    count = max(6, int(60 * SCALE))
    tokens = [f"1000.{next(_numbers)}" for _ in range(count)]
    moments = [chance.uniform(0, 0.6) for _ in range(count)]

    def interrupt(number: int) -> dict[str, Any]:
        given = [("send", "stream")[number % 2], configurations[number // 2 % 2], str(tmp_path / str(number))]
        command = [sys.executable, __file__, json.dumps([*given, tokens[number]])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            time.sleep(moments[number])
            os.killpg(child.pid, signal.SIGINT)
            told = child.communicate(timeout=DEADLINE)[0]
        return json.loads(told) if child.returncode == 0 else {"status": "dies", "faults": [child.returncode]}

    with served() as configurations, ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(interrupt, range(count)))
    lost = {f"{number} after {moments[number]:g} s": item for number, item in enumerate(reports) if item["faults"]}
    states = Counter(item["status"] for item in reports)
    time.sleep(ORPHAN_SECONDS)
    orphans = alive(set(tokens))
    print(
        f"Ctrl-C: {count} injected, {count - len(lost)} survived, {len(lost)} lost, {orphans} orphans; {dict(states)}"
    )
    assert not lost, json.dumps(lost, indent=1)
    assert not orphans


class Rung(BaseException):
    """What the signal handler of the test below raises."""


# A signal may also hit a callback of the interpreter itself, which cannot raise.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_a_blocking_call_can_be_interrupted_at_any_moment() -> None:
    chance = random.Random(7)
    armed, running, going_on, rung = False, 0, 0, 0

    def ring(number: int, frame: object) -> None:
        if armed:
            raise Rung

    async def work() -> None:
        nonlocal running
        running += 1
        try:
            await asyncio.sleep(0.0003)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            raise
        finally:
            running -= 1

    count = max(2_000, int(40_000 * SCALE))
    before = signal.signal(signal.SIGALRM, ring)
    try:
        for _ in range(count):
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 0.002))
                portal().call(work)
                armed = False
            except Rung:
                armed = False
                rung += 1
                going_on += running
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    print(f"blocking calls: {count} begun, {rung} injected, {rung - going_on} survived, {going_on} lost")
    assert rung > count / 10
    assert not going_on


async def test_a_stream_that_was_read_to_its_end_leaves_the_session_free(tmp_path: Path) -> None:
    async with AsyncAgent.create("") as agent:
        session = agent.session(tmp_path, model=ScriptedModel(["one", "two", "three", "four"]))
        async for _ in session.stream("go"):
            pass
        assert (await session.send("again")).text == "two"
        async for event in session.stream("go"):
            if event.type == "agent_end":
                break
        assert (await session.send("again")).text == "four"
        assert [run.status for run in await session.runs()] == ["completed"] * 4


def test_a_blocking_stream_that_was_read_to_its_end_leaves_the_session_free(tmp_path: Path) -> None:
    count = 50
    with Agent.create("") as agent:
        session = agent.session(tmp_path, model=ScriptedModel(["text"] * 2 * count))
        for _ in range(count):
            assert [event.type for event in session.stream("go")][-1] == "agent_end"
            assert session.send("again").text == "text"


if __name__ == "__main__":
    verb, configuration, folder, token = json.loads(sys.argv[1])
    be_interrupted(verb, configuration, Path(folder), token)
