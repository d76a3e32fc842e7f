"""git: nothing that a repository brings along runs, and nothing it says leads outside"""

from __future__ import annotations

import os
import random
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from a3s_code.capabilities.git import Git
from a3s_code.capabilities.git.command_line import parse, split
from a3s_code.capabilities.git.failures import GitFailure
from a3s_code.capabilities.git.verbs import SHAPES, Order, check
from a3s_code.kernel.tool import ToolOutput

TOOL = Git()
HOOKS = """pre-commit prepare-commit-msg commit-msg post-commit post-checkout post-index-change reference-transaction
    pre-auto-gc post-merge post-rewrite pre-rebase fsmonitor-watchman sendemail-validate pre-push""".split()
WALK = [
    {"command": "status"},
    {"command": "status", "include_untracked": True},
    {"command": "diff"},
    {"command": "diff", "ref": "HEAD"},
    {"command": "diff --cached"},
    {"command": "diff HEAD~1 HEAD"},
    {"command": "log --all --author=A --grep=x"},
    {"command": "log"},
    {"command": "show"},
    {"command": "show HEAD:a.txt"},
    {"command": "show v1"},
    {"command": "branch -a"},
    {"command": "stash list"},
    {"command": "worktree list"},
    {"command": "remote -v"},
    {"command": "branch made"},
    {"command": "branch -D made"},
    {"command": "add -A"},
    {"command": "add", "path": "a.txt"},
    {"command": "commit", "message": "one"},
    {"command": "commit -am two"},
    {"command": "commit --amend --no-edit"},
    {"command": "commit --allow-empty -m empty"},
    {"command": "checkout -b other"},
    {"command": "checkout -f main"},
    {"command": "checkout -- a.txt"},
    {"command": "checkout HEAD~1 -- a.txt"},
    {"command": "stash", "message": "x", "include_untracked": True},
    {"command": "stash apply"},
    {"command": "checkout -f main"},
    {"command": "stash pop"},
    {"command": "stash drop"},
    {"command": "worktree", "subcommand": "create", "path": "trees/w", "name": "w"},
    {"command": "worktree", "subcommand": "remove", "path": "trees/w", "force": True},
]


