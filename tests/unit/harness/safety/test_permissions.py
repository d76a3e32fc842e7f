"""PermissionPolicy as a value."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from a3s_code.errors import InvalidOption, InvalidRule
from a3s_code.harness.safety.permissions import PermissionPolicy


def test_rules_come_as_texts_or_as_mappings() -> None:
    policy = PermissionPolicy(allow=["read(*)", {"rule": "grep(*)"}], deny=("bash(*)",), default_decision="deny")
    assert policy.allow == ("read(*)", "grep(*)")
    assert (policy.ask, policy.deny, policy.default_decision) == ((), ("bash(*)",), "deny")


def test_a_policy_is_frozen_equal_by_value_and_hashable() -> None:
    policy = PermissionPolicy(allow=["read"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.allow = ()  # type: ignore[misc]  # the test is that this fails
    assert policy == PermissionPolicy(allow=["read"])
    assert len({policy, PermissionPolicy(allow=["read"]), PermissionPolicy()}) == 2


def test_the_presets_differ_in_their_default() -> None:
    assert PermissionPolicy.permissive() == PermissionPolicy(default_decision="allow")
    assert PermissionPolicy.strict() == PermissionPolicy(default_decision="ask")


@pytest.mark.parametrize("field", ["allow", "ask", "deny"])
@pytest.mark.parametrize("rule", ["", "bash(", "bash()", 3, None, {"rules": "read"}, {"rule": "read", "x": "y"}])
def test_a_rule_that_matches_nothing_is_refused_when_given(field: str, rule: Any) -> None:
    with pytest.raises(InvalidRule) as caught:
        PermissionPolicy(**{field: ["read", rule]})
    assert caught.value.hint


@pytest.mark.parametrize("field", ["allow", "ask", "deny"])
@pytest.mark.parametrize("rules", ["read(*)", b"read", {"rule": "read"}, 5, None])
def test_a_list_that_is_none_names_its_field(field: str, rules: Any) -> None:
    with pytest.raises(InvalidOption) as caught:
        PermissionPolicy(**{field: rules})
    assert caught.value.field == field


@pytest.mark.parametrize("default", ["Allow", "yes", "", None, 1])
def test_an_unknown_default_decision_is_refused(default: Any) -> None:
    with pytest.raises(InvalidOption) as caught:
        PermissionPolicy(default_decision=default)
    assert caught.value.field == "default_decision"
