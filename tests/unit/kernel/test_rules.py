"""The grammar of permission rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.errors import InvalidRule
from a3s_code.kernel.rules import parse_rule


@pytest.mark.parametrize(
    ("text", "tool", "pattern"),
    [
        ("read", "read", None),
        ("read(*)", "read", None),
        ("read(**)", "read", None),
        ("Bash(git push:*)", "bash", "git push:*"),
        ("  read ( src/** ) ", "read", "src/**"),
        ("*", "*", None),
        ("*(secrets/**)", "*", "secrets/**"),
        ("bash(echo (a) b)", "bash", "echo (a) b"),
        ("bash(ls\nwc)", "bash", "ls\nwc"),
        ("mcp__a-b__c.d", "mcp__a-b__c.d", None),
    ],
)
def test_a_rule_is_a_tool_and_a_pattern(text: str, tool: str, pattern: str | None) -> None:
    rule = parse_rule(text)
    assert (rule.text, rule.tool, rule.pattern) == (text, tool, pattern)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty rule"),
        (" \n", "empty rule"),
        ("bash()", "empty pattern"),
        ("bash( )", "empty pattern"),
        ("bash(:*)", "empty pattern"),
        ("bash(rm", "is not closed"),
        ("(rm)", "names no tool"),
        ("bash(rm) x", "is not closed"),
        ("bash rm", "not of the form"),
        ("bash)", "not of the form"),
        (7, "not int"),
        (None, "not NoneType"),
    ],
)
def test_a_rule_that_would_match_nothing_is_refused_by_name(text: object, complaint: str) -> None:
    with pytest.raises(InvalidRule, match=complaint) as caught:
        parse_rule(text)
    assert caught.value.rule == (text if isinstance(text, str) else repr(text))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("rule", "tool", "expected"),
    [
        ("read", "Read", True),
        ("READ", "read", True),
        ("read", "readme", False),
        ("readme", "read", False),
        ("re*", "read", True),
        ("r??d", "read", True),
        ("*", "anything at all", True),
        ("r.ad", "read", False),
        ("bash", "mcp__evil__bash", False),
        ("mcp__github", "mcp__github__list", True),
        ("mcp__github", "mcp__GitHub__list", True),
        ("mcp__git", "mcp__github__list", False),
        ("mcp__github__list_*", "mcp__github__list_issues", True),
        ("mcp__github__list_*", "mcp__github__delete", False),
        ("mcp__*", "mcp__x__y", True),
        ("mcp__*__read", "mcp__fs__write", False),
    ],
)
@pytest.mark.parametrize("wide", [True, False])
def test_a_rule_names_tools_and_the_tools_of_a_server(rule: str, tool: str, expected: bool, wide: bool) -> None:
    assert parse_rule(rule).names(tool, wide=wide) is expected


@pytest.mark.parametrize(
    ("rule", "tool"),
    [
        ("mcp__a__b", "mcp__a__b__c"),
        ("mcp__*__read", "mcp__fs__delete__read"),
        ("mcp__github", "mcp__github"),
        ("mcp__github", "mcp__github__"),
        ("mcp__", "mcp__x__y"),
    ],
)
def test_an_ambiguous_server_name_is_read_wide_to_deny_and_narrow_to_allow(rule: str, tool: str) -> None:
    assert parse_rule(rule).names(tool, wide=True) is (rule != "mcp__")
    assert parse_rule(rule).names(tool, wide=False) is False


@settings(derandomize=True, max_examples=300)
@given(st.text(max_size=20))
def test_any_text_gives_a_rule_or_a_typed_error(text: str) -> None:
    try:
        rule = parse_rule(text)
    except InvalidRule:
        return
    assert rule.tool
    assert rule.pattern is None or rule.pattern.strip("*")


@settings(derandomize=True, max_examples=200)
@given(st.text("ab_*?", min_size=1, max_size=12), st.text("ab_", min_size=1, max_size=12))
def test_what_the_narrow_reading_names_the_wide_one_names_too(rule: str, tool: str) -> None:
    for prefix in ("", "mcp__"):
        parsed = parse_rule(prefix + rule)
        assert not parsed.names(prefix + tool, wide=False) or parsed.names(prefix + tool, wide=True)
