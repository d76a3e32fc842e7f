"""What a configuration says of the peers it names: providers and their models, MCP servers, an AHP harness.

A price is a Decimal per million tokens, in the currency of the provider's list, and None where it is not known. Keys,
tokens, headers and child environments are Secrets; what may carry one (addresses, arguments) is left out of every repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from a3s_code.config.secret import Secret

Api = Literal["anthropic", "openai"]
McpTransport = Literal["stdio", "http", "streamable-http"]
AhpTransport = Literal["http", "websocket", "stdio", "unix_socket"]
FailMode = Literal["open", "closed"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CostConfig:
    """What a model costs."""

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


@dataclass(frozen=True, slots=True)
class LimitConfig:
    """The tokens a model takes and gives; None is unknown."""

    context: int | None = None
    output: int | None = None


@dataclass(frozen=True, slots=True)
class ModalitiesConfig:
    input: tuple[str, ...] = ("text",)
    output: tuple[str, ...] = ("text",)


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """How a provider, or one model of it, is reached. What a model leaves open it takes from its provider.

    `api_key_variable` is the environment variable that the key was to come from, set or not, and `api_key_line` the
    line that names it. `api` overrides the wire format that follows from the provider's name; `tool_style` says how
    tools are put to a model that has no tool calls of its own.
    """

    api_key: Secret | None = None
    api_key_variable: str | None = None
    api_key_line: int | None = None
    base_url: str | None = field(default=None, repr=False)
    headers: Mapping[str, Secret] = field(default_factory=lambda: _EMPTY)
    session_id_header: str | None = None
    api: Api | None = None
    stream: bool = True
    tool_call: bool = True
    tool_style: str | None = None


@dataclass(frozen=True, slots=True)
class ModelConfig(EndpointConfig):
    """One model. `temperature`, `reasoning` and `attachment` say what it supports."""

    id: str = ""
    name: str = ""
    family: str = ""
    attachment: bool = False
    reasoning: bool = False
    temperature: bool = True
    release_date: str | None = None
    modalities: ModalitiesConfig = ModalitiesConfig()
    cost: CostConfig | None = None
    limit: LimitConfig = LimitConfig()


@dataclass(frozen=True, slots=True)
class ProviderConfig(EndpointConfig):
    """A provider and the models listed under it. `path` is the recording that a "replay" provider plays."""

    name: str = ""
    path: Path | None = None
    models: Mapping[str, ModelConfig] = field(default_factory=lambda: _EMPTY)

    def model(self, model_id: str) -> ModelConfig:
        """The model of that id; one that is not listed is passed through with the provider's settings."""
        listed = self.models.get(model_id)
        return listed if listed is not None else self.passed_through(model_id)

    def passed_through(self, model_id: str) -> ModelConfig:
        """A model of which nothing is known but its id."""
        shared = {item.name: getattr(self, item.name) for item in fields(EndpointConfig)}
        return ModelConfig(**shared, id=model_id, name=model_id)


@dataclass(frozen=True, slots=True)
class OAuthConfig:
    auth_url: str | None = field(default=None, repr=False)
    token_url: str | None = field(default=None, repr=False)
    client_id: str | None = None
    client_secret: Secret | None = None
    scopes: tuple[str, ...] = ()
    redirect_uri: str | None = None
    access_token: Secret | None = None


@dataclass(frozen=True, slots=True)
class McpServerConfig:
    """A Model Context Protocol server. stdio has a command and arguments, the others a URL and headers."""

    name: str
    transport: McpTransport
    command: str | None = field(default=None, repr=False)
    args: tuple[str, ...] = field(default=(), repr=False)
    url: str | None = field(default=None, repr=False)
    headers: Mapping[str, Secret] = field(default_factory=lambda: _EMPTY)
    env: Mapping[str, Secret] = field(default_factory=lambda: _EMPTY)
    enabled: bool = True
    timeout_ms: int = 60_000
    oauth: OAuthConfig | None = None


@dataclass(frozen=True, slots=True)
class AhpConfig:
    """An Agent Harness Protocol peer. `fail_mode` None: closed for events that gate an action, open for the others."""

    enabled: bool = True
    transport: AhpTransport = "http"
    url: str | None = field(default=None, repr=False)
    command: str | None = field(default=None, repr=False)
    args: tuple[str, ...] = field(default=(), repr=False)
    path: Path | None = None
    token: Secret | None = None
    api_key: Secret | None = None
    idle_ms: int = 10_000
    heartbeat_ms: int = 60_000
    timeout_ms: int = 10_000
    fail_mode: FailMode | None = None
