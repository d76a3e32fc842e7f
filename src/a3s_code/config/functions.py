"""The functions a configuration may call: `env("NAME")` and `env("NAME", "default")`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from a3s_code.config.document import Call, Scalar
from a3s_code.errors import ConfigError

Environment = Mapping[str, str]
Refuse = Callable[[str, Call, str], ConfigError]
"""Makes the error about a call: from the message, the call, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a call gave. `text` is None for a variable that is not set; `variable` is the one that was asked for."""

    text: str | None = field(repr=False)
    variable: str


def evaluate(call: Call, environ: Environment, refuse: Refuse) -> Evaluated:
    """The value of `call`. Raises what `refuse` makes for any call but a right one."""
    function = FUNCTIONS.get(call.name)
    if function is None:
        names = ", ".join(FUNCTIONS)
        raise refuse(f"calls a function that does not exist; there is only {names}", call, _USAGE)
    return function(call, environ, refuse)


def _env(call: Call, environ: Environment, refuse: Refuse) -> Evaluated:
    texts = [argument.value for argument in call.arguments if isinstance(argument, Scalar)]
    names = [text for text in texts if isinstance(text, str)]
    if not 1 <= len(call.arguments) <= 2 or len(names) != len(call.arguments) or not names[0]:
        raise refuse("calls env with other arguments than one or two texts", call, _USAGE)
    default = names[1] if len(names) == 2 else None
    return Evaluated(environ.get(names[0], default), names[0])


_USAGE = 'write env("NAME") or env("NAME", "default")'

FUNCTIONS: Mapping[str, Callable[[Call, Environment, Refuse], Evaluated]] = {"env": _env}
"""By name; nothing else can be called."""
