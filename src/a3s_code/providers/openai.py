"""Chat Completions, as OpenAI and everybody compatible with it speak it."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Image, Message, Observation, Reasoning, Text
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers import spoken
from a3s_code.providers.assembly import Assembly
from a3s_code.providers.completion import CompletionReader
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.wire import NO_OUTPUT, NOTHING_SAID, HeadCache, base64_text, dumps, joined, loads, sent_name

_NINE = re.compile(r"[a-zA-Z0-9]{9}")
_LONGEST_ID = 40


class ChatCompletions:
    """The Chat Completions format as one endpoint is asked in it."""

    def __init__(self, endpoint: ModelEndpoint, settings: ModelSettings) -> None:
        self._endpoint = endpoint
        # Mistral takes no other ids than its own kind, so its conversations are spelled apart.
        self._nine = endpoint.provider == "mistral"
        self._key = ("chat" if endpoint.tool_calls else "chat-spoken") + ("-nine" if self._nine else "")
        self._own_key = f"{self._key}:{endpoint.name}"
        self._settings = dumps(_settings(endpoint, settings))[:-1]
        self._heads = HeadCache(self._head)

    def request(self, prompt: Prompt) -> bytes:
        head = self._heads.get(prompt.system, prompt.tools)
        messages = joined(prompt.messages, self.fragment)
        free = prompt.calls or not (prompt.tools and self._endpoint.tool_calls)
        end = b"]}" if free else b'],"tool_choice":"none"}'
        return b"".join((self._settings, head if messages else head.rstrip(b","), messages, end))

    def reader(self, assembly: Assembly) -> CompletionReader:
        return CompletionReader(assembly)

    def _head(self, system: str, tools: tuple[ToolSpec, ...]) -> bytes:
        if not self._endpoint.tool_calls:
            system, tools = spoken.describe(system, tools), ()
        head = b""
        if tools:
            shown = [
                {
                    "type": "function",
                    "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
                }
                for tool in tools
            ]
            head += b',"tools":' + dumps(shown)
        head += b',"messages":['
        return head + dumps({"role": "system", "content": system}) + b"," if system else head

    def fragment(self, message: Message) -> bytes:
        """One message as it stands in every request: one object or, for results, several."""
        wire = message.wire
        found = wire.get(self._key) or wire.get(self._own_key)
        if found is None:
            own = any(isinstance(part, Reasoning) and part.block for part in message.parts)
            found = wire[self._own_key if own else self._key] = self._encode(message)
        return found

    def _encode(self, message: Message) -> bytes:
        if not self._endpoint.tool_calls:
            message = spoken.speak(message)
        match message.role:
            case "user":
                return dumps({"role": "user", "content": _content(message)})
            case "assistant":
                return dumps(self._assistant(message))
            case "tool":
                return b",".join(map(dumps, self._results(message)))

    def _assistant(self, message: Message) -> dict[str, Any]:
        text, calls = message.text, message.calls
        said: dict[str, Any] = {"role": "assistant", "content": text if text.strip() else None}
        if not calls:
            said["content"] = said["content"] or NOTHING_SAID
            return said
        extras = self._extras(message)
        said["tool_calls"] = [
            {
                "id": self._id(call.id),
                "type": "function",
                "function": {"name": sent_name(call.name), "arguments": dumps(call.arguments).decode()},
                **extras.get(call.id, {}),
            }
            for call in calls
        ]
        return said

    def _extras(self, message: Message) -> dict[str, dict[str, Any]]:
        """What this model wants back with its calls: Gemini refuses a call without the signature it sent."""
        extras: dict[str, dict[str, Any]] = {}
        for part in message.parts:
            if isinstance(part, Reasoning) and part.block and part.model == self._endpoint.name:
                block = loads(part.block)
                if "extra_content" in block and isinstance(block.get("call"), str):
                    extras[block["call"]] = {"extra_content": block["extra_content"]}
        return extras

    def _results(self, message: Message) -> list[dict[str, Any]]:
        """One `tool` message a result; their images follow in a user message, for a `tool` message takes only text."""
        results = [part for part in message.parts if isinstance(part, Observation)]
        spelled: list[dict[str, Any]] = []
        pictures: list[dict[str, Any]] = []
        for result in results:
            said = result.output if result.output.strip() else NO_OUTPUT
            spelled.append({"role": "tool", "tool_call_id": self._id(result.call_id), "content": said})
            if result.images:
                pictures.append(
                    {"type": "text", "text": f"Images that {result.name} ({self._id(result.call_id)}) gave:"}
                )
                pictures += map(_image, result.images)
        if pictures:
            spelled.append({"role": "user", "content": pictures})
        return spelled

    def _id(self, call_id: str) -> str:
        if self._nine:
            return call_id if _NINE.fullmatch(call_id) else _digest(call_id)[:9]
        return call_id if 0 < len(call_id) <= _LONGEST_ID else f"call_{_digest(call_id)[:32]}"


def _digest(call_id: str) -> str:
    return hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()


def _settings(endpoint: ModelEndpoint, settings: ModelSettings) -> dict[str, Any]:
    body: dict[str, Any] = {"model": endpoint.model}
    if settings.max_output_tokens is not None:
        body["max_completion_tokens" if endpoint.provider == "openai" else "max_tokens"] = settings.max_output_tokens
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    if settings.thinking_budget:
        body["reasoning"] = {"max_tokens": settings.thinking_budget}
    if endpoint.stream:
        body["stream"] = True
        # Mistral counts without being asked and refuses to be asked.
        if endpoint.provider != "mistral":
            body["stream_options"] = {"include_usage": True}
    return body


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Plain text as a string, which every server reads; a list only where there are images."""
    if not any(isinstance(part, Image) for part in message.parts):
        return message.text if message.text.strip() else NOTHING_SAID
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Image):
            content.append(_image(part))
        elif isinstance(part, Text) and part.text.strip():
            content.append({"type": "text", "text": part.text})
    return content


def _image(image: Image) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{base64_text(image)}"}}
