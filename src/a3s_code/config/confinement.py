"""What is left of a configuration that nobody vouched for: it may restrict, and choose among what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, Final, TypeVar

from a3s_code.config.endpoints import EndpointConfig, ProviderConfig
from a3s_code.config.schema import Config, PermissionsConfig
from a3s_code.kernel.contracts import Outcome

_ACTING: Final = (
    "mcp_servers", "ahp", "checks", "queue", "search", "storage_url", "sessions_dir", "memory_dir", "memory",
    "skill_dirs", "agent_dirs", "user_instructions_dir", "confirmation",
)  # fmt: skip
"""Settings that start something, grant something, or choose where something is sent or stored."""

_STRICTNESS: Final[Mapping[str, tuple[str, ...]]] = {
    "sandbox": ("off", "auto", "require"),
    "verify": ("off", "report", "auto", "require"),
}
_OUTCOMES: Final[tuple[Outcome, ...]] = ("allow", "ask", "deny")
T = TypeVar("T", bound=EndpointConfig)


def confine(found: Config, own: Config) -> Config:
    """`found` without what acts, grants or redirects; `own`, the same without the file, is what the host gave."""
    kept: dict[str, Any] = {name: getattr(own, name) for name in _ACTING}
    for name, order in _STRICTNESS.items():
        kept[name] = max(getattr(found, name), getattr(own, name), key=order.index)
    return replace(
        found,
        **kept,
        permissions=_restrict(found.permissions, own.permissions),
        providers=MappingProxyType(
            {name: _confine_provider(provider, own.providers.get(name)) for name, provider in found.providers.items()}
        ),
    )


def list_confined(found: Config, own: Config) -> tuple[str, ...]:
    """The settings of `found` that confining changes."""
    left = confine(found, own)
    names = (field.name for field in fields(Config))
    return tuple(name for name in names if getattr(found, name) != getattr(left, name))


def _restrict(found: PermissionsConfig | None, own: PermissionsConfig | None) -> PermissionsConfig | None:
    if found is None or found == own:
        return own
    if not (found.ask or found.deny) and found.default != "deny":
        return own
    given = own or PermissionsConfig()
    default = max(found.default, given.default, key=_OUTCOMES.index)
    return replace(found, allow=given.allow, default=default)


def _confine_provider(found: ProviderConfig, own: ProviderConfig | None) -> ProviderConfig:
    models = MappingProxyType(
        {
            name: _confine_endpoint(model, None if own is None else own.models.get(name))
            for name, model in found.models.items()
        }
    )
    return replace(_confine_endpoint(found, own), models=models)


def _confine_endpoint(found: T, own: T | None) -> T:
    if own is None:
        return replace(found, base_url=None, headers=MappingProxyType({}))
    return replace(found, base_url=own.base_url, headers=own.headers)
