"""What a long session costs where a store keeps it: the file, opening it again, and the memory of the process."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from a3s_code import AsyncAgent, FileSessionStore
from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import Delta, Message, Observation, Reply, Text, TextDelta, ToolCall
from a3s_code.kernel.ports import Prompt
from benchmarks import subject
from benchmarks.figures import Figure
from benchmarks.measure import in_child
from benchmarks.memory import resident_mb
from benchmarks.server import ScriptedServer, file_name
from benchmarks.sizes import Sizes

SESSION = "long"
FILES = 50
LINES_READ = 8
EVENTS_A_TURN = 7
WINDOW = 16_000
MB_GROWN = 20.0
TIMES_UNIQUE = 2.0
REOPENED_MS = 1000.0
BYTES_A_TOKEN = 4
FIXED_TOKENS = 1500


class Reading:
    """A model that reads a few other lines in each of its `turns` and says so, then answers. It counts its tokens, so
    that the history is shortened again and again; `look` is called before each turn with the number of it."""

    name = "my/reading"

    def __init__(self, turns: int, look: Callable[[int], None] = lambda turn: None) -> None:
        self._turns = turns
        self._look = look
        self._turn = 0

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta | Reply]:
        self._turn = turn = self._turn + 1
        self._look(turn)
        pieces = [f"Turn {turn}: ", f"what was noted in file {turn % FILES} comes next, ", f"after {turn - 1} others."]
        for piece in pieces:
            yield TextDelta(piece)
        usage = Usage(_tokens(prompt), 40)
        if turn > self._turns:
            yield Reply(Message("assistant", (Text("".join(pieces)),)), "end", usage)
            return
        arguments = {
            "file_path": file_name(turn % FILES),
            "offset": turn // FILES % LINES_READ + 1,
            "limit": LINES_READ,
        }
        call = ToolCall(f"call_{turn}", "read", arguments)
        yield Reply(Message("assistant", (Text("".join(pieces)), call)), "tool_calls", usage)


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """Real sessions with a model in the process, one turn after the other, each in a process of its own.

    The unique content of a run is every text once that was asked, said or read, and the arguments of its calls.
    """
    with tempfile.TemporaryDirectory() as folder:
        turns = sizes.stored_turns
        size, unique = in_child("benchmarks.sessions", "file_of", str(Path(folder, "file")), turns)
        yield Figure(f"file of a session after {turns} turns, by its unique content", "bytes", size, unique,
                     TIMES_UNIQUE, gates=True)  # fmt: skip
        again = str(Path(folder, "again"))
        events = in_child("benchmarks.sessions", "write", again, sizes.events // EVENTS_A_TURN + 1)
        took, lost = in_child("benchmarks.sessions", "reopen", again)
        yield Figure(f"a session of {events:,} events opened again", "ms", took, target=REOPENED_MS)
        yield Figure(f"a session of {events:,} events opened again, lost", "", lost, target=0, gates=True)
        first, last = sizes.lasting_turns
        grown = in_child("benchmarks.sessions", "growth", str(Path(folder, "memory")), first, last)
        what = f"memory grown from turn {first:,} to turn {last:,}, with a store"
        yield Figure(what, "MB", grown["mb"], target=MB_GROWN, gates=True,
                     note=f"the history was shortened {grown['compacted']} times")  # fmt: skip


def file_of(folder: str, turns: int) -> tuple[int, int]:
    """The bytes of the store after a run of `turns` turns, and those of its unique content."""
    asyncio.run(_run(Path(folder), turns))
    return FileSessionStore(Path(folder, "store")).size(), asyncio.run(_unique(Path(folder)))


def write(folder: str, turns: int) -> int:
    """Store a run of `turns` turns; how many events it has."""
    return asyncio.run(_run(Path(folder), turns))


def reopen(folder: str) -> tuple[float, int]:
    """Milliseconds until the stored session is open again, and how many of its events are not there any more."""

    async def work() -> tuple[float, int]:
        store = FileSessionStore(Path(folder, "store"))
        async with AsyncAgent.create("") as agent:
            started = time.perf_counter()
            session = await agent.resume_session(SESSION, model=Reading(0), session_store=store)
            took = (time.perf_counter() - started) * 1000
            [run] = await session.runs()
            kept = {record.sequence for record in await session.run_events(run.id)}
            return took, run.event_count - len(kept & set(range(run.event_count)))

    return asyncio.run(work())


def growth(folder: str, first: int, last: int) -> dict[str, Any]:
    """How much the memory of this process grows between two turns of one run, and how often it was compacted."""
    seen: dict[int, float] = {}
    compacted = 0

    def look(turn: int) -> None:
        if turn in (first, last):
            gc.collect()
            seen[turn] = resident_mb()

    def count(event: Any) -> None:
        nonlocal compacted
        compacted += event.type == "context_compacted"

    asyncio.run(_run(Path(folder), last, look, count))
    return {"mb": seen[last] - seen[first], "compacted": compacted}


async def _run(
    folder: Path, turns: int, look: Callable[[int], None] = lambda turn: None, hear: Callable[[Any], None] | None = None
) -> int:
    workspace = subject.write_notes(folder / "notes", FILES)
    store = FileSessionStore(folder / "store")
    async with (
        AsyncAgent.create("") as agent,
        agent.session(
            workspace,
            model=Reading(turns, look),
            session_id=SESSION,
            session_store=store,
            max_tool_rounds=turns + 1,
            max_context_tokens=WINDOW,
            duplicate_tool_call_threshold=None,
        ) as session,
    ):
        if hear is not None:
            session.subscribe(hear)
        result = await session.send(subject.prompt())
        assert (result.status, result.turns) == ("completed", turns + 1)
        count = (await session.run_snapshot(result.run_id)).event_count
    await store.close()
    return count


async def _unique(folder: Path) -> int:
    """The bytes of every text of the run once, as its events tell them."""
    texts: set[str] = set()
    said = ""
    async with (
        AsyncAgent.create("") as agent,
        await agent.resume_session(
            SESSION, model=Reading(0), session_store=FileSessionStore(folder / "store")
        ) as session,
    ):
        [run] = await session.runs()
        for record in await session.run_events(run.id):
            match record.event.type:
                case "agent_start":
                    texts.add(record.event.prompt)  # type: ignore[union-attr]  # the type says which event it is
                case "text_delta":
                    said += record.event.text  # type: ignore[union-attr]  # as above
                case "tool_start":
                    texts.add(record.event.args)  # type: ignore[union-attr]  # as above
                case "tool_end":
                    texts.add(record.event.output)  # type: ignore[union-attr]  # as above
                case "turn_end":
                    texts.add(said)
                    said = ""
                case _:
                    pass
    return sum(len(text.encode()) for text in texts)


def _tokens(prompt: Prompt) -> int:
    """About what a provider would count."""
    parts = (part for message in prompt.messages for part in message.parts)
    texts = (part.output if isinstance(part, Observation) else getattr(part, "text", "") for part in parts)
    return FIXED_TOKENS + sum(map(len, texts)) // BYTES_A_TOKEN
