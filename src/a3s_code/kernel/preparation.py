"""Preparation: a call becomes a tool, its arguments and its effects, or the output that says why it cannot."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from a3s_code.errors import ArgumentError
from a3s_code.kernel.attribution import describe, expect, is_foreign
from a3s_code.kernel.contracts import Decision, Effect, Origin
from a3s_code.kernel.messages import ToolCall
from a3s_code.kernel.tool import Action, ToolCatalog, ToolOutput, ToolPort

MAX_NESTING = 8


@dataclass(frozen=True, slots=True)
class Ready:
    """What it takes to judge and to make a call."""

    tool: ToolPort
    args: Any
    action: Action


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call, and what came of it so far: ready, or with the output or the decision that ends it.

    `doubt` is the ask of a hook that wants a person to look at it.
    """

    call: ToolCall
    found: Ready | ToolOutput | Decision
    doubt: Decision | None = None

    @property
    def changes(self) -> bool:
        return isinstance(self.found, Ready) and self.found.action.changes


def prepare(catalog: ToolCatalog, workspace: Path, call: ToolCall, origin: Origin) -> Prepared:
    """Look the tool up, validate the arguments, ask for the effects; what goes wrong is an output for the model.

    The arguments are copied, so that nobody who is shown them can change what runs.
    """
    tool = catalog.get(call.name)
    if tool is None:
        near = catalog.nearest(call.name) or catalog.names
        text = f"There is no tool {call.name!r}. Nearest: {', '.join(near)}."
        return Prepared(call, ToolOutput.failure(text, "unknown_tool"))
    if call.malformed is not None:
        text = f"The arguments of {call.name} are not a JSON object: {call.malformed[:200]!r}. Nothing was done."
        return Prepared(call, ToolOutput.failure(text, "invalid_argument"))
    try:
        arguments = copy.deepcopy(dict(call.arguments))
        args = tool.parse(arguments)
        effects = tuple(expect(Effect, effect) for effect in tool.effects(args, workspace))
    except RecursionError:
        return Prepared(call, ToolOutput.failure(f"{call.name}: the arguments are nested too deep", "invalid_argument"))
    except (ArgumentError, ValueError) as error:
        return Prepared(call, ToolOutput.failure(f"{call.name}: {error}", "invalid_argument"))
    except BaseException as error:
        if not is_foreign(error):
            raise
        return Prepared(call, fail(call, "internal", describe(error)))
    return Prepared(call, Ready(tool, args, Action(call.id, call.name, arguments, effects, origin)))


def expand(catalog: ToolCatalog, workspace: Path, ready: Ready, depth: int = 0) -> Action:
    """The action of a call with those of the calls it is known to make; raises ValueError where one cannot be made."""
    list_calls = getattr(ready.tool, "calls", None)
    if list_calls is None:
        return ready.action
    if depth >= MAX_NESTING:
        raise ValueError(f"calls are nested more than {MAX_NESTING} deep")
    inner: list[Action] = []
    given: Iterable[tuple[str, Mapping[str, Any]]] = list_calls(ready.args)
    for name, arguments in given:
        call = ToolCall(ready.action.call_id, name, arguments)
        found = prepare(catalog, workspace, call, ready.action.origin).found
        if not isinstance(found, Ready):
            raise ValueError(found.text if isinstance(found, ToolOutput) else found.reason)
        inner.append(expand(catalog, workspace, found, depth + 1))
    return replace(ready.action, calls=tuple(inner))


def fail(call: ToolCall, kind: str, reason: str) -> ToolOutput:
    """The output of a call that broke off."""
    return ToolOutput.failure(f"{call.name} failed: {reason}", kind)
