"""Processor time of a turn, beside the bare loop that sends the same requests."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import httpx

from a3s_code import Agent
from benchmarks import floor, subject
from benchmarks.figures import Figure
from benchmarks.measure import Samples, by_turns, processor_ms
from benchmarks.server import ScriptedServer, Wire, answer_to
from benchmarks.sizes import Sizes

TARGET = 2.5


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of run."""

    wire: Wire
    streamed: bool
    turns: int

    def __str__(self) -> str:
        return f"processor time a turn, {self.turns} turns, {self.wire}{'' if self.streamed else ' plain'}"


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """A run is a new session and one send: the model asks for one file of 1 KB a turn, then answers.

    The floor neither reads the files nor makes a session. Its HTTP client lives through all rounds, like the library's.
    It blocks, as the bare loop of the target does; the note tells what the same loop takes on httpx's asynchronous
    client. Half of a case's rounds come after half of all the others', for the machine may be disturbed for seconds.
    """
    with tempfile.TemporaryDirectory() as folder, Agent.create(subject.configuration(server.url)) as agent:
        workspace = subject.write_notes(Path(folder), sizes.long_run)
        for turns, rounds in ((sizes.short_run, sizes.rounds), (sizes.long_run, sizes.long_rounds)):
            cases = [Case(wire, streamed, turns) for wire, streamed in product(subject.WIRES, (True, False))]
            first = [_contest(server, agent, workspace, case, -(-rounds // 2)) for case in cases]
            second = [_contest(server, agent, workspace, case, -(-rounds // 2)) for case in cases]
            for case, one, other in zip(cases, first, second, strict=True):
                yield _figure(case, one.joined(other))


@dataclass(frozen=True, slots=True)
class Contest:
    """What a run of each contestant took, in ms, and the bytes that it sent."""

    floor: Samples
    awaited: Samples
    ours: Samples
    floor_size: int
    size: int

    def joined(self, other: Contest) -> Contest:
        """The rounds of both."""
        return replace(
            self,
            floor=self.floor.joined(other.floor),
            awaited=self.awaited.joined(other.awaited),
            ours=self.ours.joined(other.ours),
        )


def _contest(server: ScriptedServer, agent: Agent, workspace: Path, case: Case, rounds: int) -> Contest:
    model, turns = subject.model(case.wire, case.turns, streamed=case.streamed), case.turns
    right = answer_to(subject.prompt())

    def ours() -> None:
        with agent.session(workspace, model=model, max_tool_rounds=turns) as session:
            result = session.send(subject.prompt())
        assert result.text.startswith(right), result.text
        assert result.tool_calls_count == turns - 1
        assert not result.denied

    server.seen()
    ours()
    seen = server.seen()
    script = floor.Script.of(case.wire, server.url, seen.first, seen.last)
    with httpx.Client() as client, asyncio.Runner() as runner:
        asynchronous = httpx.AsyncClient()

        def bare() -> None:
            text = floor.run(client, script.conversation())
            assert text.startswith(right), text

        def bare_asynchronous() -> None:
            runner.run(floor.run_async(asynchronous, script.conversation()))

        bare()
        bare_size = server.seen().size
        assert 0.9 < bare_size / seen.size < 1.1, f"the floor sends {bare_size} bytes, the library {seen.size}"
        clocks = [partial(processor_ms, work) for work in (bare, bare_asynchronous, ours)]
        low, awaited, high = by_turns(rounds, *clocks)
        runner.run(asynchronous.aclose())
    return Contest(low, awaited, high, bare_size, seen.size)


def _figure(case: Case, taken: Contest) -> Figure:
    ours, awaited = taken.ours.least / case.turns, taken.awaited.least / case.turns
    return Figure(
        str(case),
        "ms",
        ours=ours,
        floor=taken.floor.least / case.turns,
        target=TARGET,
        gates=True,
        noise=max(taken.floor.noise, taken.ours.noise),
        note=f"of an asynchronous floor ({awaited:.3g} ms) {ours / awaited:.2f}x; "
        f"bytes sent in a run: floor {taken.floor_size:,}, ours {taken.size:,}",
    )
