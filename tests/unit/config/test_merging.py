"""What is said twice: in two blocks, in two spellings, in the text and in an override."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from a3s_code.config import McpServerConfig, Secret, load_config
from a3s_code.errors import ConfigError

TEXT = """
default_model = "a/b"
skill_dirs = ["/one"]
max_tool_rounds = 7
providers "a" {
  apiKey = "k"
  models "m" { family = "f" }
}
mcp_servers "fs" { command = "npx" }
ahp { url = "http://h" idle_ms = 5 }
permissions { allow = ["read(*)"] default = "deny" }
"""


def keys(warnings) -> list[tuple[str | None, int | None]]:
    return [(warning.key, warning.line) for warning in warnings]


def test_two_blocks_of_one_provider_are_one(load, told) -> None:
    config = load(
        'providers "p" { apiKey = "1" baseUrl = "http://one" models "a" { family = "x" } models "c" { } }\n'
        'providers "q" { }\n'
        'providers "p" { apiKey = "2" models "b" { } models "a" { reasoning = true } }'
    )
    assert list(config.providers) == ["p", "q"]
    provider = config.providers["p"]
    assert (provider.api_key, provider.base_url) == (Secret("2"), "http://one")
    assert list(provider.models) == ["a", "c", "b"]
    assert (provider.models["a"].family, provider.models["a"].reasoning) == ("x", True)
    assert told(config) == []


def test_of_two_servers_with_one_name_the_later_replaces_the_earlier(load, told) -> None:
    config = load(
        'mcp_servers "n" { command = "a" args = ["x"] }\n'
        'mcp_servers "o" { command = "b" }\n'
        'mcp_servers "n" { command = "c" }'
    )
    assert config.mcp_servers == (McpServerConfig("n", "stdio", "c"), McpServerConfig("o", "stdio", "b"))
    assert keys(told(config)) == [("mcp_servers.n", 3)]


def test_of_two_checks_with_one_id_the_later_replaces_the_earlier(load, told) -> None:
    config = load('check "t" { command = "a" required = false }\ncheck "t" { command = "b" }')
    assert [(check.id, check.command, check.required) for check in config.checks] == [("t", "b", True)]
    assert keys(told(config)) == [("check.t", 2)]


def test_servers_in_a_list_and_in_blocks_add_up(load) -> None:
    config = load(
        'mcp_servers "a" { command = "x" }\n'
        'mcp_servers = [{ name = "b" command = "y" }]\n'
        'mcp_server "c" { command = "z" }'
    )
    assert [server.name for server in config.mcp_servers] == ["a", "b", "c"]


def test_repeated_blocks_without_a_label_are_read_as_one(load) -> None:
    config = load('ahp { url = "http://one" idle_ms = 5 }\nahp { url = "http://two" }')
    assert (config.ahp.url, config.ahp.idle_ms) == ("http://two", 5)


def test_null_takes_back_what_was_said_before(load) -> None:
    assert load('ahp { url = "http://h" }\nahp = null').ahp is None
    assert load('ahp = null\nahp { url = "http://h" }').ahp is not None
    assert load('providers "p" { apiKey = "k" }\nproviders "p" { apiKey = null }').providers["p"].api_key is None


def test_one_setting_twice_in_a_block_is_a_warning(load, told) -> None:
    config = load('max_tool_rounds = 1\nproviders "p" {\n  apiKey = "1"\n  api_key = "2"\n}\nmax_tool_rounds = 2\n')
    assert config.max_tool_rounds == 2
    assert config.providers["p"].api_key == Secret("2")
    assert keys(told(config)) == [("providers.p.api_key", 4), ("max_tool_rounds", 6)]
    assert "as apiKey and as api_key" in told(config)[0].message


def test_two_aliases_in_a_block_are_a_warning(load, told) -> None:
    config = load('skills = "/a"\nskill_dirs = "/b"')
    assert config.skill_dirs == (Path("/b"),)
    assert keys(told(config)) == [("skill_dirs", 2)]


def test_a_header_given_twice_is_a_warning(load, told) -> None:
    config = load('providers "p" { headers = { A = "1"\n"A" = "2" } }')
    assert config.providers["p"].headers["A"] == Secret("2")
    assert keys(told(config)) == [("providers.p.headers.A", 2)]


def test_headers_of_two_blocks_add_up(load) -> None:
    headers = load('providers "p" { headers { A = "1" B = "2" } headers { B = "3" } }').providers["p"].headers
    assert {name: value.reveal() for name, value in headers.items()} == {"A": "1", "B": "3"}


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("max_tool_round = 3", "max_tool_rounds"),
        ("maxToolRound = 3", "max_tool_rounds"),
        ('provider "p" { }', "providers"),
        ('providers "p" { api_kye = "k" }', "api_key"),
        ('providers "p" { url = "k" }', None),
        ('providers "p" { models "m" { reasonning = true } }', "reasoning"),
        ("memory { relevance { decay_day = 3 } }", "decay_days"),
        ("queue { retry_policy { max_retry = 3 } }", "max_retries"),
        ("ahp { enabled = false adle_ms = 3 }", "idle_ms"),
        ("budget { maxcost = 3 }", "max_cost"),
        ('check "c" { command = "x" must_fail = true }', "must_fail_before"),
        ("nothing_like_it = 3", None),
        ("zzz { a = 1 }", None),
    ],
)
def test_an_unknown_setting_is_a_warning_with_the_nearest_name(load, text: str, suggested: str | None, told) -> None:
    (warning,) = told(load("\n" + text))
    assert warning.line == 2
    assert "is not a known setting and is ignored" in warning.message
    assert warning.hint == (f"did you mean {suggested}?" if suggested else None)
    assert str(warning).startswith(f"<text>:2:{warning.column}: {warning.key} is not")


@pytest.mark.parametrize("lane", ["query = { max_concurrency = 2 }", "query { }"])
def test_a_lane_at_the_wrong_place_says_how_to_write_it(load, told, lane: str) -> None:
    (warning,) = told(load(f"queue {{ {lane} }}"))
    assert (warning.key, warning.line, warning.column) == ("queue.query", 1, 9)
    assert warning.hint == "write query_max_concurrency = 2, or lane_handlers { query { } }"
    written = load("queue { query_max_concurrency = 2 lane_handlers { query { } } }")
    assert told(written) == []
    assert written.queue.lanes["query"].max_concurrency == 2


def test_warnings_name_the_file(load, folder: Path) -> None:
    (folder / "agent.acl").write_text("nonsense = 1\n")
    (warning,) = load("agent.acl").warnings
    assert str(warning) == f"{folder / 'agent.acl'}:1:1: nonsense is not a known setting and is ignored"


def test_warnings_stand_in_the_order_of_the_text(load, told) -> None:
    config = load(
        'verify = env("A")\nzzz = 1\nproviders "p" {\n  yyy = 1\n  apiKey = env("B")\n}\nstorage_backend = "x"\n'
    )
    assert [warning.line for warning in told(config)] == [1, 2, 4, 5, 7]


def test_many_unknown_settings_are_summed_up(load, told) -> None:
    config = load("".join(f"zz{index} = 1\n" for index in range(250)))
    assert len(told(config)) == 101
    assert "150 more unknown settings" in told(config)[-1].message


def test_a_setting_without_meaning_here_says_so(load) -> None:
    (warning,) = load('os = "https://example"').warnings
    assert "no meaning here" in warning.message


def test_an_unknown_storage_backend_is_a_warning(load, told) -> None:
    config = load('storage_backend = "redis"')
    assert config.storage_backend == "file"
    (warning,) = told(config)
    assert (warning.key, warning.hint) == ("storage_backend", "one of file, memory, custom")


@pytest.mark.parametrize("word", ["memory", "Memory", "CUSTOM", "file"])
def test_a_storage_backend_is_known_in_any_case(load, word: str, told) -> None:
    config = load(f"storage_backend = {word}")
    assert (config.storage_backend, told(config)) == (word.lower(), [])


def test_an_override_wins(load, told) -> None:
    config = load(TEXT, {"default_model": "c/d", "max_tool_rounds": 9, "sandbox": "off", "thinking_budget": 5})
    assert (config.default_model, config.max_tool_rounds, config.sandbox) == ("c/d", 9, "off")
    assert config.thinking_budget == 5
    assert config.skill_dirs == (Path("/one"),)
    assert told(config) == []


def test_an_override_may_be_in_camel_case(load) -> None:
    assert load(TEXT, {"maxToolRounds": 9}).max_tool_rounds == 9
    assert load(TEXT, {"skills": ["/x"]}).skill_dirs == (Path("/x"),)


def test_none_takes_a_setting_back(load) -> None:
    config = load(
        TEXT, {"default_model": None, "ahp": None, "skill_dirs": None, "mcp_servers": None, "providers": None}
    )
    assert (config.default_model, config.ahp, config.skill_dirs, config.mcp_servers) == (None, None, (), ())
    assert config.providers == {}
    assert "default_model" not in config.places


def test_a_dict_is_added_to_the_block_in_the_text(load, told) -> None:
    config = load(
        TEXT,
        {
            "ahp": {"idle_ms": 6},
            "providers": {"a": {"baseUrl": "http://x", "models": {"m": {"reasoning": True}}}, "n": {"api_key": "z"}},
            "mcp_servers": {"more": {"url": "http://m", "headers": {"A": "b"}}},
            "permissions": {"allow": ["ls(*)"]},
        },
    )
    assert (config.ahp.url, config.ahp.idle_ms) == ("http://h", 6)
    provider = config.providers["a"]
    assert (provider.api_key, provider.base_url) == (Secret("k"), "http://x")
    assert (provider.models["m"].family, provider.models["m"].reasoning) == ("f", True)
    assert config.providers["n"].api_key == Secret("z")
    assert [server.name for server in config.mcp_servers] == ["fs", "more"]
    assert config.permissions.allow == ("ls(*)",)
    assert config.permissions.default == "deny"
    assert told(config) == []


def test_a_list_takes_the_place_of_the_one_in_the_text(load) -> None:
    config = load(TEXT, {"mcp_servers": [{"name": "x", "command": "y"}], "skill_dirs": ["/two"]})
    assert config.mcp_servers == (McpServerConfig("x", "stdio", "y"),)
    assert config.skill_dirs == (Path("/two"),)


def test_a_server_in_an_override_replaces_one_of_its_name_without_a_warning(load, told) -> None:
    config = load(TEXT, {"mcp_servers": {"fs": {"command": "other"}}})
    assert config.mcp_servers == (McpServerConfig("fs", "stdio", "other"),)
    assert told(config) == []


def test_overrides_take_other_plain_values_too(load) -> None:
    config = load(
        "\n",
        {
            "sessions_dir": Path("/s"),
            "budget": {"max_cost": Decimal("0.25")},
            "providers": {"p": {"api_key": Secret("k")}},
            "skill_dirs": ("/a", Path("/b")),
            "check": [{"id": "t", "command": "x"}],
        },
    )
    assert config.sessions_dir == Path("/s")
    assert config.budget.max_cost == Decimal("0.25")
    assert config.providers["p"].api_key == Secret("k")
    assert config.skill_dirs == (Path("/a"), Path("/b"))
    assert config.checks[0].id == "t"


def test_texts_in_overrides_are_not_evaluated(load) -> None:
    assert load("\n", {"default_model": 'env("X")'}, {"X": "y"}).default_model == 'env("X")'


@pytest.mark.parametrize(
    ("overrides", "key", "message"),
    [
        ({"max_tool_rounds": "5"}, "max_tool_rounds", "must be a whole number; found text"),
        ({"max_tool_rounds": float("nan")}, "max_tool_rounds", "beyond all bounds"),
        ({"max_tool_rounds": 10**400}, "max_tool_rounds", "beyond all bounds"),
        ({"max_tool_rounds": True}, "max_tool_rounds", "found true or false"),
        (
            {"providers": {"p": {"models": {"m": {"cost": {"input": "3"}}}}}},
            "providers.p.models.m.cost.input",
            "a number",
        ),
        ({"providers": {"p": {"apiKey": 5}}}, "providers.p.api_key", "must be text; found a number"),
        ({"providers": {"p": 5}}, "providers.p", "must be a block"),
        ({"ahp": 5}, "ahp", "must be a block; found a number"),
        ({"max_tol_rounds": 5}, "max_tol_rounds", "is not a known setting"),
        ({"ahp": {"url": "http://h", "idel_ms": 5}}, "ahp.idel_ms", "is not a known setting"),
        ({"skill_dirs": {"/a"}}, "skill_dirs", "found set"),
        ({"skill_dirs": [b"/a"]}, "skill_dirs[0]", "found bytes"),
        ({"ahp": {1: 2}}, "ahp", "a name that is not text"),
        ({"default_model": object()}, "default_model", "found object"),
    ],
)
def test_a_wrong_override_is_refused_by_its_name(load, overrides: dict, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(TEXT, overrides)
    error = caught.value
    assert error.key == key
    assert message in error.message
    assert (error.file, error.line, error.column) == (None, None, None)
    assert str(error).startswith(key)


def test_an_unknown_override_names_the_nearest(load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("\n", {"max_tol_rounds": 5})
    assert caught.value.hint == "did you mean max_tool_rounds?"


def test_an_override_that_contains_itself_is_refused(load) -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ConfigError, match="nested too deeply"):
        load("\n", {"skill_dirs": endless})


def test_the_overrides_are_left_alone(load) -> None:
    overrides = {"providers": {"p": {"models": {"m": {"limit": {"context": 5}}}}}}
    load("\n", overrides)
    assert overrides == {"providers": {"p": {"models": {"m": {"limit": {"context": 5}}}}}}


def test_overrides_may_be_left_out() -> None:
    assert load_config("verify = off", environ={}).verify == "off"
