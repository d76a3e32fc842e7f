"""Models: from "provider/model" and a configuration to a ChatModel and its price."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from a3s_code.api.options import SessionOptions
from a3s_code.config.endpoints import ModelConfig
from a3s_code.config.schema import Config
from a3s_code.errors import A3SError, ConfigError
from a3s_code.kernel.contracts import ModelSettings, Price
from a3s_code.kernel.messages import Piece
from a3s_code.kernel.ports import ChatModel, Clock, Prompt
from a3s_code.providers.breaker import Breakers
from a3s_code.providers.endpoint import OFFLINE, ModelEndpoint
from a3s_code.providers.registry import create_model, warm
from a3s_code.providers.resilience import ResilientModel


class UnusableModel:
    """Stands for a model that the configuration does not give: sessions open, the first request raises why."""

    def __init__(self, name: str, error: A3SError) -> None:
        self.name = name
        self._error = error

    def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
        raise self._error


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model to ask, what it and those it may ask instead cost by their names, and the tokens it takes, where these
    are known."""

    model: ChatModel
    prices: Mapping[str, Price | None]
    context_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Models:
    """The models of one configuration. Its sessions share what is known of a model that fails."""

    config: Config
    _breakers: dict[tuple[int | None, int], Breakers] = field(default_factory=dict[tuple[int | None, int], Breakers])

    def warm(self) -> None:
        """Begin to load the SDK of the default model in the background."""
        try:
            endpoint, _ = self._find(None, Path())
        except A3SError:
            return  # told at the first request, by the session that asks
        if endpoint.provider not in OFFLINE:
            warm(endpoint.speaks)

    def open(self, options: SessionOptions, workspace: Path, clock: Clock) -> OpenedModel:
        """The model of a session, which asks again, or asks others, where that can help."""
        settings = ModelSettings(
            options.temperature,
            options.given("thinking_budget", self.config.thinking_budget),
            options.max_output_tokens,
            options.given("llm_api_timeout_ms", self.config.llm_api_timeout_ms),
        )
        first = self._open(options.model, settings, workspace)
        if isinstance(first.model, ResilientModel):
            return first
        others = [self._open(given, settings, workspace) for given in options.fallback_models]
        resilient = ResilientModel(
            [first.model, *(other.model for other in others)],
            clock=clock,
            breakers=self._breakers_for(options.circuit_breaker_threshold, clock),
            max_attempts=options.llm_max_attempts,
            total_timeout_ms=options.llm_total_timeout_ms,
        )
        return replace(first, model=resilient, prices={k: v for o in (*others, first) for k, v in o.prices.items()})

    def _breakers_for(self, threshold: int | None, clock: Clock) -> Breakers:
        return self._breakers.setdefault((threshold, id(clock)), Breakers(threshold, clock))

    def _open(self, given: str | ChatModel | None, settings: ModelSettings, workspace: Path) -> OpenedModel:
        if given is not None and not isinstance(given, str):
            return OpenedModel(given, {given.name: None})
        try:
            endpoint, listed = self._find(given, workspace)
            if endpoint.provider not in OFFLINE and endpoint.lacks_key:
                raise self.config.missing_credential(endpoint.provider, endpoint.model)
            if settings.max_output_tokens is None and listed.limit.output:
                settings = replace(settings, max_output_tokens=listed.limit.output)
            return OpenedModel(create_model(endpoint, settings), {endpoint.name: _price(listed)}, listed.limit.context)
        except ConfigError as error:
            return OpenedModel(UnusableModel(given or self.config.default_model or "none", error), {})

    def _find(self, given: str | None, workspace: Path) -> tuple[ModelEndpoint, ModelConfig]:
        label, model_id = self.config.model_ref(given)
        provider = self.config.providers.get(label)
        if provider is not None:
            listed, path = provider.model(model_id), provider.path
        elif label in OFFLINE:
            listed, path = ModelConfig(id=model_id, name=model_id), None
        else:
            known = ", ".join(sorted(self.config.providers)) or "none"
            raise self.config.error(
                "default_model",
                f'there is no provider "{label}"; configured: {known}',
                f'write providers "{label}" {{ api_key = env("...") }} in the configuration',
            )
        endpoint = ModelEndpoint(
            provider=label,
            model=model_id,
            api=listed.api,
            base_url=listed.base_url,
            api_key=None if listed.api_key is None else listed.api_key.reveal(),
            api_key_variable=listed.api_key_variable,
            headers={name: value.reveal() for name, value in listed.headers.items()},
            stream=listed.stream,
            tool_calls=listed.tool_call,
            path=path,
            workspace=workspace,
        )
        return endpoint, listed


def _price(listed: ModelConfig) -> Price | None:
    cost = listed.cost
    if cost is None or cost.input is None or cost.output is None:
        return None
    return Price(cost.input, cost.output, cost.cache_read, cost.cache_write)
