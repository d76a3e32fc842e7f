"""Reads a whole configuration: every top-level key."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import get_args

from a3s_code.config.document import Block
from a3s_code.config.lane_blocks import read_queue
from a3s_code.config.peer_blocks import read_ahp, read_mcp_servers
from a3s_code.config.planned import warn_of_planned
from a3s_code.config.provider_blocks import read_providers
from a3s_code.config.schema import Config, PlanningMode, SandboxMode, StorageBackend, VerifyMode
from a3s_code.config.section import Section
from a3s_code.config.session_blocks import (
    read_auto_delegation,
    read_budget,
    read_checks,
    read_confirmation,
    read_memory,
    read_permissions,
    read_search,
)

_BACKENDS: tuple[StorageBackend, ...] = get_args(StorageBackend)
_VERIFY: tuple[VerifyMode, ...] = get_args(VerifyMode)
_SANDBOX: tuple[SandboxMode, ...] = get_args(SandboxMode)
_PLANNING: tuple[PlanningMode, ...] = get_args(PlanningMode)


def read_config(top: Section) -> Config:
    """The configuration that the section holds, without where it came from."""
    usual = Config()
    auto_parallel = top.flag("auto_parallel", usual.auto_parallel, "auto_parallel_enabled")
    backend = _backend(top)
    config = Config(
        default_model=_default_model(top),
        providers=read_providers(top),
        storage_backend=backend,
        storage_url=_storage_url(top, backend),
        sessions_dir=top.path("sessions_dir"),
        memory_dir=top.path("memory_dir"),
        memory=read_memory(top.section("memory")),
        queue=read_queue(top.section("queue")),
        search=read_search(top.section("search")),
        skill_dirs=top.paths("skill_dirs", "skills"),
        agent_dirs=top.paths("agent_dirs"),
        mcp_servers=read_mcp_servers(top),
        ahp=read_ahp(top.section("ahp")),
        max_tool_rounds=top.integer("max_tool_rounds", usual.max_tool_rounds),
        max_parallel_tasks=top.integer("max_parallel_tasks", usual.max_parallel_tasks),
        auto_delegation=read_auto_delegation(top.section("auto_delegation"), auto_parallel),
        auto_parallel=auto_parallel,
        thinking_budget=top.integer("thinking_budget", usual.thinking_budget),
        llm_api_timeout_ms=top.integer(
            "llm_api_timeout_ms", usual.llm_api_timeout_ms, "api_timeout_ms", "model_api_timeout_ms"
        ),
        user_instructions_dir=top.path("user_instructions_dir", "global_instructions_dir"),
        project_doc_max_bytes=top.integer("project_doc_max_bytes", usual.project_doc_max_bytes, least=0),
        project_doc_fallback_filenames=top.texts("project_doc_fallback_filenames", ()),
        permissions=read_permissions(top.section("permissions")),
        confirmation=read_confirmation(top.section("confirmation")),
        checks=read_checks(top),
        verify=top.choice("verify", _VERIFY, usual.verify),
        budget=read_budget(top.section("budget")),
        sandbox=top.choice("sandbox", _SANDBOX, usual.sandbox),
        planning_mode=top.choice("planning_mode", _PLANNING, usual.planning_mode),
        planning_model=top.text("planning_model", usual.planning_model),
    )
    top.retired("os", "has no meaning here and is ignored")
    top.finish()
    warn_of_planned(top, config)
    reading = top.reading
    return replace(
        config,
        warnings=tuple(sorted(reading.warnings, key=lambda warning: (warning.line or 0, warning.column or 0))),
        secrets=tuple(reading.secrets),
        places=MappingProxyType(reading.places),
    )


def _default_model(top: Section) -> str | None:
    """An attribute, or a block whose label is the model."""
    entry = top.entry("default_model")
    if entry is None or not isinstance(entry.content, Block):
        return top.text("default_model", None)
    labels = entry.content.labels
    if len(labels) == 1 and not entry.content.items:
        return labels[0]
    message, hint = (
        "must be text, or a block with one label and nothing in it",
        'write default_model = "provider/model"',
    )
    raise top.reading.error("default_model", message, entry, hint)


def _backend(top: Section) -> StorageBackend:
    """An unknown backend is the default one, with a warning: it may be the word of another version."""
    text = top.text("storage_backend", None)
    known: StorageBackend | None = next(
        (backend for backend in _BACKENDS if text is not None and backend == text.strip().lower()), None
    )
    entry = top.entry("storage_backend")
    if known is None and text is not None and entry is not None:
        names = ", ".join(_BACKENDS)
        top.reading.warn("storage_backend", f"names no known backend; {_BACKENDS[0]} is used", entry, f"one of {names}")
    return known or _BACKENDS[0]


def _storage_url(top: Section, backend: StorageBackend) -> str | None:
    """A URL as it is; for the file backend anything else is a path."""
    text, entry = top.text("storage_url", None), top.entry("storage_url")
    if text is None or entry is None or backend != "file" or "://" in text:
        return text
    return str(top.reading.resolve("storage_url", text, entry.content))
