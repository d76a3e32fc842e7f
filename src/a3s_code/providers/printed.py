"""The forms in which models print calls: JSON objects, tagged JSON, and the `<function=...>` elements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers import loose_json

TAGS = ("<tool_call>", "<tools>", "<function_call>", "<function=", "[TOOL_CALLS]", "<|python_tag|>")
_CLOSING = {"<tool_call>": "</tool_call>", "<tools>": "</tools>", "<function_call>": "</function_call>"}
_SPACE = re.compile(r"\s*")
_FUNCTION = re.compile(r"<function=(?P<name>[^<>\s]+)>\s*")
_PARAMETER = re.compile(r"\s*<parameter=(?P<name>[^<>\s]+)>\n?(?P<value>.*?)\n?</parameter>", re.DOTALL)
_CALL_KEYS = frozenset({"name", "function", "arguments", "parameters", "id", "type", "call_id", "tool_call_id"})


class PrintedCall(NamedTuple):
    name: str
    arguments: dict[str, Any]


Region = tuple[int, list[PrintedCall]]


def read_calls(text: str, at: int, tools: Mapping[str, ToolSpec]) -> Region | None:
    """One or several JSON values that are all calls, with blanks or commas between them; a cut one ends the row."""
    calls: list[PrintedCall] = []
    end = at
    while text.startswith(("[", "{"), at):
        stop = loose_json.balanced(text, at)
        if stop is None:
            break
        value = loose_json.decode(text[at:stop])
        for item in value if isinstance(value, list) and value else [value]:
            call = _as_call(item, tools)
            if call is None:
                return None
            calls.append(call)
        end = stop
        at = _skip(text, stop)
        if text.startswith(",", at):
            at = _skip(text, at + 1)
    return (end, calls) if calls else None


def read_tagged(text: str, at: int, tag: str, tools: Mapping[str, ToolSpec]) -> Region | None:
    """The calls behind `tag`, which stands at `at`, and its closing tag where there is one."""
    if tag == "<function=":
        return _functions(text, at, tools)
    body = _skip(text, at + len(tag))
    inner = _functions(text, body, tools) if text.startswith("<function=", body) else read_calls(text, body, tools)
    closing = _CLOSING.get(tag)
    if inner is None or closing is None:
        return inner
    after = _skip(text, inner[0])
    return (after + len(closing), inner[1]) if text.startswith(closing, after) else inner


def _as_call(value: Any, tools: Mapping[str, ToolSpec]) -> PrintedCall | None:
    if not isinstance(value, dict) or not value.keys() <= _CALL_KEYS:
        return None
    inner = value.get("function")
    if isinstance(inner, dict):
        return _as_call(inner, tools) if "name" not in value else None
    name = value.get("name", inner)
    arguments = value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        arguments = loose_json.decode(arguments)
    if not isinstance(name, str) or name not in tools or not isinstance(arguments, dict):
        return None
    if "arguments" not in value and isinstance(arguments.get("properties"), dict):
        return None
    return PrintedCall(name, arguments)


def _functions(text: str, at: int, tools: Mapping[str, ToolSpec]) -> Region | None:
    calls: list[PrintedCall] = []
    end = at
    while (one := _function(text, at, tools)) is not None:
        end = one[0]
        calls += one[1]
        at = _skip(text, end)
    return (end, calls) if calls else None


def _function(text: str, at: int, tools: Mapping[str, ToolSpec]) -> Region | None:
    """`<function=NAME>` with one JSON object, or with `<parameter=NAME>` elements, up to its closing tag."""
    head = _FUNCTION.match(text, at)
    if head is None or head["name"] not in tools:
        return None
    name, at = head["name"], head.end()
    arguments: dict[str, Any] = {}
    if text.startswith("{", at):
        end = loose_json.balanced(text, at)
        value = None if end is None else loose_json.decode(text[at:end])
        if end is None or not isinstance(value, dict):
            return None
        arguments, at = value, end
    while (parameter := _PARAMETER.match(text, at)) is not None:
        arguments[parameter["name"]] = _typed(parameter["value"], tools[name], parameter["name"])
        at = parameter.end()
    at = _skip(text, at)
    closing = "</function>"
    return (at + len(closing), [PrintedCall(name, arguments)]) if text.startswith(closing, at) else None


def _typed(value: str, tool: ToolSpec, parameter: str) -> Any:
    """The text of a parameter as the tool's schema wants it: text stays text, other types are read as JSON."""
    schema = tool.parameters.get("properties", {}).get(parameter, {})
    if schema.get("type") == "string":
        return value
    decoded = loose_json.decode(value.strip())
    return value if decoded is loose_json.BROKEN else decoded


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
