"""Schemas with nothing in them that a model does not need."""

from __future__ import annotations

from typing import Any, Literal, Optional

from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field

from a3s_code.toolkit.schema import terse_schema


class Colour(BaseModel):
    """A colour."""

    name: Literal["red", "green"]


class Tree(BaseModel):
    title: str
    below: list[Tree] = []


class Everything(BaseModel):
    """Not for the model."""

    model_config = ConfigDict(extra="forbid", title="Everything")

    title: str = Field(description="its title")
    count: int = 3
    maybe: Optional[int] = Field(None, ge=1, description="if known")  # noqa: UP045  # as users write it
    colour: Colour | None = None
    either: int | str | None = None
    colours: list[Colour] = []
    table: dict[str, int] = {}
    pair: tuple[int, str] = (1, "a")


def test_noise_is_dropped_and_meaning_kept() -> None:
    assert terse_schema(Everything.model_json_schema()) == {
        "type": "object",
        "required": ["title"],
        "properties": {
            "title": {"type": "string", "description": "its title"},
            "count": {"type": "integer", "default": 3},
            "maybe": {"type": "integer", "minimum": 1, "description": "if known"},
            "colour": {
                "type": "object",
                "description": "A colour.",
                "properties": {"name": {"type": "string", "enum": ["red", "green"]}},
                "required": ["name"],
            },
            "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "colours": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "description": "A colour.",
                    "properties": {"name": {"type": "string", "enum": ["red", "green"]}},
                    "required": ["name"],
                },
            },
            "table": {"type": "object", "additionalProperties": {"type": "integer"}, "default": {}},
            "pair": {
                "type": "array",
                "default": [1, "a"],
                "minItems": 2,
                "maxItems": 2,
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
            },
        },
    }


def test_what_refers_to_itself_keeps_its_definition() -> None:
    class Holder(BaseModel):
        tree: Tree | None = None
        trees: list[Tree] = []

    schema = terse_schema(Holder.model_json_schema())
    assert set(schema["$defs"]) == {"Tree"}
    assert schema["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    good: dict[str, Any] = {"tree": {"title": "a", "below": [{"title": "b"}]}}
    assert validator.is_valid(good)
    assert not validator.is_valid({"tree": {"title": "a", "below": [{"title": 1}]}})


def test_an_argument_called_title_or_default_stays() -> None:
    class Odd(BaseModel):
        title: int
        default: int
        additionalProperties: bool = False  # noqa: N815  # the point

    assert list(terse_schema(Odd.model_json_schema())["properties"]) == ["title", "default", "additionalProperties"]
