"""kill -9 in the middle of runs: no event that was heard of is lost, no call is made twice, every session goes on."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from a3s_code import Agent, Harness, PermissionPolicy, tool
from a3s_code.api.session import AgentSession
from a3s_code.errors import SessionInUse, StoreError, UnknownSession
from a3s_code.harness.intent import PlainRouter
from a3s_code.kernel.contracts import Intent
from a3s_code.kernel.messages import Message, Observation, Reasoning, Request, Text, ToolCall
from a3s_code.kernel.ports import ChatModel
from a3s_code.kernel.state import SessionState
from a3s_code.kernel.store import Commit, Entry, Listing, Stored
from a3s_code.stores.sqlite import FileSessionStore
from a3s_code.testing import ConversationScript, crash_matrix

SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
STEPS = 12
DEADLINE = 60.0
AT_ONCE = 2
ALLOW = PermissionPolicy(default_decision="allow")

Script = Sequence[Any]
Options = Mapping[str, Any]


def bash(number: int, command: str = "") -> ToolCall:
    """A call that leaves a line with its number; `command` runs after it."""
    return ToolCall(f"c{number}", "bash", {"command": f"echo {number} >> log; echo did {number}; {command}"})


def steps(count: int = STEPS) -> list[Any]:
    return [*([f"Step {number}.", bash(number, "sleep 0.01")] for number in range(count)), "All steps are done."]


def lines(folder: Path) -> Counter[str]:
    log = folder / "work" / "log"
    return Counter(log.read_text().split() if log.exists() else [])


def look_at_the_log(session: AgentSession, folder: Path) -> None:
    """Each call that ended left its line once, and one that was cut off at most once."""
    written = lines(folder)
    assert set(written.values()) <= {1}, f"commands ran twice: {written}"
    [run] = session.runs()
    for record in session.run_events(run.id):
        event = record.event
        if event.type == "tool_end" and event.name == "bash" and event.error_kind is None:
            number = event.output.split()[1]
            assert written[number] == 1, f"the line of command {number} is missing"


def opener(**options: Any) -> Callable[[ChatModel, Path, str | None], AgentSession]:
    """Opens sessions with a file store and these options."""

    def make_session(model: ChatModel, folder: Path, session_id: str | None) -> AgentSession:
        store = options.get("session_store", FileSessionStore)(folder / "store")
        given = {"permission_policy": ALLOW, **options, "model": model, "session_store": store}
        if session_id is not None:
            return Agent.create("").resume_session(session_id, **given)
        folder.joinpath("work").mkdir()
        return Agent.create("").session(folder / "work", **given)

    return make_session


def test_a_run_killed_at_every_stored_event_survives() -> None:
    report = crash_matrix(opener(), steps(), every=max(1, round(1 / SCALE)), look=look_at_the_log)
    print(f"kill -9 at every stored event of {STEPS} steps with bash: {report}")
    report.check()


def test_a_run_killed_again_and_again_while_it_is_resumed_survives() -> None:
    report = crash_matrix(opener(), steps(), crashes=4, limit=max(6, int(60 * SCALE)), look=look_at_the_log)
    print(f"kill -9 at a stored event, and three times more: {report}")
    report.check()


def test_a_run_killed_with_a_store_of_the_host_survives() -> None:
    options = opener(session_store=LineStore)
    report = crash_matrix(options, steps(4), limit=max(5, int(40 * SCALE)), crashes=2, look=look_at_the_log)
    print(f"kill -9 with a store of the host: {report}")
    report.check()


@tool(effects=())
async def ponder(rounds: int) -> str:
    """Think."""
    return f"pondered {rounds} rounds"


class Slow(PlainRouter):
    """So that what is told when a run goes on is stored before its history grows."""

    async def route(self, request: Request, state: SessionState) -> Intent:
        await asyncio.sleep(0.05)
        return await super().route(request, state)


def look_at_the_artifact(session: AgentSession, folder: Path) -> None:
    look_at_the_log(session, folder)
    results = [part for message in session.history() for part in message.parts if isinstance(part, Observation)]
    for seen in results:
        if seen.artifact is not None:
            whole = session.artifact(seen.artifact.uri)
            assert len(whole.encode()) == seen.artifact.original_bytes
            assert whole.startswith("did")


def look_at_the_thoughts(session: AgentSession, folder: Path) -> None:
    blocks = [part.block for message in session.history() for part in message.parts if isinstance(part, Reasoning)]
    assert blocks == [block(1), block(2)]


def look_at_the_own_history(session: AgentSession, folder: Path) -> None:
    look_at_the_log(session, folder)
    assert session.history() == []


def look_for_a_compaction(session: AgentSession, folder: Path) -> None:
    look_at_the_log(session, folder)
    [run] = session.runs()
    assert any(record.event.type == "context_compacted" for record in session.run_events(run.id))


def block(number: int) -> str:
    return json.dumps({"type": "thinking", "thinking": f"thought é {number}", "signature": f"s{number}=="})


def thoughtful(number: int) -> list[Any]:
    return [Reasoning(f"thought é {number}", "scripted/model", block(number)), "So.", ToolCall(f"r{number}", "ls", {})]


LOUD = "head -c 60000 /dev/zero | tr '\\0' x"
BATCH = {"calls": [{"tool": "bash", "args": {"command": f"echo {n} >> log; echo did {n}"}} for n in (2, 3)]}
VARIANTS: Mapping[str, tuple[Script, Options, Any, Callable[..., None]]] = {
    "parallel calls": (
        [
            [bash(1), ToolCall("p1", "ponder", {"rounds": 3}), ToolCall("p2", "ls", {}), bash(2)],
            [ToolCall("p3", "ponder", {"rounds": 4}), ToolCall("p4", "ponder", {"rounds": 5})],
            "Done.",
        ],
        {"tools": [ponder]},
        "Begin.",
        look_at_the_log,
    ),
    "batch": ([[bash(1)], ToolCall("b", "batch", BATCH), "Done."], {}, "Begin.", look_at_the_log),
    "confirmations": (
        [[bash(1)], [bash(2)], "Done."],
        {"permission_policy": PermissionPolicy(ask=["bash"]), "on_confirm": lambda pending: True},
        "Begin.",
        look_at_the_log,
    ),
    "compaction": (
        [*([f"Step {n}.", bash(n, "head -c 9000 /dev/zero | tr '\\0' 'a '")] for n in range(6)), "Done."],
        {"max_context_tokens": 8000},
        "Begin.",
        look_for_a_compaction,
    ),
    "big outputs": ([bash(1, LOUD), bash(2, LOUD), "Done."], {}, "Begin.", look_at_the_artifact),
    "thoughts": ([thoughtful(1), thoughtful(2), "Done."], {}, "Begin.", look_at_the_thoughts),
    "a history of its own": (
        steps(3),
        {},
        {"prompt": "Begin.", "history": [Message.user("Before."), Message("assistant", (Text("I see."),))]},
        look_at_the_own_history,
    ),
    "a router that takes its time": (steps(3), {"harness": Harness(router=Slow())}, "Begin.", look_at_the_log),
    "an image": (
        [[bash(1)], "Done."],
        {},
        {"prompt": "Look.", "attachments": [{"data": base64.b64encode(b"x").decode(), "media_type": "image/png"}]},
        look_at_the_log,
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_killed_run_survives_with(variant: str) -> None:
    script, options, request, look = VARIANTS[variant]
    limit = max(4, int(40 * SCALE))
    report = crash_matrix(opener(**options), script, request=request, limit=limit, crashes=3, look=look)
    print(f"kill -9, {variant}: {report}")
    report.check()


CHILD = """
    import json, os, sys
    from pathlib import Path
    from a3s_code import Agent, PermissionPolicy
    from a3s_code.kernel.messages import ToolCall
    from a3s_code.stores.sqlite import FileSessionStore
    from a3s_code.testing import ConversationScript

    folder, steps, session_id = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

    def call(number):
        command = f"echo {number} >> log; echo did {number}; sleep 0.01"
        return ToolCall(f"c{number}", "bash", {"command": command})

    def tell(kind, *values):
        os.write(1, json.dumps([kind, *values]).encode() + b"\\n")

    script = [*([f"Step {number}.", call(number)] for number in range(steps)), "All steps are done."]
    given = {"model": ConversationScript(script), "session_store": FileSessionStore(folder / "store")}
    agent = Agent.create("")
    if session_id:
        session = agent.resume_session(session_id, **given)
    else:
        policy = PermissionPolicy(default_decision="allow")
        session = agent.session(folder / "work", session_id="s", permission_policy=policy, **given)
    heard = len(session.run_events(session.runs()[0].id)) if session.runs() else 0

    def hear(event):
        global heard
        tell("event", heard, event.to_dict())
        heard += 1

    session.subscribe(hear)
    tell("ready")
    if session.runs():
        session.resume_run(session.runs()[0].id)
    else:
        session.send("Begin.")
    tell("end")
    """


class Killed:
    """A run in processes of its own that are killed from outside, and what was wrong afterwards."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.killed = self.lost = self.repeated = self.unopened = 0
        self.faults: list[str] = []

    def make(self, crashes: int, span: float) -> Killed:
        self.folder.joinpath("work").mkdir(parents=True)
        for number in range(crashes):
            self._play(number, span)
        try:
            self._look_after()
        except Exception as error:  # noqa: BLE001 - counted with its text
            self.faults.append(f"{type(error).__name__}: {error}")
        return self

    def _play(self, number: int, span: float) -> None:
        """Let a process work for a random time."""
        told = self.folder / f"told {number}"
        known = Agent.create("").sessions(FileSessionStore(self.folder / "store"))
        if known and known[0].status == "completed":
            return
        with told.open("wb") as out:
            command = [sys.executable, "-c", textwrap.dedent(CHILD), self.folder, str(STEPS), "s" if known else ""]
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True)
            end = time.monotonic() + DEADLINE
            while b"ready" not in told.read_bytes() and process.poll() is None and time.monotonic() < end:
                time.sleep(0.005)
            time.sleep(self.chance.random() * span)
            process.send_signal(signal.SIGKILL)
            _, errors = process.communicate()
        if process.returncode == -signal.SIGKILL:
            self.killed += 1
        elif b"end" not in told.read_bytes():
            self.faults.append(f"the process ended with {process.returncode}: {errors[-500:]}")

    @property
    def heard(self) -> list[tuple[int, dict[str, Any]]]:
        told = [json.loads(line) for path in self.folder.glob("told *") for line in path.read_text().splitlines()]
        return [(values[0], values[1]) for kind, *values in told if kind == "event"]

    def _look_after(self) -> None:
        store = FileSessionStore(self.folder / "store")
        with Agent.create("") as agent:
            listed = agent.sessions(store)
            assert [record.id for record in listed] == ["s"]
            assert listed[0].pid is None
            try:
                session = agent.resume_session("s", session_store=store, model=ConversationScript(steps()))
            except Exception:
                self.unopened += 1
                raise
            runs = session.runs()
            assert listed[0].status == (runs[0].status if runs else "created")
            records = session.run_events(runs[0].id) if runs else []
            stored = {record.sequence: json.loads(json.dumps(record.event.to_dict())) for record in records}
            lost = [number for number, event in self.heard if stored.get(number) != event]
            self.lost += len(lost)
            if not runs:
                return
            if runs[0].status != "completed":
                assert runs[0].status == "interrupted"
                ended = {event["id"] for event in stored.values() if event["type"] == "tool_end"}
                assert session.resume_run(runs[0].id).text == "All steps are done."
                later = session.run_events(runs[0].id, after=len(stored) - 1)
                begun = {record.event.id for record in later if record.event.type == "tool_start"}
                self.repeated += len(begun & ended)
            events = session.run_events(runs[0].id)
            assert [record.sequence for record in events] == list(range(len(events)))
            starts, ends = (
                Counter(record.event.id for record in events if record.event.type == kind)
                for kind in ("tool_start", "tool_end")
            )
            assert starts == ends == Counter(f"c{number}" for number in range(STEPS))
            look_at_the_log(session, self.folder)


