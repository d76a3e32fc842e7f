"""Tells the log what is odd about a configuration, for those who never look at `config.warnings`."""

from __future__ import annotations

import logging

from a3s_code.config.schema import Config, ConfigWarning

_LOG = logging.getLogger("a3s_code.config")


def log_warnings(config: Config) -> None:
    """Logs each warning once: as a WARNING, or as INFO where only a variable is not set that may not be needed."""
    for warning in config.warnings:
        level = logging.INFO if _can_wait(warning, config) else logging.WARNING
        _LOG.log(level, "%s", "".join(letter if letter.isprintable() else "?" for letter in str(warning)))


def _can_wait(warning: ConfigWarning, config: Config) -> bool:
    """Whether it is about a key, which the first call asks for, or about a provider that is not the default."""
    key, label = warning.key or "", (config.default_model or "").partition("/")[0]
    if warning.kind != "unset" or not key.startswith("providers."):
        return False
    return key.endswith(".api_key") or not key.startswith(f"providers.{label}.")
