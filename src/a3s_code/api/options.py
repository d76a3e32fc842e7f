"""SessionOptions: everything a session can be told, checked when it is said."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from a3s_code.api.requests import snake_case
from a3s_code.errors import InvalidOption
from a3s_code.harness.safety.confirmation import ConfirmationPolicy, OnConfirm
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.harness.safety.security import DefaultSecurityProvider
from a3s_code.kernel.capability import Capability
from a3s_code.kernel.contracts import Check
from a3s_code.kernel.hook import Hook
from a3s_code.kernel.ports import ChatModel, Clock, Harness
from a3s_code.kernel.tool import SandboxMode, ToolPort, ToolSpec

if TYPE_CHECKING:
    from typing import Unpack

TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class SessionFields(TypedDict, total=False):
    """The fields of SessionOptions, as keywords."""

    model: str | ChatModel | None
    session_id: str | None
    permission_policy: PermissionPolicy | None
    confirmation_policy: ConfirmationPolicy | None
    on_confirm: OnConfirm | None
    security_provider: DefaultSecurityProvider | None
    hooks: Sequence[Hook]
    sandbox: SandboxMode
    tools: Sequence[ToolPort]
    capabilities: Sequence[Capability]
    harness: Harness
    checks: Sequence[Check | Mapping[str, Any] | str]
    max_tool_rounds: int
    tool_timeout_ms: int
    duplicate_tool_call_threshold: int | None
    llm_api_timeout_ms: int
    max_output_tokens: int | None
    temperature: float | None
    thinking_budget: int | None
    artifact_store_limits: Mapping[str, int]
    on_busy: Literal["error", "queue"]
    clock: Clock | None
    tenant_id: str | None
    principal: str | None
    agent_template_id: str | None
    correlation_id: str | None


class SessionOptions:
    """What a session is to be like. Assign fields until a session takes the options; each is checked at once.

    model: "provider/model" or any ChatModel; None takes the configuration's default_model.
    session_id: letters, digits, dot, dash, underscore; None makes one.
    permission_policy: the rules; None allows reading in the workspace and asks for the rest.
    on_confirm: called with each PendingConfirmation; gives True, False or (approved, reason). May be a coroutine.
    confirmation_policy: how long an answer is waited for, what then, and which lanes need none.
    security_provider: redacts by pattern, follows tainted values, looks for injected instructions.
    hooks: called at the places they name; some may change or block.
    sandbox: "auto" confines commands where the system can, "require" fails where it cannot, "off" does not.
    tools, capabilities: added to the core tools; one of the same name replaces it.
    harness: modules in place of the default ones.
    checks: commands that prove the work, as Check, dict or command text.
    max_tool_rounds: model calls in one send. tool_timeout_ms: the longest one call may take.
    duplicate_tool_call_threshold: the same call without news is refused from this one on; None never.
    llm_api_timeout_ms: to the first token, and between two, each.
    max_output_tokens, temperature, thinking_budget: None takes the provider's default.
    artifact_store_limits: {max_items, max_bytes} of the outputs kept in memory.
    on_busy: "error" raises SessionBusy when a run goes on, "queue" waits for it.
    clock: time and ids, for deterministic runs.
    tenant_id, principal, agent_template_id, correlation_id: the host's labels; carried, never read.

    Raises InvalidOption, which names the field.
    """

    model: str | ChatModel | None = None
    session_id: str | None = None
    permission_policy: PermissionPolicy | None = None
    confirmation_policy: ConfirmationPolicy | None = None
    on_confirm: OnConfirm | None = None
    security_provider: DefaultSecurityProvider | None = None
    hooks: Sequence[Hook] = ()
    sandbox: SandboxMode = "auto"
    tools: Sequence[ToolPort] = ()
    capabilities: Sequence[Capability] = ()
    harness: Harness = Harness()
    checks: Sequence[Check | Mapping[str, Any] | str] = ()
    max_tool_rounds: int = 50
    tool_timeout_ms: int = 600_000
    duplicate_tool_call_threshold: int | None = 3
    llm_api_timeout_ms: int = 180_000
    max_output_tokens: int | None = None
    temperature: float | None = None
    thinking_budget: int | None = None
    artifact_store_limits: Mapping[str, int] = {"max_items": 256, "max_bytes": 16 * 1024 * 1024}
    on_busy: Literal["error", "queue"] = "error"
    clock: Clock | None = None
    tenant_id: str | None = None
    principal: str | None = None
    agent_template_id: str | None = None
    correlation_id: str | None = None

    def __init__(self, **given: Unpack[SessionFields]) -> None:
        for name, value in given.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        if (check := _CHECKS.get(name)) is None:
            near = difflib.get_close_matches(name, _CHECKS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known options: {', '.join(_CHECKS)}"
            raise InvalidOption(f"there is no option {name!r}", field=name, hint=hint)
        object.__setattr__(self, name, check(name, value))

    def __repr__(self) -> str:
        return f"SessionOptions({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def given(self, name: str, otherwise: Any) -> Any:
        """The field, if it was assigned, else `otherwise`."""
        return vars(self).get(name, otherwise)

    def merged(self, **given: Unpack[SessionFields]) -> SessionOptions:
        """A copy with these fields on top; the original may change afterwards without effect on the copy."""
        fields: SessionFields = {**vars(self), **given}  # type: ignore[typeddict-item]  # vars holds checked fields
        return SessionOptions(**fields)


Field = Callable[[str, Any], Any]


def _refuse(name: str, value: object, wanted: str) -> InvalidOption:
    return InvalidOption(f"{name} is {_shown(value)}, not {wanted}", field=name)


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str | int | float | bool) or value is None else type(value).__name__


def _one_of(wanted: str, *types: type) -> Field:
    def check(name: str, value: Any) -> Any:
        if value is not None and not isinstance(value, types):
            raise _refuse(name, value, wanted)
        return value

    return check


def _whole(least: int, *, optional: bool = False) -> Field:
    def check(name: str, value: Any) -> Any:
        if value is None and optional:
            return value
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise _refuse(name, value, f"a whole number of at least {least}")
        return value

    return check


def _temperature(name: str, value: Any) -> Any:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2):
        raise _refuse(name, value, "a number from 0 to 2")
    return value


def _session_id(name: str, value: Any) -> Any:
    if value is not None and not (isinstance(value, str) and SAFE_ID.fullmatch(value)):
        raise _refuse(name, value, "an id of up to 128 letters, digits, dots, dashes and underscores")
    return value


def _on_busy(name: str, value: Any) -> Any:
    if value not in ("error", "queue"):
        raise _refuse(name, value, '"error" or "queue"')
    return value


def _sandbox(name: str, value: Any) -> Any:
    if value not in get_args(SandboxMode):
        raise _refuse(name, value, '"auto", "off" or "require"')
    return value


def _threshold(name: str, value: Any) -> Any:
    if value in (None, 0):
        return None
    return _whole(2)(name, value)


def _callable(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise _refuse(name, value, "a function")
    return value


def _hooks(name: str, value: Any) -> Any:
    for item in _sequence(name, value, "hooks"):
        if not isinstance(item, Hook):
            raise _refuse(name, item, "a Hook")
    return tuple(value)


def _model(name: str, value: Any) -> Any:
    if value is not None and not isinstance(value, str) and not callable(getattr(value, "stream", None)):
        raise _refuse(name, value, '"provider/model" or an object with a stream(prompt) method')
    return value


def _harness(name: str, value: Any) -> Any:
    if not isinstance(value, Harness):
        raise _refuse(name, value, "a Harness")
    for module, verb in _VERBS.items():
        given = getattr(value, module)
        if given is not None and not callable(getattr(given, verb, None)):
            raise InvalidOption(f"harness.{module} has no method {verb}", field=f"harness.{module}")
    return value


_VERBS = {
    "router": "route",
    "planner": "plan",
    "assembler": "assemble",
    "selector": "select",
    "gate": "decide",
    "sanitizer": "clean",
    "verifier": "verify",
    "compactor": "compact",
}


def _clock(name: str, value: Any) -> Any:
    if value is not None and not (
        callable(getattr(value, "now_ms", None)) and callable(getattr(value, "new_id", None))
    ):
        raise _refuse(name, value, "an object with now_ms() and new_id(kind)")
    return value


def _sequence(name: str, value: Any, wanted: str) -> Sequence[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise _refuse(name, value, f"a list of {wanted}")
    return value


def _tools(name: str, value: Any) -> Any:
    for item in _sequence(name, value, "tools"):
        _tool(name, item)
    return tuple(value)


def _tool(name: str, item: Any) -> None:
    if isinstance(item, type):
        raise InvalidOption(f"{name} holds the class {item.__name__}", field=name, hint=f"make one: {item.__name__}()")
    if not all(callable(getattr(item, verb, None)) for verb in ("parse", "effects", "invoke")):
        hint = "decorate the function with @tool" if callable(item) else "subclass a3s_code.Tool"
        raise InvalidOption(f"{name} holds {_shown(item)}, which is no tool", field=name, hint=hint)
    try:
        spec = item.spec
        json.dumps(dict(spec.parameters))
    except Exception as error:
        raise InvalidOption(f"{name} holds a tool that cannot be described: {error}", field=name) from error
    if not (isinstance(spec, ToolSpec) and isinstance(spec.name, str) and TOOL_NAME.fullmatch(spec.name)):
        hint = "1 to 64 letters, digits, _ and -"
        raise InvalidOption(f"{name} holds a tool called {getattr(spec, 'name', None)!r}", field=name, hint=hint)


def _capabilities(name: str, value: Any) -> Any:
    for item in _sequence(name, value, "capabilities"):
        if not isinstance(item, Capability):
            raise _refuse(name, item, "a Capability")
        _hooks(f"{name} ({item.name})", item.hooks)
        _tools(f"{name} ({item.name})", item.tools)
    return tuple(value)


def _checks(name: str, value: Any) -> Any:
    return tuple(_check(name, item) for item in _sequence(name, value, "checks"))


def _check(name: str, item: Any) -> Check:
    if isinstance(item, str):
        item = Check(item)
    elif isinstance(item, Mapping):
        known = {field.name for field in fields(Check)}
        item = {snake_case(str(key)): value for key, value in item.items()}
        if unknown := [key for key in item if key not in known]:
            raise InvalidOption(f"a check has no field {unknown[0]!r}", field=name, hint=f"known: {', '.join(known)}")
        item = Check(**{"command": "", **item})
    if not isinstance(item, Check):
        raise _refuse(name, item, "a Check, a dict or a command")
    command: Any = item.command
    if not isinstance(command, str) or not command.strip():
        raise InvalidOption("a check has no command", field=name)
    _whole(1, optional=True)(f"{name}.timeout_ms", item.timeout_ms)
    for flag in ("required", "must_fail_before"):
        if not isinstance(getattr(item, flag), bool):
            raise _refuse(f"{name}.{flag}", getattr(item, flag), "true or false")
    return item


def _artifact_limits(name: str, value: Any) -> Any:
    if not isinstance(value, Mapping) or not set(value) <= {"max_items", "max_bytes"}:
        raise _refuse(name, value, "a dict with max_items and max_bytes")
    for key, limit in value.items():
        _whole(1)(f"{name}.{key}", limit)
    return dict(value)


_label = _one_of("text", str)
_CHECKS: dict[str, Field] = {
    "model": _model,
    "session_id": _session_id,
    "permission_policy": _one_of("a PermissionPolicy", PermissionPolicy),
    "confirmation_policy": _one_of("a ConfirmationPolicy", ConfirmationPolicy),
    "on_confirm": _callable,
    "security_provider": _one_of("a DefaultSecurityProvider", DefaultSecurityProvider),
    "hooks": _hooks,
    "sandbox": _sandbox,
    "tools": _tools,
    "capabilities": _capabilities,
    "harness": _harness,
    "checks": _checks,
    "max_tool_rounds": _whole(1),
    "tool_timeout_ms": _whole(1),
    "duplicate_tool_call_threshold": _threshold,
    "llm_api_timeout_ms": _whole(1),
    "max_output_tokens": _whole(1, optional=True),
    "temperature": _temperature,
    "thinking_budget": _whole(1, optional=True),
    "artifact_store_limits": _artifact_limits,
    "on_busy": _on_busy,
    "clock": _clock,
    "tenant_id": _label,
    "principal": _label,
    "agent_template_id": _label,
    "correlation_id": _label,
}
