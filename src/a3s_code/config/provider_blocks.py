"""Reads `providers "NAME" { models "ID" { } }`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

from a3s_code.config.endpoints import (
    Api,
    CostConfig,
    EndpointConfig,
    LimitConfig,
    ModalitiesConfig,
    ModelConfig,
    ProviderConfig,
)
from a3s_code.config.labels import labelled
from a3s_code.config.planned import warn_of_planned_endpoint
from a3s_code.config.section import Section

WEB = ("http", "https")
_APIS: tuple[Api, ...] = get_args(Api)


def read_providers(top: Section) -> Mapping[str, ProviderConfig]:
    """The providers by name, in order."""
    found: dict[str, ProviderConfig] = {}
    for name, section in labelled(top, "providers").items():
        if "/" in name:
            message = "has a slash in its name; a model is named provider/model"
            raise section.reading.error(section.prefix, message, section.at, "take the slash out of the name")
        found[name] = _provider(name, section)
    return MappingProxyType(found)


def _provider(name: str, section: Section) -> ProviderConfig:
    shared = _endpoint(section, EndpointConfig())
    bare = ProviderConfig(**shared, name=name, path=section.path("path"))
    models = {
        model_id: _model(model, bare.passed_through(model_id))
        for model_id, model in labelled(section, "models").items()
    }
    section.finish()
    return ProviderConfig(**shared, name=name, path=bare.path, models=MappingProxyType(models))


def _endpoint(section: Section, outer: EndpointConfig) -> dict[str, Any]:
    """The fields of an EndpointConfig; what the section leaves open is taken from `outer`."""
    key = section.credential("api_key")
    session_id_header = section.text("session_id_header", outer.session_id_header)
    tool_style = section.text("tool_style", outer.tool_style)
    warn_of_planned_endpoint(section)
    from_outer = key.secret is None and (key.variable is None or outer.api_key is not None)
    return {
        "api_key": outer.api_key if from_outer else key.secret,
        "api_key_variable": outer.api_key_variable if from_outer else key.variable,
        "api_key_line": outer.api_key_line if from_outer else key.line,
        "base_url": section.url("base_url", WEB) or outer.base_url,
        "headers": MappingProxyType({**outer.headers, **section.secrets("headers")}),
        "session_id_header": session_id_header,
        "api": section.choice("api", _APIS, outer.api),
        "stream": section.flag("stream", outer.stream),
        "tool_call": section.flag("tool_call", outer.tool_call),
        "tool_style": tool_style,
    }


def _model(section: Section, passed: ModelConfig) -> ModelConfig:
    """The model; `passed` is what it would be if nothing were said of it."""
    model = ModelConfig(
        **_endpoint(section, passed),
        id=passed.id,
        name=section.text("name", passed.name),
        family=section.text("family", passed.family),
        attachment=section.flag("attachment", passed.attachment),
        reasoning=section.flag("reasoning", passed.reasoning),
        temperature=section.flag("temperature", passed.temperature),
        release_date=section.text("release_date", passed.release_date),
        modalities=_modalities(section.section("modalities")),
        cost=_cost(section.section("cost")),
        limit=_limit(section),
    )
    section.finish()
    return model


def _modalities(section: Section | None) -> ModalitiesConfig:
    usual = ModalitiesConfig()
    if section is None:
        return usual
    found = ModalitiesConfig(section.texts("input", usual.input), section.texts("output", usual.output))
    section.finish()
    return found


def _cost(section: Section | None) -> CostConfig | None:
    if section is None:
        return None
    found = CostConfig(
        section.decimal("input"),
        section.decimal("output"),
        section.decimal("cache_read"),
        section.decimal("cache_write"),
    )
    section.finish()
    return found


def _limit(model: Section) -> LimitConfig:
    """The limits, also in the older form without a block; 0 is unknown."""
    context = _older(model, "context")
    output = _older(model, "max_tokens")
    section = model.section("limit")
    if section is not None:
        context = section.integer("context", context, least=0)
        output = section.integer("output", output, least=0)
        section.finish()
    return LimitConfig(context or None, output or None)


def _older(model: Section, name: str) -> int | None:
    value = model.integer(name, None, least=0)
    if value is not None:
        at = model.entry(name) or model.at
        model.reading.warn(model.key(name), "is deprecated", at, "write limit { context = ... output = ... }")
    return value
