"""Options are checked when they are said, and the error names the field."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from a3s_code import (
    Capability,
    Check,
    ConfirmationPolicy,
    DefaultSecurityProvider,
    Harness,
    Hook,
    PermissionPolicy,
    SessionOptions,
    tool,
)
from a3s_code.api.options import SessionFields
from a3s_code.errors import InvalidOption
from a3s_code.testing import ScriptedModel


@tool
def roll(sides: int) -> str:
    """Roll a die."""
    return str(sides)


PROVIDER = DefaultSecurityProvider()
GOOD: dict[str, Any] = {
    "model": "anthropic/some-model",
    "session_id": "my-session.1",
    "permission_policy": PermissionPolicy(allow=["read"]),
    "confirmation_policy": ConfirmationPolicy(default_timeout_ms=None),
    "on_confirm": bool,
    "security_provider": PROVIDER,
    "hooks": [Hook("h", "pre_tool_use")],
    "sandbox": "off",
    "tools": [roll],
    "capabilities": [Capability("dice", (roll,))],
    "harness": Harness(),
    "checks": ["make test", {"command": "make lint", "required": False}, Check("make")],
    "max_tool_rounds": 3,
    "tool_timeout_ms": 1_000,
    "duplicate_tool_call_threshold": 4,
    "llm_api_timeout_ms": 1_000,
    "max_output_tokens": 100,
    "temperature": 0.5,
    "thinking_budget": 2_000,
    "artifact_store_limits": {"max_items": 1},
    "on_busy": "queue",
    "clock": None,
    "llm_max_attempts": 2,
    "llm_total_timeout_ms": 5_000,
    "fallback_models": ["openai/other"],
    "circuit_breaker_threshold": 0,
    "max_execution_time_ms": 60_000,
    "budget": {"maxCost": "1.5", "max_tokens": 10_000},
    "last_turn_at_limit": True,
    "auto_compact": False,
    "auto_compact_threshold": 0.5,
    "max_context_tokens": 8_000,
    "continuation_enabled": False,
    "max_continuation_turns": 0,
    "max_parse_retries": 0,
    "session_store": None,
    "auto_save": False,
    "tenant_id": "t",
    "principal": "p",
    "agent_template_id": "a",
    "correlation_id": "c",
}

BAD: list[tuple[str, Any]] = [
    ("model", 3),
    ("session_id", "../etc"),
    ("session_id", ""),
    ("permission_policy", {"allow": []}),
    ("tools", [print]),
    ("tools", "read"),
    ("capabilities", [roll]),
    ("harness", {"router": None}),
    ("harness", Harness(router=object())),  # type: ignore[arg-type]  # that it is refused is the point
    ("checks", "make test"),
    ("checks", [{"command": "make", "colour": "red"}]),
    ("checks", [{"kind": "tests"}]),
    ("checks", [" "]),
    ("max_tool_rounds", 0),
    ("max_tool_rounds", -1),
    ("max_tool_rounds", True),
    ("max_tool_rounds", "3"),
    ("tool_timeout_ms", 1.5),
    ("llm_api_timeout_ms", None),
    ("max_output_tokens", 0),
    ("temperature", -1),
    ("temperature", "hot"),
    ("thinking_budget", -5),
    ("artifact_store_limits", {"max_colours": 3}),
    ("artifact_store_limits", {"max_items": 0}),
    ("on_busy", "wait"),
    ("clock", object()),
    ("llm_max_attempts", 0),
    ("llm_total_timeout_ms", 0),
    ("fallback_models", "openai/other"),
    ("fallback_models", [None]),
    ("circuit_breaker_threshold", -1),
    ("max_execution_time_ms", -5),
    ("budget", 5),
    ("budget", {"max_money": 5}),
    ("budget", {"max_cost": "much"}),
    ("budget", {"max_cost": -1}),
    ("budget", {"max_tokens": 0}),
    ("last_turn_at_limit", 1),
    ("auto_compact_threshold", 80),
    ("auto_compact_threshold", 0),
    ("max_context_tokens", 10),
    ("max_continuation_turns", -1),
    ("max_parse_retries", None),
    ("session_store", "sessions"),
    ("session_store", dict),
    ("auto_save", "yes"),
    ("tenant_id", 7),
]


def test_the_keywords_and_the_fields_are_the_same() -> None:
    annotated = set(get_type_hints(SessionOptions))
    assert annotated == set(SessionFields.__annotations__) == set(GOOD)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_good_value_is_taken_by_keyword_and_by_assignment(name: str) -> None:
    options = SessionOptions()
    setattr(options, name, GOOD[name])
    assert repr(getattr(SessionOptions(**{name: GOOD[name]}), name)) == repr(getattr(options, name))


@pytest.mark.parametrize(("name", "value"), BAD, ids=lambda value: repr(value)[:40])
def test_a_bad_value_is_refused_at_once_and_named(name: str, value: Any) -> None:
    options = SessionOptions()
    with pytest.raises(InvalidOption) as raised:
        setattr(options, name, value)
    assert raised.value.field.startswith(name)


def test_an_unknown_option_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidOption, match="did you mean max_tool_rounds"):
        SessionOptions(max_tool_round=3)  # type: ignore[call-arg]  # that it is refused is the point
    with pytest.raises(InvalidOption):
        SessionOptions().colour = "red"  # type: ignore[attr-defined]  # as above


def test_options_given_to_a_session_may_change_afterwards_without_effect_on_it() -> None:
    options = SessionOptions(max_tool_rounds=3, tools=[roll])
    taken = options.merged(temperature=0.1)
    options.max_tool_rounds = 9
    options.tools = []
    assert (taken.max_tool_rounds, taken.temperature, taken.tools) == (3, 0.1, (roll,))
    assert options.temperature is None


def test_a_plain_function_is_no_tool_and_the_error_says_how_to_make_it_one() -> None:
    with pytest.raises(InvalidOption, match="@tool"):
        SessionOptions(tools=[print])  # type: ignore[list-item]  # that it is refused is the point


def test_any_object_with_a_stream_method_is_a_model() -> None:
    assert SessionOptions(model=ScriptedModel(["hi"])).model is not None
