"""Arguments checked, with errors that say what to write instead."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from a3s_code.errors import ArgumentError

SHOWN = 60
_TYPES = {
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "string": "string",
    "list": "array",
    "tuple": "array",
    "set": "array",
    "dict": "object",
    "model": "object",
    "dataclass": "object",
    "none": "null",
}
_LIMITS = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "string_pattern_mismatch": "a match of {pattern}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_unicode": "text without lone surrogates",
}

Issue = tuple[str, str, str]


def validate(model: type[BaseModel], arguments: Mapping[str, Any]) -> BaseModel:
    """`arguments` as a `model`; raises ArgumentError.

    Whole floats and numerals count as integers. A null where none is possible means that the argument was left out.
    Names that the model does not know are errors, unless it takes any.
    """
    names = _names(model)
    given = {name: value for name, value in arguments.items() if not (value is None and names.get(name, False))}
    problems: list[tuple[Issue, str]] = []
    if model.model_config.get("extra") != "allow":
        problems += [_unknown(name, names) for name in given if name not in names]
        given = {name: value for name, value in given.items() if name in names}
    try:
        value = model.model_validate(given)
    except ValidationError as error:
        problems += [
            (issue, f"{issue[0]}: expected {issue[1]}, got {issue[2]}") for issue in _issues(error, given, model)
        ]
    else:
        if not problems:
            return value
    raise ArgumentError("; ".join(text for _, text in problems), issues=tuple(issue for issue, _ in problems))


def _names(model: type[BaseModel]) -> dict[str, bool]:
    """The argument names, and for each whether a null can only mean that it was left out."""
    names: dict[str, bool] = {}
    for name, field in model.model_fields.items():
        droppable = not field.is_required() and (field.default is None or not _admits_null(field.annotation))
        names[field.alias or name] = droppable
        if model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name"):
            names[name] = droppable
    return names


def _admits_null(annotation: Any) -> bool:
    return annotation in (Any, None, type(None)) or type(None) in get_args(annotation)


def _unknown(name: str, names: Mapping[str, bool]) -> tuple[Issue, str]:
    plain = {re.sub(r"[^a-z0-9]", "", known.lower()): known for known in names}
    near = difflib.get_close_matches(re.sub(r"[^a-z0-9]", "", name.lower()), plain, n=1, cutoff=0.5)
    known = plain[near[0]] if near else " or ".join(names) or "nothing"
    hint = f"did you mean {known}?" if near else f"there is {', '.join(names) or 'no argument'}"
    return (name, known, f"unknown argument {name}"), f"unknown argument {name} ({hint})"


def _issues(error: ValidationError, given: Mapping[str, Any], model: type[BaseModel]) -> list[Issue]:
    """One issue for each wrong place; the alternatives of a union are joined."""
    merged: dict[str, tuple[list[str], str]] = {}
    for item in error.errors(include_url=False):
        keys = _keys(item["loc"], given)
        path = ".".join(str(key) for key in keys) or "arguments"
        missing = item["type"] == "missing"
        expected = _type_of(model, path) if missing else _expected(item["type"], item.get("ctx", {}), item["msg"])
        wanted, _ = merged.setdefault(path, ([], "nothing" if missing else _got(item["input"])))
        if expected not in wanted:
            wanted.append(expected)
    return [(path, " or ".join(wanted), got) for path, (wanted, got) in merged.items()]


def _keys(location: Sequence[int | str], given: Any) -> list[int | str]:
    """`location` without what pydantic adds to it, such as the name of a union's alternative."""
    keys: list[int | str] = []
    for place, key in enumerate(location):
        if isinstance(given, Mapping) and (key in given or place == len(location) - 1):
            given = given.get(key)
        elif isinstance(given, Sequence) and isinstance(key, int) and not isinstance(given, str) and key < len(given):
            given = given[key]
        else:
            continue
        keys.append(key)
    return keys


def _type_of(model: type[BaseModel], path: str) -> str:
    return str(model.model_json_schema().get("properties", {}).get(path, {}).get("type", "a value"))


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in _LIMITS:
        return _LIMITS[kind].format(**context)
    if kind in ("int_from_float", "int_type", "int_parsing"):
        return "integer"
    family = kind.partition("_")[0]
    if kind.endswith(("_type", "_parsing")) and family in _TYPES:
        return _TYPES[family]
    if kind in ("value_error", "assertion_error"):
        return f"an accepted value ({context.get('error', message)})"
    return message[:1].lower() + message[1:]


def _got(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"boolean {str(value).lower()}"
        case int():
            return f"integer {_short(str(value))}"
        case float():
            return f"number {value}"
        case "":
            return "an empty string"
        case str():
            return f"string {_short(repr(value))}"
        case Mapping():
            return f"object {_short(json.dumps(value, default=str))}"
        case Sequence():
            return f"array {_short(json.dumps(value, default=str))}"
        case _:
            return type(value).__name__


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
