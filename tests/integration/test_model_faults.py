"""Every fault of a model server, in both wire formats, whole and streamed: a typed error or the whole right answer."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from a3s_code import AsyncAgent, tool
from a3s_code.errors import A3SError, ModelError, ModelProtocolError, ModelTimeout
from a3s_code.kernel.contracts import ModelSettings, Usage
from a3s_code.kernel.messages import (
    Message,
    Reasoning,
    ReasoningDelta,
    Reply,
    Text,
    TextDelta,
    ToolCall,
)
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers.endpoint import Api
from a3s_code.providers.registry import create_model
from a3s_code.providers.wire import dumps
from a3s_code.testing import FAULTS, Canned, FakeClock, Fault, FaultServer, LoopbackRequest, LoopbackServer, Raw
from a3s_code.testing.faults.fault import Truth

SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
APIS: tuple[Api, ...] = ("anthropic", "openai")
TEXT = "Look:\n\n    def f():\n        return 'ä🙂 € {}'\n\n" + "The rest of it. " * 6
CALLS = (ToolCall("c1", "read", {"path": "src/ä🙂.py"}), ToolCall("c2", "bash", {"command": "ls -l | wc"}))
SPOKEN: dict[str, tuple[Any, ...]] = {
    "text": (Text(TEXT),),
    "calls": (Text("I look."), *CALLS),
    "bare calls": CALLS,
    "thoughts": (Reasoning("Let me see: ä🙂 ...", ""), Text(TEXT), CALLS[0]),
}
REPLIES = {
    name: Reply(Message("assistant", parts), "tool_calls" if len(parts) > 1 else "end", Usage(30, 20))
    for name, parts in SPOKEN.items()
}
TOOLS = tuple(
    ToolSpec(name, "A tool.", {"type": "object", "properties": {argument: {"type": "string"}}})
    for name, argument in (("read", "path"), ("bash", "command"))
)
SHORT_MS = 250
PATIENT_MS = 20_000
SILENT = ("silence", "pings_", "empty_choices_only", "status_529_silent")
DEADLINE_SECONDS = 5.0


@dataclass(frozen=True)
class Case:
    fault: Fault
    api: Api
    streamed: bool
    spoken: str

    @property
    def name(self) -> str:
        return f"{self.fault.name}|{self.spoken}|{self.api}|{'streamed' if self.streamed else 'plain'}"

    @property
    def silent(self) -> bool:
        return self.fault.name.startswith(SILENT)


CASES = [
    Case(fault, api, streamed, spoken)
    for fault in FAULTS.values()
    for api in APIS
    for streamed in (True, False)
    for spoken in SPOKEN
    if fault.fits(Truth(REPLIES[spoken], api, 1, streamed=streamed))
]


def chosen() -> Sequence[Case]:
    """As many cases as the scale says, and each fault at least once."""
    if SCALE >= 1:
        return CASES
    shuffled = random.Random(4).sample(CASES, len(CASES))
    first = {case.fault.name: case for case in shuffled}
    rest = [case for case in shuffled if first[case.fault.name] is not case]
    return [*first.values(), *rest[: max(0, int(len(CASES) * SCALE) - len(first))]]


def asked(request: LoopbackRequest) -> list[str]:
    return str(request.json["messages"][-1]["content"]).split("|")


def wrong(case: Case, deltas: Sequence[Any], reply: Reply) -> str:
    """Where an answer is not the whole right one; empty where it is."""
    truth = REPLIES[case.spoken]
    thought = "".join(part.text for part in truth.message.parts if isinstance(part, Reasoning))
    said = {
        kind: "".join(delta.text for delta in deltas if isinstance(delta, kind)) for kind in (TextDelta, ReasoningDelta)
    }
    calls = [(call.name, call.arguments, call.malformed) for call in reply.message.calls]
    if calls != [(call.name, call.arguments, None) for call in truth.message.calls]:
        return f"calls {calls}"
    if case.fault.name != "no_ids" and [c.id for c in reply.message.calls] != [c.id for c in truth.message.calls]:
        return "ids"
    if (reply.message.text, reply.stop) != (truth.message.text, truth.stop):
        return f"text {reply.message.text!r} {reply.stop}"
    if said != {TextDelta: truth.message.text, ReasoningDelta: thought}:
        return f"deltas {said}"
    if "".join(part.text for part in reply.message.parts if isinstance(part, Reasoning)) != thought:
        return "reasoning"
    return "" if reply.usage.prompt_tokens and reply.usage.output_tokens else f"usage {reply.usage}"


class Counts:
    """What came of the calls."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()
        self.bad: list[str] = []

    def note(self, case: Case, outcome: str, detail: object = "") -> None:
        self.of[outcome] += 1
        if outcome in ("hung", "untyped", "half", "other"):
            self.bad.append(f"{case.name}: {outcome} {detail}")

    def settle(self, case: Case, error: ModelError) -> None:
        expected = {"retryable": True, "refused": False}.get(case.fault.outcome)
        waits = getattr(error, "retry_after", None)
        wanted = case.fault.retry_after
        if error.retryable is not expected:
            self.note(case, "other", repr(error))
        elif (waits is None) != (wanted is None) or (wanted and not wanted - 5 < (waits or 0) <= wanted):
            self.note(case, "other", f"waits {waits}")
        elif case.silent and case.fault.name != "status_529_silent" and not isinstance(error, ModelTimeout):
            self.note(case, "other", repr(error))
        else:
            self.note(case, "typed")


