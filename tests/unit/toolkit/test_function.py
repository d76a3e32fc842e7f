"""Tools out of functions."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from a3s_code.errors import UsageError
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.tool import Action, ToolContext, ToolOutput
from a3s_code.toolkit import FunctionTool, Tool, tool

request = contextvars.ContextVar("request", default="none")


class Artifacts:
    """No tool here keeps an output."""

    def put(self, tool: str, content: str, shown_bytes: int) -> Any:
        raise AssertionError(tool)

    def get(self, uri: str) -> str | None:
        return None


async def call(made: Tool, arguments: Mapping[str, Any] | None = None) -> ToolOutput:
    args = made.parse(arguments or {})
    workspace = Path("/ws")
    context = ToolContext(
        workspace, "session-1", None, "call-1", "model", Decision("allow"), made.effects(args, workspace), Artifacts(),
        {}, {}, lambda _: None,
    )  # fmt: skip
    return await made.invoke(args, context)


@dataclass
class Pair:
    left: int
    right: str


class Shape(BaseModel):
    sides: int = 3


@tool
def add(left: int, right: int = 2) -> int:
    """Add two numbers.

    Slowly, but exactly.

    Args:
        left: the first
            of the two
        right (int): the second: any

    Returns:
        The sum.
    """
    return left + right


@tool(name="looked-up", description="Look a word up.", group="words", effects=())
async def look_up(
    word: Annotated[str, Field(description="the word", max_length=9)],
    where: Literal["here", "there"] = "here",
    shape: Shape | None = None,
    *,
    context: ToolContext,
) -> str:
    return f"{word} {where} {context.session_id} {shape and shape.sides}"


def test_the_signature_and_the_docstring_make_the_spec() -> None:
    assert add.spec.name == "add"
    assert add.spec.description == "Add two numbers.\n\nSlowly, but exactly."
    assert add.spec.parameters == {
        "type": "object",
        "properties": {
            "left": {"type": "integer", "description": "the first of the two"},
            "right": {"type": "integer", "description": "the second: any", "default": 2},
        },
        "required": ["left"],
    }


def test_the_decorator_can_say_more_and_the_context_is_no_argument() -> None:
    spec = look_up.spec
    assert (spec.name, spec.description, spec.group) == ("looked-up", "Look a word up.", "words")
    assert set(spec.parameters["properties"]) == {"word", "where", "shape"}
    assert spec.parameters["properties"]["word"] == {"type": "string", "description": "the word", "maxLength": 9}


async def test_both_kinds_of_function_are_called() -> None:
    output = await call(add, {"left": 1})
    assert (output.text, output.value) == ("3", 3)
    assert (await call(look_up, {"word": "tree", "shape": {"sides": 4}})).text == "tree here session-1 4"


def test_the_function_can_still_be_called() -> None:
    assert add(1, 1) == 2
    assert isinstance(add, FunctionTool)


async def test_a_plain_function_runs_off_the_loop_with_the_callers_context() -> None:
    @tool
    def where() -> list[Any]:
        """Tell where it runs."""
        return [threading.current_thread() is threading.main_thread(), request.get()]

    request.set("mine")
    assert (await call(where)).value == [False, "mine"]


async def test_a_slow_plain_function_does_not_hold_up_the_loop() -> None:
    released = threading.Event()

    @tool
    def wait() -> bool:
        """Wait for the loop."""
        return released.wait(5)

    task = asyncio.create_task(call(wait))
    await asyncio.sleep(0.05)
    released.set()
    assert (await task).value is True


@pytest.mark.parametrize(
    ("result", "text", "value"),
    [
        ("plain", "plain", None),
        (None, "done", None),
        ({"a": [1, None]}, '{"a":[1,null]}', {"a": [1, None]}),
        (Pair(1, "é"), '{"left":1,"right":"é"}', {"left": 1, "right": "é"}),
        (Shape(), '{"sides":3}', {"sides": 3}),
        ([Path("/x")], '["/x"]', ["/x"]),
        (True, "true", True),
    ],
)
async def test_a_result_becomes_text_and_value(result: Any, text: str, value: Any) -> None:
    @tool
    def give() -> Any:
        """Give it."""
        return result

    output = await call(give)
    assert (output.text, output.value) == (text, value)
    assert json.loads(json.dumps(output.value)) == value


async def test_an_output_stays_as_it_is() -> None:
    made = ToolOutput.failure("no", "not_found")

    @tool
    async def give() -> ToolOutput:
        """Give it."""
        return made

    assert await call(give) is made


async def test_an_error_passes_through() -> None:
    @tool
    def fail() -> str:
        """Fail."""
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await call(fail)


def test_effects_are_unknown_unless_declared() -> None:
    workspace = Path("/ws")

    def made(**options: Any) -> tuple[Effect, ...]:
        def act(url: str = "http://x") -> str:
            """Act."""
            return url

        decorated = tool(**options)(act)
        return decorated.effects(decorated.parse({}), workspace)

    assert made() == (Effect("unknown", "act"),)
    assert made(effects=()) == ()
    assert made(effects=("read", "release")) == (Effect("read", "/ws", "."), Effect("release", "act"))
    assert made(effects=lambda args, _: [Effect("net", args.url)]) == (Effect("net", "http://x"),)


def test_calls_without_a_declared_change_run_side_by_side_and_unknown_ones_need_proof() -> None:
    harmless = Action("1", "looked-up", {}, look_up.effects(look_up.parse({"word": "a"}), Path("/")), "model")
    unknown = Action("1", "add", {}, add.effects(add.parse({"left": 1}), Path("/")), "model")
    assert (harmless.changes, harmless.may_change) == (False, False)
    assert (unknown.changes, unknown.may_change) == (False, True)


def untyped(value) -> str:  # type: ignore[no-untyped-def]  # the point
    """Take anything."""
    return str(value)


def open_ended(*values: int) -> str:
    """Take many."""
    return str(values)


def positional(value: int, /) -> str:
    """Take one."""
    return str(value)


def unnamed_type(value: Missing) -> str:  # type: ignore[name-defined]  # noqa: F821  # the point
    """Take something."""
    return str(value)


def strange_type(value: threading.Event) -> str:
    """Take an event."""
    return str(value)


def underscored(_value: int) -> str:
    """Take one."""
    return str(_value)


def silent(value: int) -> str:
    return str(value)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (untyped, "value has no type"),
        (open_ended, "cannot be an argument"),
        (positional, "cannot be an argument"),
        (unnamed_type, "Missing"),
        (strange_type, "cannot be described"),
        (underscored, "cannot be an argument"),
        (silent, "no description"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_told_when_it_is_defined(function: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        tool(function)


@pytest.mark.parametrize("effects", ["read", ("net",), ("exec",), ("everything",)])
def test_effects_that_nothing_can_judge_are_refused(effects: Any) -> None:
    with pytest.raises(UsageError, match="cannot be judged"):
        tool(effects=effects)(add.function)


async def test_parameters_may_be_called_like_methods_of_the_model() -> None:
    @tool
    def odd(json: int, copy: str = "c", model_name: str = "m", schema: bool = True) -> str:
        """Take odd names."""
        return f"{json}{copy}{model_name}{schema}"

    assert (await call(odd, {"json": 1})).text == "1cmTrue"
