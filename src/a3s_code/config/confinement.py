"""What is left of a configuration that nobody vouched for: it may restrict, and choose among what is known."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, Final, TypeVar

from a3s_code.config.endpoints import EndpointConfig, ProviderConfig
from a3s_code.config.schema import Config, PermissionsConfig
from a3s_code.kernel.contracts import Outcome

_ACTING: Final = (
    "mcp_servers", "ahp", "checks", "queue", "search", "storage_url", "sessions_dir", "memory_dir", "memory",
    "skill_dirs", "agent_dirs", "user_instructions_dir", "confirmation", "storage_backend", "auto_delegation",
    "auto_parallel", "project_doc_fallback_filenames",
)  # fmt: skip
"""Settings that start something, grant something, or choose what is read, and where something is sent or stored."""

_LIMITS: Final = ("max_tool_rounds", "max_parallel_tasks", "llm_api_timeout_ms", "project_doc_max_bytes")
"""Limits, of which the lower one holds."""

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
    for name in _LIMITS:
        kept[name] = min(getattr(found, name), getattr(own, name))
    return replace(
        found,
        **kept,
        permissions=_restrict(found.permissions, own.permissions),
        providers=MappingProxyType(
            {
                name: _confine_provider(name, provider, own.providers.get(name))
                for name, provider in found.providers.items()
            }
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


def _confine_provider(label: str, found: ProviderConfig, own: ProviderConfig | None) -> ProviderConfig:
    models = MappingProxyType(
        {
            name: _confine_endpoint(
                label, model, None if own is None else own.models.get(name) or own.passed_through(name)
            )
            for name, model in found.models.items()
        }
    )
    return replace(_confine_endpoint(label, found, own), models=models, path=None if own is None else own.path)


def _confine_endpoint(label: str, found: T, own: T | None) -> T:
    """The endpoint with the address, the headers and the key of the host.

    A key from the environment stays where it is the provider's own: any other would tell one provider a secret of
    another, and one that stands in the file itself would lead the conversation to somebody else's account.
    """
    kept = EndpointConfig() if own is None else own
    confined = replace(found, base_url=kept.base_url, headers=kept.headers, session_id_header=kept.session_id_header)
    if kept.api_key is None and _is_own_key(label, found):
        return confined
    return replace(
        confined, api_key=kept.api_key, api_key_variable=kept.api_key_variable, api_key_line=kept.api_key_line
    )


def _is_own_key(label: str, endpoint: EndpointConfig) -> bool:
    """Whether the key comes from a variable named after the provider, as OPENAI_API_KEY after "openai"."""
    variable, key = endpoint.api_key_variable or "", endpoint.api_key
    named = variable.upper().startswith(re.sub(r"\W", "_", label).upper())
    return named and (key is None or key.reveal() == os.environ.get(variable))
