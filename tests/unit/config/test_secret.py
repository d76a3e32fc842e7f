from __future__ import annotations

import copy
import pickle
import traceback
from dataclasses import asdict

import pytest

from a3s_code.config import Secret
from a3s_code.errors import ConfigError

KEY = "sk-hunter2"


def test_a_secret_shows_nothing_but_reveals_its_text() -> None:
    secret = Secret(KEY)
    assert secret.reveal() == KEY
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret:>20}", "%s" % secret, repr([secret])):  # noqa: UP031
        assert "hunter" not in shown
        assert "***" in shown


def test_secrets_compare_by_their_text() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), Secret(KEY), Secret("other")}) == 2
    assert Secret("\u00e9") == Secret("\u00e9")


def test_a_secret_is_copied_but_never_pickled() -> None:
    secret = Secret(KEY)
    assert copy.deepcopy(secret) is secret
    assert copy.copy(secret) is secret
    with pytest.raises(TypeError, match="not written anywhere"):
        pickle.dumps(secret)


EVERYTHING = f"""
storage_backend = "custom"
storage_url = "postgres://me:{KEY}@db/x"
providers "p" {{
  apiKey = "{KEY}"
  baseUrl = "https://me:{KEY}@host/v1"
  headers = {{ "X-Key" = "{KEY}" }}
  models "m" {{ apiKey = "{KEY}" headers {{ K = "{KEY}" }} baseUrl = "http://{KEY}" }}
}}
mcp_servers "a" {{ command = "{KEY}" args = ["--token", "{KEY}"] env = {{ T = "{KEY}" }} }}
mcp_servers "b" {{
  transport = {{ type = "http", url = "http://h/?key={KEY}", headers = {{ A = "{KEY}" }} }}
  oauth {{ client_secret = "{KEY}" access_token = "{KEY}" auth_url = "http://{KEY}" token_url = "http://{KEY}" }}
}}
ahp {{ url = "http://h/?token={KEY}" token = "{KEY}" api_key = "{KEY}" args = ["{KEY}"] }}
search {{ proxy = "http://me:{KEY}@p" engine "e" {{ api_key = "{KEY}" }} }}
"""


def test_a_config_can_be_printed(load, told) -> None:
    config = load(EVERYTHING)
    assert told(config) == []
    assert "hunter2" not in repr(config)
    assert "hunter2" not in str(config)
    for part in (*config.providers.values(), *config.mcp_servers, config.ahp, config.search):
        assert "hunter2" not in repr(part)


def test_all_secrets_of_a_config_are_known(load) -> None:
    config = load(EVERYTHING)
    assert {secret.reveal() for secret in config.secrets} == {KEY}
    assert len(config.secrets) == 11


def test_secrets_stay_covered_in_a_config_taken_apart(load) -> None:
    oauth = load(EVERYTHING).mcp_servers[1].oauth
    assert "hunter2" not in repr({name: value for name, value in asdict(oauth).items() if "url" not in name})


@pytest.mark.parametrize(
    "text",
    [
        f'providers "p" {{ apiKey = ["{KEY}"] }}',
        f'providers "p" {{ apiKey = {{ k = "{KEY}" }} }}',
        f'providers "p" {{ baseUrl = "{KEY}" }}',
        f'providers "p" {{ api = "{KEY}" }}',
        f'providers "p" {{ stream = "{KEY}" }}',
        f'providers "p" {{ headers = "{KEY}" }}',
        f'providers "p" {{ headers = {{ A = ["{KEY}"] }} }}',
        f'max_tool_rounds = "{KEY}"',
        f'verify = "{KEY}"',
        f'ahp = "{KEY}"',
        f'ahp = {{ url = "{KEY}" }}',
        f"ahp = {{ fail_mode = {KEY} }}",
        f'mcp_servers = ["{KEY}"]',
        f'mcp_servers "x" {{ transport = "{KEY}" }}',
        f'memory = "{KEY}"',
        f'check "x" {{ command = ["{KEY}"] }}',
        f'confirmation {{ yolo_lanes = ["{KEY}"] }}',
        f'budget {{ max_cost = "{KEY}" }}',
        f'default_model = run("{KEY}")',
        f'default_model = env("A", "{KEY}", "{KEY}")',
        f'sessions_dir = ["{KEY}"]',
    ],
)
def test_no_error_shows_a_value(load, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    error = caught.value
    shown = "".join(traceback.format_exception(error))
    for words in (str(error), repr(error), str(error.hint), shown.split("Error:", 1)[-1]):
        assert "hunter2" not in words
    assert error.line == 1
    assert error.key


def test_no_warning_shows_a_value(load, told) -> None:
    config = load(
        f'storage_backend = "{KEY}"\nunknown = "{KEY}"\n'
        f'providers "p" {{ api_kye = "{KEY}" apiKey = "{KEY}" api_key = "{KEY}" }}'
    )
    assert len(told(config)) == 4
    for warning in told(config):
        assert "hunter2" not in str(warning)
        assert "hunter2" not in repr(warning)


def test_no_override_error_shows_a_value(load) -> None:
    for overrides in (
        {"max_tool_rounds": KEY},
        {"providers": {"p": {"api_key": [KEY]}}},
        {"verify": KEY},
        {"ahp": KEY},
    ):
        with pytest.raises(ConfigError) as caught:
            load("\n", overrides)
        assert "hunter2" not in str(caught.value)
