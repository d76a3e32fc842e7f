"""Every setting: what it is called, what it gives, what it is when nothing is said."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from a3s_code.config import (
    AhpConfig,
    AutoDelegationConfig,
    BudgetConfig,
    Config,
    ConfirmationConfig,
    CostConfig,
    LaneConfig,
    LimitConfig,
    McpServerConfig,
    MemoryConfig,
    ModalitiesConfig,
    ModelConfig,
    OAuthConfig,
    PermissionsConfig,
    PriorityBoostConfig,
    ProviderConfig,
    PruneConfig,
    QueueConfig,
    RateLimitConfig,
    RelevanceConfig,
    RetryConfig,
    SearchConfig,
    SearchEngineConfig,
    Secret,
)
from a3s_code.kernel.contracts import Check

EVERYTHING = """
default_model = "openai/gpt"
storage_backend = "memory"
storage_url = "anything"
sessions_dir = "./sessions"
memory_dir = "/memory"
skill_dirs = ["./skills", "~/more"]
agent_dirs = "agents"
max_tool_rounds = 42
max_parallel_tasks = 6
auto_parallel = false
thinking_budget = 12_000
llm_api_timeout_ms = 45000
user_instructions_dir = "~"
project_doc_max_bytes = 0
project_doc_fallback_filenames = ["CLAUDE.md"]
verify = "require"
sandbox = "off"
planning_mode = "enabled"
planning_model = "openai/small"

providers "openai" {
  api_key = "k1"
  base_url = "https://llm.example/v1"
  session_id_header = "X-Session"
  api = "anthropic"
  stream = false
  tool_call = false
  tool_style = "text"
  headers = { "X-Tenant" = "t" }
  models "gpt" {
    name = "GPT"
    family = "gpt"
    api_key = "k2"
    base_url = "http://other/v1"
    session_id_header = "X-Other"
    api = "openai"
    stream = true
    tool_call = true
    tool_style = "native"
    attachment = true
    reasoning = true
    temperature = false
    release_date = "2026-01-01"
    headers { "X-Tenant" = "u" }
    modalities {
      input = ["text", "image"]
      output = ["text"]
    }
    cost {
      input = 1.25
      output = 4.5
      cache_read = 0.2
      cache_write = 3
    }
    limit {
      context = 128_000
      output = 8192
    }
  }
}
providers "replay" {
  path = "runs/one.jsonl"
}

memory {
  max_short_term = 120
  max_working = 16
  prune_interval_secs = 1800
  llm_extraction = true
  llm_extraction_max_items = 9
  llm_extraction_max_input_chars = 12000
  relevance {
    decay_days = 45
    importance_weight = 0.8
    recency_weight = 0.2
  }
  prune_policy {
    max_age_days = 120
    min_importance_to_keep = 0.6
    max_items = 5000
  }
}

queue {
  control_max_concurrency = 3
  query_max_concurrency = 9
  execute_max_concurrency = 5
  generate_max_concurrency = 2
  enable_dlq = true
  dlq_max_size = 250
  enable_metrics = true
  enable_alerts = true
  default_timeout_ms = 65000
  storage_path = "./queue"
  pressure_threshold = 30
  lane_handlers {
    Query {
      mode = "External"
      timeout_ms = 20000
    }
  }
  lane_timeouts = { query = 30000, EXECUTE = 120000 }
  retry_policy {
    strategy = "fixed"
    max_retries = 5
    initial_delay_ms = 250
    fixed_delay_ms = 300
  }
  rate_limit {
    limit_type = "per_minute"
    max_operations = 600
  }
  priority_boost {
    strategy = "aggressive"
    deadline_ms = 10000
  }
}

search {
  timeout = 18
  proxy_url = "socks5://p:1"
  health {
    max_failures = 4
    suspend_seconds = 90
  }
  engine {
    duckduckgo {
      enabled = false
      weight = 1.3
      timeout = 1.5
      api_key = "k3"
    }
  }
}

mcp_servers "remote" {
  transport = "streamable-http"
  url = "https://mcp.example"
  headers = { Authorization = "h" }
  enabled = false
  env = { MCP_TOKEN = "e" }
  tool_timeout_secs = 75
  oauth {
    auth_url = "https://auth.example"
    token_url = "https://token.example"
    client_id = "c"
    client_secret = "s"
    scopes = ["tools.read"]
    redirect_uri = "http://127.0.0.1/callback"
    access_token = "a"
  }
}

