"""git"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from a3s_code.capabilities.git import GIT, Git
from a3s_code.errors import ArgumentError
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import READS, ToolOutput

TOOL = Git()
COMMIT_ENV = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
}


def run_git(folder: Path, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **COMMIT_ENV}
    done = subprocess.run(("git", *words), cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repo(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A workspace that is a repository with one commit, and an identity of its own."""
    monkeypatch.setenv("HOME", str(bench.outside))
    run_git(bench.workspace, "init", "-q", "-b", "main")
    run_git(bench.workspace, "config", "user.name", "Bob")
    run_git(bench.workspace, "config", "user.email", "bob@example.org")
    bench.put("a.txt", "one\ntwo\n")
    bench.put("src/b.py", "x = 1\n")
    run_git(bench.workspace, "add", ".")
    run_git(bench.workspace, "commit", "-q", "-m", "First")
    return bench


async def ask(bench: Any, command: str, **arguments: Any) -> ToolOutput:
    output: ToolOutput = await bench.call(TOOL, command=command, **arguments)
    return output


async def test_status_is_clean_or_lists_what_is_not(repo: Any) -> None:
    clean = await ask(repo, "status")
    assert clean.text == "## main\nnothing to commit, working tree clean"
    assert clean.metadata["clean"] is True
    repo.put("a.txt", "changed\n")
    repo.put("new file.txt")
    (repo.workspace / "src/b.py").rename(repo.workspace / "src/c.py")
    run_git(repo.workspace, "add", "src")
    found = await ask(repo, "status")
    assert found.text.splitlines() == ["## main", " M a.txt", "R  src/b.py -> src/c.py", "?? new file.txt"]
    assert found.metadata["staged"] == ["src/c.py"]
    assert found.metadata["unstaged"] == ["a.txt"]
    assert found.metadata["untracked"] == ["new file.txt"]
    assert (await ask(repo, "status", include_untracked=False)).metadata["untracked"] == []
    assert (await ask(repo, "status -s a.txt")).text == "## main\n M a.txt"


async def test_status_tells_how_far_it_is_from_upstream(repo: Any) -> None:
    run_git(repo.workspace, "branch", "old")
    run_git(repo.workspace, "branch", "-q", "--set-upstream-to=old")
    run_git(repo.workspace, "commit", "-q", "--allow-empty", "-m", "Second")
    found = await ask(repo, "status")
    assert found.text.splitlines()[0] == "## main...old [ahead 1]"
    assert (found.metadata["upstream"], found.metadata["ahead"], found.metadata["behind"]) == ("old", 1, 0)


async def test_diff_shows_content_with_counts(repo: Any) -> None:
    assert (await ask(repo, "diff")).text == "no changes"
    repo.put("a.txt", "one\n2\nthree\n")
    found = await ask(repo, "diff")
    assert found.text.startswith("1 file changed, +2 -1\n a.txt +2 -1\n\ndiff --git a/a.txt b/a.txt\n")
    assert "-two\n+2\n+three" in found.text
    assert found.metadata["files"] == [{"path": "a.txt", "added": 2, "deleted": 1}]
    assert (await ask(repo, "diff", staged=True)).text == "no changes"
    run_git(repo.workspace, "add", "a.txt")
    assert (await ask(repo, "diff --cached --stat")).text == "1 file changed, +2 -1\n a.txt +2 -1"
    assert (await ask(repo, "diff --name-only HEAD")).text == "a.txt"
    assert (await ask(repo, "diff HEAD src")).text == "no changes"


async def test_diff_between_commits_and_of_renames(repo: Any) -> None:
    run_git(repo.workspace, "mv", "a.txt", "z.txt")
    run_git(repo.workspace, "commit", "-q", "-m", "Second")
    for arguments in ({"ref": "HEAD~1", "target": "HEAD"}, {"ref": "HEAD~1..HEAD"}, {"target": "HEAD~1"}):
        found = await ask(repo, "diff", **arguments)
        assert found.text.splitlines()[:2] == ["1 file changed, +0 -0", " a.txt -> z.txt +0 -0"]


async def test_a_long_diff_is_cut_and_can_be_read_whole(repo: Any) -> None:
    repo.put("a.txt", "".join(f"line {number}\n" for number in range(20_000)))
    found = await ask(repo, "diff")
    assert len(found.text.encode()) < 66 * 1024
    uri = found.text[found.text.index("a3s://") :].split(",")[0]
    assert "line 19999" in (repo.artifacts.get(uri) or "")
    assert "line 19999" not in found.text


