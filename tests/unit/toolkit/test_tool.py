"""The class a tool is written as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from a3s_code.errors import ArgumentError, UsageError
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import Action, ToolContext, ToolOutput
from a3s_code.toolkit import Tool


class GreetArgs(BaseModel):
    name: str


class Greet(Tool):
    name = "greet"
    description = "Say hello."
    Args = GreetArgs

    async def invoke(self, args: GreetArgs, context: ToolContext) -> ToolOutput:
        return ToolOutput(f"Hello, {args.name}")


def test_a_class_gives_a_spec() -> None:
    spec = Greet().spec
    assert (spec.name, spec.description, spec.group) == ("greet", "Say hello.", "core")
    assert spec.parameters == {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    tool = Greet()
    assert tool.spec is tool.spec


def test_arguments_are_parsed_into_the_class() -> None:
    assert Greet().parse({"name": "Ann"}) == GreetArgs(name="Ann")
    with pytest.raises(ArgumentError, match="name: expected string"):
        Greet().parse({"name": 1})


def test_a_tool_that_declares_nothing_may_do_anything() -> None:
    effects = Greet().effects(GreetArgs(name="Ann"), Path("/ws"))
    assert effects == (Effect("unknown", "greet"),)
    assert Action("1", "greet", {}, effects, "model").may_change


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"name": "no spaces"}, "cannot be called"),
        ({"name": ""}, "cannot be called"),
        ({"name": "x" * 65}, "cannot be called"),
        ({"description": ""}, "has no description"),
    ],
)
def test_a_tool_must_say_what_it_is(given: dict[str, Any], reason: str) -> None:
    broken = type("Broken", (Greet,), given)
    with pytest.raises(UsageError, match=reason):
        _ = broken().spec
