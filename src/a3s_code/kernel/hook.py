"""What a hook is: when it is called, for which payloads, how long it may take."""

from __future__ import annotations

import difflib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar, cast, get_args

from a3s_code.errors import InvalidOption

HookName = Literal[
    "pre_tool_use",
    "post_tool_use",
    "generate_start",
    "generate_end",
    "session_start",
    "session_end",
    "skill_load",
    "skill_unload",
    "pre_prompt",
    "post_response",
    "on_error",
    "pre_context_perception",
    "post_context_perception",
    "on_success",
    "pre_memory_recall",
    "post_memory_recall",
    "pre_planning",
    "post_planning",
    "pre_reasoning",
    "post_reasoning",
    "on_rate_limit",
    "on_confirmation",
    "intent_detection",
    "permission_request",
    "pre_compact",
    "post_compact",
]
HOOK_NAMES: tuple[str, ...] = get_args(HookName)
GATING = frozenset(
    {
        "pre_tool_use",
        "permission_request",
        "pre_compact",
        "pre_prompt",
        "pre_planning",
        "pre_memory_recall",
        "pre_context_perception",
    }
)
"""The names at which a hook is waited for and may block. At all others it only observes."""

Handler = Callable[[dict[str, Any]], "Awaitable[Any] | Any"]
"""Called with {"event_type", "payload"}; plain functions run in a worker thread.

Gives None to go on, or a dict {"action": "continue" | "block" | "skip" | "retry" | "escalate", "modified", "reason",
"retry_delay_ms", "target"}, or an object with these attributes. camelCase is accepted.
"""


@dataclass(frozen=True, slots=True)
class HookMatcher:
    """Which payloads a hook is called for; all that is given must match, None matches everything.

    tool: a name; `*` and `?` are wildcards, `|` separates alternatives, case does not count.
    path_pattern: a file pattern over the paths among the arguments, as written, from the working directory, and
    with links resolved. command_pattern: a regular expression, found anywhere in the command.
    session_id, skill: the whole text.

    Raises InvalidOption for a pattern that cannot be one.
    """

    tool: str | None = None
    path_pattern: str | None = None
    command_pattern: str | None = None
    session_id: str | None = None
    skill: str | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value: Any = getattr(self, item.name)
            if value is not None and not (isinstance(value, str) and value):
                raise InvalidOption(f"{item.name} is {value!r}, not a text", field=f"matcher.{item.name}")
        if self.command_pattern is not None:
            try:
                re.compile(self.command_pattern)
            except (re.error, RecursionError, OverflowError) as error:
                raise InvalidOption(
                    f"command_pattern is no regular expression: {error}", field="matcher.command_pattern"
                ) from error


@dataclass(frozen=True, slots=True)
class HookConfig:
    """How a hook is called. A lower `priority` goes first; `max_retries` is how often it is asked again when it says
    retry. With `async_execution` nobody waits for it, except where hooks may block.

    Raises InvalidOption for a number out of range.
    """

    priority: int = 100
    timeout_ms: int = 30_000
    async_execution: bool = False
    max_retries: int = 0

    def __post_init__(self) -> None:
        for name, least in (("priority", None), ("timeout_ms", 1), ("max_retries", 0)):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
                wanted = "a whole number" if least is None else f"a whole number of at least {least}"
                raise InvalidOption(f"{name} is {value!r}, not {wanted}", field=f"config.{name}")
        flag: Any = self.async_execution
        if not isinstance(flag, bool):
            raise InvalidOption(f"async_execution is {flag!r}, not true or false", field="config.async_execution")


@dataclass(frozen=True, slots=True)
class Hook:
    """A handler, and when it is called; without one the hook is only listed.

    Raises InvalidOption for an event that does not exist, and names the nearest one.
    """

    name: str
    event_type: HookName
    handler: Handler | None = None
    matcher: HookMatcher = HookMatcher()
    config: HookConfig = HookConfig()

    def __post_init__(self) -> None:
        name, event, handler = cast("tuple[Any, Any, Any]", (self.name, self.event_type, self.handler))
        if not (isinstance(name, str) and name):
            raise InvalidOption(f"a hook is called {name!r}", field="name", hint="give it a name")
        if event not in HOOK_NAMES:
            near = difflib.get_close_matches(str(event), HOOK_NAMES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known events: {', '.join(HOOK_NAMES)}"
            raise InvalidOption(f"there is no hook event {event!r}", field="event_type", hint=hint)
        if handler is not None and not callable(handler):
            raise InvalidOption(f"the handler of {name} is {type(handler).__name__}, not a function", field="handler")
        if not isinstance(cast("Any", self.matcher), HookMatcher):
            raise InvalidOption(f"the matcher of {name} is no HookMatcher", field="matcher")
        if not isinstance(cast("Any", self.config), HookConfig):
            raise InvalidOption(f"the config of {name} is no HookConfig", field="config")

    @property
    def gating(self) -> bool:
        """Whether the hook is waited for, and may block."""
        return self.event_type in GATING


Value = TypeVar("Value", HookMatcher, HookConfig)


def read_fields(kind: type[Value], given: Value | Mapping[str, Any] | None, field: str) -> Value:
    """A matcher or config out of a mapping with snake_case or camelCase keys; raises InvalidOption."""
    if given is None:
        return kind()
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise InvalidOption(f"{field} is {type(given).__name__}, not a dict or a {kind.__name__}", field=field)
    known = [item.name for item in fields(kind)]
    values = {snake_case(str(key)): value for key, value in given.items()}
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise InvalidOption(f"a hook's {field} has no field {key!r}", field=f"{field}.{key}", hint=hint)
    return kind(**values)


def snake_case(key: str) -> str:
    """`retryDelayMs` as `retry_delay_ms`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
