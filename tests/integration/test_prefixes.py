"""Every beginning of a stored session, as a process leaves it that dies at that moment, opens, goes on and ends."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from a3s_code import AsyncAgent, Harness, PermissionPolicy, tool
from a3s_code.api.async_session import AsyncAgentSession
from a3s_code.errors import ModelAuthError, ModelError, ModelUnavailable, RunNotResumable
from a3s_code.kernel.contracts import Usage, Verification
from a3s_code.kernel.events import ToolEnd, ToolStart
from a3s_code.kernel.hook import Hook
from a3s_code.kernel.messages import Message, Part, Piece, Reasoning, Reply, Text, TextDelta, ToolCall
from a3s_code.kernel.packing import read, write
from a3s_code.kernel.ports import Execute, Prompt
from a3s_code.kernel.state import SessionState
from a3s_code.kernel.store import BEGINNING, Commit, Entry, seal
from a3s_code.stores import MemorySessionStore
from a3s_code.testing import FakeClock
from a3s_code.testing.validation import prompt_violations

SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
SECRET = "sk-ant-api03-R4nd0mS3cr3tV4lue000111222333"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
TEXTS = ("plain", "\ud800 lone", "nul \0 here", "$blob", "x" * 3000, f"the key {SECRET} is", "ünï😀")
MORE: Sequence[dict[str, Any]] = ({}, {"$blob": None, "of": {"$blob": "a" * 64}}, {"a": [1, {"$blob": "b"}]})
GOES_ON = ("interrupted", "failed", "cancelled", "limit_reached")


class Kept(MemorySessionStore):
    """A store in memory that says what it was given, and can be given the facts of another, one an entry."""

    def __init__(self) -> None:
        super().__init__()
        self.given = b""
        self.commits: list[Commit] = []

    async def append(self, commit: Commit) -> None:
        await asyncio.sleep(0)
        self.given += b"".join([commit.entry.body, commit.summary, *commit.blobs.values()])
        await super().append(commit)
        self.commits.append(commit)

    @property
    def facts(self) -> list[Any]:
        return [fact for commit in self.commits for fact in read(commit.entry.body)]

    async def beginning(self, count: int) -> Kept:
        """A store with the first facts of this one."""
        store = Kept()
        blobs = {digest: content for commit in self.commits for digest, content in commit.blobs.items()}
        last: Entry | None = None
        for number, fact in enumerate(self.facts[:count]):
            last = seal(BEGINNING if last is None else last.digest, number, write([fact]))
            await store.append(Commit("s", last, b"", {} if number else blobs))
        store.given = b""
        return store


class Invocations:
    """The calls that were carried out, by their ids."""

    def __init__(self) -> None:
        self.heard: list[str] | None = None
        sys.addaudithook(self._hear)

    def _hear(self, event: str, details: tuple[Any, ...]) -> None:
        if event == "a3s_code.invocation" and self.heard is not None:
            self.heard.append(details[0])


INVOCATIONS = Invocations()


@dataclass
class Scene:
    """Tools, a model and a person that do everything at random, and what is wrong with what they saw."""

    chance: random.Random
    numbers: Any
    wrong: list[str] = field(default_factory=list[str])
    done: float = 0.25
    name: str = "random/model"

    def call(self, inside: bool = False) -> ToolCall:
        chance, call_id = self.chance, f"c{next(self.numbers)}"
        text = chance.choice(TEXTS)
        name = chance.choice(("note", "note", "look", "fail", "asked", "asked", "denied", "nosuch", "read", "batch"))
        arguments: dict[str, Any] = {"text": text}
        if name == "note":
            arguments["more"] = chance.choice(MORE)
        elif name == "look":
            arguments["size"] = chance.choice((1, 5, 9000))
        elif name == "read":
            arguments = {"file_path": "a.png"}
        elif name == "batch":
            inner = [] if inside else [self.call(inside=True) for _ in range(chance.randint(1, 3))]
            arguments = {"invocations": [{"tool": call.name, "args": call.arguments} for call in inner]}
        return ToolCall(call_id, name, arguments, "{no json" if chance.random() < 0.05 else None)

    async def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
        self.wrong += prompt_violations(prompt)
        chance = self.chance
        for _ in range(chance.randint(0, 2)):
            yield TextDelta(chance.choice(("Hello ", "wor\ud800ld ", f"{SECRET} ")))
            await asyncio.sleep(0)
        fault = chance.random()
        if fault < 0.12:
            raise ModelUnavailable(f"overloaded {SECRET}", provider="random")
        if fault < 0.15:
            raise ModelAuthError("bad key", provider="random")
        parts: list[Part] = []
        if chance.random() < 0.3:
            thought = "hm " * chance.choice((1, 600))
            block = json.dumps({"type": "thinking", "thinking": thought, "signature": "abc"})
            parts.append(Reasoning(thought, self.name, chance.choice((block, None))))
        if chance.random() < 0.6:
            parts.append(Text(chance.choice(("I do.", "Like so:", f"With \0 and \ud800 {SECRET}"))))
        ends = chance.random() < self.done
        parts += [Text("Done.")] if ends else [self.call() for _ in range(chance.choice((1, 1, 2, 3)))]
        usage = Usage(chance.randint(1, 50), chance.randint(1, 50))
        yield Reply(Message("assistant", tuple(parts)), "end" if ends else "tool_calls", usage, self.name)

    async def verify(self, state: SessionState, execute: Execute) -> Verification:
        return Verification("failed", feedback=f"not yet, {SECRET}" if self.chance.random() < 0.4 else None)

    def options(self, store: Kept, seed: int) -> dict[str, Any]:
        world = random.Random(seed)
        return {
            "session_store": store,
            "model": self,
            "tools": self.tools(),
            "permission_policy": PermissionPolicy(deny=["denied"], ask=["asked"], default_decision="allow"),
            "on_confirm": self.answer,
            "clock": FakeClock(seed=seed),
            "llm_max_attempts": 3,
            "duplicate_tool_call_threshold": None,
            "circuit_breaker_threshold": None,
            "max_tool_rounds": world.choice((3, 12)),
            "last_turn_at_limit": world.random() < 0.5,
            "max_context_tokens": world.choice((6_000, 200_000)),
            "harness": Harness(verifier=self),
            "hooks": [Hook("change", "pre_tool_use", self.change)],
        }

    async def answer(self, _: Any) -> Any:
        await asyncio.sleep(0)
        return self.chance.choice((True, True, (False, f"no {SECRET}")))

    def change(self, event: Any) -> Any:
        arguments = event["payload"]["args"]
        if "text" in arguments and self.chance.random() < 0.2:
            return {"action": "continue", "modified": {**arguments, "text": "changed"}}
        return None

    def tools(self) -> list[Any]:
        def see(text: str) -> None:
            if "redacted" in text.lower() or text.startswith("[lost"):
                self.wrong.append(f"a call was made with {text!r}")

        @tool(effects=("write",))
        async def note(text: str, more: dict[str, Any]) -> str:
            """Note."""
            await asyncio.sleep(0)
            see(text)
            return f"noted {text[:50]}"

        @tool(effects=("write",))
        async def asked(text: str) -> str:
            """Be asked about."""
            await asyncio.sleep(0)
            see(text)
            return "did"

        @tool(effects=("write",))
        async def denied(text: str) -> str:
            """Never be made."""
            self.wrong.append("a denied call was made")
            return "no"

        @tool(effects=("write",))
        async def fail(text: str) -> str:
            """Fail."""
            raise ValueError(f"no {text[:40]}\0\ud800")

        @tool(effects=())
        async def look(text: str, size: int) -> str:
            """Look."""
            await asyncio.sleep(0)
            return f"{text[:20]}é\0\ud800\n" * size

        return [note, asked, denied, fail, look]


async def live(scene: Scene, session: AsyncAgentSession) -> None:
    """Some requests of all kinds, some of them broken off, and gone on with."""
    chance = scene.chance
    own = [Message.user("before"), Message("assistant", (Text("yes"), ToolCall("c1", "ls", {})))]
    for number in range(3):
        request: dict[str, Any] = {"prompt": f"do {number} {SECRET}"}
        kind = chance.random()
        if kind < 0.3:
            request["history"] = own
        elif kind > 0.8:
            request["attachments"] = [{"data": PNG, "media_type": "image/png"}]
        sending = asyncio.create_task(session.send(request))
        if chance.random() < 0.25:
            for _ in range(chance.randint(0, 120)):
                await asyncio.sleep(0)
            sending.cancel()
        await asyncio.wait({sending})
        if not sending.cancelled() and (error := sending.exception()) is not None:
            assert isinstance(error, ModelError)
        if chance.random() < 0.3:
            await session.tool("look", {"text": "direct", "size": 9000})
        if chance.random() < 0.3:
            await resume(session)


async def resume(session: AsyncAgentSession) -> str | None:
    """Go on with the last run; its id, if it can go on."""
    last = (await session.runs())[-1]
    try:
        await session.resume_run(last.id)
    except RunNotResumable:
        return None
    except ModelError:
        pass
    return last.id


async def go_on(scene: Scene, session: AsyncAgentSession) -> None:
    """Answer what is open, go on with the last run, and send another request."""
    for waiting in await session.pending_confirmations():
        if scene.chance.random() < 0.7:
            await session.confirm_tool_use(waiting.tool_id, scene.chance.random() < 0.5, f"said {SECRET}")
    if await session.runs() and (run_id := await resume(session)) is not None:
        records = await session.run_events(run_id)
        begun = Counter(record.event.id for record in records if isinstance(record.event, ToolStart))
        ended = Counter(record.event.id for record in records if isinstance(record.event, ToolEnd))
        if begun != ended:
            scene.wrong.append(f"calls begin and end: {(begun - ended) + (ended - begun)}")
        if [record.sequence for record in records] != list(range(len(records))):
            scene.wrong.append("the sequence has a gap")
        if records[-1].event.type not in ("agent_end", "error"):
            scene.wrong.append("the run has no end")
    with suppress(ModelError):
        await session.send("And now?")


async def known(session: AsyncAgentSession) -> list[Any]:
    """All that a session tells of itself."""
    runs = [dict(run) for run in await session.runs()]
    events = [
        json.dumps(record.to_dict(), default=str) for run in runs for record in await session.run_events(run["id"])
    ]
    return [await session.history(), runs, session._parts.state.usage, events]


@pytest.mark.parametrize("seed", range(4))
async def test_every_beginning_of_a_session_goes_on(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RANDOM_API_KEY", SECRET)
    tmp_path.joinpath("a.png").write_bytes(PNG)
    numbers = iter(range(1_000_000))
    made: list[tuple[str, int]] = []
    tried = wrong = 0
    async with AsyncAgent.create("") as agent:
        scene, store = Scene(random.Random(seed), numbers), Kept()
        session = await agent.session(tmp_path, session_id="s", **scene.options(store, seed))

        class Noting(list[str]):
            def append(self, call_id: str) -> None:
                made.append((call_id, len(store.facts)))

        INVOCATIONS.heard = Noting()
        await live(scene, session)
        await session.close()
        assert scene.wrong == []
        assert SECRET.encode() not in store.given
        count = len(store.facts)
        for cut in random.Random(seed).sample(range(1, count + 1), max(12, int(count * SCALE))):
            scene = Scene(random.Random(1000 * seed + cut), numbers, done=0.5)
            part = await store.beginning(cut)
            INVOCATIONS.heard = []
            session = await agent.resume_session("s", **scene.options(part, seed))
            await go_on(scene, session)
            again = set(INVOCATIONS.heard) & {
                call_id for call_id, stored in made if stored <= cut and call_id[1:].isdigit()
            }
            if again:
                scene.wrong.append(f"made again: {sorted(again)}")
            before = copy.deepcopy(await known(session))
            await session.close()
            session = await agent.resume_session("s", **scene.options(part, seed))
            if await known(session) != before:
                scene.wrong.append("it comes back as another")
            await session.close()
            if SECRET.encode() in part.given:
                scene.wrong.append("a secret is stored")
            tried += 1
            wrong += bool(scene.wrong)
            assert scene.wrong == [], f"cut after fact {cut} of {count}: {store.facts[cut - 1]}"
    INVOCATIONS.heard = None
    print(f"beginnings of a session: {tried} tried, {wrong} wrong")
