"""The limits of a session, from the configuration and its own options, which win."""

from __future__ import annotations

from a3s_code.api.models import OpenedModel
from a3s_code.api.options import SessionOptions
from a3s_code.config.schema import BudgetConfig, Config
from a3s_code.errors import InvalidOption
from a3s_code.kernel.ports import Limits

CONTEXT_TOKENS = 200_000
"""The window of a model of which nobody said how large it is."""


def build_limits(config: Config, options: SessionOptions, opened: OpenedModel) -> Limits:
    """Raises InvalidOption or ConfigError for a limit on cost where the model's price is not known."""
    given = options.budget
    budget = given if isinstance(given, BudgetConfig) else config.budget or BudgetConfig()
    unknown = [name for name, price in opened.prices.items() if price is None]
    if budget.max_cost is not None and unknown:
        message = f"max_cost cannot be kept: the price of {unknown[0]} is not known"
        hint = "write cost { input = ... output = ... } for the model, or limit max_tokens"
        if given is None:
            raise config.error("budget", message, hint)
        raise InvalidOption(message, field="budget", hint=hint)
    return Limits(
        max_tool_rounds=options.given("max_tool_rounds", config.max_tool_rounds),
        tool_timeout_ms=options.tool_timeout_ms,
        max_execution_time_ms=options.max_execution_time_ms,
        max_tokens=budget.max_tokens,
        max_cost=budget.max_cost,
        max_output_tokens=options.max_output_tokens,
        max_context_tokens=options.max_context_tokens or opened.context_tokens or CONTEXT_TOKENS,
        last_turn=options.last_turn_at_limit,
        continuation_turns=options.max_continuation_turns if options.continuation_enabled else 0,
        parse_retries=options.max_parse_retries,
    )
