"""The model that fails at random."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from a3s_code.errors import InvalidOption, ModelError
from a3s_code.kernel.messages import Message, Reply, TextDelta, ToolInputDelta
from a3s_code.kernel.ports import ChatModel, Prompt
from a3s_code.testing import FaultyModel, ScriptedModel
from a3s_code.testing.faulty import FINAL, RETRYABLE

PROMPT = Prompt("", (Message.user("hi"),))


async def listen(model: ChatModel) -> tuple[list[Any], ModelError | None]:
    """What a model says, and how it fails."""
    pieces: list[Any] = []
    try:
        async for piece in model.stream(PROMPT):
            pieces.append(piece)
    except ModelError as error:
        return pieces, error
    return pieces, None


@pytest.mark.parametrize("name", RETRYABLE)
async def test_a_retryable_fault_ends_in_a_retryable_error_or_without_a_reply(name: str) -> None:
    model = FaultyModel(ScriptedModel([], name="acme/m"), p=1, faults=[name])
    pieces, error = await listen(model)
    assert not [piece for piece in pieces if isinstance(piece, Reply)]
    assert error is None or (error.retryable and error.provider == "acme")
    assert ("in_" in name) == bool(pieces)
    assert ("tool_call" in name) == any(isinstance(piece, ToolInputDelta) for piece in pieces)
    assert model.injected == {name: 1}


@pytest.mark.parametrize("name", FINAL)
async def test_a_final_fault_is_an_error_that_no_retry_mends(name: str) -> None:
    pieces, error = await listen(FaultyModel(ScriptedModel([]), p=1, faults=[name]))
    assert not pieces
    assert error is not None
    assert not error.retryable


async def test_a_fault_takes_no_reply_from_a_script() -> None:
    script = ScriptedModel([f"reply {number}" for number in range(50)], name="acme/m")
    model = FaultyModel(script, p=0.5, seed=3)
    heard: list[str] = []
    while len(heard) < 50:
        pieces, _ = await listen(model)
        heard += [piece.message.text for piece in pieces if isinstance(piece, Reply)]
    assert heard == [f"reply {number}" for number in range(50)]
    assert model.calls == 50 + model.injected.total()
    assert len(script.prompts) == 50
    assert model.name == "acme/m"


async def test_faults_come_as_often_as_asked_and_the_same_for_a_seed() -> None:
    async def faults(seed: int, p: float) -> Counter[str]:
        model = FaultyModel(ScriptedModel(["x"] * 1000), p=p, seed=seed)
        for _ in range(1000):
            await listen(model)
        return model.injected

    first = await faults(1, 0.3)
    assert 240 < first.total() < 360
    assert set(first) == set(RETRYABLE)
    assert first == await faults(1, 0.3)
    assert first != await faults(2, 0.3)
    assert not await faults(1, 0)


async def test_what_is_said_before_a_fault_is_not_from_the_model() -> None:
    pieces, error = await listen(FaultyModel(ScriptedModel(["the answer"]), p=1, faults=["cut_in_text"]))
    assert error is not None
    assert "the answer" not in "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))


@pytest.mark.parametrize("faults", [["rate_limit", "rain"], []])
def test_a_fault_that_does_not_exist_is_refused(faults: list[str]) -> None:
    with pytest.raises(InvalidOption) as caught:
        FaultyModel(ScriptedModel([]), faults=faults)
    assert caught.value.field == "faults"
