from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from a3s_code.config import Config, ConfigWarning, load_config

Load = Callable[..., Config]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The current folder of a load: empty, and not the real one."""
    current = tmp_path / "work"
    current.mkdir()
    return current


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home folder of a load: empty, and not the real one."""
    place = tmp_path / "home"
    place.mkdir()
    return place


@pytest.fixture
def load(folder: Path, home: Path) -> Load:
    """load_config in an empty folder, with an empty home and no environment but what is given."""

    def run(
        source: str | Path | None, overrides: dict[str, Any] | None = None, environ: dict[str, str] | None = None
    ) -> Config:
        return load_config(source, overrides or {}, environ=environ or {}, cwd=folder, home=home)

    return run


@pytest.fixture
def told() -> Callable[[Config], list[ConfigWarning]]:
    """The warnings of a configuration without those of settings that do nothing yet."""

    def run(config: Config) -> list[ConfigWarning]:
        return [warning for warning in config.warnings if warning.kind != "without_effect"]

    return run
