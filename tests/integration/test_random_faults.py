"""Runs whose model fails at random: the answers are right, and each tool ran once."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from a3s_code import A3SError, AsyncAgent, tool
from a3s_code.events import ModelRetry, TextDelta, TextWithdrawn, TurnStart
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Observation, ToolCall
from a3s_code.kernel.ports import ChatModel, Prompt
from a3s_code.providers.breaker import Breakers
from a3s_code.providers.registry import create_model
from a3s_code.providers.resilience import ResilientModel
from a3s_code.providers.scripted import as_reply
from a3s_code.testing import Canned, FakeClock, FaultyModel, LoopbackRequest, LoopbackServer, ScriptedModel
from a3s_code.testing.answers import streamed

SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
TURNS = 8
P = 0.3
TEXTS = [*(f"Step {number}." for number in range(1, TURNS)), f"The balance is {sum(range(1, TURNS))}."]


@dataclass
class Tally:
    """What became of the runs."""

    runs: int = 0
    right: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    twice: int = 0
    missing: int = 0
    unsaid: int = 0
    retries: int = 0

    @property
    def wrong(self) -> int:
        """Runs that ended as if all were well, but with another answer."""
        return self.runs - self.right - self.errors.total()

    def __str__(self) -> str:
        return (
            f"{self.right} of {self.runs} right answers, {self.wrong} wrong, {self.errors.total()} failed"
            f" {dict(self.errors) or ''}; effects: {self.twice} twice, {self.missing} lost;"
            f" {self.unsaid} runs with text that was not withdrawn"
        )


def step(seen: Sequence[str]) -> list[Any]:
    """The right turn after these outputs: deposits of 1, 2, 3, ..., then the balance that the last one gave."""
    number = len(seen) + 1
    if number < TURNS:
        return [f"Step {number}.", ToolCall(f"call-{number}", "deposit", {"amount": number})]
    return [f"The balance is {seen[-1]}."]


async def run(agent: AsyncAgent, model: ChatModel, workspace: Path, tally: Tally) -> None:
    """One run of eight turns, seven of which pay into an account of their own."""
    paid: Counter[int] = Counter()

    @tool(effects=())
    async def deposit(amount: int) -> str:
        """Pay in; gives the balance."""
        paid[amount] += 1
        return str(sum(number * times for number, times in paid.items()))

    tally.runs += 1
    session = agent.session(workspace, model=model, tools=[deposit])
    failed = False
    try:
        result = await session.send("Make seven deposits and tell me the balance.")
        tally.right += result.text == TEXTS[-1]
        tally.missing += set(paid) != set(range(1, TURNS))
    except A3SError as error:
        failed = True
        tally.errors[type(error).__name__] += 1
    tally.twice += sum(times > 1 for times in paid.values())
    (snapshot,) = await session.runs()
    events = [record.event for record in await session.run_events(snapshot.id)]
    tally.retries += sum(isinstance(event, ModelRetry) for event in events)
    # What a lost run said last is kept, so that nothing is lost.
    shown = still_shown(events)[: -1 if failed else None]
    tally.unsaid += shown != TEXTS[: len(shown)]


def still_shown(events: Sequence[Any]) -> list[str]:
    """The text of each turn, as somebody has it before them who shows text as it comes and takes it back when told."""
    turns: list[str] = []
    for event in events:
        match event:
            case TurnStart():
                turns.append("")
            case TextDelta(text=text):
                turns[-1] += text
            case TextWithdrawn():
                turns[-1] = ""
            case _:
                pass
    return turns


def outputs(prompt: Prompt) -> list[str]:
    return [part.output for message in prompt.messages for part in message.parts if isinstance(part, Observation)]


async def test_random_faults_lose_no_answer_and_repeat_no_effect(tmp_path: Path) -> None:
    clock, tally, injected = FakeClock(), Tally(), Counter[str]()
    breakers = Breakers(None, clock)
    async with AsyncAgent.create("") as agent:
        for number in range(max(20, int(200 * SCALE))):
            script: list[Callable[[Prompt], Any]] = [lambda prompt: step(outputs(prompt))] * TURNS
            faulty = FaultyModel(ScriptedModel(script, name="acme/m"), p=P, seed=number)
            model = ResilientModel([faulty], clock=clock, breakers=breakers, random=random.Random(number))
            await run(agent, model, tmp_path, tally)
            injected += faulty.injected
    lost = injected.total() - tally.retries
    print(f"random faults: {injected.total()} injected, {tally.retries} survived, {lost} lost; {tally}")
    assert injected.total() > 2 * tally.runs
    assert tally.right >= 0.99 * tally.runs
    assert lost == tally.errors.total()
    assert (tally.wrong, tally.twice, tally.missing, tally.unsaid) == (0, 0, 0, 0)


def told(request: LoopbackRequest) -> list[str]:
    """The outputs that a request holds."""
    messages = request.json["messages"]
    if request.api == "openai":
        return [message["content"] for message in messages if message["role"] == "tool"]
    blocks = [block for message in messages if isinstance(message["content"], list) for block in message["content"]]
    found = [block["content"] for block in blocks if block["type"] == "tool_result"]
    return [text if isinstance(text, str) else text[0]["text"] for text in found]


class FaultyServer:
    """Answers with the right step, or at random with a fault of the wire."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.injected: Counter[str] = Counter()

    def answer(self, request: LoopbackRequest) -> Any:
        turn = step(told(request))
        if self._random.random() >= P:
            return turn
        assert request.api is not None
        body = streamed(as_reply(turn, None, 100, "loopback/test"), request.api, request.number)
        faults = self._faults(body, body.rindex(b'"finish_reason":"' if request.api == "openai" else b"message_stop"))
        name = self._random.choice(sorted(faults))
        self.injected[name] += 1
        return faults[name]

    def _faults(self, body: bytes, end: int) -> dict[str, Canned]:
        """`end` is where the end of the answer `body` is written."""
        part = body[: self._random.randrange(end)]
        report = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
        return {
            "429": Canned.json(report, 429),
            "429 with Retry-After": Canned.json(report, 429, retry_after="7"),
            "408": Canned.json(report, 408),
            "500": Canned.json(report, 500),
            "503 as HTML": Canned(b"<h1>busy</h1>", 503, "text/html"),
            "529 with Retry-After": Canned.json(report, 529, retry_after="30"),
            "hung up": Canned(status=None),
            "HTML as 200": Canned(b"<h1>welcome</h1>", 200, "text/html"),
            "empty": Canned.sse(),
            "cut": Canned.sse(part, cut=True),
            "ended early": Canned.sse(part),
            "garbage": Canned.sse(part[: part.rfind(b"\n\n") + 2], b"data: {nonsense\n\n"),
            "an error in the answer": Canned.sse(
                part[: part.rfind(b"\n\n") + 2], b"event: error\ndata: " + json.dumps(report).encode() + b"\n\n"
            ),
        }


@pytest.mark.parametrize("api", ["anthropic", "openai"])
async def test_random_faults_over_http_lose_nothing_either(tmp_path: Path, api: Any) -> None:
    clock, tally, faults = FakeClock(), Tally(), FaultyServer(11)
    breakers = Breakers(None, clock)
    async with AsyncAgent.create("") as agent:
        with LoopbackServer(faults.answer) as server:
            for number in range(max(5, int(40 * SCALE))):
                served = create_model(server.endpoint(api), ModelSettings(timeout_ms=20_000))
                model = ResilientModel([served], clock=clock, breakers=breakers, random=random.Random(number))
                await run(agent, model, tmp_path, tally)
    injected = faults.injected.total()
    lost = injected - tally.retries
    print(f"random faults over HTTP, {api}: {injected} injected, {tally.retries} survived, {lost} lost; {tally}")
    assert injected > tally.runs
    assert tally.right >= 0.99 * tally.runs
    assert lost == tally.errors.total()
    assert (tally.wrong, tally.twice, tally.missing, tally.unsaid) == (0, 0, 0, 0)
