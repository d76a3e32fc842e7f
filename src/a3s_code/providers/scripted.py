"""A model that says what a script tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from a3s_code.errors import ModelError, UsageError
from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import (
    Delta,
    Message,
    Observation,
    Part,
    Reasoning,
    ReasoningDelta,
    Reply,
    Text,
    TextDelta,
    ToolCall,
    ToolInputDelta,
)
from a3s_code.kernel.ports import Prompt
from a3s_code.providers.wire import dumps, estimated_tokens

ScriptItem = str | Part | Sequence[str | Part] | Reply | Exception | Callable[[Any], Any]


class ScriptedModel:
    """A ChatModel that answers with `replies`, one a request, in order.

    A reply is text, a part of a message (ToolCall, Reasoning, ...), a list of these, a whole Reply, an exception to
    raise, or a function of the Prompt that gives any of them. `prompts` holds what the model was asked.
    """

    def __init__(self, replies: Iterable[ScriptItem] = (), *, name: str = "scripted/model") -> None:
        self._replies = list(replies)
        self._name = name
        self.prompts: list[Prompt] = []

    @property
    def name(self) -> str:
        return self._name

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta | Reply]:
        """As ChatModel.stream; raises ModelError when the script has no further reply."""
        self.prompts.append(replace(prompt, messages=tuple(prompt.messages)))
        number = len(self.prompts)
        if number > len(self._replies):
            raise ModelError(
                f"the script of {self._name} has no reply for request {number}; it holds {len(self._replies)}",
                provider=self._name.partition("/")[0],
                hint="add a reply, or find out why the model is asked once more",
            )
        asked = sum(len(text) for message in prompt.messages for text in _texts(message))
        reply = as_reply(self._replies[number - 1], prompt, asked + len(prompt.system), self._name)
        for delta in deltas_of(reply.message.parts):
            await asyncio.sleep(0)
            yield delta
        yield reply


def as_reply(item: Any, asked: Any, size: int, name: str) -> Reply:
    """What a script's item stands for: functions are called with `asked`, of `size` bytes, exceptions raised."""
    while callable(item):
        item = item(asked)
    if isinstance(item, Exception):
        raise item
    if isinstance(item, Reply):
        return item
    message = Message("assistant", tuple(Text(part) if isinstance(part, str) else part for part in _listed(item)))
    said = sum(len(text) for text in _texts(message))
    usage = Usage(estimated_tokens(size), estimated_tokens(said), estimated=True)
    return Reply(message, "tool_calls" if message.calls else "end", usage, name)


def deltas_of(parts: Iterable[Part], size: int = 16) -> Iterator[Delta]:
    """The parts as a stream of pieces of `size` characters, text byte for byte."""
    for part in parts:
        match part:
            case Text(text):
                yield from map(TextDelta, _cut(text, size))
            case Reasoning(text):
                yield from map(ReasoningDelta, _cut(text, size))
            case ToolCall():
                yield from map(ToolInputDelta, _cut(written(part), size))
            case _:
                pass


def written(call: ToolCall) -> str:
    """The argument text of a call as a model writes it."""
    return dumps(call.arguments).decode() if call.malformed is None else call.malformed


def _listed(item: Any) -> Sequence[str | Part]:
    listed = item if isinstance(item, Sequence) and not isinstance(item, str) else [item]
    for part in listed:
        if not isinstance(part, str | Text | Reasoning | ToolCall):
            raise UsageError(
                f"a script cannot hold {type(part).__name__}",
                hint="use text, ToolCall, Reasoning, a list of these, Reply, an exception, or a function",
            )
    return listed


def _texts(message: Message) -> Iterator[str]:
    for part in message.parts:
        match part:
            case Text(text) | Reasoning(text):
                yield text
            case ToolCall():
                yield written(part)
            case Observation():
                yield part.output
            case _:
                pass


def _cut(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(0, len(text), size))
