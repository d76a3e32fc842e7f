"""From an endpoint to its model. Adding a provider is one line in `_WIRES` or `_DOUBLES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from a3s_code.errors import ConfigError
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.ports import ChatModel
from a3s_code.providers import clients
from a3s_code.providers.anthropic import Messages
from a3s_code.providers.endpoint import Api, ModelEndpoint
from a3s_code.providers.model import HttpModel
from a3s_code.providers.openai import ChatCompletions
from a3s_code.providers.replay import ReplayModel
from a3s_code.providers.scripted import ScriptedModel
from a3s_code.providers.wire_format import WireFormat

_WIRES: Mapping[Api, Callable[[ModelEndpoint, ModelSettings], WireFormat]] = {
    "anthropic": Messages,
    "openai": ChatCompletions,
}


def create_model(endpoint: ModelEndpoint, settings: ModelSettings) -> ChatModel:
    """The model at `endpoint`. Nothing is imported, opened or asked before its first call.

    Raises ConfigError for an endpoint that cannot be used; a missing key is found at the first call.
    """
    if (double := _DOUBLES.get(endpoint.provider)) is not None:
        return double(endpoint)
    endpoint.check()
    if settings.thinking_budget and endpoint.speaks == "openai" and endpoint.provider != "openrouter":
        raise ConfigError(
            f'the provider "{endpoint.provider}" takes no thinking_budget',
            key="thinking_budget",
            hint="leave it out, or set it for anthropic and openrouter models only",
        )
    return HttpModel(endpoint, settings, _WIRES[endpoint.speaks](endpoint, settings))


def warm(api: Api) -> None:
    """Begin to import the SDK that speaks `api`, in the background, once a process."""
    clients.warm(api)


def _replay(endpoint: ModelEndpoint) -> ChatModel:
    if endpoint.path is None:
        raise ConfigError(
            "the provider replay has no recording", key="providers.replay.path", hint='write path = "recording.json"'
        )
    return ReplayModel(endpoint.path, match=endpoint.match, workspace=endpoint.workspace, name=endpoint.name)


def _scripted(endpoint: ModelEndpoint) -> ChatModel:
    return ScriptedModel(endpoint.script, name=endpoint.name)


_DOUBLES: Mapping[str, Callable[[ModelEndpoint], ChatModel]] = {"replay": _replay, "scripted": _scripted}
