"""Requests and replies as plain JSON values that read well, and stay the same from machine to machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import Image, Message, Observation, Part, Reasoning, Reply, Text, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.providers.wire import dumps

FORMAT = "a3s-recording/1"
WORKSPACE = "{WORKSPACE}"
_VOLATILE = (
    (re.compile(r"(?:/private)?/(?:var/tmp|tmp|var/folders/\w+/\w+/T)/[^\s\"'`/:,;)\]}]+"), "{TMP}"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b"), "{TIME}"),
    (re.compile(r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b"), "{TIME}"),
    (re.compile(r"\b\d+(?:\.\d+)?\s?(?:ns|us|µs|ms|s|sec|secs|seconds?|minutes?)\b"), "{DURATION}"),
    (re.compile(r"\bv?\d+\.\d+\.\d+(?:[-+.]?[0-9A-Za-z][0-9A-Za-z.+-]*)?"), "{VERSION}"),
)


class Places:
    """Replaces the workspace's path by {WORKSPACE}, and back. Without a workspace nothing is replaced."""

    def __init__(self, workspace: str | Path | None) -> None:
        given = str(workspace) if workspace is not None else ""
        real = str(Path(given).resolve()) if given else ""
        self._paths = sorted({path.rstrip("/") for path in (given, real) if len(path) > 1}, key=len, reverse=True)
        self._home = real or given

    def hide(self, text: str) -> str:
        for path in self._paths:
            text = text.replace(path, WORKSPACE)
        return text

    def show(self, text: str) -> str:
        return text.replace(WORKSPACE, self._home) if self._home else text

    def settle(self, text: str) -> str:
        """`text` without anything that differs from run to run: places, times, durations, versions."""
        text = self.hide(text)
        for pattern, name in _VOLATILE:
            text = pattern.sub(name, text)
        return text


def plain_request(prompt: Prompt, places: Places) -> dict[str, Any]:
    """A request as it is compared: its tools by name, its text settled."""
    return {
        "system": places.settle(prompt.system),
        "tools": [tool.name for tool in prompt.tools],
        "messages": [plain_message(message, places.settle) for message in prompt.messages],
    }


def plain_message(message: Message, spelling: Callable[[str], str]) -> dict[str, Any]:
    return {"role": message.role, "parts": [_plain_part(part, spelling) for part in message.parts]}


def plain_reply(reply: Reply, places: Places) -> dict[str, Any]:
    usage = reply.usage
    return {
        "parts": [_plain_part(part, places.hide) for part in reply.message.parts],
        "stop": reply.stop,
        "model": reply.model,
        "request_id": reply.request_id,
        "usage": {name: getattr(usage, name) for name in Usage.__dataclass_fields__},
    }


def read_reply(plain: dict[str, Any], places: Places) -> Reply:
    """The Reply that plain_reply() wrote, in this workspace."""
    parts = tuple(_read_part(part, places) for part in plain["parts"])
    usage = Usage(**plain.get("usage", {}))
    return Reply(Message("assistant", parts), plain["stop"], usage, plain.get("model", ""), plain.get("request_id"))


def digest(request: dict[str, Any]) -> str:
    return hashlib.sha256(dumps(request)).hexdigest()[:16]


def called_names(messages: Sequence[dict[str, Any]]) -> list[str]:
    """The tools called and answered in a conversation, in order."""
    names: list[str] = []
    for message in messages:
        for part in message["parts"]:
            if "call" in part:
                names.append(f"call {part['call']['name']}")
            elif "result" in part:
                names.append(f"result {part['result']['name']}")
    return names


def first_difference(expected: dict[str, Any], got: dict[str, Any]) -> str | None:
    """Where two requests part, in words; None where they are the same."""
    if expected["tools"] != got["tools"]:
        return _apart("the tools", ", ".join(expected["tools"]), ", ".join(got["tools"]))
    if expected["system"] != got["system"]:
        return _apart("the system text", expected["system"], got["system"])
    old, new = expected["messages"], got["messages"]
    for number, (then, now) in enumerate(zip(old, new, strict=False), 1):
        if then != now:
            return _message_difference(number, then, now)
    if len(old) == len(new):
        return None
    longer = old if len(old) > len(new) else new
    extra = dumps(longer[min(len(old), len(new))]).decode()
    number = min(len(old), len(new)) + 1
    return _apart(f"message {number}", extra if longer is old else "nothing", extra if longer is new else "nothing")


def _message_difference(number: int, then: dict[str, Any], now: dict[str, Any]) -> str:
    where = f"message {number} ({then['role']})"
    if then["role"] != now["role"]:
        return _apart(where, then["role"], now["role"])
    for part, (old, new) in enumerate(zip(then["parts"], now["parts"], strict=False), 1):
        if old == new:
            continue
        kind = next(iter(old))
        old_value, new_value = old[kind], new.get(kind, new)
        if isinstance(old_value, dict) and isinstance(new_value, dict):
            for key in {**old_value, **new_value}:
                if old_value.get(key) != new_value.get(key):
                    return _apart(f"{where}, part {part}, {kind}.{key}", old_value.get(key), new_value.get(key))
        return _apart(f"{where}, part {part}, {kind}", old_value, new_value)
    return _apart(where, f"{len(then['parts'])} parts", f"{len(now['parts'])} parts")


def _apart(where: str, expected: Any, got: Any) -> str:
    old = expected if isinstance(expected, str) else dumps(expected).decode()
    new = got if isinstance(got, str) else dumps(got).decode()
    at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return f"{where} differs: expected {_around(old, at)}, got {_around(new, at)}"


def _around(text: str, at: int) -> str:
    start, end = max(0, at - 40), at + 80
    return repr(("..." if start else "") + text[start:end] + ("..." if end < len(text) else ""))


def _plain_part(part: Part, spelling: Callable[[str], str]) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"text": spelling(text)}
        case Image():
            return {"image": _plain_image(part)}
        case Reasoning(text, model, block):
            return {"reasoning": {"text": spelling(text), "model": model, "block": block}}
        case ToolCall():
            return {
                "call": {
                    "id": part.id,
                    "name": part.name,
                    "arguments": _respelled(part.arguments, spelling),
                    "malformed": None if part.malformed is None else spelling(part.malformed),
                }
            }
        case Observation():
            return {
                "result": {
                    "call_id": part.call_id,
                    "name": part.name,
                    "output": spelling(part.output),
                    "exit_code": part.exit_code,
                    "error_kind": part.error_kind,
                    "images": [_plain_image(image) for image in part.images],
                }
            }


def _plain_image(image: Image) -> dict[str, Any]:
    return {"media_type": image.media_type, "sha256": hashlib.sha256(image.data).hexdigest(), "bytes": len(image.data)}


def _read_part(part: dict[str, Any], places: Places) -> Part:
    if "text" in part:
        return Text(places.show(part["text"]))
    if "reasoning" in part:
        thought = part["reasoning"]
        return Reasoning(places.show(thought["text"]), thought["model"], thought["block"])
    call = part["call"]
    malformed = call["malformed"]
    return ToolCall(
        call["id"],
        call["name"],
        _respelled(call["arguments"], places.show),
        None if malformed is None else places.show(malformed),
    )


def _respelled(value: Any, spelling: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return spelling(value)
    if isinstance(value, dict):
        return {key: _respelled(item, spelling) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_respelled(item, spelling) for item in value]
    return value
