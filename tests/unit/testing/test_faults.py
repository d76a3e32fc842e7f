from __future__ import annotations

from typing import Any

import pytest

from a3s_code.errors import ModelError, ModelProtocolError, ModelRateLimit, ModelTimeout, UsageError
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Message
from a3s_code.kernel.ports import Prompt
from a3s_code.providers.registry import create_model
from a3s_code.testing import FAULTS, FaultServer, LoopbackRequest


async def ask(server: FaultServer, api: Any = "openai", *, stream: bool = True, words: str = "hi") -> str:
    """The text of the answer, or the name of the error."""
    model = create_model(server.endpoint(api, stream=stream), ModelSettings())
    try:
        return [piece async for piece in model.stream(Prompt("", [Message.user(words)]))][-1].message.text
    except ModelError as error:
        return type(error).__name__


def test_there_are_many_faults_and_each_says_what_must_come_of_it() -> None:
    assert len(FAULTS) >= 60
    assert all(fault.name == name and fault.about.endswith(".") for name, fault in FAULTS.items())
    assert {fault.outcome for fault in FAULTS.values()} == {"answer", "retryable", "refused"}
    assert FAULTS["rate_limit"].retry_after == 7.0


async def test_faults_are_given_by_the_number_of_the_request() -> None:
    with FaultServer(["one", "two", "three"], {2: "cut_at_third"}) as server:
        heard = [await ask(server) for _ in range(4)]
    assert heard == ["one", "ModelProtocolError", "two", "three"]
    assert server.injected == {"cut_at_third": 1}


async def test_faults_are_given_in_the_order_of_the_requests() -> None:
    with FaultServer(["one", "two", "three"], ["page", None, "crlf", "rate_limit"]) as server:
        heard = [await ask(server) for _ in range(5)]
    assert heard == ["ModelProtocolError", "one", "two", "ModelRateLimit", "three"]
    assert server.injected == {"page": 1, "crlf": 1, "rate_limit": 1}


async def test_faults_are_given_by_a_function_of_the_request() -> None:
    def fault(request: LoopbackRequest) -> str | None:
        return "quota_exhausted" if "free" in request.body.decode() else None

    with FaultServer(lambda request: f"answer {request.number}", fault) as server:
        assert await ask(server, words="for free") == "ModelRateLimit"
        assert await ask(server, words="for money") == "answer 2"


async def test_an_answer_that_was_kept_from_its_client_is_given_again() -> None:
    with FaultServer(["one", "two"], ["silence_at_last", "hang_up", "reset", "status_401"]) as server:
        heard = [await ask(server) for _ in range(5)]
    assert heard == ["one", "ModelUnavailable", "ModelUnavailable", "ModelAuthError", "two"]


@pytest.mark.parametrize("api", ["anthropic", "openai"])
async def test_a_fault_that_does_not_fit_leaves_the_answer_as_it_is(api: str) -> None:
    with FaultServer(["one", "two"], ["cut_after_first_event", "cut_after_first_event"]) as server:
        assert await ask(server, api, stream=False) == "one"
        assert server.injected.total() == 0
        assert await ask(server, api) == "ModelProtocolError"
        assert server.injected.total() == 1


@pytest.mark.parametrize("faults", [{1: "rate_limits"}, ["rate_limits"]])
def test_a_name_that_no_fault_has_is_a_usage_error_with_the_nearest(faults: Any) -> None:
    with pytest.raises(UsageError, match="rate_limit") as raised:
        FaultServer(["one"], faults)
    assert "rate_limit," in (raised.value.hint or "")


async def test_the_time_to_wait_is_the_one_that_the_fault_names() -> None:
    with FaultServer(["one"], ["rate_limit", "rate_limit_ms"]) as server:
        for seconds in (7.0, 1.5):
            model = create_model(server.endpoint(), ModelSettings())
            with pytest.raises(ModelRateLimit) as raised:
                await anext(aiter(model.stream(Prompt("", [Message.user("hi")]))))
            assert raised.value.retry_after == seconds


async def test_a_spoiled_stream_shows_what_came_before_the_fault() -> None:
    with FaultServer(["one two three four five six seven eight nine ten"], ["silence_before_the_end"]) as server:
        shown: list[str] = []

        async def listen() -> None:
            model = create_model(server.endpoint(), ModelSettings(timeout_ms=200))
            async for piece in model.stream(Prompt("", [Message.user("hi")])):
                shown.append(piece.text)

        with pytest.raises(ModelTimeout):
            await listen()
    assert "".join(shown) == "one two three four five six seven eight nine ten"


async def test_a_server_of_faults_is_as_strict_as_any() -> None:
    with FaultServer(["one"], ["page"]) as server:
        model = create_model(server.endpoint(), ModelSettings())
        with pytest.raises(ModelError) as raised:
            await anext(aiter(model.stream(Prompt("", []))))
    assert not isinstance(raised.value, ModelProtocolError)
    assert server.violations == ["request 1: messages: is empty"]
    assert server.injected.total() == 0