ahp {
  enabled = true
  url = "http://harness:8080/ahp"
  auth_token = "t"
  api_key = "x"
  idle_ms = 10
  heartbeat_ms = 20
  timeout_ms = 30
  fail_mode = "open"
}

auto_delegation {
  enabled = true
  auto_parallel = true
  allow_manual_delegation = false
  min_confidence = 0.81
  max_tasks = 7
}

permissions {
  allow = ["read(*)", { rule = "grep(*)" }]
  ask = "bash(*)"
  deny = ["write(secrets/**)"]
  default_decision = "deny"
}

confirmation {
  enabled = true
  default_timeout_ms = 0
  timeout_action = "auto_approve"
  yolo_lanes = ["Query", "generate"]
}

check "tests" {
  command = "pytest -q"
  kind = "tests"
  description = "the suite"
  required = false
  timeout_ms = 1000
  must_fail_before = true
}

budget {
  max_cost = 1.5
  max_tokens = 100_000
}
"""


def camel(text: str) -> str:
    """The same text with every key in camelCase."""

    def hump(match: re.Match[str]) -> str:
        first, *rest = match[0].split("_")
        return first + "".join(word.capitalize() for word in rest)

    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b(?=\s*[={\"])", hump, text)


def test_every_setting_arrives(load, folder: Path, home: Path, told) -> None:
    config = load(EVERYTHING)
    assert told(config) == []
    expected: dict[str, Any] = {
        "default_model": "openai/gpt",
        "storage_backend": "memory",
        "storage_url": "anything",
        "sessions_dir": folder / "sessions",
        "memory_dir": Path("/memory"),
        "skill_dirs": (folder / "skills", home / "more"),
        "agent_dirs": (folder / "agents",),
        "max_tool_rounds": 42,
        "max_parallel_tasks": 6,
        "auto_parallel": False,
        "thinking_budget": 12_000,
        "llm_api_timeout_ms": 45_000,
        "user_instructions_dir": home,
        "project_doc_max_bytes": 0,
        "project_doc_fallback_filenames": ("CLAUDE.md",),
        "verify": "require",
        "sandbox": "off",
        "planning_mode": "enabled",
        "planning_model": "openai/small",
        "memory": MemoryConfig(
            max_short_term=120,
            max_working=16,
            prune_interval_ms=1_800_000,
            llm_extraction=True,
            llm_extraction_max_items=9,
            llm_extraction_max_input_chars=12_000,
            relevance=RelevanceConfig(45, 0.8, 0.2),
            prune=PruneConfig(120, 0.6, 5000),
        ),
        "queue": QueueConfig(
            lanes=MappingProxyType(
                {
                    "control": LaneConfig(3),
                    "query": LaneConfig(9, "external", 20_000, 30_000),
                    "execute": LaneConfig(5, timeout_ms=120_000),
                    "generate": LaneConfig(2),
                }
            ),
            enable_dlq=True,
            dlq_max_size=250,
            enable_metrics=True,
            enable_alerts=True,
            default_timeout_ms=65_000,
            storage_path=folder / "queue",
            pressure_threshold=30,
            retry=RetryConfig("fixed", 5, 250, 300),
            rate_limit=RateLimitConfig("per_minute", 600),
            priority_boost=PriorityBoostConfig("aggressive", 10_000),
        ),
        "search": SearchConfig(
            timeout_ms=18_000,
            engines=MappingProxyType({"duckduckgo": SearchEngineConfig(False, 1.3, 1500, Secret("k3"))}),
            max_failures=4,
            suspend_ms=90_000,
            proxy="socks5://p:1",
        ),
        "mcp_servers": (
            McpServerConfig(
                name="remote",
                transport="streamable-http",
                url="https://mcp.example",
                headers=MappingProxyType({"Authorization": Secret("h")}),
                env=MappingProxyType({"MCP_TOKEN": Secret("e")}),
                enabled=False,
                timeout_ms=75_000,
                oauth=OAuthConfig(
                    "https://auth.example",
                    "https://token.example",
                    "c",
                    Secret("s"),
                    ("tools.read",),
                    "http://127.0.0.1/callback",
                    Secret("a"),
                ),
            ),
        ),
        "ahp": AhpConfig(
            enabled=True,
            transport="http",
            url="http://harness:8080/ahp",
            token=Secret("t"),
            api_key=Secret("x"),
            idle_ms=10,
            heartbeat_ms=20,
            timeout_ms=30,
            fail_mode="open",
        ),
        "auto_delegation": AutoDelegationConfig(True, False, False, 0.81, 7),
        "permissions": PermissionsConfig(("read(*)", "grep(*)"), ("bash(*)",), ("write(secrets/**)",), "deny"),
        "confirmation": ConfirmationConfig(True, None, "auto_approve", ("query", "generate")),
        "checks": (Check("pytest -q", "tests", "tests", "the suite", False, 1000, True),),
        "budget": BudgetConfig(Decimal("1.5"), 100_000),
    }
    for name, value in expected.items():
        assert getattr(config, name) == value, name
    told = {*expected, "providers", "source_path", "found_by_search", "warnings", "secrets", "places", "source_text"}
    assert told == {item.name for item in fields(Config)}


def test_every_setting_of_a_provider_and_its_models_arrives(load, folder: Path) -> None:
    openai, replay = load(EVERYTHING).providers.values()
    assert replay == ProviderConfig(name="replay", path=folder / "runs/one.jsonl")
    assert openai == ProviderConfig(
        name="openai",
        api_key=Secret("k1"),
        api_key_line=23,
        base_url="https://llm.example/v1",
        headers=MappingProxyType({"X-Tenant": Secret("t")}),
        session_id_header="X-Session",
        api="anthropic",
        stream=False,
        tool_call=False,
        tool_style="text",
        models=openai.models,
    )
    assert openai.models["gpt"] == ModelConfig(
        id="gpt",
        name="GPT",
        family="gpt",
        api_key=Secret("k2"),
        api_key_line=34,
        base_url="http://other/v1",
        headers=MappingProxyType({"X-Tenant": Secret("u")}),
        session_id_header="X-Other",
        api="openai",
        stream=True,
        tool_call=True,
        tool_style="native",
        attachment=True,
        reasoning=True,
        temperature=False,
        release_date="2026-01-01",
        modalities=ModalitiesConfig(("text", "image"), ("text",)),
        cost=CostConfig(Decimal("1.25"), Decimal("4.5"), Decimal("0.2"), Decimal(3)),
        limit=LimitConfig(128_000, 8192),
    )


def test_camel_case_says_the_same_at_every_level(load) -> None:
    text = camel(EVERYTHING)
    assert "maxToolRounds" in text
    assert "llmExtractionMaxInputChars" in text
    assert not re.search(r"^\s*[a-z]+_[a-z]+ ", text, re.MULTILINE)
    assert replace(load(text), places={}) == replace(load(EVERYTHING), places={})


def test_dashes_and_acronyms_are_no_obstacle(load) -> None:
    config = load('max-tool-rounds = 3 providers "p" { APIKey = "k" baseURL = "http://h" }')
    assert config.max_tool_rounds == 3
    assert config.providers["p"].api_key == Secret("k")
    assert config.providers["p"].base_url == "http://h"


def test_nothing_said_is_the_default(load) -> None:
    config = load("\n")
    assert config == Config()
    assert config.default_model is None
    assert config.storage_backend == "file"
    assert (config.sessions_dir, config.memory_dir, config.storage_url) == (None, None, None)
    assert (config.max_tool_rounds, config.max_parallel_tasks, config.llm_api_timeout_ms) == (50, 8, 180_000)
    assert config.auto_delegation == AutoDelegationConfig(False, True, True, 0.72, 4)
    assert (config.verify, config.sandbox, config.planning_mode) == ("auto", "auto", "auto")
    assert (config.queue, config.memory, config.search, config.ahp, config.permissions) == (None,) * 5
    assert config.project_doc_max_bytes == 32_768


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("memory { }", "memory", MemoryConfig(100, 10, None, False, None, None, RelevanceConfig(30, 0.7, 0.3))),
        ("memory { prune { max_items = 0 } }", "memory", MemoryConfig(prune=PruneConfig(90, 0.5, None))),
        ("memory { prune_interval_secs = 0 }", "memory", MemoryConfig()),
        ("search { }", "search", SearchConfig(20_000)),
        ("queue { }", "queue", QueueConfig()),
        (
            "queue { retry_policy { } rate_limit { } }",
            "queue",
            QueueConfig(retry=RetryConfig("exponential", 3, 100), rate_limit=RateLimitConfig("unlimited")),
        ),
        ("permissions { }", "permissions", PermissionsConfig(default="ask")),
        ("confirmation { }", "confirmation", ConfirmationConfig(False, 30_000, "reject", ())),
        ("budget { }", "budget", BudgetConfig(None, None)),
        ('check "c" { command = "true" }', "checks", (Check("true", id="c"),)),
        (
            'ahp { url = "http://h" }',
            "ahp",
            AhpConfig(True, "http", "http://h", idle_ms=10_000, heartbeat_ms=60_000, timeout_ms=10_000),
        ),
        (
            'mcp_servers "m" { command = "npx" }',
            "mcp_servers",
            (McpServerConfig("m", "stdio", "npx", timeout_ms=60_000),),
        ),
    ],
)
def test_an_empty_block_has_its_own_defaults(load, text: str, name: str, expected: Any) -> None:
    assert getattr(load(text), name) == expected


def test_lanes_default_to_two_four_two_one() -> None:
    assert {lane: config.max_concurrency for lane, config in QueueConfig().lanes.items()} == {
        "control": 2,
        "query": 4,
        "execute": 2,
        "generate": 1,
    }


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ('skills = "/s"', "skill_dirs", (Path("/s"),)),
        ('skill_dirs = "/s"', "skill_dirs", (Path("/s"),)),
        ('global_instructions_dir = "/i"', "user_instructions_dir", Path("/i")),
        ("api_timeout_ms = 9", "llm_api_timeout_ms", 9),
        ("model_api_timeout_ms = 9", "llm_api_timeout_ms", 9),
        ("auto_parallel_enabled = true", "auto_parallel", True),
        ('default_model "a/b" { }', "default_model", "a/b"),
        ("auto_delegation { parallel = false }", "auto_delegation", AutoDelegationConfig(auto_parallel=False)),
        (
            "auto_delegation { manual_delegation = false }",
            "auto_delegation",
            AutoDelegationConfig(allow_manual_delegation=False),
        ),
        ('mcp_server "m" { command = "x" }', "mcp_servers", (McpServerConfig("m", "stdio", "x"),)),
        ('mcpServers "m" { command = "x" }', "mcp_servers", (McpServerConfig("m", "stdio", "x"),)),
        (
            'ahp { url = "http://h" token = "t" idle_threshold_ms = 5 }',
            "ahp",
            AhpConfig(url="http://h", token=Secret("t"), idle_ms=5),
        ),
        ('ahp { type = "stdio" program = "p" }', "ahp", AhpConfig(transport="stdio", command="p")),
        ("memory { prune_policy { max_items = 3 } }", "memory", MemoryConfig(prune=PruneConfig(max_items=3))),
        ('permissions { default = "allow" }', "permissions", PermissionsConfig(default="allow")),
        ("search { timeout_ms = 5 }", "search", SearchConfig(timeout_ms=5)),
        (
            'search { engines "e" { weight = 2 } }',
            "search",
            SearchConfig(engines=MappingProxyType({"e": SearchEngineConfig(weight=2)})),
        ),
    ],
)
def test_other_names_of_a_setting(load, text: str, name: str, expected: Any, told) -> None:
    config = load(text)
    assert getattr(config, name) == expected
    assert told(config) == []


def test_the_switch_at_the_top_overrides_the_block(load) -> None:
    assert load("auto_parallel = false auto_delegation { auto_parallel = true }").auto_delegation.auto_parallel is False
    assert load("auto_parallel = true auto_delegation { parallel = false }").auto_delegation.auto_parallel is True
    assert load("auto_parallel = false").auto_delegation.auto_parallel is False


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("auto_delegation { min_confidence = 1.5 }", "auto_delegation.min_confidence"),
        ("memory { relevance { decay_days = 0 } }", "memory.relevance.decay_days"),
    ],
)
def test_what_is_clamped_is_said(load, text: str, key: str, told) -> None:
    config = load(text)
    (warning,) = told(config)
    assert warning.key == key
    assert config.auto_delegation.min_confidence in (0.72, 1.0)
    assert config.memory is None or config.memory.relevance.decay_days == 0.1


def test_whole_floats_pass_for_whole_numbers(load) -> None:
    config = load("max_tool_rounds = 8.0 thinking_budget = 1e4")
    assert (config.max_tool_rounds, config.thinking_budget) == (8, 10_000)
    assert type(config.thinking_budget) is int


def test_null_is_the_same_as_nothing(load) -> None:
    names = ["verify", "skill_dirs", "ahp", "memory", "mcp_servers", "budget", "check", "max_tool_rounds"]
    config = load("".join(f"{name} = null\n" for name in names) + 'providers "p" { apiKey = null headers = null }')
    assert replace(config, providers={}, places={}) == Config()
    assert config.providers["p"] == ProviderConfig(name="p")
