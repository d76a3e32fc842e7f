"""Agents: what of a configuration reaches a session, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from a3s_code import Agent, PermissionPolicy
from a3s_code.errors import ConfigError, MissingCredential, ModelUnavailable
from a3s_code.kernel.contracts import Price, Usage
from a3s_code.kernel.messages import Message, Reply, Text, ToolCall
from a3s_code.testing import FakeClock, LoopbackServer, ScriptedModel


def test_permissions_and_checks_of_the_configuration_hold(tmp_path: Path) -> None:
    acl = """
        permissions { allow = ["write(*)", "read(*)"], deny = ["write(secret.txt)"], default = "deny" }
        check "there" { command = "test -f a.txt" }
    """
    calls = [
        ToolCall("1", "write", {"file_path": "a.txt", "content": "x"}),
        ToolCall("2", "write", {"file_path": "secret.txt", "content": "x"}),
    ]
    with Agent.create(acl) as agent:
        result = agent.session(tmp_path, model=ScriptedModel([calls, "done"])).send("go")
    assert [(denied.tool, denied.args.get("file_path")) for denied in result.denied] == [
        ("write", "secret.txt"),
        ("bash", None),
    ]
    assert result.verdict == "unverified", "the rules of this configuration deny bash, so the check proves nothing"


def test_a_policy_of_the_session_replaces_that_of_the_configuration(tmp_path: Path) -> None:
    with Agent.create('permissions { deny = ["bash(*)"] }') as agent:
        assert agent.session(tmp_path).bash("true").error_kind == "permission_denied"
        assert agent.session(tmp_path, permission_policy=PermissionPolicy()).bash("true").ok


def test_a_bad_rule_of_the_configuration_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "agent.acl").write_text('permissions {\n  deny = ["bash("]\n}\n')
    with pytest.raises(ConfigError) as raised:
        Agent.create(tmp_path / "agent.acl")
    assert (raised.value.line, raised.value.column, raised.value.key) == (2, 11, "permissions.deny[0]")
    assert "agent.acl" in str(raised.value)


UNPRICED = 'default_model = "openai/x" providers "openai" { api_key = "test-key" } budget { max_cost = 5 }'


@pytest.mark.parametrize("setting", ['verify = "require"', UNPRICED])
def test_a_setting_that_cannot_be_kept_is_refused_rather_than_ignored(setting: str, tmp_path: Path) -> None:
    with Agent.create(setting) as agent, pytest.raises(ConfigError, match="cannot be kept"):
        agent.session(tmp_path)


def test_limits_of_the_configuration_hold_and_those_of_the_session_win(tmp_path: Path) -> None:
    replies = [ToolCall("1", "ls", {}), ToolCall("2", "ls", {}), "done"]
    with Agent.create("max_tool_rounds = 1") as agent:
        assert agent.session(tmp_path, model=ScriptedModel(replies)).send("go").status == "limit_reached"
        assert agent.session(tmp_path, model=ScriptedModel(replies), max_tool_rounds=5).send("go").status == "completed"


def test_overrides_win_over_the_text_and_are_checked_alike(tmp_path: Path) -> None:
    with Agent.create('default_model = "a/b"', default_model="scripted/x") as agent:
        assert agent.config.default_model == "scripted/x"
    with pytest.raises(ConfigError, match="default_model"):
        Agent.create("", default_modl="scripted/x")


def test_the_cost_follows_from_the_configured_price(tmp_path: Path) -> None:
    usage = Usage(1_000_000, 500_000)
    with LoopbackServer([Reply(Message("assistant", (Text("hi"),)), "end", usage)]) as server:
        acl = f"""
            default_model = "local/m"
            providers "local" {{
              base_url = "{server.base_url}"
              models "m" {{ cost {{ input = 3, output = 15 }} }}
            }}
        """
        with Agent.create(acl) as agent:
            assert agent.session(tmp_path).send("go").cost == Decimal("10.5")


def test_tokens_of_unknown_price_make_the_cost_unknown() -> None:
    price = Price(Decimal(3), Decimal(15), cache_read=Decimal("0.3"))
    assert price.of(Usage(1_000_000, 0, cache_read_tokens=1_000_000)) == Decimal("3.3")
    assert price.of(Usage(1, 1, cache_write_tokens=1)) is None


def test_a_missing_key_is_found_at_the_first_request_and_named(tmp_path: Path) -> None:
    acl = 'default_model = "groq/some"\nproviders "groq" { apiKey = env("NO_SUCH_VARIABLE_IN_THE_TEST") }'
    with Agent.create(acl) as agent:
        session = agent.session(tmp_path)
        assert session.ls().ok
        with pytest.raises(MissingCredential, match="NO_SUCH_VARIABLE_IN_THE_TEST"):
            session.send("hello")
        assert session.runs()[-1].status == "failed"


def test_a_server_that_is_down_is_a_typed_error_that_names_the_address_and_keeps_the_history(tmp_path: Path) -> None:
    with LoopbackServer([]) as server:
        url = server.base_url
    with Agent.create(f'default_model = "vllm/m"\nproviders "vllm" {{ base_url = "{url}" }}') as agent:
        session = agent.session(tmp_path, clock=(clock := FakeClock()))
        with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1") as raised:
            session.send("hello")
    assert raised.value.retryable
    assert len(clock.slept) == 7
    assert raised.value.result.status == "failed"
    assert [message.text for message in session.history()] == ["hello"]


def test_secrets_of_the_configuration_show_nowhere(tmp_path: Path) -> None:
    key = "key-0123456789-for-the-test"
    calls = [ToolCall("1", "bash", {"command": f"echo {key}; env"}), ToolCall("2", "read", {"file_path": "k.txt"})]
    (tmp_path / "k.txt").write_text(f"the key is {key}\n")
    with LoopbackServer([calls, "done"]) as server:
        acl = f'default_model = "openai/m"\nproviders "openai" {{ apiKey = "{key}", base_url = "{server.base_url}" }}'
        with Agent.create(acl) as agent:
            session = agent.session(tmp_path, permission_policy=PermissionPolicy(default_decision="allow"))
            session.send("go")
            shown = [repr(agent.config), str(session.history()[2]), server.requests[1].body.decode()]
            events = session.run_events(session.runs()[-1].id)
    assert "[REDACTED]" in shown[1]
    tool_results = shown[1]
    assert key not in repr(agent.config) + tool_results + str([record.to_dict() for record in events])
