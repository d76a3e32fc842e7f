"""The error about one setting, with the line it stands on."""

from __future__ import annotations

from a3s_code.config.acl import render_at
from a3s_code.errors import ConfigError


class SettingError(ConfigError):
    """A setting that cannot be used; `rendered` is place, message, covered line and hint, empty without a place."""

    rendered = ""

    def __str__(self) -> str:
        return self.rendered or super().__str__()


def setting_error(
    key: str, message: str, hint: str | None, *, text: str, file: str | None, line: int | None, column: int | None
) -> SettingError:
    """The error about `key`; `text` is what line and column point into, and is shown with its values covered."""
    error = SettingError(message, file=file, line=line, column=column, key=key, hint=hint)
    if text and line and column:
        error.rendered = render_at(line, column, message, hint, text, file)
    return error
