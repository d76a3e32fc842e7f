"""The fields of SessionOptions: what each may hold, checked when it is assigned."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

from a3s_code.api.requests import snake_case
from a3s_code.config.schema import BudgetConfig
from a3s_code.errors import InvalidOption
from a3s_code.harness.safety.confirmation import ConfirmationPolicy
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.harness.safety.security import DefaultSecurityProvider
from a3s_code.kernel.capability import Capability
from a3s_code.kernel.contracts import Check
from a3s_code.kernel.hook import Hook
from a3s_code.kernel.ports import Harness
from a3s_code.kernel.tool import SandboxMode, ToolSpec

TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
STORE_VERBS = ("claim", "release", "append", "load", "cut", "blobs", "sessions", "delete", "close")

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


def _flag(name: str, value: Any) -> Any:
    if not isinstance(value, bool):
        raise _refuse(name, value, "true or false")
    return value


def _share(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise _refuse(name, value, "a share above 0 and up to 1")
    return value


def _breaker(name: str, value: Any) -> Any:
    return None if value in (None, 0) else _whole(1)(name, value)


def _fallbacks(name: str, value: Any) -> Any:
    for item in _sequence(name, value, "models"):
        if item is None:
            raise _refuse(name, item, '"provider/model" or an object with a stream(prompt) method')
        _model(name, item)
    return tuple(value)


def _budget(name: str, value: Any) -> Any:
    if value is None or isinstance(value, BudgetConfig):
        return value
    if not isinstance(value, Mapping):
        raise _refuse(name, value, "a dict with max_cost and max_tokens")
    given = {snake_case(str(key)): item for key, item in value.items()}
    if not given.keys() <= {"max_cost", "max_tokens"}:
        raise _refuse(name, value, "a dict with max_cost and max_tokens")
    cost = given.get("max_cost")
    if cost is not None:
        try:
            cost = Decimal(str(cost)) if not isinstance(cost, bool) else None
        except InvalidOperation:
            cost = None
        if cost is None or not cost.is_finite() or cost < 0:
            raise _refuse(f"{name}.max_cost", given["max_cost"], "an amount of at least 0")
    return BudgetConfig(cost, _whole(1, optional=True)(f"{name}.max_tokens", given.get("max_tokens")))


def _store(name: str, value: Any) -> Any:
    if isinstance(value, type):
        raise InvalidOption(
            f"{name} is the class {value.__name__}", field=name, hint=f"make one: {value.__name__}(...)"
        )
    if value is not None and (missing := [verb for verb in STORE_VERBS if not callable(getattr(value, verb, None))]):
        raise InvalidOption(f"{name} is {_shown(value)}, which has no method {missing[0]}", field=name)
    return value


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
CHECKS: dict[str, Field] = {
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
    "llm_max_attempts": _whole(1),
    "llm_total_timeout_ms": _whole(1, optional=True),
    "fallback_models": _fallbacks,
    "circuit_breaker_threshold": _breaker,
    "max_execution_time_ms": _whole(1, optional=True),
    "budget": _budget,
    "last_turn_at_limit": _flag,
    "auto_compact": _flag,
    "auto_compact_threshold": _share,
    "max_context_tokens": _whole(1000, optional=True),
    "continuation_enabled": _flag,
    "max_continuation_turns": _whole(0),
    "max_parse_retries": _whole(0),
    "session_store": _store,
    "auto_save": _flag,
    "tenant_id": _label,
    "principal": _label,
    "agent_template_id": _label,
    "correlation_id": _label,
}
