"""Estimation: how many tokens a conversation is, from the size of its text and from what a provider counted before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import Image, Message, Observation, Reasoning, Text, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.tool import ToolSpec

BYTES_PER_TOKEN = 3.6
TOKENS_PER_IMAGE = 1_500
IMAGE_WEIGHT = round(TOKENS_PER_IMAGE * BYTES_PER_TOKEN)
MESSAGE_WEIGHT = 14
CALL_WEIGHT = 36
"""What stands around a message, and around a call or its result: roles, ids, separators."""

_LEAST_RATE, _MOST_RATE = 0.25, 4.0


def tokens(weight: int) -> int:
    """About how many tokens a text of `weight` bytes is, rounded up."""
    return math.ceil(weight / BYTES_PER_TOKEN)


def weigh(message: Message) -> int:
    """The size of a message in bytes of UTF-8, images and what stands around it included."""
    weight = MESSAGE_WEIGHT
    for part in message.parts:
        match part:
            case Text(text):
                weight += text_bytes(text)
            case Observation():
                weight += CALL_WEIGHT + text_bytes(part.output) + IMAGE_WEIGHT * len(part.images)
            case ToolCall():
                weight += CALL_WEIGHT + len(part.name) + _value_bytes(part.arguments)
            case Reasoning(text, _, block):
                # Only what a provider wants back is sent. A block is mostly its text, signed; or it is sealed.
                weight += 0 if block is None else text_bytes(text) or len(block)
            case Image():
                weight += IMAGE_WEIGHT
    return weight


def text_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _value_bytes(value: Any) -> int:
    """About how long a JSON value is when it is written; however deep it is nested."""
    size, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            size += text_bytes(item) + 3
        elif isinstance(item, Mapping):
            size += 2
            waiting += item.keys()
            waiting += item.values()
        elif isinstance(item, list | tuple):
            size += 2
            waiting += item
        else:
            size += 5
    return size


class Tally:
    """Weighs a conversation again and again, and each message of it once as long as it only grows at its end."""

    def __init__(self) -> None:
        self._seen: tuple[Message, ...] = ()
        self._weight = 0

    def weigh(self, messages: Sequence[Message]) -> int:
        """The sum of all weights. Messages that are the same objects as before cost a comparison of references."""
        now = tuple(messages)
        known = len(self._seen)
        if now[:known] != self._seen:
            known = self._weight = 0
        self._weight += sum(map(weigh, now[known:]))
        self._seen = now
        return self._weight


class Gauge:
    """Estimates how many tokens a prompt is, better with each call whose tokens the provider counted.

    The last count gives the tokens a byte of this conversation, and what was not counted yet is taken to be alike.
    One gauge belongs to one conversation.
    """

    def __init__(self) -> None:
        self._tally = Tally()
        self._rate = 1.0
        self._system = ""
        self._tools: tuple[ToolSpec, ...] = ()
        self._head = 0

    def estimate(self, prompt: Prompt) -> int:
        return math.ceil(self._rate * self._weigh(prompt) / BYTES_PER_TOKEN)

    def note(self, prompt: Prompt, usage: Usage) -> None:
        """Learn from what the provider counted for `prompt`; a usage that is itself estimated teaches nothing."""
        if usage.estimated or not usage.prompt_tokens:
            return
        rate = usage.prompt_tokens * BYTES_PER_TOKEN / self._weigh(prompt)
        self._rate = min(max(rate, _LEAST_RATE), _MOST_RATE)

    def _weigh(self, prompt: Prompt) -> int:
        if prompt.tools != self._tools or prompt.system != self._system:
            self._system, self._tools = prompt.system, prompt.tools
            self._head = MESSAGE_WEIGHT + text_bytes(prompt.system) + sum(map(_weigh_tool, prompt.tools))
        return max(1, self._head + self._tally.weigh(prompt.messages))


def _weigh_tool(tool: ToolSpec) -> int:
    return CALL_WEIGHT + len(tool.name) + text_bytes(tool.description) + _value_bytes(tool.parameters)