async def call(server: FaultServer, case: Case, counts: Counts) -> None:
    settings = ModelSettings(timeout_ms=SHORT_MS if case.silent else PATIENT_MS)
    model = create_model(server.endpoint(case.api, stream=case.streamed), settings)
    pieces: list[Any] = []
    began = time.monotonic()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS + settings.timeout_ms / 1000):
            async for piece in model.stream(Prompt("Be brief.", [Message.user(case.name)], TOOLS)):
                pieces.append(piece)
    except ModelError as error:
        if case.silent and time.monotonic() - began > DEADLINE_SECONDS:
            counts.note(case, "hung", repr(error))
        else:
            counts.settle(case, error)
    except TimeoutError:
        counts.note(case, "hung")
    except Exception as error:  # noqa: BLE001 - the test is about what else may come
        counts.note(case, "untyped", repr(error))
    else:
        *deltas, reply = pieces
        if case.fault.outcome != "answer":
            counts.note(case, "half", reply.message)
        elif found := wrong(case, deltas, reply):
            counts.note(case, "half", found)
        else:
            counts.note(case, "answered")


async def test_every_fault_is_a_typed_error_or_the_whole_right_answer() -> None:
    cases, counts = chosen(), Counts()
    with FaultServer(lambda request: REPLIES[asked(request)[1]], lambda request: asked(request)[0]) as server:
        turns = asyncio.Semaphore(12)

        async def take_turn(case: Case) -> None:
            async with turns:
                await call(server, case, counts)

        await asyncio.gather(*map(take_turn, random.Random(5).sample(cases, len(cases))))
        injected, names = server.injected.total(), len(server.injected)
    lost = len(cases) - counts.of["typed"] - counts.of["answered"]
    print(
        f"model faults: {names} names, {injected} injected, {counts.of['typed']} typed errors, {counts.of['answered']}"
        f" right answers, {counts.of['hung']} hung, {counts.of['untyped']} untyped, {counts.of['half']} half answers,"
        f" {lost} lost"
    )
    assert not counts.bad, "\n".join(counts.bad)
    assert (injected, lost) == (len(cases), 0)
    assert names == len(FAULTS) >= 60


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("clean", [True, False], ids=["ended", "cut"])
async def test_an_answer_that_stops_after_any_byte_is_an_error_or_whole(api: Api, clean: bool) -> None:
    reply = REPLIES["thoughts"]
    whole = Truth(reply, api, 1, streamed=True).stream
    step = max(1, round(1 / (2 * SCALE)))
    offsets = range(0, len(whole), step)
    counts: Counter[str] = Counter()

    def answer(request: LoopbackRequest) -> Canned:
        return Canned.sse(*([whole[:at]] if (at := int(asked(request)[0])) else []), cut=not clean)

    with LoopbackServer(answer) as server:
        model = create_model(server.endpoint(api), ModelSettings())
        turns = asyncio.Semaphore(8)

        async def ask(at: int) -> None:
            try:
                async with turns:
                    pieces = [p async for p in model.stream(Prompt("", [Message.user(f"{at}|")], TOOLS))]
            except ModelProtocolError:
                counts["typed"] += 1
            else:
                message = pieces[-1].message
                right = (message.text, message.calls) == (reply.message.text, reply.message.calls)
                counts["answered" if right else "half"] += 1

        await asyncio.gather(*map(ask, offsets))
    print(
        f"{api} stopped after any byte: {len(offsets)} tried, {counts['half']} half answers, {counts['typed']} failed"
    )
    assert counts["half"] == 0
    assert counts["typed"] > 0.8 * len(offsets)
    assert counts.total() == len(offsets)


