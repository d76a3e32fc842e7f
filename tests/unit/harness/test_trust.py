"""Trust in what a workspace brings."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from a3s_code.errors import WorkspaceError
from a3s_code.harness import trust
from a3s_code.harness.trust import TrustStore, survey


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "home" / ".a3s" / "trust.json")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "cloned"
    (root / ".claude" / "agents").mkdir(parents=True)
    (root / "agent.acl").write_text('mcp_servers "x" {}\n')
    (root / ".mcp.json").write_text("{}\n")
    (root / ".claude" / "agents" / "helper.md").write_text("do things\n")
    (root / "src").mkdir()
    (root / "src" / "main.py").write_text("print()\n")
    return root


def test_a_workspace_without_configuration_needs_no_trust(tmp_path: Path, store: TrustStore) -> None:
    found = survey(tmp_path)
    assert (found.files, found.digest) == ((), "")
    assert store.trusts(found)


def test_a_survey_names_what_may_act_and_nothing_else(workspace: Path) -> None:
    assert survey(workspace).files == (".claude/agents/helper.md", ".mcp.json", "agent.acl")


def test_nothing_is_trusted_until_somebody_says_so(workspace: Path, store: TrustStore) -> None:
    assert not store.trusts(survey(workspace))
    store.trust(survey(workspace))
    assert store.trusts(survey(workspace))
    assert store.revoke(workspace)
    assert not store.trusts(survey(workspace))
    assert not store.revoke(workspace)


def test_a_file_of_the_code_changes_no_trust(workspace: Path, store: TrustStore) -> None:
    store.trust(survey(workspace))
    (workspace / "src" / "main.py").write_text("print(2)\n")
    assert store.trusts(survey(workspace))


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename", "mode", "link", "swap"])
def test_any_change_of_the_configuration_takes_the_trust_back(workspace: Path, store: TrustStore, change: str) -> None:
    store.trust(survey(workspace))
    helper = workspace / ".claude" / "agents" / "helper.md"
    match change:
        case "edit":
            (workspace / ".mcp.json").write_text("{ }\n")
        case "add":
            (workspace / ".a3s").mkdir()
            (workspace / ".a3s" / "hooks.json").write_text("[]")
        case "remove":
            helper.unlink()
        case "rename":
            helper.rename(helper.with_name("other.md"))
        case "mode":
            helper.chmod(0o755)
        case "link":
            helper.unlink()
            helper.symlink_to(workspace / "src" / "main.py")
        case "swap":
            text, other = helper.read_text(), (workspace / ".mcp.json").read_text()
            helper.write_text(other)
            (workspace / ".mcp.json").write_text(text)
    assert not store.trusts(survey(workspace))


def test_what_a_link_leads_to_belongs_to_the_contents(workspace: Path, store: TrustStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    (workspace / ".mcp.json").unlink()
    (workspace / ".mcp.json").symlink_to(outside)
    store.trust(survey(workspace))
    outside.write_text('{"a": 1}')
    assert not store.trusts(survey(workspace))


def test_trust_does_not_move_to_a_copy_in_another_place(workspace: Path, store: TrustStore, tmp_path: Path) -> None:
    store.trust(survey(workspace))
    workspace.rename(tmp_path / "moved")
    assert not store.trusts(survey(tmp_path / "moved"))


def test_special_files_do_not_hang_a_survey(workspace: Path) -> None:
    (workspace / "agent.acl").unlink()
    os.mkfifo(workspace / "agent.acl")
    assert "agent.acl" in survey(workspace).files


def test_what_is_too_much_to_look_through_cannot_be_trusted(workspace: Path, store: TrustStore) -> None:
    (workspace / "skills").mkdir()
    with (workspace / "skills" / "huge.md").open("wb") as file:
        file.truncate(trust.MAX_BYTES + 1)
    found = survey(workspace)
    assert found.fault
    assert not store.trusts(found)
    with pytest.raises(WorkspaceError):
        store.trust(found)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"workspaces": []}', "\udcff", '{"workspaces": {"x": 1}}'])
def test_a_damaged_store_trusts_nothing_and_can_be_written_again(workspace: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "trust.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    store = TrustStore(path)
    assert not store.trusts(survey(workspace))
    store.trust(survey(workspace))
    assert store.trusts(survey(workspace))


def test_the_store_is_for_its_owner_alone(workspace: Path, store: TrustStore, tmp_path: Path) -> None:
    store.trust(survey(workspace))
    path = tmp_path / "home" / ".a3s" / "trust.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(json.loads(path.read_text())["workspaces"]) == [str(workspace)]


def test_many_who_trust_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    roots = [tmp_path / f"w{number}" for number in range(12)]
    for root in roots:
        root.mkdir()
        (root / "agent.acl").write_text("a = 1\n")
    threads = [threading.Thread(target=lambda root=root: TrustStore(path).trust(survey(root))) for root in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(TrustStore(path).trusts(survey(root)) for root in roots)


def test_what_lies_behind_a_linked_folder_belongs_to_the_contents(workspace: Path, store: TrustStore) -> None:
    shared = workspace / "tools" / "skills"
    shared.mkdir(parents=True)
    (shared / "one.md").write_text("be nice\n")
    (workspace / ".claude" / "skills").symlink_to(shared)
    assert ".claude/skills/one.md" in survey(workspace).files
    store.trust(survey(workspace))
    (shared / "one.md").write_text("be evil\n")
    assert not store.trusts(survey(workspace))


@pytest.mark.parametrize("depth", [30, None])
def test_what_is_nested_too_deep_or_leads_round_cannot_be_trusted(
    workspace: Path, store: TrustStore, depth: int | None
) -> None:
    if depth is None:
        (workspace / ".a3s").mkdir()
        (workspace / ".a3s" / "round").symlink_to(workspace / ".a3s")
    else:
        (workspace / ".a3s" / "/".join("d" * depth)).mkdir(parents=True)
    found = survey(workspace)
    assert found.fault
    assert not store.trusts(found)


def test_the_users_own_folder_is_not_brought_by_a_workspace_around_it(workspace: Path) -> None:
    (workspace / ".a3s").mkdir()
    (workspace / ".a3s" / "trust.json").write_text("{}")
    assert ".a3s/trust.json" in survey(workspace).files
    assert ".a3s/trust.json" not in survey(workspace, workspace / ".a3s").files


def test_what_was_read_counts_whatever_stands_in_the_file_by_now(workspace: Path, store: TrustStore) -> None:
    store.trust(survey(workspace))
    content = (workspace / "agent.acl").read_bytes()
    assert store.trusts(survey(workspace, read={"agent.acl": content}))
    assert not store.trusts(survey(workspace, read={"agent.acl": b"evil = 1\n"}))


def test_a_store_that_cannot_be_used_trusts_nothing_and_says_so(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "trust.json").mkdir()
    store = TrustStore(tmp_path / "trust.json")
    assert not store.trusts(survey(workspace))
    with pytest.raises(WorkspaceError, match="remembers what is trusted"):
        store.trust(survey(workspace))
