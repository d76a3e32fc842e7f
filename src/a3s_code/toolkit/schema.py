"""JSON Schemas with nothing in them that a model does not need: every byte is sent again with every request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIX = "#/$defs/"


def terse_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A pydantic schema without titles, null alternatives, null defaults, `additionalProperties: false` and references.

    Descriptions, limits and other defaults stay. What refers to itself keeps its `$defs`. The class's docstring goes.
    """
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    kept: set[str] = set()
    root = {key: value for key, value in schema.items() if key not in ("$defs", "description")}
    terse: dict[str, Any] = _terse(root, definitions, (), kept)
    if kept:
        terse["$defs"] = {name: _terse(definitions[name], definitions, (name,), kept) for name in sorted(kept)}
    return terse


def _terse(schema: Any, definitions: Mapping[str, Any], inside: tuple[str, ...], kept: set[str]) -> Any:
    if isinstance(schema, list):
        return [_terse(item, definitions, inside, kept) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    reference = schema.get("$ref", "")
    if reference.startswith(_PREFIX):
        return _inline(schema, reference.removeprefix(_PREFIX), definitions, inside, kept)
    schema = _flatten(schema)
    if "$ref" in schema:
        return _terse(schema, definitions, inside, kept)
    return {
        key: _member(key, value, definitions, inside, kept)
        for key, value in schema.items()
        if not _is_noise(key, value)
    }


def _member(key: str, value: Any, definitions: Mapping[str, Any], inside: tuple[str, ...], kept: set[str]) -> Any:
    if key in ("properties", "patternProperties"):
        return {name: _terse(item, definitions, inside, kept) for name, item in value.items()}
    if key in ("default", "const", "enum", "examples", "required"):
        return value
    return _terse(value, definitions, inside, kept)


def _inline(
    schema: Mapping[str, Any], name: str, definitions: Mapping[str, Any], inside: tuple[str, ...], kept: set[str]
) -> Any:
    if name in inside or name in kept:
        kept.add(name)
        return {"$ref": _PREFIX + name}
    around = {key: value for key, value in schema.items() if key != "$ref"}
    before = set(kept)
    inlined = _terse({**definitions[name], **around}, definitions, (*inside, name), kept)
    # It turned out to refer to itself: then it cannot be written in place.
    return {"$ref": _PREFIX + name} if name in kept - before else inlined


def _flatten(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """`schema` with an alternative of one other type and null as that type."""
    choices = schema.get("anyOf")
    if not isinstance(choices, list):
        return schema
    others = [choice for choice in choices if choice != {"type": "null"}]
    if len(others) == len(choices):
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**others[0], **rest} if len(others) == 1 else {**rest, "anyOf": others}


def _is_noise(key: str, value: Any) -> bool:
    return key == "title" or (key == "default" and value is None) or (key == "additionalProperties" and value is False)
