"""Settings that nobody would write: they load, or are refused with a place, and their values are never shown."""

from __future__ import annotations

import random

import pytest

from a3s_code.config import Config
from a3s_code.errors import AclError, ConfigError

NAMES = (
    "default_model providers storage_backend storage_url sessions_dir memory_dir memory queue search "
    "skill_dirs skills agent_dirs mcp_servers mcp_server ahp max_tool_rounds max_parallel_tasks "
    "auto_delegation auto_parallel os check thinking_budget llm_api_timeout_ms permissions confirmation verify "
    "budget sandbox planning_mode planning_model user_instructions_dir project_doc_max_bytes "
    "project_doc_fallback_filenames apiKey api_key baseUrl headers models name family cost limit context input "
    "output max_tokens modalities relevance prune decay_days engine health timeout proxy transport type "
    "command args url env oauth scopes enabled token path idle_ms fail_mode lane_handlers query lane_timeouts "
    "control retry_policy strategy rate_limit limit_type priority_boost allow ask deny default rule id "
    "yolo_lanes timeout_action max_cost zzz"
).split()
TEXTS = ['"hunter2"', '"a/b"', '"http://hunter2"', '"file"', "hunter2", '"query"', '""', '"/p"', '"~/x"', '"stdio"']
NUMBERS = ["1", "0", "-1", "1.5", "1e308", "10_000", ".1", "99999999999999999999999", "-0.0"]
CALLS = ['env("SET")', 'env("NOT")', 'env("NOT", "hunter2")', 'other("hunter2")', "env()", "env(1)"]
CONSTANTS = ["true", "false", "null"]


def value(dice: random.Random, depth: int) -> str:
    kind = dice.random()
    if kind < 0.6 or depth == 0:
        return dice.choice(dice.choice([TEXTS, TEXTS, NUMBERS, CALLS, CONSTANTS]))
    if kind < 0.8:
        return "[" + ", ".join(value(dice, depth - 1) for _ in range(dice.randint(0, 3))) + "]"
    return "{" + " ".join(f"{dice.choice(NAMES)} = {value(dice, depth - 1)}" for _ in range(dice.randint(0, 4))) + "}"


def item(dice: random.Random, depth: int) -> str:
    name = dice.choice(NAMES)
    if depth == 0 or dice.random() < 0.5:
        return f"{name} = {value(dice, depth)}"
    labels = "".join(f' "{dice.choice(["a", "b", ""])}"' for _ in range(dice.choice([0, 1, 1, 1, 2])))
    return f"{name}{labels} {{ " + "\n".join(item(dice, depth - 1) for _ in range(dice.randint(0, 4))) + " }"


@pytest.mark.parametrize("seed", range(8))
def test_any_settings_load_or_are_refused_with_a_place(load, seed: int) -> None:
    dice = random.Random(seed)
    loaded = 0
    for _ in range(150):
        text = "\n".join(item(dice, 3) for _ in range(dice.randint(1, 4))) + "\n"
        outcome = attempt(load, text)
        if isinstance(outcome, Config):
            loaded += 1
            assert all(warning.line for warning in outcome.warnings)
            shown = "".join(map(str, outcome.warnings))
        else:
            assert outcome.line
            assert outcome.key or isinstance(outcome, AclError)
            shown = str(outcome) + repr(outcome)
        assert "hunter2" not in shown, text
    assert 20 < loaded < 130


def attempt(load, text: str) -> Config | ConfigError:
    try:
        return load(text, environ={"SET": "hunter2"})
    except ConfigError as error:
        return error
