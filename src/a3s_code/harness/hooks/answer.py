"""What a hook answered, read strictly: what is not understood is a fault of the hook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, cast, get_args

from a3s_code.kernel.hook import snake_case

Verb = Literal["continue", "block", "skip", "retry", "escalate"]
MODIFIABLE: Mapping[str, tuple[str, type]] = {"pre_tool_use": ("args", Mapping), "pre_prompt": ("prompt", str)}
"""What of a payload a hook may replace."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was given, its parts of the right types."""

    action: Verb = "continue"
    modified: Any = None
    reason: str = ""
    retry_delay_ms: int = 0
    target: str = ""


GO_ON = Answer()
MAX_DEPTH = 100
_KEYS = tuple(item.name for item in fields(Answer))


def read_answer(event: str, given: Any) -> Answer:
    """The answer in `given`: None, a mapping, or an object with an `action`. Raises TypeError or ValueError."""
    if given is None:
        return GO_ON
    values = _values(given)
    verb: Any = values.get("action")
    if verb not in get_args(Verb):
        raise ValueError(f"its action is {verb!r}, not one of {', '.join(get_args(Verb))}")
    delay = values.get("retry_delay_ms") or 0
    if isinstance(delay, bool) or not isinstance(delay, int | float) or delay < 0:
        raise TypeError(f"its retry_delay_ms is {delay!r}, not a number of milliseconds")
    texts = [values.get(key) or "" for key in ("reason", "target")]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("its reason or target is no text")
    return Answer(verb, _modification(event, values.get("modified")), texts[0], int(delay), texts[1])


def _values(given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        values = {snake_case(str(key)): value for key, value in given.items()}
        if unknown := [key for key in values if key not in _KEYS]:
            raise ValueError(f"its answer has a field {unknown[0]!r}; known are {', '.join(_KEYS)}")
        return values
    if not hasattr(given, "action"):
        raise TypeError(f"it answered with {type(given).__name__}, not with None or a dict")
    return {key: getattr(given, key, None) for key in _KEYS}


def _modification(event: str, value: Any) -> Any:
    if value is None:
        return None
    if event not in MODIFIABLE:
        raise ValueError(f"nothing can be modified at {event}")
    part, kind = MODIFIABLE[event]
    if not isinstance(value, kind):
        raise TypeError(f"its modified {part} are of type {type(value).__name__}")
    if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
        raise TypeError(f"its modified {part} have keys that are no text")
    return copy_plain(value)


def copy_plain(value: Any, depth: int = 0) -> Any:
    """A copy of mappings and lists that shares nothing which could be changed; texts and numbers stay.

    Raises ValueError for what is nested too deep.
    """
    if isinstance(value, str):
        return value
    if depth > MAX_DEPTH:
        raise ValueError(f"the payload is nested more than {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        return {key: copy_plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [copy_plain(item, depth + 1) for item in cast("list[Any]", value)]
    return value