async def test_log_has_a_line_for_each_commit(repo: Any) -> None:
    for number in range(12):
        run_git(repo.workspace, "commit", "-q", "--allow-empty", "-m", f"Commit {number}\n\nbody")
    found = await ask(repo, "log")
    lines = found.text.splitlines()
    assert len(lines) == 11
    first = found.metadata["commits"][0]
    assert lines[0] == f"{first['hash']} {first['date'][:10]} Ann: Commit 11 (HEAD -> main)"
    assert lines[-1].startswith("[the newest 10; ")
    assert found.metadata["more"] is True
    for text in ("log -3", "log -n3 --oneline", "log --max-count=3"):
        assert len((await ask(repo, text)).metadata["commits"]) == 3
    assert len((await ask(repo, "log", max_count=3)).metadata["commits"]) == 3
    only = await ask(repo, "log -- a.txt")
    assert [commit["subject"] for commit in only.metadata["commits"]] == ["First"]
    assert (await ask(repo, "log a.txt")).metadata["commits"] == only.metadata["commits"]
    assert [c["subject"] for c in (await ask(repo, "log --grep 'Commit 7'")).metadata["commits"]] == ["Commit 7"]


async def test_show_has_the_message_the_counts_and_the_patch(repo: Any) -> None:
    found = await ask(repo, "show")
    assert found.text.startswith(f"commit {found.metadata['hash']}\nAuthor: Ann <ann@example.org>\n")
    assert "\n\nFirst\n\n2 files changed, +3 -0\n a.txt +2 -0\n src/b.py +1 -0\n\ndiff --git" in found.text
    assert "src/b.py" not in (await ask(repo, "show HEAD -- a.txt")).text
    assert (await ask(repo, "show HEAD:src/b.py")).text == "x = 1\n"
    assert (await ask(repo, "show HEAD:src")).error_kind == "not_found"
    assert (await ask(repo, "show HEAD:../secret")).error_kind == "invalid_argument"


async def test_add_and_commit_tell_what_they_did(repo: Any) -> None:
    repo.put("a.txt", "1\n")
    repo.put("-odd.txt", "2\n")
    repo.put("ä b.txt", "3\n")
    assert (await ask(repo, "add", path=["a.txt", "./-odd.txt", "ä b.txt"])).text == "staged: -odd.txt, a.txt, ä b.txt"
    done = await ask(repo, "commit", message="Fix it\n\n# kept\n-m not an option; $(touch no)")
    lines = done.text.splitlines()
    assert lines[0].startswith("[main ")
    assert lines[0].endswith("] Fix it")
    assert lines[1] == "3 files changed, +3 -2"
    assert done.metadata["hash"] == run_git(repo.workspace, "rev-parse", "HEAD")
    message = run_git(repo.workspace, "log", "-1", "--format=%B|%an")
    assert message == "Fix it\n\n# kept\n-m not an option; $(touch no)\n|Bob"


async def test_commit_of_everything_of_some_paths_and_amended(repo: Any) -> None:
    repo.put("a.txt", "1\n")
    repo.put("src/b.py", "2\n")
    some = await ask(repo, "commit -m Some -- a.txt")
    assert some.metadata["file_count"] == 1
    rest = await ask(repo, "commit -am 'All of it' -m 'Second part'")
    assert rest.metadata["subject"] == "All of it"
    amended = await ask(repo, "commit --amend -m Better")
    assert amended.metadata["subject"] == "Better"
    assert run_git(repo.workspace, "rev-list", "--count", "HEAD") == "3"
    assert (await ask(repo, "commit --amend --no-edit")).metadata["subject"] == "Better"


async def test_nothing_to_commit_is_a_typed_failure(repo: Any) -> None:
    empty = await ask(repo, "commit", message="x")
    assert empty.text == "commit: nothing is staged; the working tree is clean"
    assert (empty.error_kind, empty.metadata["reason"]) == ("failed", "nothing_to_commit")
    repo.put("a.txt", "1\n")
    assert (await ask(repo, "commit", message="x")).text == "commit: nothing is staged; changed and not added: a.txt"
    assert (await ask(repo, "commit")).text == "commit needs message"


