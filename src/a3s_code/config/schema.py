"""What a configuration holds once it is read: frozen values with their defaults.

A Config can be printed: Secrets show nothing, and what may carry one is left out of its repr.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from a3s_code.config.endpoints import AhpConfig, McpServerConfig, ProviderConfig
from a3s_code.config.lanes import Lane, QueueConfig
from a3s_code.config.mistake import setting_error
from a3s_code.config.secret import Secret
from a3s_code.errors import ConfigError, MissingCredential
from a3s_code.kernel.contracts import Check, Outcome

StorageBackend = Literal["file", "memory", "custom"]
PlanningMode = Literal["auto", "enabled", "disabled"]
VerifyMode = Literal["auto", "require", "report", "off"]
SandboxMode = Literal["auto", "require", "off"]
TimeoutAction = Literal["reject", "auto_approve"]
WarningKind = Literal["unknown", "repeated", "without_effect", "unset", "value"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ConfigWarning:
    """Something in a configuration that works, but hardly as meant. Line and column are None for an override.

    `kind`: a setting that is not known, one given twice, one that this version does not act on, one whose environment
    variable is not set, or any other odd value.
    """

    message: str
    key: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    hint: str | None = None
    kind: WarningKind = "value"

    def __str__(self) -> str:
        where = f"{self.file or '<text>'}:{self.line}:{self.column}" if self.line else ""
        text = f"{self.message} ({self.hint})" if self.hint else self.message
        return f"{where}: {text}" if where else text


@dataclass(frozen=True, slots=True)
class RelevanceConfig:
    decay_days: float = 30.0
    importance_weight: float = 0.7
    recency_weight: float = 0.3


@dataclass(frozen=True, slots=True)
class PruneConfig:
    """What memory forgets; `max_items` None is no limit."""

    max_age_days: float = 90.0
    min_importance_to_keep: float = 0.5
    max_items: int | None = None


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """`prune_interval_ms` None: memory is never pruned by itself."""

    max_short_term: int = 100
    max_working: int = 10
    prune_interval_ms: int | None = None
    llm_extraction: bool = False
    llm_extraction_max_items: int | None = None
    llm_extraction_max_input_chars: int | None = None
    relevance: RelevanceConfig = RelevanceConfig()
    prune: PruneConfig = PruneConfig()


@dataclass(frozen=True, slots=True)
class SearchEngineConfig:
    enabled: bool = True
    weight: float = 1.0
    timeout_ms: int | None = None
    api_key: Secret | None = None


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """Web search. An engine that fails `max_failures` times in a row is left alone for `suspend_ms`."""

    timeout_ms: int = 20_000
    engines: Mapping[str, SearchEngineConfig] = field(default_factory=lambda: _EMPTY)
    max_failures: int = 3
    suspend_ms: int = 60_000
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PermissionsConfig:
    """Rules as they were written, and what holds where none matches."""

    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    default: Outcome = "ask"


@dataclass(frozen=True, slots=True)
class ConfirmationConfig:
    """`default_timeout_ms` None waits for ever."""

    enabled: bool = False
    default_timeout_ms: int | None = 30_000
    timeout_action: TimeoutAction = "reject"
    yolo_lanes: tuple[Lane, ...] = ()


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """What a run may use up; None is no limit."""

    max_cost: Decimal | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class AutoDelegationConfig:
    enabled: bool = False
    auto_parallel: bool = True
    allow_manual_delegation: bool = True
    min_confidence: float = 0.72
    max_tasks: int = 4


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration.

    None means that nothing was said, and the feature is off or the session's own default holds. Relative paths were
    resolved: in a file against its folder, in text and overrides against the current folder. `found_by_search` tells a
    file that nobody named. `secrets` are all secret values in it, for those who must cover them elsewhere; `places` are
    line and column of each setting by its dotted key, without overrides; `source_text` is what they point into.
    """

    default_model: str | None = None
    providers: Mapping[str, ProviderConfig] = field(default_factory=lambda: _EMPTY)
    storage_backend: StorageBackend = "file"
    storage_url: str | None = field(default=None, repr=False)
    sessions_dir: Path | None = None
    memory_dir: Path | None = None
    memory: MemoryConfig | None = None
    queue: QueueConfig | None = None
    search: SearchConfig | None = None
    skill_dirs: tuple[Path, ...] = ()
    agent_dirs: tuple[Path, ...] = ()
    mcp_servers: tuple[McpServerConfig, ...] = ()
    ahp: AhpConfig | None = None
    max_tool_rounds: int = 50
    max_parallel_tasks: int = 8
    auto_delegation: AutoDelegationConfig = AutoDelegationConfig()
    auto_parallel: bool | None = None
    thinking_budget: int | None = None
    llm_api_timeout_ms: int = 180_000
    user_instructions_dir: Path | None = None
    project_doc_max_bytes: int = 32 * 1024
    project_doc_fallback_filenames: tuple[str, ...] = ()
    permissions: PermissionsConfig | None = None
    confirmation: ConfirmationConfig | None = None
    checks: tuple[Check, ...] = ()
    verify: VerifyMode = "auto"
    budget: BudgetConfig | None = None
    sandbox: SandboxMode = "auto"
    planning_mode: PlanningMode = "auto"
    planning_model: str | None = None
    source_path: Path | None = None
    found_by_search: bool = False
    warnings: tuple[ConfigWarning, ...] = ()
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    places: Mapping[str, tuple[int, int]] = field(default_factory=lambda: _EMPTY, repr=False)
    source_text: Secret | None = field(default=None, repr=False, compare=False)

    def model_ref(self, name: str | None = None) -> tuple[str, str]:
        """Provider and model id of `name`, or of the default model. Raises ConfigError unless it is provider/model."""
        key = "default_model"
        reference = self.default_model if name is None else name
        hint = 'write default_model = "provider/model"' if name is None else 'write "provider/model"'
        if reference is None:
            raise self.error(key, "no model is named, and there is no default_model", hint)
        provider, _, model = reference.partition("/")
        if not provider or not model:
            what = key if name is None else "the model"
            raise self.error(key, f"{what} must name a provider and a model, with a slash between them", hint)
        return provider, model

    def missing_credential(self, provider: str, model: str | None = None) -> MissingCredential:
        """The error to raise where `provider`, or one model of it, is called without its key.

        It names the variable and the line, and the unknown settings beside it: one may be a misspelt key.
        """
        prefix = f"providers.{provider}."
        key, found = f"{prefix}api_key", self.providers.get(provider)
        endpoint = found if found is None or model is None else found.model(model)
        own = f"{prefix}models.{model}.api_key"
        if own in self.places and endpoint is not None and endpoint.api_key_line == self.places[own][0]:
            key = own
        line, column = self.places.get(key, (None, None))
        odd = [warning for warning in self.warnings if warning.kind == "unknown" and _is_below(warning, prefix)]
        message = f"provider {provider!r} has no API key"
        if endpoint is not None and endpoint.api_key_variable is not None:
            line = line or endpoint.api_key_line
            where = f" (line {line})" if line else ""
            message += f": env variable {endpoint.api_key_variable} is not set, or empty{where}"
            hint = f"set {endpoint.api_key_variable} before the configuration is loaded"
        else:
            variable = re.sub(r"\W", "_", provider).upper() + "_API_KEY"
            hint = f'write providers "{provider}" {{ apiKey = env("{variable}") }}'
        message += "".join(f"; {_told(warning, prefix)}" for warning in odd)
        if line is None and odd:
            line, column = odd[0].line, odd[0].column
        file = str(self.source_path) if self.source_path and line else None
        return MissingCredential(message, file=file, line=line, column=column, key=key, hint=hint)

    def error(self, key: str, message: str, hint: str | None = None) -> ConfigError:
        """A ConfigError about the setting `key`, with its file, line and column where it stands in a file."""
        line, column = self.places.get(key, (None, None))
        file = str(self.source_path) if self.source_path and line else None
        text = self.source_text.reveal() if self.source_text else ""
        return setting_error(key, message, hint, text=text, file=file, line=line, column=column)


def _is_below(warning: ConfigWarning, prefix: str) -> bool:
    return warning.key is not None and warning.key.startswith(prefix)


def _told(warning: ConfigWarning, prefix: str) -> str:
    """An unknown setting of a provider, as part of another sentence."""
    name = (warning.key or "").removeprefix(prefix)
    place = f" at {warning.line}:{warning.column}" if warning.line else ""
    hint = f"; {warning.hint.removesuffix('?')}" if warning.hint else ""
    return f"{name}{place} is not a known setting{hint}"
