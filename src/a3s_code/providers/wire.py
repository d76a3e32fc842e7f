"""What the wire formats share: JSON as bytes, and messages that are encoded once."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from a3s_code.kernel.estimation import BYTES_PER_TOKEN, TOKENS_PER_IMAGE
from a3s_code.kernel.messages import Image, Message
from a3s_code.kernel.tool import ToolSpec

NOTHING_SAID = "(no text)"
NO_OUTPUT = "(no output)"
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")
_KEPT_HEADS = 8
_MOST_TOKENS = 10**12
# An escaped backslash before it makes it text.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


class HeadCache:
    """Remembers how the last few pairs of system text and tools are spelled."""

    def __init__(self, spell: Callable[[str, tuple[ToolSpec, ...]], bytes]) -> None:
        self._spell = spell
        self._known: dict[tuple[str, tuple[ToolSpec, ...]], bytes] = {}

    def get(self, system: str, tools: tuple[ToolSpec, ...]) -> bytes:
        key = (system, tools)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KEPT_HEADS:
                self._known.clear()
            found = self._known[key] = self._spell(system, tools)
        return found


def dumps(value: Any) -> bytes:
    """Compact JSON in UTF-8; NUL, and half surrogate pairs, which UTF-8 cannot hold, become U+FFFD."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
    if "\\u0000" in text:
        text = _NUL.sub("\\1\ufffd", text)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def loads(data: bytes | str) -> Any:
    """The value of a JSON text; raises ValueError for anything else, broken UTF-8 included."""
    return _json_reader()(data, allow_inf_nan=False)


@cache
def _json_reader() -> Callable[..., Any]:
    from pydantic_core import from_json

    return from_json


def count_of(value: Any) -> int:
    """A number of tokens in an answer; 0 where something else stands in its place, for no answer is lost by it."""
    return int(value) if isinstance(value, int | float) and 0 < value < _MOST_TOKENS else 0


def text_of(value: Any) -> str:
    """A piece of text in an answer; raises TypeError where something else stands in its place."""
    if not isinstance(value, str | None):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return value or ""


def id_of(value: Any) -> str | None:
    """The id of an answer; None where there is none, or something else stands in its place."""
    return value if isinstance(value, str) and value else None


def arguments(text: str) -> tuple[dict[str, Any], str | None]:
    """The arguments a model wrote and, where they are no JSON object, the text itself."""
    if not text.strip():
        return {}, None
    try:
        value = loads(text)
    except ValueError:
        return {}, text
    return (value, None) if isinstance(value, dict) else ({}, text)


def sent_name(name: str) -> str:
    """The name of a called tool as every provider takes it: a model may have invented one that none does."""
    return name if _NAME.fullmatch(name) else _FOREIGN.sub("_", name)[:64] or "unnamed"


def base64_text(image: Image) -> str:
    return base64.b64encode(image.data).decode("ascii")


def joined(messages: Sequence[Message], spelling: Callable[[Message], bytes]) -> bytes:
    """The messages' fragments as the inside of a JSON array."""
    return b",".join([fragment for message in messages if (fragment := spelling(message))])


def estimated_tokens(size: int) -> int:
    """About how many tokens `size` bytes of text are; at least one."""
    return max(1, round(size / BYTES_PER_TOKEN))


def prompt_estimate(request: bytes, messages: Sequence[Message]) -> int:
    """About how many tokens a request holds; images count by the piece, not by the byte."""
    images = [
        image
        for message in messages
        for part in message.parts
        for image in ((part,) if isinstance(part, Image) else getattr(part, "images", ()))
    ]
    encoded = sum((len(image.data) + 2) // 3 * 4 for image in images)
    return estimated_tokens(max(0, len(request) - encoded)) + TOKENS_PER_IMAGE * len(images)