async def test_a_missing_identity_says_what_to_set(repo: Any) -> None:
    run_git(repo.workspace, "config", "--unset", "user.email")
    repo.put("a.txt", "1\n")
    await ask(repo, "add .")
    found = await ask(repo, "commit", message="x")
    assert (found.error_kind, found.metadata["reason"]) == ("failed", "identity_missing")
    assert "git config user.email" in found.text


async def test_branches_are_listed_made_and_deleted(repo: Any) -> None:
    made = await ask(repo, "branch", subcommand="create", name="topic/x")
    assert made.text.startswith("created branch topic/x at ")
    listed = await ask(repo, "branch")
    assert {row["name"]: row["current"] for row in listed.metadata["branches"]} == {"main": True, "topic/x": False}
    assert any(line.startswith("* main ") for line in listed.text.splitlines())
    assert (await ask(repo, "branch", name="topic/x")).metadata["reason"] == "exists"
    assert (await ask(repo, "branch", subcommand="delete", name="topic/x")).text.startswith(
        "deleted branch topic/x (it"
    )
    assert [row["name"] for row in (await ask(repo, "branch -a")).metadata["branches"]] == ["main"]


async def test_a_branch_that_is_not_merged_is_deleted_by_force_alone(repo: Any) -> None:
    await ask(repo, "checkout -b topic")
    await ask(repo, "commit --allow-empty -m More")
    await ask(repo, "checkout main")
    assert (await ask(repo, "branch -d topic")).metadata["reason"] == "not_merged"
    assert (await ask(repo, "branch", subcommand="delete", name="topic", force=True)).exit_code == 0


async def test_checkout_switches_makes_and_restores(repo: Any) -> None:
    assert (await ask(repo, "checkout", name="topic", new_branch=True)).metadata["branch"] == "topic"
    assert (await ask(repo, "checkout", ref="main")).metadata["branch"] == "main"
    repo.put("a.txt", "spoilt\n")
    assert (await ask(repo, "checkout", path="a.txt")).text == "restored a.txt from what is staged"
    assert (repo.workspace / "a.txt").read_text() == "one\ntwo\n"
    detached = await ask(repo, "checkout --detach HEAD")
    assert detached.text.startswith("## detached at ")
    assert detached.metadata["detached"] is True
    committed = await ask(repo, "commit --allow-empty -m lost")
    assert "HEAD is detached" in committed.text
    assert (await ask(repo, "branch")).text.startswith("* detached at ")


async def test_checkout_does_not_overwrite_what_is_not_committed(repo: Any) -> None:
    await ask(repo, "checkout -b topic")
    repo.put("a.txt", "other\n")
    await ask(repo, "commit -am other")
    await ask(repo, "checkout main")
    repo.put("a.txt", "mine\n")
    found = await ask(repo, "checkout topic")
    assert (found.error_kind, found.metadata["reason"]) == ("failed", "local_changes")
    assert (repo.workspace / "a.txt").read_text() == "mine\n"


async def test_stash_goes_there_and_back(repo: Any) -> None:
    assert (await ask(repo, "stash")).metadata["reason"] == "nothing_to_stash"
    repo.put("a.txt", "mine\n")
    repo.put("new.txt", "new\n")
    await ask(repo, "stash", subcommand="push", message="work; rm -rf", include_untracked=True)
    assert not (repo.workspace / "new.txt").exists()
    listed = await ask(repo, "stash", subcommand="list")
    assert listed.text.startswith("stash@{0} ")
    assert listed.text.endswith("On main: work; rm -rf")
    assert (await ask(repo, "stash apply 0")).exit_code == 0
    await ask(repo, "checkout -- a.txt")
    (repo.workspace / "new.txt").unlink()
    assert (await ask(repo, "stash pop")).text.startswith("applied stash@{0} ")
    assert (repo.workspace / "new.txt").read_text() == "new\n"
    assert (await ask(repo, "stash", subcommand="drop", ref="0")).error_kind == "not_found"


async def test_a_conflict_of_a_stash_names_the_files(repo: Any) -> None:
    repo.put("a.txt", "mine\n")
    await ask(repo, "stash")
    repo.put("a.txt", "theirs\n")
    await ask(repo, "commit -am theirs")
    found = await ask(repo, "stash pop")
    assert found.text == "stash pop: conflicts in a.txt; the stash is kept"
    assert found.metadata["reason"] == "conflict"
    assert "UU a.txt" in (await ask(repo, "status")).text
    assert (await ask(repo, "commit", message="x")).metadata["reason"] == "conflict"


