from __future__ import annotations

import pytest

from a3s_code.errors import ConfigError, MissingCredential
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Message
from a3s_code.kernel.ports import Prompt
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.registry import create_model


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        ("anthropic", "https://api.anthropic.com/v1/messages"),
        ("openai", "https://api.openai.com/v1/chat/completions"),
        ("deepseek", "https://api.deepseek.com/chat/completions"),
        ("openrouter", "https://openrouter.ai/api/v1/chat/completions"),
        ("groq", "https://api.groq.com/openai/v1/chat/completions"),
        ("mistral", "https://api.mistral.ai/v1/chat/completions"),
        ("xai", "https://api.x.ai/v1/chat/completions"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"),
        ("zhipu", "https://open.bigmodel.cn/api/paas/v4/chat/completions"),
        ("moonshot", "https://api.moonshot.ai/v1/chat/completions"),
        ("ollama", "http://127.0.0.1:11434/v1/chat/completions"),
        ("llamacpp", "http://127.0.0.1:8080/v1/chat/completions"),
        ("vllm", "http://127.0.0.1:8000/v1/chat/completions"),
    ],
)
def test_known_labels_have_an_address(provider: str, url: str) -> None:
    assert ModelEndpoint(provider, "m").url == url


@pytest.mark.parametrize(
    ("api", "base_url", "url"),
    [
        ("openai", "https://h/v1", "https://h/v1/chat/completions"),
        ("openai", "https://h/v1/", "https://h/v1/chat/completions"),
        ("openai", "https://h", "https://h/chat/completions"),
        ("openai", "https://h/deploy?api-version=3", "https://h/deploy/chat/completions?api-version=3"),
        ("anthropic", "https://h", "https://h/v1/messages"),
        ("anthropic", "https://h/", "https://h/v1/messages"),
        ("anthropic", "https://h/anthropic", "https://h/anthropic/v1/messages"),
        ("anthropic", "https://h/v1", "https://h/v1/messages"),
        ("anthropic", "https://h/api/v4", "https://h/api/v4/messages"),
        ("anthropic", "https://h/v1beta/", "https://h/v1beta/messages"),
        ("anthropic", "https://h/v1/proxy", "https://h/v1/proxy/v1/messages"),
    ],
)
def test_the_base_url_is_used_as_given(api: str, base_url: str, url: str) -> None:
    assert ModelEndpoint("x", "m", api=api, base_url=base_url).url == url


def test_the_label_decides_the_format_and_api_overrides_it() -> None:
    assert ModelEndpoint("anthropic", "m").speaks == "anthropic"
    assert ModelEndpoint("deepseek", "m").speaks == "openai"
    assert ModelEndpoint("deepseek", "m", api="anthropic", base_url="https://h/anthropic").speaks == "anthropic"


def test_an_unknown_label_is_told_what_to_write() -> None:
    with pytest.raises(ConfigError, match=r'"acme" has no known base URL .*base_url = "https://HOST/v1"') as caught:
        create_model(ModelEndpoint("acme", "m"), ModelSettings())
    assert caught.value.key == "providers.acme.base_url"


def test_a_label_asked_in_the_other_format_needs_its_address() -> None:
    with pytest.raises(ConfigError, match='no known base URL for api = "anthropic"'):
        create_model(ModelEndpoint("deepseek", "m", api="anthropic"), ModelSettings())


@pytest.mark.parametrize(
    "base_url",
    ["api.acme.com/v1", "ftp://h/v1", "https:///v1", "", "http://[::1", "http://h:99999", "http://h:port/v1"],
)
def test_a_base_url_must_be_a_url(base_url: str) -> None:
    with pytest.raises(ConfigError, match="no http or https URL"):
        create_model(ModelEndpoint("acme", "m", base_url=base_url), ModelSettings())


@pytest.mark.parametrize("key", ["sk-abc def", "sk-abc\n", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigError, match="ACME_API_KEY") as caught:
        create_model(ModelEndpoint("acme", "m", base_url="https://h", api_key=key), ModelSettings())
    assert key.strip() not in str(caught.value)


def test_a_header_that_cannot_be_sent_is_named() -> None:
    endpoint = ModelEndpoint("acme", "m", base_url="https://h", api_key="k", headers={"X-Team": "a\r\nb"})
    with pytest.raises(ConfigError, match="X-Team"):
        create_model(endpoint, ModelSettings())


@pytest.mark.parametrize(
    ("endpoint", "variable"),
    [
        (ModelEndpoint("anthropic", "m"), "ANTHROPIC_API_KEY"),
        (ModelEndpoint("my-lab", "m", base_url="https://h/v1"), "MY_LAB_API_KEY"),
        (ModelEndpoint("openai", "m", api_key_variable="TEAM_KEY"), "TEAM_KEY"),
        (ModelEndpoint("openai", "m", api_key=""), "OPENAI_API_KEY"),
    ],
)
async def test_a_missing_key_is_found_at_the_first_call_and_names_the_variable(
    endpoint: ModelEndpoint, variable: str
) -> None:
    model = create_model(endpoint, ModelSettings())
    with pytest.raises(MissingCredential, match=variable) as caught:
        await anext(model.stream(Prompt("", [Message.user("hi")])))
    assert endpoint.provider in str(caught.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        ModelEndpoint("ollama", "m"),
        ModelEndpoint("vllm", "m", base_url="http://10.0.0.7:8000/v1"),
        ModelEndpoint("acme", "m", base_url="http://localhost:9/v1"),
        ModelEndpoint("acme", "m", base_url="http://127.0.0.2:9/v1"),
        ModelEndpoint("acme", "m", base_url="http://[::1]:9/v1"),
        ModelEndpoint("acme", "m", base_url="https://h/v1", headers={"api-key": "secret"}),
    ],
)
def test_no_key_is_needed_on_this_machine_for_local_labels_or_with_a_header_of_its_own(endpoint: ModelEndpoint) -> None:
    assert not endpoint.lacks_key
    endpoint.require_key()


def test_secrets_stay_out_of_the_repr() -> None:
    endpoint = ModelEndpoint("openai", "m", api_key="sk-secret", headers={"authorization": "Bearer other-secret"})
    assert "secret" not in repr(endpoint)


def test_a_thinking_budget_where_it_means_nothing_is_an_error_before_the_first_request() -> None:
    settings = ModelSettings(thinking_budget=2000)
    with pytest.raises(ConfigError, match="thinking_budget"):
        create_model(ModelEndpoint("openai", "m", api_key="k"), settings)
    create_model(ModelEndpoint("openrouter", "m", api_key="k"), settings)
    create_model(ModelEndpoint("anthropic", "m", api_key="k"), settings)


def test_replay_without_a_recording_is_told_what_to_write() -> None:
    with pytest.raises(ConfigError, match="no recording"):
        create_model(ModelEndpoint("replay", "m"), ModelSettings())
