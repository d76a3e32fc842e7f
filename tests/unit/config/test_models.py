"""Providers and models: what a model takes from its provider, keys, prices, references."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from a3s_code.config import CostConfig, LimitConfig, ModalitiesConfig, Secret
from a3s_code.errors import ConfigError, MissingCredential


def test_a_provider_needs_no_models(load) -> None:
    provider = load('providers "p" { apiKey = "k" baseUrl = "http://h" headers = { A = "b" } }').providers["p"]
    assert provider.models == {}
    model = provider.model("org/some-model:free")
    assert (model.id, model.name, model.family) == ("org/some-model:free", "org/some-model:free", "")
    assert (model.api_key, model.base_url, model.headers) == (Secret("k"), "http://h", {"A": Secret("b")})
    assert model.cost is None
    assert (model.limit.context, model.limit.output) == (None, None)
    assert (model.tool_call, model.temperature, model.stream) == (True, True, True)
    assert model.modalities == ModalitiesConfig(("text",), ("text",))


def test_a_model_takes_from_its_provider_what_it_leaves_open(load) -> None:
    provider = load(
        'providers "p" { apiKey = "k" stream = false headers = { A = "1", B = "2" }\n'
        'models "m" { headers = { B = "3" } } }'
    ).providers["p"]
    model = provider.model("m")
    assert model.api_key == Secret("k")
    assert model.stream is False
    assert {name: value.reveal() for name, value in model.headers.items()} == {"A": "1", "B": "3"}
    assert model.name == "m"


def test_the_key_of_a_model_wins_over_the_key_of_its_provider(load) -> None:
    text = 'providers "p" { apiKey = env("ONE") models "m" { apiKey = env("TWO") } }'
    model = load(text, environ={"ONE": "1", "TWO": "2"}).providers["p"].model("m")
    assert (model.api_key, model.api_key_variable) == (Secret("2"), "TWO")
    model = load(text, environ={"ONE": "1"}).providers["p"].model("m")
    assert (model.api_key, model.api_key_variable) == (Secret("1"), "ONE")
    model = load(text).providers["p"].model("m")
    assert (model.api_key, model.api_key_variable) == (None, "TWO")


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ("", None),
        ("cost { }", CostConfig(None, None, None, None)),
        ("cost { input = 3, output = 15 }", CostConfig(Decimal(3), Decimal(15), None, None)),
        (
            "cost = { input = 0, output = 0.1, cacheRead = 0.30, cacheWrite = 1e-7 }",
            CostConfig(Decimal(0), Decimal("0.1"), Decimal("0.3"), Decimal("1e-7")),
        ),
    ],
)
def test_a_cost_that_is_not_given_is_unknown(load, cost: str, expected: CostConfig | None) -> None:
    assert load(f'providers "p" {{ models "m" {{ {cost} }} }}').providers["p"].model("m").cost == expected


def test_limits_of_zero_are_unknown_and_the_older_form_is_deprecated(load, told) -> None:
    config = load(
        'providers "p" {\n models "a" { limit { context = 0 } }\n models "b" { context = 9 maxTokens = 8 }\n}'
    )
    models = config.providers["p"].models
    assert models["a"].limit == LimitConfig(None, None)
    assert models["b"].limit == LimitConfig(9, 8)
    assert [(warning.key, warning.line) for warning in told(config)] == [
        ("providers.p.models.b.context", 3),
        ("providers.p.models.b.max_tokens", 3),
    ]


def test_a_key_that_was_to_come_from_a_variable_is_remembered(load) -> None:
    text = 'default_model = "anthropic/x"\nproviders "anthropic" {\n  apiKey = env("ANTHROPIC_API_KEY")\n}'
    provider = load(text).providers["anthropic"]
    assert (provider.api_key, provider.api_key_variable, provider.api_key_line) == (None, "ANTHROPIC_API_KEY", 3)
    provider = load(text, environ={"ANTHROPIC_API_KEY": "k"}).providers["anthropic"]
    assert (provider.api_key, provider.api_key_variable, provider.api_key_line) == (Secret("k"), "ANTHROPIC_API_KEY", 3)


def test_an_empty_key_counts_as_none(load, told) -> None:
    config = load('providers "p" { apiKey = env("K") }', environ={"K": ""})
    assert config.providers["p"].api_key is None
    assert config.providers["p"].api_key_variable == "K"
    assert [warning.key for warning in told(config)] == ["providers.p.api_key"]


def test_the_error_for_a_missing_key_names_the_variable_and_the_line(load, folder: Path) -> None:
    (folder / "agent.acl").write_text('providers "p" {\n  apiKey = env("P_KEY")\n}\nproviders "q-1" { }\n')
    config = load("agent.acl")
    error = config.missing_credential("p")
    assert isinstance(error, MissingCredential)
    assert str(error).startswith(f"{folder / 'agent.acl'}:2:3: ")
    assert "P_KEY" in error.message
    assert error.key == "providers.p.api_key"
    assert 'apiKey = env("Q_1_API_KEY")' in (config.missing_credential("q-1").hint or "")
    assert "has no API key" in str(config.missing_credential("unheard-of"))


def test_a_missing_key_that_is_to_come_from_a_variable_names_it_with_its_line(load) -> None:
    text = 'providers "p" {\n  apiKey = env("ONE")\n  models "m" {\n    apiKey = env("TWO")\n  }\n}'
    error = load(text).missing_credential("p")
    assert "env variable ONE is not set, or empty (line 2)" in error.message
    error = load(text).missing_credential("p", "m")
    assert "env variable TWO is not set, or empty (line 4)" in error.message
    assert (error.line, error.column, error.key) == (4, 5, "providers.p.models.m.api_key")
    error = load(text).missing_credential("p", "not-listed")
    assert (error.line, error.key) == (2, "providers.p.api_key")


def test_a_misspelt_key_is_named_where_the_key_is_missing(load) -> None:
    config = load('\nproviders "anthropic" { apiKye = "hunter2" }\nproviders "b" { zzz = 1 }')
    error = config.missing_credential("anthropic", "claude")
    assert "apiKye at 2:25 is not a known setting; did you mean api_key" in error.message
    assert (error.line, error.column) == (2, 25)
    assert "hunter2" not in str(error)
    assert "zzz" not in error.message


def test_a_model_reference_is_split_at_its_first_slash(load) -> None:
    config = load('default_model = "openrouter/anthropic/claude"')
    assert config.model_ref() == ("openrouter", "anthropic/claude")
    assert config.model_ref("ollama/llama3") == ("ollama", "llama3")


@pytest.mark.parametrize("name", ["", "x", "/x", "x/", "/"])
def test_a_model_reference_needs_both_halves(load, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("\n").model_ref(name)
    assert caught.value.hint == 'write "provider/model"'


def test_without_any_model_the_setting_to_write_is_named(load) -> None:
    with pytest.raises(ConfigError, match="no default_model") as caught:
        load("\n").model_ref()
    assert caught.value.key == "default_model"


def test_a_slash_in_a_provider_name_is_refused(load) -> None:
    with pytest.raises(ConfigError, match="slash") as caught:
        load('providers "a/b" { }')
    assert caught.value.key == "providers.a/b"
