"""What Chat Completions servers refuse, rule by rule: the strictest of them is meant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from a3s_code.testing.rules import (
    MOST_IMAGES,
    Facts,
    image_faults,
    missing_fields,
    name_faults,
    repeated,
    schema_faults,
    spoken,
    text_faults,
    unknown_fields,
)

LONGEST_ID = 40
_LONGEST_NAME = 64
_MOST_TOOLS = 128
_FIELDS = frozenset(
    {
        "model",
        "messages",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "user",
        "seed",
        "response_format",
        "reasoning_effort",
        "verbosity",
        "store",
        "metadata",
        "modalities",
        "audio",
        "prediction",
        "service_tier",
        "web_search_options",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "functions",
        "function_call",
        "reasoning",
    }
)
_MESSAGE_FIELDS = {
    "system": frozenset({"role", "content", "name"}),
    "developer": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset(
        {"role", "content", "name", "tool_calls", "refusal", "audio", "function_call", "reasoning", "reasoning_content"}
    ),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}
_USER_PARTS = frozenset({"text", "image_url", "input_audio", "file"})
_TEXT_PARTS = frozenset({"text"})
_DATA_URL = re.compile(r"data:([\w/+.-]*);base64,(.*)", re.DOTALL)


def head_faults(body: dict[str, Any]) -> Iterator[str]:
    """What is wrong outside the messages."""
    yield from missing_fields(body, ("model", "messages"), "")
    yield from unknown_fields(body, _FIELDS, "")
    if not spoken(body.get("model", "-")):
        yield "model: must be a name"
    for name in ("max_tokens", "max_completion_tokens"):
        if type(body.get(name, 1)) is not int or body.get(name, 1) < 1:
            yield f"{name}: must be a whole number above 0"
    if "max_tokens" in body and "max_completion_tokens" in body:
        yield "max_tokens: stands beside max_completion_tokens"
    temperature = body.get("temperature", 1)
    if not (isinstance(temperature, int | float) and 0 <= temperature <= 2):
        yield "temperature: must be a number from 0 to 2"
    if not isinstance(body.get("stream", False), bool):
        yield "stream: must be true or false"
    if "stream_options" in body and body.get("stream") is not True:
        yield "stream_options: only with stream"
    if "tools" in body:
        yield from _tools_faults(body["tools"])
        choice = body.get("tool_choice", "auto")
        if not (isinstance(choice, dict) or choice in ("none", "auto", "required")):
            yield "tool_choice: must be none, auto, required or an object"
    else:
        yield from (f"{name}: only with tools" for name in ("tool_choice", "parallel_tool_calls") if name in body)


def message_facts(message: Any) -> Facts:
    """One message, read and judged by itself."""
    if not isinstance(message, dict):
        return Facts("", (": is no object",))
    role, content = message.get("role"), message.get("content")
    if role not in _MESSAGE_FIELDS:
        return Facts(str(role), (f".role: {role!r} is no role",))
    found = [*unknown_fields(message, _MESSAGE_FIELDS[role], ".")]
    calls: list[str] = []
    if "tool_calls" in message:
        found += _calls_faults(message["tool_calls"])
        listed = message["tool_calls"] if isinstance(message["tool_calls"], list) else []
        calls = [str(call.get("id")) for call in listed if isinstance(call, dict)]
    if content is None and role == "assistant":
        if not calls:
            found.append(".content: may be null only beside tool_calls")
    elif content is None:
        found.append(".content: is missing")
    elif not (role == "assistant" and calls and content == ""):
        found += _content_faults(content, _USER_PARTS if role == "user" else _TEXT_PARTS)
    if role == "tool":
        found += _id_faults(message.get("tool_call_id"), ".tool_call_id")
    parts = content if isinstance(content, list) else []
    return Facts(
        role,
        tuple(found),
        calls=tuple(calls),
        results=(str(message.get("tool_call_id")),) if role == "tool" else (),
        images=sum(isinstance(part, dict) and part.get("type") == "image_url" for part in parts),
    )


def sequence_faults(messages: Sequence[Facts], body: dict[str, Any]) -> Iterator[str]:
    """What is wrong between the messages."""
    if not messages:
        yield "messages: is empty"
    for name in repeated(call for facts in messages for call in facts.calls):
        yield f"messages: the id {name!r} stands in several calls"
    waiting: list[str] = []
    for index, facts in enumerate(messages):
        yield from (f"messages[{index}]{fault}" for fault in facts.found)
        if facts.role == "tool":
            (result,) = facts.results
            if result in waiting:
                waiting.remove(result)
            else:
                yield f"messages[{index}]: no open call has the id {result!r}"
            continue
        yield from _unanswered(waiting, index)
        waiting = list(facts.calls)
    yield from _unanswered(waiting, len(messages))
    if sum(facts.images for facts in messages) > MOST_IMAGES:
        yield f"messages: hold more than {MOST_IMAGES} images"


def _unanswered(waiting: Sequence[str], index: int) -> Iterator[str]:
    for call in waiting:
        yield f"messages[{index}]: the call {call!r} before it has no tool message"


def _tools_faults(tools: Any) -> Iterator[str]:
    if not isinstance(tools, list) or not 0 < len(tools) <= _MOST_TOOLS:
        yield f"tools: must be a list of 1 to {_MOST_TOOLS} tools"
        return
    names: list[Any] = []
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        if not isinstance(tool, dict) or not isinstance(function := tool.get("function"), dict):
            yield f"{where}: must be an object with a function"
            continue
        names.append(function.get("name"))
        if tool.get("type") != "function":
            yield f"{where}.type: must be function"
        yield from unknown_fields(tool, ("type", "function"), f"{where}.")
        yield from unknown_fields(function, ("name", "description", "parameters", "strict"), f"{where}.function.")
        yield from name_faults(function.get("name"), _LONGEST_NAME, f"{where}.function.name")
        if "parameters" in function:
            yield from schema_faults(function["parameters"], f"{where}.function.parameters")
        if not isinstance(function.get("description", ""), str):
            yield f"{where}.function.description: must be text"
    for name in repeated(names):
        yield f"tools: several are called {name!r}"


def _calls_faults(calls: Any) -> Iterator[str]:
    if not isinstance(calls, list) or not calls:
        yield ".tool_calls: must be a list of calls, and not empty"
        return
    for index, call in enumerate(calls):
        where = f".tool_calls[{index}]"
        if not isinstance(call, dict) or not isinstance(function := call.get("function"), dict):
            yield f"{where}: must be an object with a function"
            continue
        # What Gemini wants back beside a call.
        yield from unknown_fields(call, ("id", "type", "function", "extra_content"), f"{where}.")
        yield from unknown_fields(function, ("name", "arguments"), f"{where}.function.")
        if call.get("type") != "function":
            yield f"{where}.type: must be function"
        yield from _id_faults(call.get("id"), f"{where}.id")
        yield from name_faults(function.get("name"), _LONGEST_NAME, f"{where}.function.name")
        yield from _arguments_faults(function.get("arguments"), f"{where}.function.arguments")


def _arguments_faults(text: Any, where: str) -> Iterator[str]:
    if not isinstance(text, str):
        yield f"{where}: must be text"
        return
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        yield f"{where}: is not the text of a JSON object"
        return
    yield from (f"{where} {fault}" for fault in text_faults(text.encode("utf-8", "surrogatepass")))


def _id_faults(value: Any, where: str) -> Iterator[str]:
    if not spoken(value):
        yield f"{where}: is missing"
    elif len(value) > LONGEST_ID:
        yield f"{where}: longer than {LONGEST_ID} characters"


def _content_faults(content: Any, kinds: frozenset[str]) -> Iterator[str]:
    if isinstance(content, str):
        if not spoken(content):
            yield ".content: is empty"
        return
    if not isinstance(content, list) or not content:
        yield ".content: must be text or a list of parts, and not empty"
        return
    for index, part in enumerate(content):
        where = f".content[{index}]"
        if not isinstance(part, dict) or part.get("type") not in kinds:
            yield f"{where}: must be one of {', '.join(sorted(kinds))}"
        elif part["type"] == "text" and not spoken(part.get("text")):
            yield f"{where}.text: is blank"
        elif part["type"] == "image_url":
            yield from _picture_faults(part.get("image_url"), f"{where}.image_url")


def _picture_faults(picture: Any, where: str) -> Iterator[str]:
    url = picture.get("url") if isinstance(picture, dict) else None
    if not isinstance(url, str):
        yield f"{where}: must be an object with a url"
    elif found := _DATA_URL.fullmatch(url):
        yield from image_faults(found[1], found[2], where)
    elif not url.startswith(("https://", "http://")):
        yield f"{where}.url: is neither a web address nor data in base64"
