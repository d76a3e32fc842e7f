"""Values of the wrong kind: what the error says, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from a3s_code.config import Scalar
from a3s_code.config.reading import Reading
from a3s_code.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "key", "column", "message"),
    [
        ('max_tool_rounds = "5"', "max_tool_rounds", 19, "must be a whole number; found text"),
        ("max_tool_rounds = true", "max_tool_rounds", 19, "must be a whole number; found true or false"),
        ("max_tool_rounds = 1.5", "max_tool_rounds", 19, "must be a whole number, 1 or more; found a fraction"),
        ("max_tool_rounds = 0", "max_tool_rounds", 19, "must be a whole number, 1 or more; found one out of range"),
        ("max_tool_rounds = []", "max_tool_rounds", 19, "must be a whole number; found a list"),
        ("max_tool_rounds = {}", "max_tool_rounds", 19, "must be a whole number; found an object"),
        ("max_tool_rounds { }", "max_tool_rounds", 1, "must be a whole number; found a block"),
        ("thinking_budget = -1", "thinking_budget", 19, "1 or more"),
        ("auto_parallel = 1", "auto_parallel", 17, "must be true or false; found a number"),
        ("default_model = 5", "default_model", 17, "must be text; found a number"),
        ('default_model "a/b" { x = 1 }', "default_model", 1, "a block with one label"),
        ('verify = "maybe"', "verify", 10, '"auto", "require", "report", "off"'),
        ('sandbox = "on"', "sandbox", 11, '"auto", "require", "off"'),
        ('planning_mode = "x"', "planning_mode", 17, '"auto", "enabled", "disabled"'),
        ("skill_dirs = [1]", "skill_dirs[0]", 15, "must be text; found a number"),
        ("skill_dirs = {}", "skill_dirs", 14, "must be text; found an object"),
        ('skill_dirs = [""]', "skill_dirs", 14, "must be a path"),
        ('sessions_dir = "a\\0b"', "sessions_dir", 16, "must be a path"),
        ("memory = 3", "memory", 10, "must be a block; found a number"),
        ('memory "x" { }', "memory", 1, "takes no label"),
        ("memory { relevance = 3 }", "memory.relevance", 22, "must be a block; found a number"),
        ("memory { prune { min_importance_to_keep = 2 } }", "memory.prune.min_importance_to_keep", 43, "from 0 to 1"),
        ("memory { relevance { recency_weight = -1 } }", "memory.relevance.recency_weight", 39, "0 or more"),
        ("queue { lane_handlers { fast { } } }", "queue.lane_handlers.fast", 25, '"control", "query"'),
        ('queue { retry_policy { strategy = "fixed" } }', "queue.retry_policy.fixed_delay_ms", 9, "is missing"),
        ('queue { rate_limit { limit_type = "per_hour" } }', "queue.rate_limit.max_operations", 9, "is missing"),
        ('search { engine { ddg { weight = "x" } } }', "search.engine.ddg.weight", 34, "must be a number; found text"),
        ("search { timeout = 0 }", "search.timeout", 20, "0.001 or more"),
        ('search { proxy = "nothing" }', "search.proxy", 18, "must be a URL"),
        ("permissions { allow = [1] }", "permissions.allow[0]", 24, "must be text; found a number"),
        (
            'permissions { allow = [{ rule = "x", y = 1 }] }',
            "permissions.allow[0]",
            24,
            "must be text; found an object",
        ),
        ('permissions { default = "maybe" }', "permissions.default", 25, '"allow", "ask", "deny"'),
        ('confirmation { timeout_action = "x" }', "confirmation.timeout_action", 33, '"reject", "auto_approve"'),
        ('confirmation { yolo_lanes = ["x"] }', "confirmation.yolo_lanes", 29, '"control", "query"'),
        ('check "x" { }', "check.x.command", 1, "is missing"),
        ('check { command = "x" }', "check", 1, "label required"),
        ("budget { max_cost = -1 }", "budget.max_cost", 21, "0 or more"),
        ("budget { max_tokens = 0 }", "budget.max_tokens", 23, "1 or more"),
        ('providers "p" { api = "x" }', "providers.p.api", 23, '"anthropic", "openai"'),
        ('providers "p" { base_url = "h.example" }', "providers.p.base_url", 28, "must be a URL"),
        ('providers "p" { headers = { A = 1 } }', "providers.p.headers.A", 33, "must be text; found a number"),
        ('providers "p" { headers { a { } } }', "providers.p.headers.a", 27, "must be text; found a block"),
        ('providers "p" { models = 3 }', "providers.p.models", 26, "must be a block with a label"),
        (
            'providers "p" { models "m" { cost = 3 } }',
            "providers.p.models.m.cost",
            37,
            "must be a block; found a number",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(load, text: str, key: str, column: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("\n\n" + text)
    error = caught.value
    assert error.key == key
    assert message in error.message
    assert error.message.startswith(key)
    assert (error.line, error.column) == (3, column)


def test_an_error_in_a_file_names_it(load, folder: Path) -> None:
    path = folder / "agent.acl"
    path.write_text('ahp {\n  url = "http://h"\n  idle_ms = "soon"\n}\n')
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).splitlines() == [
        f"{path}:3:13: ahp.idle_ms must be a whole number; found text",
        '    idle_ms = "..."',
        "              ^^^^^",
        "  hint: write idle_ms = 10",
    ]
    assert caught.value.hint == "write idle_ms = 10"


def test_an_error_in_text_says_so_and_shows_no_value(load) -> None:
    with pytest.raises(ConfigError) as caught:
        load('providers "p" {\n  stream = secret("hunter2")\n}')
    assert str(caught.value).splitlines() == [
        "<text>:2:12: providers.p.stream calls a function that does not exist; there is only env",
        '    stream = ...("...")',
        "             ^^^",
        '  hint: write env("NAME") or env("NAME", "default")',
    ]
    assert caught.value.file is None


def test_an_error_in_an_override_has_no_place_to_show(load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("verify = off", {"max_tool_rounds": 0})
    assert str(caught.value) == (
        "max_tool_rounds must be a whole number, 1 or more; found one out of range (write max_tool_rounds = 10)"
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("max_tool_rounds = 0", "write max_tool_rounds = 10"),
        ("memory { prune { min_importance_to_keep = 2 } }", "write min_importance_to_keep = 1"),
        ("search { timeout = 0 }", "write timeout = 1"),
        ("budget { max_cost = -1 }", "write max_cost = 1"),
        ("mcp_servers = [{ name = 1 }]", 'write name = "NAME"'),
    ],
)
def test_a_value_out_of_range_says_what_to_write(load, text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.hint == hint


def test_a_missing_setting_points_at_the_misspelt_one(load) -> None:
    with pytest.raises(ConfigError, match=r"check\.t\.command is missing") as caught:
        load('check "t" {\n  comand = "hunter2"\n}')
    error = caught.value
    assert (error.line, error.column, error.hint) == (2, 3, "did you mean command by comand?")
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("rules", "column", "key", "message"),
    [
        ('allow = ["bash(git:*)", "read("]', 25, "permissions.allow[1]", "is not closed"),
        ('deny = "read(hunter2"', 8, "permissions.deny", "is not closed"),
        ('ask = [""]', 8, "permissions.ask[0]", "is empty"),
        ('ask = ["(x)"]', 8, "permissions.ask[0]", "names no tool"),
        ('allow = [{ rule = "bash()" }]', 19, "permissions.allow[0]", "has an empty pattern"),
        ('allow = ["a b"]', 10, "permissions.allow[0]", "is not of the form tool(pattern)"),
    ],
)
def test_a_malformed_rule_is_refused_where_it_stands(load, rules: str, column: int, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("permissions {\n" + rules + "\n}")
    error = caught.value
    assert (error.line, error.column, error.key) == (2, column, key)
    assert error.message.startswith(f"{key} is no rule: it {message}")
    assert "tool(pattern)" in (error.hint or "")
    assert "hunter2" not in str(error)


def test_a_malformed_rule_of_an_override_is_refused(load) -> None:
    with pytest.raises(ConfigError, match=r"permissions\.deny\[0\] is no rule") as caught:
        load("", {"permissions": {"deny": ["bash("]}})
    assert caught.value.line is None


def test_a_setting_can_be_blamed_later_with_its_place(load, folder: Path) -> None:
    path = folder / "agent.acl"
    path.write_text('permissions {\n  deny = ["bash(rm *)"]\n}\n')
    config = load(path)
    assert config.places["permissions.deny"] == (2, 3)
    error = config.error("permissions.deny", "is too wide", "narrow it")
    assert str(error).splitlines() == [
        f"{path}:2:3: is too wide",
        '    deny = ["..."]',
        "    ^^^^",
        "  hint: narrow it",
    ]
    assert config.error("verify", "is odd").line is None


def test_a_home_path_needs_a_home(tmp_path: Path) -> None:
    reading = Reading(environ={}, folder=tmp_path, current=tmp_path, home=None, file=None)
    with pytest.raises(ConfigError, match="no home folder is known"):
        reading.resolve("skill_dirs", "~/skills", Scalar("~/skills", 1, 1))
