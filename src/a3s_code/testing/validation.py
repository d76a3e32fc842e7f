"""What a real provider would refuse in a request: a strict reader of both wire formats."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import ModuleType
from typing import Any

from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Message, Reasoning
from a3s_code.kernel.ports import Prompt
from a3s_code.providers.anthropic import Messages
from a3s_code.providers.endpoint import Api, ModelEndpoint
from a3s_code.providers.openai import ChatCompletions
from a3s_code.testing import completion_rules, messages_rules
from a3s_code.testing.rules import MOST_BYTES, Facts, text_faults

_RULES: Mapping[Api, ModuleType] = {"anthropic": messages_rules, "openai": completion_rules}
_NOWHERE = "http://127.0.0.1:9/v1"


def violations(api: Api, body: bytes | dict[str, Any]) -> list[str]:
    """What a provider that speaks `api` would refuse in a request, in words; nothing for a valid one.

    `body` is the request as it goes out, or its JSON value.
    """
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    if faults := [f"the body {fault}" for fault in text_faults(data)]:
        return faults
    if len(data) > MOST_BYTES:
        return [f"the body is larger than {MOST_BYTES} bytes"]
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return [f"the body is not JSON: {error}"]
    if not isinstance(value, dict):
        return ["the body is no JSON object"]
    rules = _RULES[api]
    messages = value.get("messages")
    if not isinstance(messages, list):
        return [*rules.head_faults(value), "messages: must be a list"]
    return [*rules.head_faults(value), *rules.sequence_faults([*map(rules.message_facts, messages)], value)]


def prompt_violations(prompt: Prompt) -> list[str]:
    """What either provider would refuse in the request that `prompt` makes, in words.

    Cheap enough for every call of a test suite: a message is encoded and judged once, however often it is sent.
    """
    name = _own_name(prompt.messages)
    found: list[str] = []
    for api, wire in _wires(name):
        found += (f"{api}: {fault}" for fault in _prompt_faults(api, wire, prompt))
    return found


def _prompt_faults(api: Api, wire: Messages | ChatCompletions, prompt: Prompt) -> Iterator[str]:
    head = wire.request(replace(prompt, messages=()))
    body, facts, faults = _judged_head(api, head)
    yield from faults
    sent = [*facts]
    size = len(head)
    for message in prompt.messages:
        fragment = wire.fragment(message)
        size += len(fragment)
        sent += _judged(api, fragment)
    yield from _RULES[api].sequence_faults(sent, body)
    if size > MOST_BYTES:
        yield f"the body is larger than {MOST_BYTES} bytes"


@lru_cache(maxsize=256)
def _judged_head(api: Api, data: bytes) -> tuple[dict[str, Any], tuple[Facts, ...], tuple[str, ...]]:
    """A request without its conversation: its fields, its system message where it has one, and what is wrong."""
    rules = _RULES[api]
    body: dict[str, Any] = json.loads(data)
    faults = (*(f"the head {fault}" for fault in text_faults(data)), *rules.head_faults(body))
    return body, tuple(map(rules.message_facts, body["messages"])), faults


@lru_cache(maxsize=8192)
def _judged(api: Api, fragment: bytes) -> tuple[Facts, ...]:
    faults = tuple(f" {fault}" for fault in text_faults(fragment))
    if faults:
        return (Facts("", faults),)
    return tuple(map(_RULES[api].message_facts, json.loads(b"[" + fragment + b"]")))


@lru_cache(maxsize=16)
def _wires(name: str) -> Sequence[tuple[Api, Messages | ChatCompletions]]:
    provider, _, model = name.partition("/")
    settings = ModelSettings()
    return (
        ("anthropic", Messages(ModelEndpoint(provider, model, "anthropic", _NOWHERE), settings)),
        ("openai", ChatCompletions(ModelEndpoint(provider, model, "openai", _NOWHERE), settings)),
    )


def _own_name(messages: Sequence[Message]) -> str:
    """The model whose thoughts the conversation holds, for only that one gets them back."""
    for message in reversed(messages):
        for part in message.parts if message.role == "assistant" else ():
            if isinstance(part, Reasoning) and part.block:
                return part.model
    return "loopback/test"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")