async def test_worktrees_are_made_listed_and_removed(repo: Any) -> None:
    made = await ask(repo, "worktree", subcommand="create", path="trees/x", name="topic")
    assert made.text == "created worktree trees/x on topic"
    assert (repo.workspace / "trees/x/a.txt").exists()
    rows = (await ask(repo, "worktree list")).metadata["worktrees"]
    assert [row["branch"] for row in rows] == ["main", "topic"]
    inner = replace(repo, workspace=repo.workspace / "trees/x")
    assert (await ask(inner, "status")).text.startswith("## topic")
    assert (await ask(repo, "worktree remove .")).error_kind == "invalid_argument"
    assert (await ask(repo, "worktree", subcommand="remove", path="trees/x")).text == "removed worktree trees/x"


async def test_remotes_are_listed_without_their_passwords(repo: Any) -> None:
    run_git(repo.workspace, "remote", "add", "origin", "https://user:hunter2@example.org/x.git")
    run_git(repo.workspace, "remote", "add", "other", "ssh://git@example.org/x.git")
    found = await ask(repo, "remote -v")
    assert "hunter2" not in found.text + str(found.metadata)
    assert "origin\thttps://***@example.org/x.git (fetch)" in found.text
    assert "ssh://git@example.org/x.git" in found.text


async def test_before_the_first_commit(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(bench.outside))
    run_git(bench.workspace, "init", "-q", "-b", "main")
    assert (await ask(bench, "log")).text == "no commits yet"
    assert (await ask(bench, "status")).text.startswith("## main (no commit yet)")
    assert (await ask(bench, "show")).metadata["reason"] == "unborn_branch"
    assert (await ask(bench, "stash")).metadata["reason"] == "unborn_branch"
    assert (await ask(bench, "branch")).text == "* main (no commit yet)"


async def test_a_folder_that_is_no_repository(bench: Any) -> None:
    found = await ask(bench, "status")
    assert (found.error_kind, found.metadata["reason"]) == ("not_found", "not_a_repository")


async def test_an_unknown_name_brings_the_names_like_it(repo: Any) -> None:
    run_git(repo.workspace, "branch", "feature")
    found = await ask(repo, "checkout featur")
    assert found.text == "no commit is called 'featur' here; there is feature"
    assert found.error_kind == "not_found"
    assert (await ask(repo, "add", path="nowhere.txt")).error_kind == "not_found"


async def test_status_does_not_touch_the_index(repo: Any) -> None:
    os.utime(repo.workspace / "a.txt", (1, 1))
    before = (repo.workspace / ".git/index").stat().st_mtime_ns
    await ask(repo, "status")
    assert (repo.workspace / ".git/index").stat().st_mtime_ns == before


