"""One reading of a configuration: where it came from, what it may look up, and what is noted on the way."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from a3s_code.config.document import Call
from a3s_code.config.functions import Evaluated, evaluate
from a3s_code.config.mistake import setting_error
from a3s_code.config.schema import ConfigWarning, WarningKind
from a3s_code.config.secret import Secret
from a3s_code.errors import ConfigError


class Placed(Protocol):
    """Anything with a place in a text; line 0 is an override, which has none."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


class Reading:
    """What the sections of one configuration share while they are read. Lives as long as one load.

    `text` is what places in errors point into; it is shown with its values covered. Relative paths of the text are
    taken from `folder`, those of overrides from `current`.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        folder: Path,
        current: Path,
        home: Path | None,
        file: str | None,
        text: str = "",
    ) -> None:
        self.environ = environ
        self.folder = folder
        self.current = current
        self.home = home
        self.file = file
        self._text = text
        self.warnings: list[ConfigWarning] = []
        self.secrets: list[Secret] = []
        self.places: dict[str, tuple[int, int]] = {}

    def error(self, key: str, message: str, at: Placed, hint: str | None = None) -> ConfigError:
        """The error `key message`, placed at `at`."""
        file, line, column = self._place(at)
        return setting_error(key, f"{key} {message}", hint, text=self._text, file=file, line=line, column=column)

    def warn(self, key: str, message: str, at: Placed, hint: str | None = None, kind: WarningKind = "value") -> None:
        """Notes the warning `key message`, placed at `at`."""
        file, line, column = self._place(at)
        self.warnings.append(ConfigWarning(f"{key} {message}", key, file, line, column, hint, kind))

    def note(self, key: str, at: Placed) -> None:
        """Remembers where the setting `key` stands; an override stands nowhere."""
        self.places.pop(key, None)
        if at.line:
            self.places[key] = (at.line, at.column)

    def call(self, key: str, call: Call) -> Evaluated:
        """What `call` gives; a variable that is not set is noted as a warning."""
        result = evaluate(call, self.environ, partial(self.error, key))
        if result.text is None:
            message = f"is not set: environment variable {result.variable} not set"
            hint = f'set {result.variable}, or write env("{result.variable}", "default")'
            self.warn(key, message, call, hint, "unset")
        return result

    def secret(self, text: str) -> Secret:
        """`text` as a Secret, which is noted."""
        secret = Secret(text)
        self.secrets.append(secret)
        return secret

    def resolve(self, key: str, text: str, at: Placed) -> Path:
        """The path `text`, absolute; `~` is the home folder."""
        if not text or "\0" in text:
            raise self.error(key, "must be a path; found a text that is none", at, "write the path of a file or folder")
        if text == "~" or text.startswith("~/"):
            if self.home is None:
                raise self.error(key, "starts with ~, but no home folder is known", at, "write the whole path")
            return self.home / text[2:]
        return (self.folder if at.line else self.current) / text

    def _place(self, at: Placed) -> tuple[str | None, int | None, int | None]:
        return (self.file, at.line, at.column) if at.line else (None, None, None)
