"""Requests as users write them: text or a dict, snake_case or camelCase, and what the kernel takes."""

from __future__ import annotations

import base64
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from a3s_code.errors import InvalidRequest
from a3s_code.kernel.messages import Image, Message, Request, Text
from a3s_code.kernel.tool import ToolSpec
from a3s_code.kernel.validity import LARGEST_IMAGE, flaw_of

KEYS = ("prompt", "history", "attachments")
IMAGE_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}


def snake_case(key: str) -> str:
    """`maxToolCalls` as `max_tool_calls`; a snake_case name stays as it is."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()


def parse_request(given: str | Mapping[str, Any], workspace: Path) -> Request:
    """The request in `given`; raises InvalidRequest naming what is missing, empty or unknown.

    `attachments` are images: a path (relative to the workspace), or {media_type, data} with data as bytes or base64
    text. `history` is a list of messages: {role, content} or what session.history() gave.
    """
    if isinstance(given, str):
        return Request(_prompt(given))
    if not isinstance(given, Mapping):
        raise InvalidRequest(
            f"a request is text or a dict, not {type(given).__name__}", hint='send("...") or send({"prompt": "..."})'
        )
    fields = {snake_case(str(key)): value for key, value in given.items()}
    if unknown := [key for key in fields if key not in KEYS]:
        raise InvalidRequest(f"unknown key {unknown[0]!r} in the request", hint=f"known keys: {', '.join(KEYS)}")
    if "prompt" not in fields:
        raise InvalidRequest("the request has no prompt", hint='send({"prompt": "..."})')
    attachments = fields.get("attachments") or ()
    history = fields.get("history")
    return Request(
        _prompt(fields["prompt"]),
        tuple(_image(item, workspace) for item in _sequence("attachments", attachments)),
        None if history is None else tuple(_message(item) for item in _sequence("history", history)),
    )


def fit_keys(spec: ToolSpec, args: Mapping[Any, Any]) -> dict[str, Any]:
    """The arguments under the schema's names: camelCase is taken where the schema knows the snake_case name."""
    known = spec.parameters.get("properties", {})
    fitted: dict[str, Any] = {}
    for key, value in args.items():
        name = str(key)
        if name not in known and snake_case(name) in known:
            name = snake_case(name)
        if name in fitted:
            raise InvalidRequest(f"{spec.name} was given {name!r} twice")
        fitted[name] = value
    return fitted


def call_arguments(spec: ToolSpec, args: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a direct call: one dict, or values by position in the schema's order and the rest by keyword."""
    names = list(spec.parameters.get("properties", {}))
    if len(args) == 1 and isinstance(args[0], Mapping):
        return fit_keys(spec, {**args[0], **named})
    if len(args) > len(names):
        raise InvalidRequest(f"{spec.name} takes at most {len(names)} arguments ({', '.join(names)}), not {len(args)}")
    given = dict(zip(names, args, strict=False))
    if twice := [name for name in named if name in given]:
        raise InvalidRequest(f"{spec.name} was given {twice[0]!r} twice")
    return {**given, **named}


def _prompt(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"the prompt is {type(value).__name__}, not text")
    if not value.strip():
        raise InvalidRequest("the prompt is empty", hint="say what is to be done")
    return value


def _sequence(name: str, value: Any) -> Sequence[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise InvalidRequest(f"{name} is {type(value).__name__}, not a list")
    return value


def _image(item: Any, workspace: Path) -> Image:
    if isinstance(item, str | Path):
        path = workspace / _expanded(item)
        kind = IMAGE_TYPES.get(path.suffix.lower())
        if kind is None:
            raise InvalidRequest(f"attachment {str(item)!r} is no image", hint=f"known: {', '.join(IMAGE_TYPES)}")
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise InvalidRequest(f"attachment {str(item)!r} is no regular file")
            _require_size(found.st_size)
            return Image(kind, path.read_bytes())
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"attachment {str(item)!r} cannot be read: {error}") from error
    if not isinstance(item, Mapping):
        raise InvalidRequest(f"an attachment is a path or a dict, not {type(item).__name__}")
    fields = {snake_case(str(key)): value for key, value in item.items()}
    if (path_given := fields.get("path") or fields.get("file_path")) is not None:
        return _image(path_given, workspace)
    kind, content = fields.get("media_type"), fields.get("data")
    if not isinstance(kind, str) or kind not in IMAGE_TYPES.values():
        raise InvalidRequest(f"attachment has media_type {kind!r}", hint="use image/png, jpeg, gif or webp")
    if isinstance(content, str):
        try:
            content = base64.b64decode(content, validate=True)
        except ValueError as error:
            raise InvalidRequest("attachment data is text but not base64") from error
    if not isinstance(content, bytes):
        raise InvalidRequest("an attachment needs data as bytes or base64 text")
    _require_size(len(content))
    return Image(kind, content)


def _require_size(size: int) -> None:
    if not 0 < size <= LARGEST_IMAGE:
        raise InvalidRequest(f"attachment of {size:,} bytes", hint=f"1 to {LARGEST_IMAGE:,} bytes")


def _expanded(given: str | Path) -> Path:
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise InvalidRequest(f"attachment {str(given)!r}: {error}") from error


def _message(item: Any) -> Message:
    if isinstance(item, Message):
        if (flaw := flaw_of(item)) is not None:
            raise InvalidRequest(f"the history cannot be sent: {flaw}")
        return item
    role, content = (item.get("role"), item.get("content")) if isinstance(item, Mapping) else (None, None)
    if (role != "user" and role != "assistant") or not isinstance(content, str):
        raise InvalidRequest("a history entry is a Message or {role: user | assistant, content: text}")
    return Message.user(content) if role == "user" else Message("assistant", (Text(content),))