def test_a_run_killed_at_random_times_survives(tmp_path: Path) -> None:
    count = max(9, int(200 * SCALE))
    took = Killed(tmp_path / "alone", 0)
    began = time.monotonic()
    with Agent.create("") as agent:
        took.folder.joinpath("work").mkdir(parents=True)
        model = ConversationScript(steps())
        options: Any = {"session_store": FileSessionStore(took.folder / "store"), "permission_policy": ALLOW}
        agent.session(took.folder / "work", model=model, **options).send("Begin.")
    span = 0.9 * (time.monotonic() - began)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = [
            pool.submit(Killed(tmp_path / str(seed), seed).make, 3 if seed % 10 == 0 else 1, span)
            for seed in range(count)
        ]
        attempts = [future.result() for future in made]
    faults = [f"{attempt.folder.name}: {fault}" for attempt in attempts for fault in attempt.faults]
    lost, repeated, unopened = (
        sum(getattr(attempt, name) for attempt in attempts) for name in ("lost", "repeated", "unopened")
    )
    survived = sum(not attempt.faults and not attempt.lost and not attempt.repeated for attempt in attempts)
    print(
        f"kill -9 at random times: {sum(attempt.killed for attempt in attempts)} injected in {count} runs,"
        f" {survived} runs survived, {sum(len(attempt.heard) for attempt in attempts)} events heard of,"
        f" {lost} lost, {repeated} calls repeated, {unopened} sessions unopened"
    )
    assert not faults
    assert (lost, repeated, unopened) == (0, 0, 0)
    assert sum(attempt.killed for attempt in attempts) >= count // 2


