"""What is told about rules that do not do what they seem to."""

from __future__ import annotations

from typing import Any

import pytest

from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.harness.safety.review import RuleFinding, review_rules

TOOLS = ["read", "write", "edit", "bash", "grep", "glob", "ls", "web_fetch", "plan"]


def review(**lists: Any) -> list[RuleFinding]:
    return review_rules(PermissionPolicy(**lists), TOOLS)


@pytest.mark.parametrize(
    "lists",
    [
        {
            "allow": [
                "read(src/**)",
                "bash(git status:*)",
                "*",
                "mcp__github__list_*",
                "web_fetch(domain:*.example.com)",
            ]
        },
        {"deny": ["git(push:*)", "read(~/.ssh/**)", "write(../x)"], "allow": ["git*"], "ask": ["edit"]}
        | {"allow": ["read"]},
        {"allow": ["bash"], "deny": ["bash(rm:*)"], "ask": ["bash(git push:*)"]},
        {"allow": ["bash(timeout 5 npm test)", "bash(command -v:*)", "read(src/../lib/**)"]},
        {"allow": ["read(secrets/public/**)"], "deny": ["read(secrets/private/**)"]},
        {"allow": ["bash(echo a|b)"]},
    ],
)
def test_rules_that_name_tools_and_can_hold_are_passed_over(lists: dict[str, list[str]]) -> None:
    assert review(**lists) == []


@pytest.mark.parametrize(
    ("lists", "place", "message"),
    [
        ({"allow": ["raed"]}, ("allow", 0), "no tool is called raed; read is the nearest"),
        ({"deny": ["read", "shell(rm:*)"]}, ("deny", 1), "no tool is called shell"),
        ({"ask": ["zzz*"]}, ("ask", 0), "no tool is called zzz*"),
        ({"allow": ["git(status:*)"]}, ("allow", 0), "no tool is called git"),
        ({"allow": ["read", "read(*)"]}, ("allow", 1), "it says the same as read before it"),
        ({"deny": ["bash(rm:*)", "Bash(rm:*)"]}, ("deny", 1), "it says the same as bash(rm:*) before it"),
        ({"allow": ["bash(git push:*)"], "deny": ["bash(git:*)"]}, ("allow", 0), "bash(git:*) denies all"),
        ({"ask": ["bash(git push)"], "deny": ["bash"]}, ("ask", 0), "bash denies all"),
        ({"allow": ["edit(src/a.py)"], "ask": ["edit(src/**)"]}, ("allow", 0), "edit(src/**) asks about all"),
        ({"allow": ["read(app/.env)"], "deny": ["read(.env)"]}, ("allow", 0), "read(.env) denies all"),
        ({"allow": ["read(*.pem)"], "deny": ["*"]}, ("allow", 0), "* denies all"),
        ({"allow": ["mcp__a__x"], "deny": ["mcp__a"]}, ("allow", 0), "mcp__a denies all"),
        ({"allow": ["read(/srv/../etc/**)"]}, ("allow", 0), "an absolute path without `..`"),
        ({"allow": ["read(../other/**)"]}, ("allow", 0), "an absolute path without `..`"),
        ({"deny": ["read(src/*/../x)"]}, ("deny", 0), "without `..`"),
        ({"allow": ["bash(domain:x.test)"]}, ("allow", 0), "bash fetches no URL"),
        ({"allow": ["web_fetch(domain:https://x.test)"]}, ("allow", 0), "without scheme, port and path"),
        ({"deny": ["web_fetch(domain:x.test:8080)"]}, ("deny", 0), "without scheme, port and path"),
        ({"deny": ["web_fetch(domain:x.test/a)"]}, ("deny", 0), "without scheme, port and path"),
        ({"allow": ["bash(timeout:*)"]}, ("allow", 0), "timeout is looked through"),
        ({"allow": ["bash(npm test && npm run lint)"]}, ("allow", 0), "one simple command"),
        ({"allow": ["bash(git commit -m 'wip')"]}, ("allow", 0), "compared unquoted"),
    ],
)
def test_a_rule_that_does_nothing_is_named_with_its_place(
    lists: dict[str, list[str]], place: tuple[str, int], message: str
) -> None:
    (finding,) = review(**lists)
    assert (finding.field, finding.index) == place
    assert finding.rule == lists[place[0]][place[1]]
    assert message in finding.message
