"""Tools out of functions."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import to_json, to_jsonable_python

from a3s_code.errors import UsageError
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.toolkit.threads import run_in_thread
from a3s_code.toolkit.tool import Tool, undeclared

Function = Callable[..., Any]
WorkspaceKind = Literal["read", "write", "delete", "spend", "release"]
DeclaredEffects = tuple[WorkspaceKind, ...] | Callable[[Any, Path], tuple[Effect, ...]]

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns?|Raises|Yields|Examples?|Notes?):\s*$", re.MULTILINE)
_PARAMETER = re.compile(r"^\s*\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


@overload
def tool(function: Function, /) -> FunctionTool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    effects: DeclaredEffects | None = None,
    group: str = "core",
) -> Callable[[Function], FunctionTool]: ...


def tool(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    effects: DeclaredEffects | None = None,
    group: str = "core",
) -> FunctionTool | Callable[[Function], FunctionTool]:
    """Make a tool of a typed function.

    Its parameters are the arguments: types and defaults from the signature, descriptions from
    `Annotated[..., Field(description=...)]` or the docstring's `Args:` section. A parameter annotated ToolContext gets
    the context and is no argument. The docstring before its sections is the description.

    A plain function runs in a worker thread, with the caller's context variables; it cannot be stopped there, so a
    cancelled call leaves it to end by itself. An `async def` runs on the event loop and must not block it. A str
    becomes the text, a ToolOutput stays, None reads "done", any other result is shown as JSON and kept as the value.

    `effects` says what a call does, so that rules can judge it and changes are made one at a time: () for nothing of
    its own; kinds such as ("read",), where files mean those of the workspace; or a function of (arguments, workspace)
    that returns Effects with exact targets, which commands and addresses need. Undeclared, the tool may do anything: by
    default each call is asked about, and may run beside others.

    Raises UsageError for a function that cannot be one: untyped, or with *args, **kwargs or positional-only parameters.
    """

    def make(wrapped: Function) -> FunctionTool:
        return FunctionTool(wrapped, name=name, description=description, effects=effects, group=group)

    return make if function is None else make(function)


class FunctionTool(Tool):
    """What `tool` makes of a function; `function` is the function itself, and calling the tool calls it."""

    def __init__(
        self,
        function: Function,
        *,
        name: str | None = None,
        description: str | None = None,
        effects: DeclaredEffects | None = None,
        group: str = "core",
    ) -> None:
        self.function = function
        self.name = name or str(getattr(function, "__name__", ""))
        about, parameters = _read_docstring(function)
        self.description = description or about
        self.group = group
        self._declared = _check_effects(self.name, effects)
        self._context, self.Args = _read_signature(function, self.name, parameters)
        self.spec  # noqa: B018  # what is wrong with the function is told where it is defined

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def effects(self, args: Any, workspace: Path) -> tuple[Effect, ...]:
        """As declared; see `tool`."""
        declared = self._declared
        if declared is None:
            return undeclared(self.name)
        if isinstance(declared, tuple):
            return tuple(self._effect(kind, workspace) for kind in declared)
        return tuple(declared(args, workspace))

    def _effect(self, kind: WorkspaceKind, workspace: Path) -> Effect:
        return Effect(kind, self.name) if kind in ("spend", "release") else Effect(kind, str(workspace), ".")

    async def invoke(self, args: Any, context: ToolContext) -> ToolOutput:
        """Call the function."""
        given = {name: getattr(args, name) for name in type(args).model_fields}
        if self._context is not None:
            given[self._context] = context
        if inspect.iscoroutinefunction(self.function):
            result = await self.function(**given)
        else:
            result = await run_in_thread(self.function, **given)
            if inspect.isawaitable(result):
                result = await result
        return _output(result)


def _check_effects(name: str, effects: DeclaredEffects | None) -> DeclaredEffects | None:
    kinds = get_args(WorkspaceKind)
    if effects is None or callable(effects) or all(kind in kinds for kind in effects):
        return effects
    hint = f"a tuple of {', '.join(kinds)}; for a command or an address a function that returns Effects"
    raise UsageError(f"tool {name}: the effects {effects!r} cannot be judged", hint=hint)


def _output(result: Any) -> ToolOutput:
    match result:
        case ToolOutput():
            return result
        case str():
            return ToolOutput(result)
        case None:
            return ToolOutput("done")
        case _:
            return ToolOutput(to_json(result).decode(), value=to_jsonable_python(result))


def _read_signature(
    function: Function, name: str, descriptions: Mapping[str, str]
) -> tuple[str | None, type[BaseModel]]:
    """The name of the context parameter, if any, and the others as a model."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        hint = "types must be names of the module, not of a function around it"
        raise UsageError(f"tool {name}: a type cannot be told: {error}", hint=hint) from error
    context: str | None = None
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if not named or parameter.name.startswith("_"):
            raise UsageError(f"tool {name}: {parameter} cannot be an argument", hint="give it a public name")
        if parameter.name not in hints:
            raise UsageError(f"tool {name}: parameter {parameter.name} has no type", hint="its schema is made from it")
        annotation = hints[parameter.name]
        if annotation is ToolContext:
            context = parameter.name
            continue
        fields[parameter.name] = _field(annotation, parameter.default, descriptions.get(parameter.name))
    return context, _make_model(name, fields)


def _make_model(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    try:
        with warnings.catch_warnings():
            # A parameter may be called `json` or `copy` like an old method of the model: nothing here calls those.
            warnings.simplefilter("ignore", UserWarning)
            model: type[BaseModel] = create_model(
                f"{name}_arguments", __config__=ConfigDict(protected_namespaces=()), **fields
            )
            model.model_json_schema()
    except (PydanticUserError, NameError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"tool {name}: its arguments cannot be described: {reason}") from error
    return model


def _field(annotation: Any, default: Any, description: str | None) -> tuple[Any, Any]:
    if isinstance(default, FieldInfo) or description is None or _describes(annotation):
        return annotation, ... if default is inspect.Parameter.empty else default
    return annotation, Field(... if default is inspect.Parameter.empty else default, description=description)


def _describes(annotation: Any) -> bool:
    return get_origin(annotation) is not None and any(
        isinstance(item, FieldInfo) and item.description for item in get_args(annotation)
    )


def _read_docstring(function: Function) -> tuple[str, dict[str, str]]:
    """The text before the first section, and the descriptions in the section of arguments."""
    text = inspect.getdoc(function) or ""
    sections = list(_SECTION.finditer(text))
    about = text[: sections[0].start()] if sections else text
    parameters: dict[str, str] = {}
    for place, section in enumerate(sections):
        if section[1] in ("Args", "Arguments", "Parameters"):
            end = sections[place + 1].start() if place + 1 < len(sections) else len(text)
            parameters = _read_parameters(text[section.end() : end])
    return about.strip(), parameters


def _read_parameters(section: str) -> dict[str, str]:
    lines = [line for line in inspect.cleandoc(section).splitlines() if line.strip()]
    found: dict[str, str] = {}
    current = ""
    for line in lines:
        start = None if line[:1].isspace() else _PARAMETER.match(line)
        if start is not None:
            current = start[1]
            found[current] = start[2].strip()
        elif current:
            found[current] = f"{found[current]} {line.strip()}".strip()
    return found
