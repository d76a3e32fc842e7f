"""The functions a configuration may call: `env("NAME")` and `env("NAME", "default")`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from a3s_code.config.document import Call, Scalar
from a3s_code.errors import ConfigError

Environment = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a call gave. `text` is None for a variable that is not set; `variable` is the one that was asked for."""

    text: str | None = field(repr=False)
    variable: str


def evaluate(call: Call, environ: Environment, key: str, file: str | None = None) -> Evaluated:
    """The value of `call`, which stands at the setting `key`. Raises ConfigError for any call but a right one."""
    function = FUNCTIONS.get(call.name)
    if function is None:
        names = ", ".join(FUNCTIONS)
        raise _refusal(call, key, file, f"calls a function that does not exist; there is only {names}", _USAGE)
    return function(call, environ, key, file)


def _env(call: Call, environ: Environment, key: str, file: str | None) -> Evaluated:
    texts = [argument.value for argument in call.arguments if isinstance(argument, Scalar)]
    names = [text for text in texts if isinstance(text, str)]
    if not 1 <= len(call.arguments) <= 2 or len(names) != len(call.arguments) or not names[0]:
        raise _refusal(call, key, file, "calls env with other arguments than one or two texts", _USAGE)
    default = names[1] if len(names) == 2 else None
    return Evaluated(environ.get(names[0], default), names[0])


def _refusal(call: Call, key: str, file: str | None, message: str, hint: str) -> ConfigError:
    return ConfigError(
        f"{key} {message}", file=file, line=call.line or None, column=call.column or None, key=key, hint=hint
    )


_USAGE = 'write env("NAME") or env("NAME", "default")'

FUNCTIONS: Mapping[str, Callable[[Call, Environment, str, str | None], Evaluated]] = {"env": _env}
"""By name; nothing else can be called."""
