"""Decisions on file tools: the default policy, the boundary, precedence, paths, links."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from a3s_code.harness.safety.gate import build_gate
from a3s_code.harness.safety.permissions import PermissionPolicy, parse_rules
from a3s_code.harness.safety.restrictions import Restrictions
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.tool import Action

Judge = Callable[..., Decision]
SEED = {"allow": ["read(*)", "grep(*)"], "deny": ["bash(*)", "write(*)"], "default": "deny"}


@pytest.mark.parametrize(
    ("tool", "subject", "outcome"),
    [
        ("read", "src/a.py", "allow"),
        ("grep", ".", "allow"),
        ("ls", "", "ask"),
        ("plan", None, "allow"),
        ("write", "src/a.py", "ask"),
        ("edit", "src/a.py", "ask"),
        ("bash", "ls", "ask"),
        ("git", "status", "ask"),
        ("web_fetch", "https://x.test", "ask"),
        ("read", "/etc/passwd", "ask"),
        ("read", "../x", "ask"),
        ("read", "~/x", "ask"),
    ],
)
def test_without_a_policy_only_reading_inside_the_workspace_is_allowed(
    decide: Judge, tool: str, subject: str | None, outcome: str
) -> None:
    assert decide(tool, subject, rules=False).outcome == outcome


@pytest.mark.parametrize(
    ("tool", "subject", "outcome"),
    [
        ("read", "a", "allow"),
        ("grep", "a", "allow"),
        ("bash", "ls", "deny"),
        ("write", "a", "deny"),
        ("edit", "a", "deny"),
        ("patch", "a", "deny"),
        ("ls", "a", "deny"),
        ("plan", None, "deny"),
        ("git", "status", "deny"),
        ("read", "/etc/passwd", "ask"),
    ],
)
def test_a_policy_that_reads_and_searches_only(decide: Judge, tool: str, subject: str | None, outcome: str) -> None:
    assert decide(tool, subject, **SEED).outcome == outcome


def test_deny_goes_before_ask_before_allow_before_the_default(decide: Judge) -> None:
    assert decide("read", "a", allow=["read"], ask=["read"], deny=["read"]).outcome == "deny"
    assert decide("read", "a", allow=["read"], ask=["read"]).outcome == "ask"
    assert decide("read", "a", allow=["read(a)"], deny=["read"]).outcome == "deny"
    assert decide("read", "a", allow=["read"], default="deny").outcome == "allow"
    for default in ("allow", "ask", "deny"):
        assert decide("read", "a", default=default).outcome == default
        assert decide("plan", None, default=default).outcome == default


def test_denies_judge_effects_and_allows_judge_the_tool(decide: Judge) -> None:
    for tool in ("read", "grep", "ls", "glob"):
        assert decide(tool, "secrets/k", allow=["*"], deny=["read(secrets/**)"]).outcome == "deny"
    for tool in ("write", "edit", "patch"):
        assert decide(tool, "secrets/k", allow=["*"], deny=["write(secrets/**)"]).outcome == "deny"
        assert decide(tool, "secrets/k", allow=["*"], ask=["write(secrets/**)"]).outcome == "ask"
    assert decide("edit", "a", allow=["write"]).outcome == "ask"
    assert decide("edit", "a", allow=["edit"]).outcome == "allow"
    assert decide("grep", "a", allow=["read"]).outcome == "ask"
    assert decide("write", "a", allow=["*"], deny=["edit(a)"]).outcome == "allow"


def test_one_call_with_several_effects_is_allowed_when_all_of_them_are(workspace: Path, home: Path) -> None:
    async def outcome(allow: list[str], *targets: str) -> str:
        effects = tuple(Effect("write", str(workspace / target), target) for target in targets)
        gate = build_gate(PermissionPolicy(allow=allow), workspace, home)
        return (await gate.decide(Action("1", "patch", {}, effects, "model"))).outcome

    for allow, expected in ((["patch(src/**)"], "ask"), (["patch(src/**)", "patch(lib/**)"], "allow")):
        coroutine = outcome(allow, "src/a", "lib/b")
        with pytest.raises(StopIteration) as done:
            coroutine.send(None)
        assert done.value.value == expected


@pytest.mark.parametrize("spelled", [".env", "./.env", "x/../.env", "app/.env", ".ENV", ".env/", "link", "hard"])
def test_a_denied_file_is_denied_under_every_name(decide: Judge, workspace: Path, spelled: str) -> None:
    (workspace / ".env").touch()
    (workspace / "link").symlink_to(".env")
    os.link(workspace / ".env", workspace / "hard")
    assert decide("read", spelled, allow=["*"], deny=["read(.env)"]).outcome == "deny"
    assert decide("read", str(workspace / spelled), allow=["*"], deny=["read(.env)"]).outcome == "deny"


@pytest.mark.parametrize("spelled", [".env.example", "x.env", ".env\u200b", "app/.envrc"])
def test_other_files_are_not_denied_with_it(decide: Judge, workspace: Path, spelled: str) -> None:
    (workspace / ".env").touch()
    os.link(workspace / ".env", workspace / "hard")
    assert decide("read", spelled, allow=["*"], deny=["read(.env)"]).outcome == "allow"


def test_a_link_named_in_a_rule_denies_what_it_leads_to(decide: Judge, workspace: Path) -> None:
    (workspace / "vault").mkdir()
    (workspace / "secrets").symlink_to("vault")
    assert decide("read", "vault/k", allow=["*"], deny=["read(secrets/**)"]).outcome == "deny"
    assert decide("read", "secrets/k", allow=["*"], deny=["read(vault/**)"]).outcome == "deny"


def test_two_names_of_another_file_are_no_reason_to_deny(decide: Judge, workspace: Path) -> None:
    (workspace / ".env").touch()
    (workspace / "a").touch()
    os.link(workspace / "a", workspace / "b")
    assert decide("read", "b", allow=["*"], deny=["read(.env)", "read(none/**)", "read(a/x)"]).outcome == "allow"


def test_the_tools_that_search_leave_denied_files_out_themselves(decide: Judge, workspace: Path, home: Path) -> None:
    (workspace / "app").mkdir()
    (workspace / "app" / ".env").touch()
    (workspace / "a.py").touch()
    os.link(workspace / "app" / ".env", workspace / "other")
    for deny in ("read(.env)", "read(app/.env)", "read(APP/**)", "read(**/.env)"):
        for tool in ("grep", "glob", "ls"):
            assert decide(tool, ".", allow=["*"], deny=[deny]).outcome == "allow"
            assert decide(tool, "app/.env", allow=["*"], deny=[deny]).outcome == "deny"
        for field in ("deny", "ask"):
            gate = build_gate(PermissionPolicy(allow=["*"], **{field: [deny]}), workspace, home)  # type: ignore[arg-type]  # one of its lists
            found = {str(path) for path in workspace.rglob("*") if path.is_file() and gate.hides(str(path))}
            assert found == {str(workspace / "app" / ".env"), str(workspace / "other")}
        assert decide("bash", "grep -r x .", allow=["*"], deny=[deny]).outcome == "ask"
    assert not build_gate(PermissionPolicy(allow=["*"], deny=["write(.env)"]), workspace, home).hides(
        str(workspace / "app" / ".env")
    )


@pytest.mark.parametrize(
    ("tool", "arguments", "outcome"),
    [
        ("glob", {"pattern": "**/*.py"}, "allow"),
        ("glob", {"pattern": ".env"}, "deny"),
        ("glob", {"pattern": "**/.env"}, "deny"),
        ("glob", {"pattern": "secrets/**"}, "deny"),
        ("glob", {"pattern": "*", "path": "secrets"}, "deny"),
        ("glob", {"pattern": "SECRETS/*.pem"}, "deny"),
        ("glob", {"pattern": "../*"}, "ask"),
        ("glob", {"pattern": "/etc/*"}, "ask"),
        ("glob", {"pattern": "~/.ssh/*"}, "ask"),
        ("grep", {"pattern": "x"}, "allow"),
        ("grep", {"pattern": ".env"}, "allow"),
        ("grep", {"pattern": "x", "glob": ".env"}, "deny"),
        ("grep", {"pattern": "x", "path": "secrets"}, "deny"),
    ],
)
def test_a_search_that_names_denied_files_is_denied(
    decide_action: Callable[..., Decision], workspace: Path, tool: str, arguments: dict[str, str], outcome: str
) -> None:
    (workspace / "secrets").mkdir()
    target = str((workspace / arguments.get("path", ".")).resolve())
    effects = (Effect("read", target, arguments.get("path", ".")),)
    action = Action("1", tool, arguments, effects, "model")
    assert decide_action(action, allow=["*"], deny=["read(.env)", "read(secrets/**)"]).outcome == outcome


def test_outside_the_workspace_nothing_is_better_than_asked_about(
    decide: Judge, workspace: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "out"
    outside.mkdir()
    (outside / "s.txt").touch()
    (workspace / "link").symlink_to(outside)
    (workspace / "deep").mkdir()
    (workspace / "deep" / "link").symlink_to(outside)
    for spelled in (
        "link/s.txt",
        "../out/s.txt",
        str(outside),
        "deep/link/../x",
        f"{workspace}-evil/a",
        "//etc/passwd",
    ):
        assert decide("read", spelled, allow=["*"]).outcome == "ask"
        assert decide("read", spelled, default="allow").outcome == "ask"
        assert decide("read", spelled, allow=["*"], deny=["read"]).outcome == "deny"
    assert decide("read", spelled, default="deny").outcome == "deny"


def test_a_rule_that_names_the_absolute_path_reaches_outside(decide: Judge, home: Path) -> None:
    assert decide("read", "/etc/passwd", allow=["read(/etc/*)"]).outcome == "allow"
    assert decide("read", "~/notes/a", allow=["read(~/notes/**)"]).outcome == "allow"
    assert decide("edit", "/etc/passwd", allow=["read(/etc/*)"]).outcome == "ask"
    assert decide("read", "/etc/passwd", allow=["read(/etc/*)"], deny=["read(passwd)"]).outcome == "deny"
    assert decide("read", "/etc/passwd", allow=["read(**/passwd)"]).outcome == "ask"


def test_a_path_that_cannot_be_told_is_never_allowed(decide: Judge, workspace: Path, home: Path) -> None:
    assert decide("read", "", allow=["*"]).outcome == "ask"
    assert decide("read", "", allow=["read"], default="deny").outcome == "deny"
    assert decide("read", "", default="allow").outcome == "ask"


def test_allow_rules_heed_case_and_deny_rules_do_not(decide: Judge) -> None:
    assert decide("read", "SRC/a", allow=["read(src/**)"]).outcome == "ask"
    assert decide("read", "SRC/a", allow=["*"], deny=["read(src/**)"]).outcome == "deny"


def test_a_pattern_for_a_tool_without_files_or_commands_is_held_against_its_arguments(
    workspace: Path, home: Path
) -> None:
    policy = PermissionPolicy(allow=["*"], deny=['mcp__x(*"drop"*)'])
    gate = build_gate(policy, workspace, home)
    for arguments, expected in (({"verb": "drop"}, "deny"), ({"verb": "list"}, "allow")):
        coroutine = gate.decide(Action("1", "mcp__x__sql", arguments, (), "model"))
        with pytest.raises(StopIteration) as done:
            coroutine.send(None)
        assert done.value.value.outcome == expected


@pytest.mark.parametrize(
    ("tool", "subject", "rule"),
    [
        ("bash", "python -m pytest -q tests", "the rule bash(python -m pytest:*) would"),
        ("bash", "git push origin", "an allow rule that names it, bash(git push:*), would"),
        ("bash", "git log origin", "the rule bash(git log:*) would"),
        ("bash", "npm test && git add .", "the rules bash(npm test:*), bash(git add:*) together would"),
        ("bash", "ls -la src", "the rule bash(ls:*) would"),
        ("bash", "time python -B -m pytest -q", "the rule bash(python -B -m pytest:*) would"),
        ("bash", "ls > out.txt", "the rules bash(ls:*), write(out.txt) together would"),
        ("bash", "cat /etc/passwd", "the rules bash(cat:*), read(/etc/passwd) together would"),
        ("git", "push origin", "an allow rule that names it, git(push:*), would"),
        ("git", "log origin", "the rule git(log:*) would"),
        ("bash", "sudo ls", "the rules bash(sudo:*), bash(ls:*) together would"),
        ("bash", "python -c 'x'", "a program is given as text; the rule bash would"),
        ("bash", "ls $(x)", "it cannot be told which file it reads; the rule bash would"),
        ("bash", "for f in a; do ls; done", "the rule bash(ls:*) would"),
        ("bash", "cat $HOME/x", "$HOME is computed; the rule bash would"),
        ("bash", "grep -R x .", "grep goes wherever links lead; the rule bash would"),
        ("bash", "sort -o x y", "an option of sort writes files; the rule bash would"),
        ("bash", "make -C /tmp", "make is given /tmp, outside the workspace; the rule bash would"),
        ("bash", "; ".join(f"ls > {n}" for n in range(20)), "it takes more than 16 rules; the rule bash would"),
        ("write", "src/a.py", "the rule write(src/a.py) would"),
        ("write", "pages/[id].ts", "the rule write(pages/[id].ts) would"),
        ("patch", "a*", "the rule patch(a*) would"),
        ("grep", ".", "the rule grep would"),
        ("plan", None, "the rule plan would"),
        ("read", "/etc/passwd", "an allow rule read(/etc/passwd) would"),
    ],
)
def test_the_reason_names_a_rule_that_would_allow_the_call(
    decide: Judge, tool: str, subject: str | None, rule: str
) -> None:
    decision = decide(tool, subject)
    assert decision.outcome == "ask"
    assert rule in decision.reason
    rules = re.sub(r"^(?:.*; )?(?:the|an allow) rules?(?: that names it,)? | together|,? would$", "", rule).split(", ")
    assert decide(tool, subject, allow=rules).outcome == "allow"


@pytest.mark.parametrize(
    ("command", "obstacle"),
    [
        ("grep x src | head", "`grep` has no rule"),
        ("ls > out.txt", "it writes out.txt: the rule write(out.txt) is missing"),
        ("ls /tmp", "it reads /tmp, outside the workspace"),
        ("FOO=1 ls", "it sets FOO"),
    ],
)
def test_the_reason_names_the_first_obstacle(decide: Judge, command: str, obstacle: str) -> None:
    assert f"no rule allows this call: {obstacle}; the rule" in decide("bash", command, allow=["bash(ls:*)"]).reason


@pytest.mark.parametrize(
    "command", ["ls", "ls -la src", "rm x", "git push origin", "python -m pytest -q", "npm test && git add ."]
)
def test_a_suggested_rule_ends_with_the_word_it_names(decide: Judge, command: str) -> None:
    for prefix in re.findall(r"bash\((.*?):\*\)", decide("bash", command).reason):
        assert decide("bash", prefix, allow=[f"bash({prefix}:*)"]).outcome == "allow"
        assert decide("bash", prefix + "x", allow=[f"bash({prefix}:*)"]).outcome == "ask"


@pytest.mark.parametrize("subject", ["ls '", ""])
def test_no_rule_is_suggested_for_what_no_rule_would_allow(decide: Judge, subject: str) -> None:
    assert "would allow" not in decide("bash", subject, default="deny").reason


def judge_read(workspace: Path, home: Path, restrictions: Restrictions, target: str) -> Decision | None:
    effects = (Effect("read", str(workspace / target), target),)
    return restrictions.judge(Action("1", "count", {}, effects, "model"))


def test_where_there_are_too_many_files_to_look_through_it_is_asked(workspace: Path, home: Path) -> None:
    for name in "abcdefgh":
        (workspace / name).touch()
    os.link(workspace / "a", workspace / "other")
    deny = parse_rules(["read(.env)"])
    for limit, told in ((100, False), (4, True)):
        restrictions = Restrictions(deny, (), str(workspace), str(home), limit=limit)
        for target in ("other", "."):
            decision = judge_read(workspace, home, restrictions, target)
            assert (decision is not None) is told
            assert decision is None or (decision.outcome == "ask" and "too many files" in decision.reason)


def test_a_file_that_gets_a_denied_name_later_is_denied_from_then_on(workspace: Path, home: Path) -> None:
    (workspace / "a").touch()
    os.link(workspace / "a", workspace / "b")
    restrictions = Restrictions(parse_rules(["read(.env)"]), (), str(workspace), str(home))
    assert judge_read(workspace, home, restrictions, "b") is None
    os.link(workspace / "a", workspace / ".env")
    decision = judge_read(workspace, home, restrictions, "b")
    assert decision is not None
    assert decision.outcome == "deny"


def test_what_a_folder_held_is_remembered_until_it_changes(workspace: Path, home: Path) -> None:
    (workspace / "sub").mkdir()
    (workspace / "sub" / "a").touch()
    os.link(workspace / "sub" / "a", workspace / "sub" / "b")
    time.sleep(2.1)
    restrictions = Restrictions(parse_rules(["read(.env)"]), (), str(workspace), str(home))
    for _ in range(2):
        assert judge_read(workspace, home, restrictions, "sub/b") is None
    (workspace / "sub" / "a").rename(workspace / "sub" / ".env")
    decision = judge_read(workspace, home, restrictions, "sub/b")
    assert decision is not None
    assert decision.outcome == "deny"
