"""A model that asks again, or asks another one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest

from a3s_code.errors import (
    A3SError,
    ConfigError,
    ContextOverflow,
    InvalidOption,
    ModelAuthError,
    ModelCircuitOpen,
    ModelError,
    ModelProtocolError,
    ModelRateLimit,
    ModelRequestError,
    ModelTimeout,
    ModelUnavailable,
    ReplayMismatch,
)
from a3s_code.kernel.contracts import ModelSettings, Usage
from a3s_code.kernel.messages import (
    Image,
    Message,
    Observation,
    Piece,
    Reasoning,
    Reply,
    Retry,
    Text,
    TextDelta,
    ToolCall,
    ToolInputDelta,
)
from a3s_code.kernel.ports import ChatModel, Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers.breaker import Breakers
from a3s_code.providers.registry import create_model
from a3s_code.providers.resilience import ResilientModel
from a3s_code.testing import Canned, FakeClock, FaultyModel, LoopbackServer, ScriptedModel

PROMPT = Prompt("", (Message.user("hi"),))
APIS = pytest.mark.parametrize("api", ["anthropic", "openai"])


class Pieces:
    """A model that gives prepared pieces: one list a call, where an exception is raised and a number slept."""

    def __init__(self, *calls: Iterable[Any], name: str = "acme/m") -> None:
        self.name = name
        self._calls = list(calls)
        self.asked = 0
        self.open = 0

    async def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
        self.asked += 1
        self.open += 1
        try:
            for piece in self._calls[self.asked - 1]:
                if isinstance(piece, BaseException):
                    raise piece
                if isinstance(piece, float):
                    await asyncio.sleep(piece)
                else:
                    yield piece
        finally:
            self.open -= 1


class Stage:
    """A resilient model on a fake clock, and what it said."""

    def __init__(self, *models: ChatModel, threshold: int | None = None, seed: int = 7, **options: Any) -> None:
        self.clock = FakeClock(start_ms=0)
        self.breakers = Breakers(threshold, self.clock)
        self.model = ResilientModel(
            models, clock=self.clock, breakers=self.breakers, random=random.Random(seed), **options
        )
        self.heard: list[Any] = []

    async def ask(self, prompt: Prompt = PROMPT) -> str:
        """The text of the reply."""
        self.heard.clear()
        async for piece in self.model.stream(prompt):
            self.heard.append(piece)
        assert isinstance(self.heard[-1], Reply)
        return self.heard[-1].message.text

    async def fail(self, prompt: Prompt = PROMPT) -> A3SError:
        with pytest.raises(A3SError) as caught:
            await self.ask(prompt)
        return caught.value

    @property
    def retries(self) -> list[Retry]:
        return [piece for piece in self.heard if isinstance(piece, Retry)]


def busy(number: int = 1, **fields: Any) -> list[Any]:
    return [ModelUnavailable("busy", **fields) for _ in range(number)]


def reply(text: str = "done") -> Reply:
    return Reply(Message("assistant", (Text(text),)), "end", Usage(1, 1))


def scripted(*replies: Any, name: str = "acme/m") -> ScriptedModel:
    return ScriptedModel(replies, name=name)


async def test_an_answer_passes_unchanged_and_nothing_waits() -> None:
    plain = [piece async for piece in scripted("a text of some length").stream(PROMPT)]
    stage = Stage(scripted("a text of some length"))
    assert await stage.ask() == "a text of some length"
    assert stage.heard == plain
    assert stage.clock.slept == []
    assert stage.model.name == "acme/m"


async def test_a_retry_is_told_before_it_is_waited_for() -> None:
    stage = Stage(scripted(*busy(2), "done"))
    times = [(type(piece), stage.clock.now_ms()) async for piece in stage.model.stream(PROMPT)]
    first, second = stage.clock.slept
    assert times[0] == (Retry, 0)
    assert times[1] == (Retry, round(first * 1000))
    assert times[2] == (TextDelta, round((first + second) * 1000))


async def test_delays_double_with_jitter_up_to_a_bound() -> None:
    stage = Stage(scripted(*busy(11), "done"), max_attempts=12)
    await stage.ask()
    assert [retry.attempt for retry in stage.retries] == list(range(2, 13))
    assert [retry.delay_ms / 1000 for retry in stage.retries] == stage.clock.slept
    for most, slept in zip([0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30], stage.clock.slept, strict=True):
        assert most / 2 <= slept <= most
    other = Stage(scripted(*busy(11), "done"), max_attempts=12, seed=8)
    await other.ask()
    assert other.clock.slept != stage.clock.slept


async def test_the_ninth_call_of_a_turn_is_never_made() -> None:
    model = scripted(*busy(8), "too late")
    stage = Stage(model)
    error = await stage.fail()
    assert isinstance(error, ModelUnavailable)
    assert len(model.prompts) == 8
    assert len(stage.retries) == len(stage.clock.slept) == 7
    assert error.__notes__ == ["given up after 8 calls of acme/m"]


async def test_the_next_turn_has_all_its_calls_again() -> None:
    model = scripted(*busy(7), "one", *busy(7), "two")
    stage = Stage(model)
    assert [await stage.ask(), await stage.ask()] == ["one", "two"]


@pytest.mark.parametrize("kind", [ModelRateLimit, ModelUnavailable])
async def test_retry_after_7_waits_7_seconds(kind: Any) -> None:
    stage = Stage(scripted(kind("slow down", retry_after=7.0), "done"))
    assert await stage.ask() == "done"
    assert stage.clock.slept == [7.0]
    assert [(retry.attempt, retry.delay_ms, retry.model) for retry in stage.retries] == [(2, 7000, "acme/m")]


async def test_retry_after_0_still_waits_a_little() -> None:
    stage = Stage(scripted(*busy(3, retry_after=0.0), "done"))
    await stage.ask()
    assert all(seconds >= 0.25 for seconds in stage.clock.slept)


async def test_retry_after_120_is_waited_for_and_121_is_an_error_at_once() -> None:
    stage = Stage(scripted(ModelRateLimit("slow down", retry_after=120.0), "done"))
    assert await stage.ask() == "done"
    assert stage.clock.slept == [120.0]
    model = scripted(ModelRateLimit("slow down", retry_after=121.0), "done")
    stage = Stage(model)
    error = await stage.fail()
    assert isinstance(error, ModelRateLimit)
    assert error.retry_after == 121.0
    assert len(model.prompts) == 1
    assert stage.clock.slept == []


async def test_retry_after_121_goes_to_the_fallback_at_once() -> None:
    spare = scripted("spare", name="spare/m")
    stage = Stage(scripted(ModelRateLimit("slow down", retry_after=121.0), "done"), spare)
    assert await stage.ask() == "spare"
    assert stage.clock.slept == []


@APIS
async def test_retry_after_is_honoured_over_http(api: Any) -> None:
    busy = Canned.json({"error": {"message": "slow down"}}, 429, retry_after="7")
    gone = Canned.json({"error": {"message": "slow down"}}, 529, retry_after="121")
    with LoopbackServer([busy, "done", gone]) as server:
        stage = Stage(create_model(server.endpoint(api), ModelSettings()))
        assert await stage.ask() == "done"
        assert stage.clock.slept == [7.0]
        error = await stage.fail()
        assert isinstance(error, ModelUnavailable)
        assert error.retry_after == 121.0
        assert stage.clock.slept == [7.0]
        assert len(server.requests) == 3


@APIS
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "no"),
        (400, "prompt is too long"),
        (401, "no"),
        (402, "no"),
        (403, "no"),
        (404, "no"),
        (405, "no"),
        (413, "no"),
        (422, "no"),
        (429, "insufficient_quota"),
    ],
)
async def test_what_no_retry_mends_costs_exactly_one_request(api: Any, status: int, message: str) -> None:
    with LoopbackServer([Canned.json({"error": {"message": message}}, status), "a second"]) as server:
        stage = Stage(create_model(server.endpoint(api), ModelSettings()))
        error = await stage.fail()
        assert isinstance(error, ModelError)
        assert error.status == status
        assert len(server.requests) == 1
    assert stage.heard == []


@APIS
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_what_may_pass_is_asked_again(api: Any, status: int) -> None:
    with LoopbackServer([Canned.json({"error": {"message": "busy"}}, status), "done"]) as server:
        stage = Stage(create_model(server.endpoint(api), ModelSettings()))
        assert await stage.ask() == "done"
        assert len(server.requests) == 2


async def test_a_half_answer_is_withdrawn_and_its_usage_estimated() -> None:
    half = [TextDelta("x" * 36), ToolInputDelta("y" * 36), ModelProtocolError("cut")]
    tools = (ToolSpec("read", "Reads.", {"type": "object"}),)
    history = (
        Message.user("u" * 360, (Image("image/png", b"123"),)),
        Message("assistant", (Reasoning("r" * 360, "acme/m"), ToolCall("1", "read", {"path": "p" * 360}))),
        Message("tool", (Observation("1", "read", "o" * 360, images=(Image("image/png", b"123"),)),)),
    )
    stage = Stage(Pieces(half, [TextDelta("done"), reply()]))
    assert await stage.ask(Prompt("s" * 360, history, tools)) == "done"
    (retry,) = stage.retries
    assert stage.heard[:3] == [TextDelta("x" * 36), ToolInputDelta("y" * 36), retry]
    assert retry.usage.estimated
    assert retry.usage.output_tokens == 20
    assert 3400 < retry.usage.input_tokens < 3500  # the reasoning is not sent


async def test_a_call_that_said_nothing_used_nothing() -> None:
    stage = Stage(Pieces([ModelTimeout("silence")], [reply()]))
    await stage.ask()
    assert stage.retries[0].usage == Usage()


@pytest.mark.parametrize("said", [[], [TextDelta("half")]])
async def test_an_answer_without_its_end_is_asked_for_again(said: list[Any]) -> None:
    stage = Stage(Pieces(said, [TextDelta("done"), reply()]))
    assert await stage.ask() == "done"
    assert isinstance(stage.retries[0].error, ModelProtocolError)
    assert "acme/m ended its answer" in str(stage.retries[0].error)


async def test_what_comes_after_the_reply_is_for_the_reader_to_judge() -> None:
    model = Pieces([reply(), TextDelta("more"), reply()], [reply("again")])
    assert [piece async for piece in Stage(model).model.stream(PROMPT)] == [reply(), TextDelta("more"), reply()]
    late = Pieces([reply(), ModelProtocolError("late")], [reply("again")])
    stage = Stage(late)
    assert isinstance(await stage.fail(), ModelProtocolError)
    assert (late.asked, stage.retries) == (1, [])


async def test_a_stream_is_closed_before_the_next_call_and_at_the_end() -> None:
    open_at: list[int] = []

    class Watched(Pieces):
        def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
            open_at.append(self.open)
            return super().stream(prompt)

    model = Watched([TextDelta("a"), ModelTimeout("silence")], [TextDelta("b")], [TextDelta("c"), reply()])
    stage = Stage(model)
    await stage.ask()
    assert open_at == [0, 0, 0]
    stream = Watched([TextDelta("a"), reply()])
    pieces = Stage(stream).model.stream(PROMPT)
    assert await anext(pieces) == TextDelta("a")
    assert stream.open == 1
    await pieces.aclose()  # type: ignore[attr-defined] # the stream is a generator
    assert stream.open == 0


@pytest.mark.parametrize(
    "error", [ConfigError("no key"), RuntimeError("a bug"), TimeoutError("not ours"), A3SError("x")]
)
@pytest.mark.parametrize("limit", [None, 60_000])
async def test_what_is_no_model_error_passes_untouched(error: Exception, limit: int | None) -> None:
    model = Pieces([TextDelta("a"), error], [reply()])
    stage = Stage(model, scripted("spare", name="spare/m"), total_timeout_ms=limit)
    with pytest.raises(type(error)) as caught:
        await stage.ask()
    assert caught.value is error
    assert (model.asked, model.open) == (1, 0)


async def test_a_model_that_fails_before_it_streams_is_handled_too() -> None:
    class Refusing:
        name = "acme/m"

        def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
            raise ModelUnavailable("no")

    stage = Stage(Refusing(), scripted("spare", name="spare/m"))
    assert await stage.ask() == "spare"
    assert len(stage.retries) == 4


async def test_a_cancel_passes_at_once() -> None:
    model = Pieces([TextDelta("a"), 60.0], [reply()])
    stage = Stage(model)
    task = asyncio.create_task(stage.ask())
    await asyncio.sleep(0.01)
    assert model.open == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (model.asked, model.open) == (1, 0)


async def test_a_cancel_while_it_waits_makes_no_further_call() -> None:
    class Endless(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(60)

    clock = Endless()
    model = Pieces(busy(), [reply()])
    resilient = ResilientModel([model], clock=clock, breakers=Breakers(3, clock))
    pieces = resilient.stream(PROMPT)
    assert isinstance(await anext(pieces), Retry)
    task = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.asked == 1


async def test_a_call_that_takes_too_long_in_all_is_made_again() -> None:
    slow = [TextDelta("slow"), *[0.03, TextDelta("er")] * 50, reply()]
    model = Pieces(slow, [TextDelta("done"), 0.01, reply()])
    stage = Stage(model, total_timeout_ms=200)
    assert await stage.ask() == "done"
    (retry,) = stage.retries
    assert isinstance(retry.error, ModelTimeout)
    assert "no whole reply within 0.2 s" in str(retry.error)
    assert "llm_total_timeout_ms" in (retry.error.hint or "")
    assert retry.usage.output_tokens > 0
    assert (model.asked, model.open) == (2, 0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_the_time_of_the_consumer_is_not_the_models() -> None:
    stage = Stage(Pieces([TextDelta("a"), TextDelta("b"), reply()]), total_timeout_ms=50)
    heard: list[Any] = []
    async for piece in stage.model.stream(PROMPT):
        heard.append(piece)
        await asyncio.sleep(0.06)
    assert heard == [TextDelta("a"), TextDelta("b"), reply()]


@APIS
async def test_the_whole_limit_holds_over_http_and_leaves_no_connection(api: Any) -> None:
    event = b'event: ping\ndata: {"type": "ping"}\n\n' if api == "anthropic" else b'data: {"choices": []}\n\n'
    with LoopbackServer([Canned.sse(*[event, 0.02] * 500), "done"]) as server:
        stage = Stage(create_model(server.endpoint(api), ModelSettings()), total_timeout_ms=300)
        assert await stage.ask() == "done"
        assert isinstance(stage.retries[0].error, ModelTimeout)
        assert await asyncio.to_thread(server.requests[0].gone.wait, 2)


async def test_models_share_the_calls_of_a_turn() -> None:
    first, second = scripted(*busy(9)), scripted(*busy(9), name="spare/m")
    stage = Stage(first, second)
    error = await stage.fail()
    assert (len(first.prompts), len(second.prompts)) == (4, 4)
    asked = [(retry.attempt, retry.model, retry.delay_ms > 0) for retry in stage.retries]
    assert asked == [
        (2, "acme/m", True),
        (3, "acme/m", True),
        (4, "acme/m", True),
        (5, "spare/m", False),
        (6, "spare/m", True),
        (7, "spare/m", True),
        (8, "spare/m", True),
    ]
    assert stage.retries[4].delay_ms <= 500, "the delays begin anew with each model"
    assert error.__notes__ == ["given up after 8 calls of acme/m, spare/m"]


async def test_what_a_model_leaves_is_for_the_next() -> None:
    first = scripted(ModelAuthError("no", status=401))
    second = scripted(*busy(6), "done", name="spare/m")
    assert await Stage(first, second).ask() == "done"
    assert len(first.prompts) == 1


async def test_no_model_is_asked_once_the_calls_are_used_up() -> None:
    models = [scripted(*busy(9), name=f"acme/{number}") for number in range(5)]
    await Stage(*models, max_attempts=3).fail()
    assert [len(model.prompts) for model in models] == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    "error",
    [
        ModelAuthError("no", status=401),
        ModelAuthError("no", status=403),
        ModelRequestError("no", status=404),
        ModelRequestError("no", status=405),
        ModelRateLimit("used up", retryable=False),
        ModelError("something else"),
    ],
)
async def test_the_next_model_is_asked_where_one_cannot_be(error: ModelError) -> None:
    stage = Stage(scripted(error), scripted("spare", name="spare/m"))
    assert await stage.ask() == "spare"
    assert [(retry.attempt, retry.delay_ms, retry.error, retry.model) for retry in stage.retries] == [
        (2, 0, error, "spare/m")
    ]


@pytest.mark.parametrize(
    "error",
    [
        ModelRequestError("no", status=400),
        ModelRequestError("no", status=413),
        ModelRequestError("no", status=422),
        ModelRequestError("in the midst of an answer", status=200),
        ContextOverflow("too long", status=500),
        ReplayMismatch("not as recorded"),
    ],
)
async def test_a_request_that_every_model_would_refuse_goes_to_none(error: ModelError) -> None:
    spare = scripted("spare", name="spare/m")
    assert await Stage(scripted(error), spare).fail() is error
    assert not spare.prompts


async def test_a_model_that_keeps_failing_is_left_alone_and_then_tried_once() -> None:
    model = scripted(*busy(6), *busy(1), "done", "and on")
    stage = Stage(model, threshold=3, max_attempts=2)
    for _ in range(3):
        assert type(await stage.fail()) is ModelUnavailable
    refused = await stage.fail()
    assert isinstance(refused, ModelCircuitOpen)
    assert refused.retry_after == 30
    assert stage.heard == []
    assert len(model.prompts) == 6
    stage.clock.advance(30)
    assert type(await stage.fail()) is ModelUnavailable
    assert len(model.prompts) == 7, "a trial is one call"
    stage.clock.advance(59)
    assert isinstance(await stage.fail(), ModelCircuitOpen)
    stage.clock.advance(1)
    assert await stage.ask() == "done"
    assert await stage.ask() == "and on"


async def test_while_a_model_is_left_alone_the_next_is_asked_without_a_wait() -> None:
    first = scripted(*busy(1))
    stage = Stage(first, scripted("one", "two", name="spare/m"), threshold=1, max_attempts=2)
    assert await stage.ask() == "one"
    assert await stage.ask() == "two"
    (retry,) = stage.retries
    assert (retry.attempt, retry.delay_ms, retry.model) == (1, 0, "spare/m")
    assert isinstance(retry.error, ModelCircuitOpen)
    assert len(first.prompts) == 1
    assert stage.clock.slept == []


async def test_a_model_keeps_all_calls_while_the_next_is_left_alone() -> None:
    first, second = scripted(*busy(7), "done"), scripted(name="spare/m")
    stage = Stage(first, second, threshold=1)
    stage.breakers.admit("spare/m").failed()
    assert await stage.ask() == "done"


async def test_the_error_of_a_call_tells_more_than_a_breaker() -> None:
    clockwork = Stage(scripted(ModelAuthError("no", status=401)), scripted(name="spare/m"), threshold=1)
    clockwork.breakers.admit("spare/m").failed()
    assert isinstance(await clockwork.fail(), ModelAuthError)


async def test_a_refusal_shows_that_the_model_is_there() -> None:
    model = scripted(*busy(1), ModelRequestError("no", status=400), *busy(1), "done")
    stage = Stage(model, threshold=2, max_attempts=1)
    for _ in range(3):
        await stage.fail()
    assert await stage.ask() == "done"


async def test_sessions_that_share_breakers_share_what_they_learnt() -> None:
    first = Stage(scripted(*busy(1)), threshold=1, max_attempts=1)
    await first.fail()
    other = scripted("done")
    second = ResilientModel([other], clock=first.clock, breakers=first.breakers)
    with pytest.raises(ModelCircuitOpen):
        await anext(second.stream(PROMPT))
    assert not other.prompts


@pytest.mark.parametrize("how", ["cancelled", "left", "bug"])
async def test_a_trial_that_is_broken_off_lets_another_one_in(how: str) -> None:
    last = RuntimeError("a bug") if how == "bug" else 60.0
    model = Pieces(busy(), [TextDelta("a"), last], [reply()])
    stage = Stage(model, threshold=1, max_attempts=1)
    await stage.fail()
    stage.clock.advance(30)
    pieces = stage.model.stream(PROMPT)
    assert await anext(pieces) == TextDelta("a")
    with pytest.raises(ModelCircuitOpen):
        await anext(stage.model.stream(PROMPT))
    if how == "left":
        await pieces.aclose()  # type: ignore[attr-defined] # the stream is a generator
    else:
        task = asyncio.ensure_future(anext(pieces))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises((asyncio.CancelledError, RuntimeError)):
            await task
    assert await stage.ask() == "done"


async def test_a_reply_counts_also_for_who_stops_listening_there() -> None:
    stage = Stage(Pieces(busy(), [reply(), TextDelta("more")], busy(), [reply()]), threshold=2, max_attempts=1)
    await stage.fail()
    pieces = stage.model.stream(PROMPT)
    assert isinstance(await anext(pieces), Reply)
    await pieces.aclose()  # type: ignore[attr-defined] # the stream is a generator
    await stage.fail()
    assert await stage.ask() == "done"


async def test_a_resilient_model_may_stand_in_another() -> None:
    inner = Stage(scripted(*busy(2), "done"), max_attempts=2)
    outer = ResilientModel([inner.model], clock=inner.clock, breakers=inner.breakers)
    heard = [piece async for piece in outer.stream(PROMPT)]
    assert [type(piece) for piece in heard] == [Retry, Retry, TextDelta, Reply]


async def test_what_a_model_withdrew_itself_is_not_counted_twice() -> None:
    half = [TextDelta("half"), Retry(2, 0, ModelTimeout("silence"), "acme/m", Usage(1, 1)), ModelTimeout("silence")]
    stage = Stage(Pieces(half, [reply()]))
    assert await stage.ask() == "done"
    assert stage.retries[1].usage == Usage()


@pytest.mark.parametrize("options", [{"models": []}, {"max_attempts": 0}])
def test_options_that_make_no_call_are_refused(options: dict[str, Any]) -> None:
    clock = FakeClock()
    given: dict[str, Any] = {"models": [scripted()], "clock": clock, "breakers": Breakers(3, clock), **options}
    with pytest.raises(InvalidOption):
        ResilientModel(given.pop("models"), **given)


async def test_one_model_serves_several_turns_at_once() -> None:
    answer: Callable[[Prompt], str] = lambda prompt: prompt.messages[0].text  # noqa: E731 - a script's item
    faulty = FaultyModel(scripted(*[answer] * 100), p=0.5, seed=5)
    stage = Stage(faulty, max_attempts=30)

    async def ask(text: str) -> str:
        pieces = [piece async for piece in stage.model.stream(Prompt("", (Message.user(text),)))]
        return pieces[-1].message.text if isinstance(pieces[-1], Reply) else ""

    texts = [f"question {number}" for number in range(100)]
    assert await asyncio.gather(*map(ask, texts)) == texts
    assert faulty.injected.total() > 50
