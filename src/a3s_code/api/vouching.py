"""Vouching: a configuration acts when somebody named it, or trusted the workspace it came with."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from a3s_code.config.confinement import confine, list_confined
from a3s_code.config.load import load_config
from a3s_code.config.schema import Config
from a3s_code.errors import WorkspaceError
from a3s_code.harness.trust import Survey, TrustStore, brings_nothing, survey, user_store
from a3s_code.kernel.events import WorkspaceUntrusted

LOG = logging.getLogger("a3s_code.config")
SHOWN_FILES = 10
OWN = ".a3s"
"""The folder in the user's home that only the user writes."""


def load_vouched(source: str | os.PathLike[str] | None, overrides: Mapping[str, Any]) -> Config:
    """The configuration, confined where it was found beside the code and nobody trusted it. Raises ConfigError."""
    config = load_config(source, overrides)
    if config.source_path is None or not config.found_by_search or _is_of_the_user(config.source_path):
        return config
    folder = Path(os.path.realpath(config.source_path.parent))
    text = "" if config.source_text is None else config.source_text.reveal()
    if is_trusted(survey_workspace(folder, {config.source_path.name: text.encode()})):
        return config
    own = load_config("", overrides)
    if names := list_confined(config, own):
        LOG.warning(
            "%s is not trusted: %s left unused. Name the file, or look at it and call agent.trust(%r)",
            config.source_path,
            ", ".join(names),
            str(folder),
        )
    return confine(config, own)


def open_workspace(path: str | os.PathLike[str]) -> Path:
    """The folder to be trusted, as a real path. Raises WorkspaceError."""
    try:
        folder = Path(path).expanduser().resolve(strict=True)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise WorkspaceError(f"{str(path)!r} cannot be opened: {error}", hint="name the workspace's folder") from error
    if not folder.is_dir():
        raise WorkspaceError(f"{str(path)!r} is no folder", hint="name the workspace's folder")
    return folder


def survey_workspace(folder: Path, read: Mapping[str, bytes] | None = None) -> Survey:
    """What a workspace brings; the user's own folder, should it lie there, is not brought by it."""
    if brings_nothing(folder):
        return Survey(folder, (), "")
    home = _find_home()
    return survey(folder, None if home is None else Path(os.path.realpath(home)) / OWN, read or {})


def is_trusted(found: Survey) -> bool:
    """Whether the user trusted exactly that."""
    home = _find_home()
    return not (found.files or found.fault) if home is None else user_store(home).trusts(found)


def find_untrusted(workspace: Path, named: Path | None) -> WorkspaceUntrusted | None:
    """The event that tells of configuration in the workspace which stays unused; `named` is the file somebody named."""
    found = survey_workspace(workspace)
    used = "" if named is None else os.path.realpath(named)
    files = [name for name in found.files if os.path.realpath(workspace / name) != used]
    if not (files or found.fault) or is_trusted(found):
        return None
    shown = ", ".join(files[:SHOWN_FILES]) + (f" and {len(files) - SHOWN_FILES} more" if files[SHOWN_FILES:] else "")
    reason = found.fault or f"nobody trusted {shown}; look at it and call agent.trust()"
    return WorkspaceUntrusted(str(workspace), found.digest, reason)


def trust_store() -> TrustStore:
    """The store of whoever runs this process. Raises WorkspaceError where the user has no home folder."""
    home = _find_home()
    if home is None:
        raise WorkspaceError("there is no home folder to remember trust in", hint="set HOME")
    return user_store(home)


def _find_home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:
        return None


def _is_of_the_user(path: Path) -> bool:
    home = _find_home()
    return home is not None and path.parent == home / OWN
