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
from a3s_code.harness.trust import Survey, TrustStore, survey, user_store
from a3s_code.kernel.events import WorkspaceUntrusted

LOG = logging.getLogger("a3s_code.config")
SHOWN_FILES = 10


def load_vouched(source: str | os.PathLike[str] | None, overrides: Mapping[str, Any]) -> Config:
    """The configuration, confined where it was found beside the code and nobody trusted it. Raises ConfigError."""
    config = load_config(source, overrides)
    if config.source_path is None or not config.found_by_search or _is_of_the_user(config.source_path):
        return config
    folder = Path(os.path.realpath(config.source_path.parent))
    if trust_store().trusts(survey(folder)):
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


def trust_workspace(path: str | os.PathLike[str]) -> Survey:
    """Trust what a workspace brings, from now on. Raises WorkspaceError for what is no folder, or cannot be read."""
    try:
        folder = Path(path).expanduser().resolve(strict=True)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise WorkspaceError(f"{str(path)!r} cannot be trusted: {error}", hint="name the workspace's folder") from error
    if not folder.is_dir():
        raise WorkspaceError(f"{str(path)!r} is no folder", hint="name the workspace's folder")
    found = survey(folder)
    trust_store().trust(found)
    return found


def find_untrusted(workspace: Path, named: Path | None) -> WorkspaceUntrusted | None:
    """The event that tells of configuration in the workspace which stays unused; `named` is the file somebody named."""
    found = survey(workspace)
    files = [name for name in found.files if named is None or workspace / name != named]
    if not (files or found.fault) or trust_store().trusts(found):
        return None
    shown = ", ".join(files[:SHOWN_FILES]) + (f" and {len(files) - SHOWN_FILES} more" if files[SHOWN_FILES:] else "")
    reason = found.fault or f"nobody trusted {shown}; look at it and call agent.trust()"
    return WorkspaceUntrusted(str(workspace), found.digest, reason)


def trust_store() -> TrustStore:
    """The store of whoever runs this process."""
    return user_store(Path.home())


def _is_of_the_user(path: Path) -> bool:
    return path.parent == Path.home() / ".a3s"
