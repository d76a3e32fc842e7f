"""How fast events reach a consumer of `stream()`."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator

import httpx

from a3s_code import Agent, AgentSession, AsyncAgent
from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import Delta, Message, Reply, Text, TextDelta
from a3s_code.kernel.ports import Prompt
from benchmarks import floor, subject
from benchmarks.figures import Figure
from benchmarks.measure import Samples
from benchmarks.server import ScriptedServer
from benchmarks.sizes import Sizes

TARGET = 100_000
BURST = 100


class Talker:
    """A model in this process that says a word `count` times, in bursts as a socket would bring them."""

    name = "bench/talker"

    def __init__(self, count: int) -> None:
        self._count = count

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta | Reply]:
        for number in range(self._count):
            if number % BURST == 0:
                await asyncio.sleep(0)
            yield TextDelta(" word")
        yield Reply(Message("assistant", (Text(" word" * self._count),)), "end", Usage(1, self._count))


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """Text deltas a second, from the call of stream() to its last event: of a model in the process, then over HTTP.

    The floor over HTTP reads the stream's lines with httpx and decodes each with `json`; it makes no events.
    """
    count, rounds = sizes.events, sizes.event_rounds
    with tempfile.TemporaryDirectory() as folder, Agent.create(subject.configuration(server.url)) as agent:
        talker = Talker(count)
        here = _speeds(rounds, count, lambda: _consume(agent.session(folder, model=talker)))
        yield Figure(
            "text deltas, blocking stream()", "1/s", here.middle, None, TARGET, at_least=True, noise=here.noise
        )
        there = _speeds(rounds, count, lambda: asyncio.run(_consume_async(server.url, folder, talker)))
        yield Figure("text deltas, async stream()", "1/s", there.middle, None, TARGET, at_least=True, noise=there.noise)
        model = subject.model("openai", 1, count)
        wired = _speeds(rounds, count, lambda: _consume(agent.session(folder, model=model)))
        with httpx.Client() as client:
            bare = _speeds(rounds, count, lambda: _read(client, server.url, count))
        noise = max(wired.noise, bare.noise)
        yield Figure("text deltas over HTTP, blocking stream()", "1/s", wired.middle, bare.middle, noise=noise)


def _speeds(rounds: int, count: int, consume: Callable[[], float]) -> Samples:
    consume()
    return Samples(tuple(count / consume() for _ in range(rounds)))


def _consume(session: AgentSession) -> float:
    with session:
        started = time.perf_counter()
        seen = sum(event.type == "text_delta" for event in session.stream(subject.prompt()))
        assert seen > 1
        return time.perf_counter() - started


async def _consume_async(url: str, folder: str, talker: Talker) -> float:
    async with AsyncAgent.create(subject.configuration(url)) as agent:
        session = agent.session(folder, model=talker)
        started, seen = time.perf_counter(), 0
        async for event in session.stream(subject.prompt()):
            seen += event.type == "text_delta"
        assert seen > 1
        return time.perf_counter() - started


def _read(client: httpx.Client, url: str, count: int) -> float:
    body = {"model": subject.model("openai", 1, count), "stream": True, "messages": []}
    started, seen = time.perf_counter(), 0
    with client.stream("POST", url + floor.PATHS["openai"], json=body) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                seen += len(json.loads(line[6:])["choices"])
    assert seen > 1
    return time.perf_counter() - started
