"""Keeping: which options of a session are stored with it, and how they come back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from a3s_code.api.options import SessionOptions
from a3s_code.config.schema import BudgetConfig
from a3s_code.harness.safety.confirmation import ConfirmationPolicy
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.kernel.contracts import Check

LOG = logging.getLogger("a3s_code")
GUARDS = frozenset({"hooks", "harness", "security_provider", "capabilities"})
NOT_KEPT = frozenset({"session_id", "session_store", "clock"})
"""Said anew wherever a session is opened."""


def plain_options(options: SessionOptions) -> tuple[dict[str, Any], list[str]]:
    """The options that were assigned, as JSON values, and the names of those that only the host can give again."""
    plain: dict[str, Any] = {}
    left: list[str] = []
    for name, value in vars(options).items():
        if name in NOT_KEPT or _is_nothing(name, value):
            continue
        if value is None:
            plain[name] = None
            continue
        written = _plain(name, value)
        if written is None:
            left.append(name)
        else:
            plain[name] = written
    return plain, left


def kept_options(plain: Mapping[str, Any]) -> SessionOptions:
    """The options that `plain_options` wrote; of a later version's those that are known here."""
    options = SessionOptions()
    for name, value in plain.items():
        if hasattr(SessionOptions, name):
            setattr(options, name, _READERS[name](value) if name in _READERS and value is not None else value)
    return options


def reopened_options(header: Mapping[str, Any], given: SessionOptions) -> SessionOptions:
    """The options of a session that is opened again: the stored ones, and those `given` now on top.

    What was given as a function or an object the first time, and is not given now, is logged: it may have been a guard.
    """
    if missing := [name for name in header["left"] if name not in vars(given) and name in GUARDS]:
        LOG.warning("session %s had %s, which is not given now", header["id"], ", ".join(missing))
    options = kept_options(header["options"])
    options.session_id = header["id"]
    return options.merged(**vars(given))


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, PermissionPolicy):
        rules = {kind: list(getattr(value, kind)) for kind in ("allow", "ask", "deny")}
        return {**rules, "default_decision": value.default_decision}
    if isinstance(value, ConfirmationPolicy):
        return asdict(value)
    if isinstance(value, BudgetConfig):
        return {"max_cost": None if value.max_cost is None else str(value.max_cost), "max_tokens": value.max_tokens}
    if name == "checks":
        return [asdict(check) for check in value]
    if name == "fallback_models":
        return list(value) if all(isinstance(model, str) for model in value) else None
    if isinstance(value, str | int | float | bool):
        return value
    return dict(value) if name == "artifact_store_limits" else None


def _is_nothing(name: str, value: Any) -> bool:
    """Whether the option gives nothing, as it does where it is not given. None is not that: it may mean "never"."""
    return getattr(SessionOptions, name) == () and not value


def _check(body: Mapping[str, Any]) -> Check:
    known = {item.name for item in fields(Check)}
    return Check(**{key: value for key, value in body.items() if key in known})


_READERS: Mapping[str, Any] = {
    "permission_policy": lambda body: PermissionPolicy(**body),
    "confirmation_policy": lambda body: ConfirmationPolicy(**{**body, "yolo_lanes": tuple(body["yolo_lanes"])}),
    "checks": lambda body: [_check(check) for check in body],
}