class LineStore:
    """A host's own store: a file for each session, a line of JSON for each commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.claimed: set[str] = set()

    def _file(self, session_id: str) -> Path:
        return self.folder / f"{session_id}.lines"

    def _lines(self, session_id: str) -> list[dict[str, Any]]:
        try:
            text = self._file(session_id).read_text()
        except FileNotFoundError:
            raise UnknownSession(f"there is no session {session_id}") from None
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    async def claim(self, session_id: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        owner = self.folder / f"{session_id}.owner"
        if owner.exists() and Path("/proc", pid := owner.read_text()).exists():
            raise SessionInUse(f"{session_id} is open in {pid}", pid=int(pid))
        owner.write_text(str(os.getpid()))
        self.claimed.add(session_id)
        if self._file(session_id).exists():
            data = self._file(session_id).read_bytes()
            os.truncate(self._file(session_id), data.rfind(b"\n") + 1)

    async def release(self, session_id: str) -> None:
        if session_id in self.claimed:
            self.claimed.discard(session_id)
            self.folder.joinpath(f"{session_id}.owner").unlink(missing_ok=True)

    async def append(self, commit: Commit) -> None:
        blobs = {digest: base64.b64encode(content).decode() for digest, content in commit.blobs.items()}
        line = {
            "number": commit.entry.number,
            "body": base64.b64encode(commit.entry.body).decode(),
            "digest": commit.entry.digest.hex(),
            "summary": base64.b64encode(commit.summary).decode(),
            "blobs": blobs,
        }
        with self._file(commit.session_id).open("a") as file:
            file.write(json.dumps(line) + "\n")

    async def load(self, session_id: str, after: int = -1) -> Stored:
        found = self._lines(session_id)
        entries = [
            Entry(line["number"], base64.b64decode(line["body"]), bytes.fromhex(line["digest"])) for line in found
        ]
        return Stored(entries[after + 1 :], base64.b64decode(found[-1]["summary"]) if found else b"")

    async def cut(self, session_id: str, length: int, reason: str) -> None:
        raise StoreError(reason)

    async def blobs(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for file in self.folder.glob("*.lines"):
            for line in self._lines(file.stem):
                found |= {name: base64.b64decode(text) for name, text in line["blobs"].items() if name in digests}
        return found

    async def sessions(self) -> Sequence[Listing]:
        found = sorted(self.folder.glob("*.lines"))
        return [Listing(file.stem, base64.b64decode(self._lines(file.stem)[-1]["summary"])) for file in found]

    async def delete(self, session_id: str) -> bool:
        known = self._file(session_id).exists()
        self._file(session_id).unlink(missing_ok=True)
        return known

    async def close(self) -> None:
        for session_id in list(self.claimed):
            await self.release(session_id)
