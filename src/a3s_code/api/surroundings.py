"""What the process's environment means to a session: what commands get of it, and what must never be shown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

from a3s_code.harness.safety.credentials import known_secrets
from a3s_code.harness.safety.sanitize import TextSanitizer
from a3s_code.system.environment import child_environment

Variables = tuple[tuple[str, str], ...]


def environment_of_commands() -> Mapping[str, str]:
    """The variables that a command gets, as they are now."""
    return _environment(tuple(os.environ.items()))


def sanitizer_of(secrets: Iterable[str]) -> TextSanitizer:
    """A sanitizer that covers `secrets`, and those of the environment as it is now."""
    return _sanitizer(frozenset(secrets), tuple(os.environ.items()))


# Many sessions are opened in one environment: each is worked out once.
@lru_cache(maxsize=4)
def _environment(variables: Variables) -> Mapping[str, str]:
    return MappingProxyType(child_environment(dict(variables)))


@lru_cache(maxsize=16)
def _sanitizer(secrets: frozenset[str], variables: Variables) -> TextSanitizer:
    return TextSanitizer({*secrets, *known_secrets(dict(variables))})