async def test_variables_of_the_host_do_not_lead_elsewhere(repo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_WORK_TREE", "/")
    assert (await ask(repo, "status")).exit_code == 0
    args = TOOL.parse({"command": "status"})
    context = repo.context(TOOL, args)
    outside = replace(context, environment={**context.environment, "GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/x"})
    assert (await TOOL.invoke(args, outside)).metadata["clean"] is True


async def test_files_that_a_rule_hides_are_left_out(repo: Any) -> None:
    repo.put(".env", "KEY=old\n")
    await ask(repo, "add", path=".env")
    await ask(repo, "commit", message="Env")
    repo.put(".env", "KEY=secret\n")
    repo.put("a.txt", "seen\n")
    hidden = str(repo.workspace / ".env")

    async def hiding(command: str) -> ToolOutput:
        args = TOOL.parse({"command": command})
        return await TOOL.invoke(args, replace(repo.context(TOOL, args), hides=lambda path: path == hidden))

    found = await hiding("diff")
    assert "+seen" in found.text
    assert "KEY" not in found.text
    assert "[1 files are left out: a rule keeps them from being read]" in found.text
    assert "KEY" not in (await hiding("show")).text
    assert (await hiding("show HEAD:.env")).error_kind == "permission_denied"
    blob = run_git(repo.workspace, "rev-parse", "HEAD:.env")
    for command in (f"show {blob}", f"diff {blob} HEAD", "show HEAD^{tree}", f"log {blob}"):
        output = await hiding(command)
        assert output.exit_code == 1, command
        assert "KEY" not in output.text


async def test_a_timeout_ends_git_and_a_cancellation_too(repo: Any) -> None:
    run_git(repo.workspace, "config", "core.hooksPath", "hooks")
    repo.put("hooks/pre-commit", "#!/bin/sh\nsleep 60\n").chmod(0o755)
    tool = Git(allow_hooks=True)
    repo.timeout_ms = 700
    started = time.monotonic()
    found = await repo.call(tool, command="commit --allow-empty -m x")
    assert (found.error_kind, found.metadata["reason"]) == ("timeout", "timeout")
    assert time.monotonic() - started < 4
    repo.timeout_ms = None
    task = asyncio.create_task(repo.call(tool, command="commit --allow-empty -m x"))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert run_git(repo.workspace, "rev-list", "--count", "HEAD") == "1"
    assert not (repo.workspace / ".git/index.lock").exists()


async def test_a_workspace_in_a_larger_repository_stays_within_itself(repo: Any) -> None:
    inner = replace(repo, workspace=repo.workspace / "src")
    repo.put("a.txt", "outside\n")
    repo.put("src/b.py", "inside\n")
    status = await ask(inner, "status")
    assert status.text == "## main\n M b.py"
    shown = await ask(inner, "diff")
    assert "diff --git a/b.py b/b.py" in shown.text
    assert "outside" not in shown.text
    assert (await ask(inner, "diff -- ../a.txt")).metadata["reason"] == "outside"
    assert (await ask(inner, "add -A")).text == "staged: b.py"
    assert "a.txt" not in (await ask(inner, "show")).text
    for command in ("checkout main", "stash pop", "commit -am x"):
        assert (await ask(inner, command)).metadata["reason"] == "outside", command
    run_git(repo.workspace, "add", "a.txt")
    assert (await ask(inner, "commit -m x")).metadata["reason"] == "outside"
    run_git(repo.workspace, "reset", "-q", "a.txt")
    assert (await ask(inner, "commit -m x")).metadata["file_count"] == 1


async def test_effects_are_the_command_as_rules_see_it(repo: Any) -> None:
    def effects(**arguments: Any) -> tuple[Effect, ...]:
        return TOOL.effects(TOOL.parse(arguments), repo.workspace)

    assert effects(command="status") == (Effect("exec", "git status", READS),)
    assert effects(command="status -s") == (Effect("exec", "git status -s", READS),)
    assert effects(command="git log --oneline -5") == (Effect("exec", "git log --oneline -5", READS),)
    assert effects(command="commit", message="it's") == (Effect("exec", "git commit -m 'it'\"'\"'s'"),)
    assert effects(command="branch", subcommand="delete", name="x") == (Effect("exec", "git branch -d x"),)
    assert effects(command="branch", subcommand="delete", name="x", force=True) == (Effect("exec", "git branch -D x"),)
    assert effects(command="add", paths=["a b", "c"]) == (Effect("exec", "git add 'a b' c"),)
    assert effects(command="checkout", path="a", ref="HEAD~1") == (Effect("exec", "git checkout 'HEAD~1' -- a"),)
    assert effects(command="stash") == (Effect("exec", "git stash push"),)
    assert effects(command="push") == (Effect("exec", "git push"),)
    assert effects(command="log; curl x.test") == (Effect("exec", "git log; curl x.test"),)
    place = str(repo.outside / "tree")
    assert effects(command="worktree", subcommand="create", path=place) == (
        Effect("exec", f"git worktree add {place}"),
        Effect("write", place, place),
    )
    assert effects(command="worktree remove ../outside/tree")[1] == Effect("delete", place, "../outside/tree")


async def test_it_does_only_what_it_was_judged_by(repo: Any) -> None:
    args = TOOL.parse({"command": "commit", "message": "x"})
    other = replace(repo.context(TOOL, args), effects=(Effect("exec", "git status", READS),))
    assert (await TOOL.invoke(args, other)).error_kind == "permission_denied"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("push", "git push is not a verb of this tool; it has status, diff, log"),
        ("switch main", "checkout does it"),
        ("log; curl x.test", "';' is not for git"),
        ("log $(touch PWNED)", "'$' is not for git"),
        ("log `touch PWNED`", "'`' is not for git"),
        ("status\npush", "'\\n' is not for git"),
        ("add *.py", "'*' is not for git"),
        ("log --output=x", "log does not take '--output=x'; it takes -n --max-count --all"),
        ("diff --ext-diff", "diff does not take '--ext-diff'"),
        ("diff --no-index /etc/passwd /dev/null", "diff does not take '--no-index'"),
        ("-c core.pager=x log", "git -c is not a verb"),
        ("remote add x ext::sh", "remote list does not take 'add'"),
        ("branch -m a b", "branch create does not take '-m'"),
        ("stash show", "stash: there is no 'show' here; it has list, push, pop, apply, drop"),
        ("commit -F /etc/passwd", "commit does not take '-F'"),
        ("log -n many", "log: -n needs a number"),
        ("commit -m", "commit: -m needs a value"),
        ("checkout -b -f", "'-f' cannot be the name of a branch"),
        ("'", '"\'" is not for git'),
        ("  ", "git  is not a verb"),
    ],
)
async def test_a_text_that_is_no_typed_verb_is_refused(repo: Any, command: str, said: str) -> None:
    found = await ask(repo, command)
    assert said in found.text
    assert found.error_kind in ("unsupported", "invalid_argument")
    assert not (repo.workspace / "PWNED").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": "log", "ref": "--output=PWNED"},
        {"command": "diff", "ref": "HEAD", "target": "--output=PWNED"},
        {"command": "show", "ref": "-p"},
        {"command": "branch", "subcommand": "create", "name": "--force"},
        {"command": "branch", "subcommand": "create", "name": "a..b"},
        {"command": "branch", "subcommand": "create", "name": "x.lock"},
        {"command": "branch", "subcommand": "create", "name": "x", "base": "-f"},
        {"command": "branch", "subcommand": "delete", "name": "-r"},
        {"command": "checkout", "ref": "--orphan=x"},
        {"command": "checkout", "ref": "main:a.txt"},
        {"command": "checkout", "path": "-f"},
        {"command": "checkout", "path": "/etc/passwd"},
        {"command": "checkout", "path": "../outside"},
        {"command": "add", "path": "--all"},
        {"command": "add", "path": ["ok", "a\0b"]},
        {"command": "add", "path": ""},
        {"command": "add", "path": ":/"},
        {"command": "stash", "subcommand": "pop", "ref": "--index"},
        {"command": "stash", "subcommand": "drop", "ref": "HEAD"},
        {"command": "worktree", "subcommand": "create", "path": "--lock"},
        {"command": "worktree", "subcommand": "create", "path": "x", "base": "-f"},
        {"command": "log", "ref": "main\nx"},
        {"command": "log", "ref": ":/First"},
        {"command": "log", "max_count": 201},
        {"command": "log", "max_count": 0},
        {"command": "status", "message": "x"},
        {"command": "commit", "message": "x", "name": "y"},
        {"command": "commit", "message": " "},
        {"command": "log -3", "max_count": 4},
        {"command": "status -s", "subcommand": "list"},
        {"command": "diff", "subcommand": "list"},
        {"command": "commit", "message": "a\ud800b"},
    ],
)
async def test_no_argument_can_be_an_option_or_lead_outside(repo: Any, arguments: dict[str, Any]) -> None:
    run_git(repo.workspace, "commit", "-q", "--allow-empty", "-m", "x")
    before = run_git(repo.workspace, "for-each-ref"), run_git(repo.workspace, "status", "-s")
    found = await ask(repo, **arguments)
    assert found.exit_code == 1
    assert found.error_kind in ("invalid_argument", "not_found", "unsupported")
    assert before == (run_git(repo.workspace, "for-each-ref"), run_git(repo.workspace, "status", "-s"))


def test_arguments_of_a_wrong_type_are_named() -> None:
    with pytest.raises(ArgumentError, match="max_count"):
        TOOL.parse({"command": "log", "max_count": "many"})
    with pytest.raises(ArgumentError, match="unknown argument"):
        TOOL.parse({"command": "log", "pager": "x"})


def test_it_is_a_capability_and_its_schema_is_small() -> None:
    assert [tool.spec.name for tool in GIT.tools] == ["git"]
    assert len(str(dict(TOOL.spec.parameters))) < 1000
