from __future__ import annotations

import pytest

from a3s_code.config import load_config
from a3s_code.errors import ConfigError


def test_a_variable_gives_its_value(load) -> None:
    assert load('default_model = env("MODEL")', environ={"MODEL": "a/b"}).default_model == "a/b"


def test_a_default_stands_in_for_a_variable_that_is_not_set(load, told) -> None:
    text = 'default_model = env("MODEL", "c/d")'
    config = load(text)
    assert config.default_model == "c/d"
    assert told(config) == []
    assert load(text, environ={"MODEL": "a/b"}).default_model == "a/b"


def test_a_setting_whose_variable_is_not_set_is_absent_with_a_warning(load, told) -> None:
    config = load('verify = "off"\n\nplanning_mode = env("MODE")\ndefault_model = env("MODEL")')
    assert config.default_model is None
    assert config.planning_mode == "auto"
    one, two = told(config)
    assert (one.key, one.line, one.column) == ("planning_mode", 3, 17)
    assert "MODE not set" in one.message
    assert (two.key, two.line) == ("default_model", 4)


def test_lists_and_objects_leave_out_what_is_not_set(load, told) -> None:
    config = load(
        'skill_dirs = ["/a", env("NONE"), env("B")]\nproviders "p" { headers = { A = env("NONE"), B = env("B") } }',
        environ={"B": "/b"},
    )
    assert [str(path) for path in config.skill_dirs] == ["/a", "/b"]
    assert {name: value.reveal() for name, value in config.providers["p"].headers.items()} == {"B": "/b"}
    assert [warning.key for warning in told(config)] == ["skill_dirs[1]", "providers.p.headers.A"]


@pytest.mark.parametrize(
    "written",
    ['secret("X")', "env()", 'env("")', 'env("A", "B", "C")', "env(1)", 'env("A", 1)', 'env(env("A"))', 'concat("x")'],
)
def test_any_other_call_is_refused_and_names_what_there_is(load, written: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f'providers "p" {{\n  apiKey = {written}\n}}')
    error = caught.value
    assert (error.key, error.line, error.column) == ("providers.p.api_key", 2, 12)
    assert error.hint == 'write env("NAME") or env("NAME", "default")'
    if not written.startswith("env"):
        assert "there is only env" in error.message


@pytest.mark.parametrize("setting", ["max_tool_rounds", "auto_parallel"])
def test_text_from_the_environment_is_no_number_and_no_truth_value(load, setting: str) -> None:
    with pytest.raises(ConfigError, match="found text from the environment"):
        load(f'{setting} = env("X")', environ={"X": "5"})


def test_calls_in_unknown_settings_are_not_evaluated(load, told) -> None:
    config = load('nonsense = boom("x")')
    assert [warning.key for warning in told(config)] == ["nonsense"]


def test_the_variables_of_the_process_are_used_unless_others_are_given(monkeypatch) -> None:
    monkeypatch.setenv("A3S_TEST_MODEL", "x/y")
    assert load_config('default_model = env("A3S_TEST_MODEL")').default_model == "x/y"
    assert load_config('default_model = env("A3S_TEST_MODEL")', environ={}).default_model is None
