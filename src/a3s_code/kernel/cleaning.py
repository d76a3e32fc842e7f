"""Cleaning: what holds text, with the text cleaned. Where nothing is to be cleaned the very same object comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from a3s_code.errors import A3SError
from a3s_code.kernel.attribution import describe, expect, is_foreign
from a3s_code.kernel.events import AgentEvent
from a3s_code.kernel.messages import Message, Observation, Reasoning, Request, Text, ToolCall
from a3s_code.kernel.ports import Emit

Clean = Callable[[str], str]
MAX_DEPTH = 64


def withhold_failures(clean: Clean) -> Clean:
    """A `clean` that does not raise: what cannot be cleaned is withheld."""

    def attempt(text: str) -> str:
        try:
            return expect(str, clean(text))
        except BaseException as error:
            if not is_foreign(error):
                raise
            return f"[withheld: the sanitizer failed: {describe(error)}]"

    return attempt


def clean_value(value: Any, clean: Clean, depth: int = 0) -> Any:
    """A JSON-like value with every text in it cleaned, keys too.

    Beyond MAX_DEPTH, and of what is no JSON, the representation is looked at, and stands for the value where it is not
    clean.
    """
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping | list | tuple) and depth >= MAX_DEPTH:
        return clean(_represent(value))
    if isinstance(value, Mapping):
        return _clean_mapping(value, clean, depth + 1)
    if isinstance(value, list | tuple):
        items = [clean_value(item, clean, depth + 1) for item in value]
        if all(old is new for old, new in zip(value, items, strict=True)):
            return value
        return items if isinstance(value, list) else tuple(items)
    shown = _represent(value)
    cleaned = clean(shown)
    return value if cleaned == shown else cleaned


def _represent(value: Any) -> str:
    try:
        return repr(value)
    except RecursionError:
        return "[nested too deep]"


def _clean_mapping(given: Mapping[Any, Any], clean: Clean, depth: int) -> Mapping[Any, Any]:
    pairs = [(clean_value(key, clean, depth), clean_value(item, clean, depth)) for key, item in given.items()]
    old = zip(given.items(), pairs, strict=True)
    return given if all(k is key and i is item for (k, i), (key, item) in old) else dict(pairs)


def clean_message(message: Message, clean: Clean) -> Message:
    """The message with its text and the arguments of its calls cleaned. What only a provider can read stays."""
    parts = tuple(_clean_part(part, clean) for part in message.parts)
    if all(old is new for old, new in zip(message.parts, parts, strict=True)):
        return message
    return Message(message.role, parts)


def tell_cleaned(emit: Emit, clean: Clean) -> Emit:
    """An `emit` for those whose events hold texts of the host: every text in them is cleaned."""

    def tell(event: AgentEvent) -> None:
        given = {field.name: getattr(event, field.name) for field in fields(event)}
        cleaned: dict[str, Any] = {name: clean(text) for name, text in given.items() if isinstance(text, str)}
        emit(replace(event, **cleaned))

    return tell


def clean_error(error: A3SError, clean: Clean) -> None:
    """Clean what an error says, in place, for it is raised where somebody may log it."""
    error.message = clean(error.message)
    error.hint = None if error.hint is None else clean(error.hint)
    error.args = tuple(clean(item) if isinstance(item, str) else item for item in error.args)


def clean_request(request: Request, clean: Clean) -> Request:
    """The request with its prompt and the history that it brings cleaned."""
    prompt = clean(request.prompt)
    history = None if request.history is None else tuple(clean_message(message, clean) for message in request.history)
    return replace(request, prompt=prompt, history=history)


def _clean_part(part: Any, clean: Clean) -> Any:
    if isinstance(part, Text) or (isinstance(part, Reasoning) and part.block is None):
        text = clean(part.text)
        return part if text is part.text else replace(part, text=text)
    if isinstance(part, Observation):
        output = clean(part.output)
        return part if output is part.output else replace(part, output=output)
    if isinstance(part, ToolCall):
        arguments = clean_value(part.arguments, clean)
        malformed = None if part.malformed is None else clean(part.malformed)
        if arguments is part.arguments and malformed is part.malformed:
            return part
        return replace(part, arguments=arguments, malformed=malformed)
    return part
