"""Settings that this version reads and does not act on: never silent."""

from __future__ import annotations

import pytest

from a3s_code.config.planned import TOP_LEVEL

IN_VAIN = {
    "memory_dir": 'memory_dir = "m"',
    "memory": "memory { }",
    "queue": "queue { }",
    "skill_dirs": 'skills = ["s"]',
    "agent_dirs": 'agent_dirs = "a"',
    "mcp_servers": 'mcp_server "x" { command = "y" }',
    "ahp": 'ahp = { url = "http://h" }',
    "max_parallel_tasks": "max_parallel_tasks = 3",
    "auto_delegation": "auto_delegation { enabled = true }",
    "auto_parallel": "auto_parallel = false",
    "user_instructions_dir": 'global_instructions_dir = "g"',
    "project_doc_max_bytes": "project_doc_max_bytes = 9",
    "project_doc_fallback_filenames": 'project_doc_fallback_filenames = ["A.md"]',
    "planning_mode": 'planning_mode = "enabled"',
    "planning_model": 'planning_model = "a/b"',
    "verify": 'verify = "off"',
}


@pytest.mark.parametrize("key", TOP_LEVEL)
def test_a_setting_without_effect_is_told_once_with_its_place(load, folder, key: str) -> None:
    path = folder / "agent.acl"
    path.write_text("\n  " + IN_VAIN[key])
    (warning,) = load(path).warnings
    assert (warning.kind, warning.key, warning.line, warning.column) == ("without_effect", key, 2, 3)
    assert str(warning) == f"{path}:2:3: {key} has no effect in this version"


def test_settings_of_a_provider_without_effect_are_told(load) -> None:
    config = load('providers "p" {\n  tool_style = "x"\n  models "m" { sessionIdHeader = "y" }\n}')
    assert [(warning.key, warning.line) for warning in config.warnings] == [
        ("providers.p.tool_style", 2),
        ("providers.p.models.m.session_id_header", 3),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "mcp_servers = [] skill_dirs = [] project_doc_fallback_filenames = []",
        "ahp = null memory = null",
        'planning_mode = "disabled" storage_backend = "memory" sandbox = "off" verify = "auto"',
        'default_model = "a/b" max_tool_rounds = 3 thinking_budget = 5 llm_api_timeout_ms = 9',
        'permissions { allow = ["read"] } check "t" { command = "true" } budget { max_tokens = 5 }',
    ],
)
def test_what_is_kept_or_says_nothing_is_not_told(load, text: str) -> None:
    assert load(text).warnings == ()


def test_an_override_without_effect_is_told_without_a_place(load) -> None:
    (warning,) = load("\n", {"memory_dir": "s"}).warnings
    assert (warning.key, warning.line, str(warning)) == (
        "memory_dir",
        None,
        "memory_dir has no effect in this version",
    )