@pytest.mark.parametrize("api", APIS)
async def test_what_a_connection_holds_too_much_is_never_the_next_answer(api: Api) -> None:
    """A server that answers twice: the second answer must not be taken for that to the next request."""
    truth = Truth(REPLIES["calls"], api, 1, streamed=False)
    stale = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(truth.whole)
    twice = Raw(((stale + truth.whole) * 2,), keep=True)
    with LoopbackServer([twice, "the next", twice, "and the next"]) as server:
        model = create_model(server.endpoint(api, stream=False), ModelSettings())
        texts = [
            [p async for p in model.stream(Prompt("", [Message.user("go")], TOOLS))][-1].message.text for _ in "1234"
        ]
    assert texts == ["I look.", "the next", "I look.", "and the next"]


class Sessions:
    """What the server of the sessions answers: a call, then the end; and each session's first request has a fault."""

    def __init__(self) -> None:
        self.begun: set[str] = set()
        self.requests: Counter[str] = Counter()

    def answer(self, request: LoopbackRequest) -> Any:
        messages = request.json["messages"]
        self.requests[self.case(request)] += 1
        last = messages[-1]
        answered = last["role"] == "tool" or '"tool_result"' in str(dumps(last))
        return (
            "All done: ä🙂." if answered else [Reasoning("Hm.", ""), "I count.", ToolCall("c1", "count", {"by": "ä🙂"})]
        )

    def fault(self, request: LoopbackRequest) -> str | None:
        case = self.case(request)
        if case in self.begun:
            return None
        self.begun.add(case)
        return case.partition("|")[0]

    def case(self, request: LoopbackRequest) -> str:
        body = request.body.decode()
        at = body.index("CASE ") + 5
        return body[at : body.index(" END", at)]


CONFIG = """
default_model = "{api}/m"
providers "{api}" {{
  api_key = "key-for-the-test"
  base_url = "{url}"
  stream = {stream}
}}
"""


async def test_a_run_survives_each_fault_that_may_pass_and_runs_its_tool_once(tmp_path: Any) -> None:
    chosen_cases = list({f"{c.fault.name}|{c.api}|{c.streamed}": c for c in chosen() if c.spoken != "text"}.values())
    sessions, bad, outcomes = Sessions(), [], Counter[str]()
    with FaultServer(sessions.answer, sessions.fault) as server:
        turns = asyncio.Semaphore(6)

        async def run(case: Case, agent: AsyncAgent) -> None:
            runs: list[str] = []

            @tool(effects=())
            async def count(by: str) -> str:
                """Count."""
                runs.append(by)
                return "counted"

            clock, name = FakeClock(), f"{case.fault.name}|{case.api}|{case.streamed}"
            patience = SHORT_MS if case.silent else PATIENT_MS
            session = agent.session(tmp_path, tools=[count], clock=clock, llm_api_timeout_ms=patience)
            text, error = "", None
            try:
                async with turns, asyncio.timeout(20):
                    text = (await session.send(f"CASE {name} END")).text
            except A3SError as raised:
                error = raised
            finally:
                await session.close()
            survives = case.fault.outcome != "refused" and (case.fault.retry_after or 0) <= 120
            asked = 1 if not survives else 2 + (case.fault.outcome == "retryable")
            right = (text, runs) == (("All done: ä🙂.", ["ä🙂"]) if survives else ("", []))
            waited = not case.fault.retry_after or not survives or clock.slept[0] > case.fault.retry_after - 5
            outcomes["survived" if survives else "refused"] += 1
            typed = error is None if survives else isinstance(error, ModelError)
            if not right or not typed or not waited or sessions.requests[name] != asked:
                bad.append(f"{name}: {text!r} {runs} {error!r} {sessions.requests[name]} requests, slept {clock.slept}")

        async with AsyncExitStack() as stack:
            jobs = []
            for api in APIS:
                for streamed in (True, False):
                    acl = CONFIG.format(api=api, url=server.base_url, stream=str(streamed).lower())
                    agent = await stack.enter_async_context(AsyncAgent.create(acl))
                    jobs += [run(case, agent) for case in chosen_cases if (case.api, case.streamed) == (api, streamed)]
            await asyncio.gather(*jobs)
        assert server.violations == []
    names = len({case.fault.name for case in chosen_cases})
    print(
        f"runs with a fault: {names} names, {len(chosen_cases)} injected, {outcomes['survived']} survived,"
        f" {outcomes['refused']} refused at once, {len(bad)} lost"
    )
    assert not bad, "\n".join(bad)
