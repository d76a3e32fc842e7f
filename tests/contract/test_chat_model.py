"""What every ChatModel owes: deltas, then exactly one Reply, last; text that adds up; errors of ours only."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from a3s_code.errors import ModelError
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import (
    Message,
    Observation,
    ReasoningDelta,
    Reply,
    TextDelta,
    ToolCall,
    ToolInputDelta,
)
from a3s_code.kernel.ports import ChatModel, Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers.registry import create_model
from a3s_code.testing import LoopbackServer, RecordingModel, ReplayModel, ScriptedModel

KINDS = ["anthropic", "anthropic whole", "openai", "openai whole", "scripted", "recording", "replay"]
TEXT = "Look:\n\n    def f():\n        return 'ä🙂'\n"
CALLS = (ToolCall("c1", "read", {"path": "a.py"}), ToolCall("c2", "bash", {"command": "ls -l"}))
SCRIPT: list[Any] = [[TEXT, *CALLS], "Done.", "Again.", "And again."]
SYSTEM = "Be brief."
TOOLS = (
    ToolSpec("read", "Read a file.", {"type": "object", "properties": {"path": {"type": "string"}}}),
    ToolSpec("bash", "Run a command.", {"type": "object", "properties": {"command": {"type": "string"}}}),
)
FIRST = Prompt(SYSTEM, (Message.user("Go."),), TOOLS)
SECOND = Prompt(
    SYSTEM,
    (
        *FIRST.messages,
        Message("assistant", CALLS),
        Message("tool", (Observation("c1", "read", "x"), Observation("c2", "bash", "y"))),
    ),
    TOOLS,
)


async def collect(stream: AsyncIterator[Any]) -> list[Any]:
    return [piece async for piece in stream]


def record(path: Path) -> None:
    """Make the recording of the conversation that the tests have."""

    async def have(model: ChatModel) -> None:
        for prompt in (FIRST, SECOND, SECOND, SECOND):
            await collect(model.stream(prompt))

    asyncio.run(have(RecordingModel(ScriptedModel(SCRIPT), path)))


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChatModel]:
    kind: str = request.param
    if kind == "scripted":
        yield ScriptedModel(SCRIPT)
    elif kind == "recording":
        yield RecordingModel(ScriptedModel(SCRIPT), tmp_path / "recording.json")
    elif kind == "replay":
        record(tmp_path / "recording.json")
        yield ReplayModel(tmp_path / "recording.json")
    else:
        api, _, whole = kind.partition(" ")
        with LoopbackServer(SCRIPT, chunking=11) as server:
            yield create_model(server.endpoint(api, stream=not whole), ModelSettings())


async def test_the_name_is_provider_and_model(model: ChatModel) -> None:
    provider, _, name = model.name.partition("/")
    assert provider
    assert name


async def test_deltas_come_first_and_one_reply_comes_last(model: ChatModel) -> None:
    *deltas, reply = await collect(model.stream(FIRST))
    assert isinstance(reply, Reply)
    assert deltas
    assert all(isinstance(delta, TextDelta | ReasoningDelta | ToolInputDelta) for delta in deltas)


async def test_the_text_deltas_are_the_text_of_the_reply(model: ChatModel) -> None:
    *deltas, reply = await collect(model.stream(FIRST))
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == reply.message.text == TEXT


async def test_calls_come_in_order_with_their_ids_and_arguments(model: ChatModel) -> None:
    *deltas, reply = await collect(model.stream(FIRST))
    assert reply.message.calls == CALLS
    assert reply.stop == "tool_calls"
    written = "".join(delta.text for delta in deltas if isinstance(delta, ToolInputDelta))
    assert "a.py" in written
    assert "ls -l" in written


async def test_a_reply_is_from_the_assistant_and_has_a_cost(model: ChatModel) -> None:
    *_, reply = await collect(model.stream(FIRST))
    assert reply.message.role == "assistant"
    assert reply.usage.prompt_tokens > 0
    assert reply.usage.output_tokens > 0


async def test_a_conversation_goes_on(model: ChatModel) -> None:
    await collect(model.stream(FIRST))
    *_, reply = await collect(model.stream(SECOND))
    assert reply.message.text == "Done."
    assert reply.stop == "end"


async def test_the_prompt_is_left_as_it_was(model: ChatModel) -> None:
    history = list(FIRST.messages)
    await collect(model.stream(Prompt(SYSTEM, history, TOOLS)))
    assert history == list(FIRST.messages)


async def test_a_stream_may_be_left_early_and_the_model_used_again(model: ChatModel) -> None:
    before = asyncio.all_tasks()
    stream = model.stream(FIRST)
    await anext(stream)
    await stream.aclose()
    # Generators below the SDKs are closed by the loop, in its next turns.
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    *_, reply = await collect(model.stream(SECOND))
    assert reply.message.text == "Done."


async def test_what_it_cannot_answer_is_a_model_error(model: ChatModel) -> None:
    await collect(model.stream(FIRST))
    for _ in range(3):
        await collect(model.stream(SECOND))
    with pytest.raises(ModelError):
        await collect(model.stream(SECOND))


def test_it_serves_several_event_loops(model: ChatModel) -> None:
    asyncio.run(collect(model.stream(FIRST)))
    heard: list[str] = []

    def go_on() -> None:
        heard.append(asyncio.run(collect(model.stream(SECOND)))[-1].message.text)

    threads = [threading.Thread(target=go_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == ["Again.", "And again.", "Done."]