def run_git(folder: Path, *words: str, home: Path | None = None) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home or folder), "GIT_CONFIG_NOSYSTEM": "1"}
    names = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(
        ("git", *names, *words), cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def run_plainly(folder: Path, *words: str) -> None:
    """git as in a terminal, to show that the traps are good."""
    subprocess.run(("git", *words), cwd=folder, env={"PATH": os.environ["PATH"]}, capture_output=True, check=False)


def make_repository(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    run_git(folder, "init", "-q", "-b", "main")
    run_git(folder, "config", "user.name", "Ann")
    run_git(folder, "config", "user.email", "ann@example.org")
    (folder / "a.txt").write_text("one\n")
    run_git(folder, "add", ".")
    run_git(folder, "commit", "-q", "-m", "First")
    (folder / "a.txt").write_text("one\ntwo\n")
    run_git(folder, "commit", "-q", "-am", "Second")
    run_git(folder, "tag", "-a", "v1", "-m", "tag")


def set_traps(folder: Path, trap: str, *, filters: bool) -> None:
    """Make every program that a repository can name one that leaves a mark."""
    git = Path(run_git(folder, "rev-parse", "--absolute-git-dir"))
    for name in HOOKS:
        hook = git / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{trap}\n")
        hook.chmod(0o755)
    named = """core.fsmonitor core.pager core.editor sequence.editor core.askPass core.sshCommand core.gitProxy
        core.alternateRefsCommand credential.helper diff.external gpg.program gpg.ssh.program interactive.diffFilter
        pager.status pager.log pager.diff pager.show pager.branch pager.stash diff.trap.command diff.trap.textconv
        merge.trap.driver uploadpack.packObjectsHook trailer.x.command hook.trap.command""".split()
    settings = dict.fromkeys(named, trap)
    settings |= {
        "core.editor": f"sh -c '{trap}'",
        "alias.status": f"!{trap}",
        "alias.st": f"!{trap}",
        "hook.trap.event": "pre-commit",
        "commit.gpgSign": "true",
        "tag.gpgSign": "true",
        "log.showSignature": "true",
        "diff.submodule": "diff",
        "status.submoduleSummary": "true",
        "submodule.recurse": "true",
        "diff.ignoreSubmodules": "none",
        "commit.verbose": "true",
        "gc.auto": "1",
        "remote.origin.url": f"ext::sh -c {shlex.quote(trap)}",
        "remote.origin.uploadpack": trap,
        "remote.origin.vcs": "ext",
    }
    if filters:
        for name in ("trap", "a=b"):
            settings |= {f"filter.{name}.{part}": f"{trap}; cat" for part in ("clean", "smudge", "process")}
            settings[f"filter.{name}.required"] = "true"
    for name, value in settings.items():
        run_git(folder, "config", name, value)
    attributes = (
        "*.txt filter=trap diff=trap merge=trap\n*.md filter=a=b\n" if filters else "*.txt diff=trap merge=trap\n"
    )
    (git / "info").mkdir(exist_ok=True)
    (git / "info/attributes").write_text(attributes)


@pytest.fixture
def home(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(bench.outside / "home")
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


async def ask(bench: Any, command: str, tool: Git = TOOL, **arguments: Any) -> ToolOutput:
    output: ToolOutput = await bench.call(tool, command=command, **arguments)
    return output


@pytest.mark.parametrize("filters", [True, False])
async def test_no_verb_runs_a_program_of_the_repository(bench: Any, home: Path, filters: bool) -> None:
    make_repository(bench.workspace)
    mark = bench.outside / "PWNED"
    set_traps(bench.workspace, f"touch {mark}", filters=filters)
    done = []
    for turn, arguments in enumerate(WALK):
        # As long as what is committed: git has to look into the file to tell whether it differs.
        bench.put("a.txt", f"{turn:07}\n")
        bench.put("notes.md", f"changed {turn}\n")
        output = await ask(bench, **arguments)
        assert not mark.exists(), arguments
        done.append(output.exit_code == 0)
    print(f"verbs on a hostile repository: {len(done)} tried, {sum(done)} done, 0 programs ran")
    assert sum(done) >= (17 if filters else 30)
    run_plainly(bench.workspace, "add", "-A")
    assert mark.exists()


async def test_a_merge_driver_of_the_repository_gives_way_to_the_merge_of_texts(bench: Any, home: Path) -> None:
    make_repository(bench.workspace)
    mark = bench.outside / "PWNED"
    bench.put(".gitattributes", "*.txt merge=trap\n")
    run_git(bench.workspace, "add", ".gitattributes")
    run_git(bench.workspace, "config", "merge.trap.driver", f"touch {mark}")
    lines = [f"{number}\n" for number in range(20)]
    bench.put("a.txt", "".join(lines))
    run_git(bench.workspace, "commit", "-q", "-am", "base")
    for mine, end in (("mine\n", 19), ("mine again\n", 0)):
        bench.put("a.txt", "".join([mine, *lines[1:]]))
        await ask(bench, "stash")
        lines[end] = "theirs\n"
        bench.put("a.txt", "".join(lines))
        await ask(bench, "commit -am theirs")
        found = await ask(bench, "stash pop")
        merged = (bench.workspace / "a.txt").read_text()
        assert not mark.exists()
        if end:
            assert found.exit_code == 0
            assert merged == "".join([mine, *lines[1:]])
        else:
            assert found.metadata["reason"] == "conflict"
            assert "<<<<<<<" in merged
        run_git(bench.workspace, "reset", "-q", "--hard")
    run_plainly(bench.workspace, "stash", "apply")
    assert mark.exists()


async def test_a_filter_of_the_repository_stops_what_would_store_files_without_it(bench: Any, home: Path) -> None:
    make_repository(bench.workspace)
    run_git(bench.workspace, "config", "filter.crypt.clean", "tr a-z n-za-m")
    bench.put("a.txt", "secret\n")
    assert "filter crypt was not run" in (await ask(bench, "status")).text
    for command in ("add a.txt", "commit -am x", "checkout -b x HEAD~1", "stash", "worktree add x"):
        refused = await ask(bench, command)
        assert (refused.error_kind, refused.metadata["reason"]) == ("unsupported", "filters"), command


async def test_a_filter_of_the_user_works(bench: Any, home: Path) -> None:
    make_repository(bench.workspace)
    run_git(bench.workspace, "config", "--global", "filter.caps.clean", "tr a-z A-Z", home=home)
    bench.put(".gitattributes", "*.txt filter=caps\n")
    bench.put("b.txt", "small\n")
    await ask(bench, "add", path="b.txt")
    assert run_git(bench.workspace, "show", ":b.txt") == "SMALL"
    run_git(bench.workspace, "config", "filter.caps.clean", "tr a-z n-za-m")
    assert (await ask(bench, "add", path="b.txt")).metadata["reason"] == "filters"


async def test_with_hooks_allowed_they_run(bench: Any, home: Path) -> None:
    make_repository(bench.workspace)
    mark = bench.outside / "ran"
    hook = bench.workspace / ".git/hooks/post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    await ask(bench, "commit --allow-empty -m x")
    assert not mark.exists()
    confined = Git(allow_hooks=True)
    args = confined.parse({"command": "commit --allow-empty -m x"})
    context = replace(bench.context(confined, args), sandbox="require")
    assert (await confined.invoke(args, context)).exit_code == 0
    assert not mark.exists()
    await ask(bench, "commit --allow-empty -m x", Git(allow_hooks=True))
    assert mark.exists()


async def test_a_repository_within_the_repository_runs_nothing_either(bench: Any, home: Path) -> None:
    make_repository(bench.workspace)
    for path, inside in (("sub", bench.workspace), ("sub/deep", bench.workspace / "sub")):
        make_repository(bench.workspace / path)
        run_git(inside, "add", path.rpartition("/")[2])
        run_git(inside, "commit", "-q", "-m", "gitlink")
    bench.put(".gitmodules", '[submodule "sub"]\n\tpath = sub\n\turl = ./sub\n\tignore = none\n')
    run_git(bench.workspace, "config", "submodule.sub.ignore", "none")
    mark = bench.outside / "PWNED"
    for path in ("sub", "sub/deep"):
        set_traps(bench.workspace / path, f"touch {mark}", filters=True)
    for turn, arguments in enumerate(WALK):
        for path in ("a.txt", "sub/a.txt", "sub/deep/a.txt"):
            bench.put(path, f"{turn:07}\n")
        await ask(bench, **arguments)
        assert not mark.exists(), arguments
    run_plainly(bench.workspace, "add", "-u")
    assert mark.exists()


async def test_what_is_missing_is_not_fetched(bench: Any, home: Path) -> None:
    make_repository(bench.outside / "origin")
    run_git(bench.outside / "origin", "config", "uploadpack.allowFilter", "true")
    source = f"file://{bench.outside}/origin"
    run_git(bench.workspace, "clone", "-q", "--filter=blob:none", "--no-checkout", source, ".")
    mark = bench.outside / "PWNED"
    run_git(bench.workspace, "config", "remote.origin.uploadpack", f"touch {mark}; git-upload-pack")
    found = await ask(bench, "show HEAD:a.txt")
    assert found.exit_code == 1
    assert not mark.exists()
    for command in ("diff HEAD~1 HEAD", "show", "checkout -f main", "status"):
        await ask(bench, command)
        assert not mark.exists(), command


async def test_includes_that_depend_on_a_condition_are_not_trusted(bench: Any, home: Path) -> None:
    make_repository(bench.workspace)
    mark = bench.outside / "PWNED"
    bench.put("more", f'[filter "late"]\n\tsmudge = touch {mark}; cat\n')
    run_git(bench.workspace, "config", "includeIf.onbranch:evil.path", "../more")
    found = await ask(bench, "checkout -b evil HEAD~1")
    assert (found.error_kind, found.metadata["reason"]) == ("unsupported", "unsafe_repository")
    assert (await ask(bench, "status")).exit_code == 0


async def test_an_include_of_a_file_in_the_workspace_is_seen(bench: Any, home: Path) -> None:
    make_repository(bench.workspace)
    mark = bench.outside / "PWNED"
    bench.put("more", f'[filter "trap"]\n\tclean = touch {mark}; cat\n[core]\n\tfsmonitor = touch {mark}\n')
    bench.put(".gitattributes", "*.txt filter=trap\n")
    run_git(bench.workspace, "config", "include.path", "../more")
    bench.put("a.txt", "changed\n")
    for command in ("status", "diff", "add a.txt", "commit -am x"):
        await ask(bench, command)
        assert not mark.exists(), command


async def test_a_workspace_that_looks_like_a_bare_repository_is_none(bench: Any, home: Path) -> None:
    run_git(bench.workspace, "init", "-q", "--bare", ".")
    run_git(bench.workspace, "config", "core.bare", "false")
    run_git(bench.workspace, "config", "core.worktree", str(bench.outside))
    assert (await ask(bench, "status")).metadata["reason"] == "not_a_repository"


async def test_a_working_tree_elsewhere_is_not_used(bench: Any, home: Path) -> None:
    make_repository(bench.workspace)
    (bench.outside / "a.txt").write_text("not ours\n")
    run_git(bench.workspace, "config", "core.worktree", str(bench.outside))
    assert (await ask(bench, "status")).text == "## main\nnothing to commit, working tree clean"
    bench.put("a.txt", "x\n")
    await ask(bench, "checkout -- a.txt")
    assert (bench.workspace / "a.txt").read_text() == "one\ntwo\n"
    assert (bench.outside / "a.txt").read_text() == "not ours\n"


async def test_a_repository_elsewhere_is_not_used_unless_it_knows_the_place(bench: Any, home: Path) -> None:
    other = bench.outside / "other"
    make_repository(other)
    bench.put(".git", f"gitdir: {other}/.git\n")
    assert (await ask(bench, "log")).metadata["reason"] == "unsafe_repository"
    (bench.workspace / ".git").unlink()
    (bench.workspace / ".git").symlink_to(other / ".git")
    assert (await ask(bench, "log")).metadata["reason"] == "unsafe_repository"
    (bench.workspace / ".git").unlink()
    make_repository(bench.workspace)
    bench.put(".git/commondir", f"{other}/.git\n")
    assert (await ask(bench, "log")).metadata["reason"] == "unsafe_repository"
    tree = bench.outside / "tree"
    run_git(other, "worktree", "add", "-q", str(tree))
    genuine = replace(bench, workspace=tree)
    assert (await ask(genuine, "status")).text.startswith("## tree")
    genuine.put("a.txt", "x\n")
    assert (await ask(genuine, "commit -am x")).exit_code == 0


@pytest.mark.parametrize("name", ["logs/HEAD", "index", "refs/heads/x", "logs/refs/heads", "packed-refs"])
async def test_a_link_out_of_the_repository_stops_every_change(bench: Any, home: Path, name: str) -> None:
    make_repository(bench.workspace)
    link = bench.workspace / ".git" / name
    target = bench.outside / "target"
    if link.is_dir():
        link.rename(target)
    else:
        target.write_text("precious\n")
        link.unlink(missing_ok=True)
    link.symlink_to(target)
    before = {path: path.read_bytes() for path in bench.outside.rglob("*") if path.is_file()}
    for command in ("commit --allow-empty -m x", "branch x", "add a.txt", "checkout -b y"):
        assert (await ask(bench, command)).metadata["reason"] == "unsafe_repository", command
    assert before == {path: path.read_bytes() for path in bench.outside.rglob("*") if path.is_file()}


async def test_a_program_called_git_in_the_workspace_is_not_run(
    bench: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(bench.workspace)
    mark = bench.outside / "PWNED"
    bench.put("git", f"#!/bin/sh\ntouch {mark}\n").chmod(0o755)
    monkeypatch.setenv("PATH", f".::{os.environ['PATH']}")
    monkeypatch.chdir(bench.workspace)
    assert (await ask(bench, "status")).exit_code == 0
    assert not mark.exists()


async def test_a_pipe_in_place_of_a_file_does_not_hang(bench: Any, home: Path) -> None:
    make_repository(bench.workspace)
    os.mkfifo(bench.workspace / ".git/commondir")
    assert (await ask(bench, "status")).metadata["reason"] == "unsafe_repository"


def _value(random_: random.Random, field: str) -> Any:
    if field == "paths":
        return tuple(random_.choice(["a b", "x/y.py", "it's", "ä", "./-x"]) for _ in range(random_.randint(1, 3)))
    if field == "max_count":
        return random_.randint(1, 200)
    if field in ("message", "since", "until", "author", "grep"):
        return random_.choice(["x", "it's; rm -rf $HOME", 'a "b" c', "line\n\nline", "--force", "-m"])
    if field in ("name", "place"):
        return random_.choice(["topic", "a/b", "x-1"])
    return (
        random_.choice(["main", "HEAD~2", "v1.0", "origin/x", "HEAD@{1}"])
        if field in ("ref", "target", "base")
        else True
    )


def test_what_is_spelled_is_read_back_as_the_same_order() -> None:
    chance = random.Random(7)
    tried = 0
    for _ in range(2000):
        (verb, action), shape = chance.choice(list(SHAPES.items()))
        chosen = {field for field in shape.fields if chance.random() < 0.5} | set(shape.needs)
        if verb == "diff" and "ref" not in chosen:
            chosen.discard("target")
        if action == "delete":
            chosen.add("merged")
        fields = {field: _value(chance, field) for field in chosen}
        if verb == "stash" and "ref" in fields:
            fields["ref"] = "stash@{3}"
        order = Order(verb, action, fields)
        text = order.spell()
        tried += 1
        assert split(text) == shlex.split(text)[1:]
        read = parse(split(text))
        assert (read.verb, read.action, dict(read.fields)) == (verb, action, fields), text
    print(f"orders spelled and read back: {tried} tried, 0 lost")


def test_any_text_is_read_as_a_shell_would_or_refused() -> None:
    chance = random.Random(11)
    pieces = [
        "log",
        "commit",
        "-m",
        " ",
        " ",
        "'",
        '"',
        "\\",
        "$",
        "`",
        ";",
        "&",
        "|",
        "a",
        "~",
        "#",
        "!",
        "{",
        "}",
        "@",
        "*",
        "\n",
        "--",
        "=",
        ":",
        "é",
        "(",
        "<",
        "\t",
        "HEAD",
    ]
    script = 'printf "%s\\0" "$@"'
    accepted = 0
    texts = ["".join(chance.choice(pieces) for _ in range(chance.randint(1, 12))) for _ in range(4000)]
    agreed = []
    for text in texts:
        try:
            agreed.append((text, split(f"x {text}")))
        except GitFailure:
            continue
    lines = "\n".join(f"set -- x {text}\n{script}; printf '\\1'" for text, _ in agreed)
    done = subprocess.run(("bash", "-c", lines), capture_output=True, check=True, env={"HOME": "/home"})
    for (text, words), got in zip(agreed, done.stdout.decode().split("\1"), strict=False):
        accepted += 1
        assert got.split("\0")[:-1] == words, text
    print(f"texts read as by bash: {len(texts)} tried, {accepted} read, 0 apart")
    assert accepted > 100


def test_random_orders_never_raise_anything_else() -> None:
    chance = random.Random(3)
    words = [
        "log",
        "diff",
        "stash",
        "worktree",
        "branch",
        "checkout",
        "-b",
        "-d",
        "--",
        "-m",
        "add",
        "x",
        "-5",
        "--all",
        "list",
        "pop",
        "remote",
        "--since=x",
        "-am",
        "..",
        "a..b",
        "-",
        "--=",
        "commit",
        "show",
        "status",
    ]
    read = refused = 0
    for _ in range(5000):
        text = " ".join(chance.choice(words) for _ in range(chance.randint(1, 6)))
        try:
            check(parse(split(text)))
            read += 1
        except GitFailure:
            refused += 1
    print(f"random texts: {read} read, {refused} refused")
    assert min(read, refused) > 100
