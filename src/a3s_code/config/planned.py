"""Settings that are read and checked, but that this version does not act on: each is warned of where it is set.

Whoever makes a setting work takes its name out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from a3s_code.config.schema import Config
from a3s_code.config.section import Section

_ALWAYS: Final[tuple[Any, ...]] = ()
TOP_LEVEL: Final[Mapping[str, tuple[Any, ...]]] = {
    "memory_dir": _ALWAYS,
    "memory": _ALWAYS,
    "queue": _ALWAYS,
    "skill_dirs": _ALWAYS,
    "agent_dirs": _ALWAYS,
    "mcp_servers": _ALWAYS,
    "ahp": _ALWAYS,
    "max_parallel_tasks": _ALWAYS,
    "auto_delegation": _ALWAYS,
    "auto_parallel": _ALWAYS,
    "user_instructions_dir": _ALWAYS,
    "project_doc_max_bytes": _ALWAYS,
    "project_doc_fallback_filenames": _ALWAYS,
    "planning_mode": ("disabled",),
    "planning_model": _ALWAYS,
    "verify": ("auto", "require"),
}
"""By name, with the values that need no warning: they say what happens anyway, or are refused by the session."""

ENDPOINT: Final = ("session_id_header", "tool_style")
"""The same for a provider and for a model."""

_NOTHING: Final = (None, ())
_MESSAGE: Final = "has no effect in this version"


def warn_of_planned(top: Section, config: Config) -> None:
    """Warns of each top-level setting of `config` that was set in vain."""
    for name, kept in TOP_LEVEL.items():
        value, entry = getattr(config, name), top.given(name)
        if entry is not None and value not in _NOTHING and value not in kept:
            top.reading.warn(name, _MESSAGE, entry, kind="without_effect")


def warn_of_planned_endpoint(section: Section) -> None:
    """The same for the section of a provider or a model."""
    for name in ENDPOINT:
        entry = section.given(name)
        if entry is not None:
            section.reading.warn(section.key(name), _MESSAGE, entry, kind="without_effect")
