"""A hundred sessions at once in one process: runs a second, memory, and every answer its own."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx

from a3s_code import AsyncAgent
from benchmarks import floor, subject
from benchmarks.figures import Figure
from benchmarks.measure import Samples, in_child
from benchmarks.memory import resident_mb
from benchmarks.server import ScriptedServer, answer_to
from benchmarks.sizes import Sizes

HALF = 0.5
MB_A_SESSION = 1.0


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """Floor and library by turns, each in a fresh process; all runs start together, each with a prompt of its own.

    Before the clock starts each process has made one run alone. The sessions stay open until the memory is read.
    """
    count, turns = sizes.sessions, sizes.session_turns
    with tempfile.TemporaryDirectory() as folder:
        subject.write_notes(Path(folder), turns)
        server.seen()
        in_child("benchmarks.crowd", "ours", server.url, folder, 0, turns)
        seen = server.seen()
        pairs = [
            (
                in_child("benchmarks.crowd", "bare", server.url, seen.first, seen.last, count),
                in_child("benchmarks.crowd", "ours", server.url, folder, count, turns),
            )
            for _ in range(sizes.crowd_rounds)
        ]
    what = f"{count} sessions x {turns} turns at once"
    low, high = _sides(pairs, lambda result: count / result["seconds"])
    noise = max(low.noise, high.noise)
    yield Figure(f"{what}, runs", "1/s", high.middle, low.middle, HALF, at_least=True, gates=True, noise=noise)
    low, high = _sides(pairs, lambda result: result["processor_ms"] / count / turns)
    yield Figure(f"{what}, processor time a turn", "ms", high.middle, low.middle, noise=max(low.noise, high.noise))
    low, high = _sides(pairs, lambda result: result["grown_mb"] / count)
    yield Figure(f"{what}, memory a session", "MB", high.middle, low.middle, MB_A_SESSION, compared=False, gates=True)
    right = min(result["right"] for pair in pairs for result in pair)
    yield Figure(f"{what}, right answers", "", right, target=count, at_least=True, gates=True)


def _sides(pairs: list[tuple[Any, Any]], value: Any) -> tuple[Samples, Samples]:
    return Samples(tuple(value(low) for low, _ in pairs)), Samples(tuple(value(high) for _, high in pairs))


def ours(url: str, folder: str, count: int, turns: int) -> dict[str, Any]:
    """One crowd of the library, for a process of its own."""

    async def crowd() -> dict[str, Any]:
        async with AsyncAgent.create(subject.configuration(url)) as agent:

            async def one(ticket: str) -> tuple[object, str]:
                session = agent.session(folder, model=subject.model("openai", turns), max_tool_rounds=turns)
                return session, (await session.send(subject.prompt(ticket))).text

            await one(subject.TICKET)
            return await _together({ticket: one(ticket) for ticket in _tickets(count)})

    return asyncio.run(crowd())


def bare(url: str, first: dict[str, Any], last: dict[str, Any], count: int) -> dict[str, Any]:
    """The same of the floor."""
    script = floor.Script.of("openai", url, first, last)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)

    async def crowd() -> dict[str, Any]:
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:

            async def one(ticket: str) -> tuple[object, str]:
                conversation = script.conversation(ticket)
                return conversation, await floor.run_async(client, conversation)

            await one(subject.TICKET)
            return await _together({ticket: one(ticket) for ticket in _tickets(count)})

    return asyncio.run(crowd())


def _tickets(count: int) -> list[str]:
    return [f"ticket-{index:04d}" for index in range(1, count + 1)]


async def _together(runs: dict[str, Coroutine[Any, Any, tuple[object, str]]]) -> dict[str, Any]:
    gc.collect()
    memory, processor, started = resident_mb(), time.process_time(), time.perf_counter()
    done = await asyncio.gather(*runs.values())
    return {
        "seconds": time.perf_counter() - started,
        "processor_ms": (time.process_time() - processor) * 1000,
        "grown_mb": resident_mb() - memory,
        "right": sum(text.startswith(answer_to(ticket)) for ticket, (_, text) in zip(runs, done, strict=True)),
    }
