"""The lines of .gitignore files, held against git itself."""

from __future__ import annotations

import random
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from a3s_code.system.ignore import Rules, parse
from a3s_code.system.walk import is_plain, walk

NAMES = ["a", "b", "build", "x.log", "keep.log", "sub", "foo", "a b", "foo.txt", "#c", "!n", "{a,b}"]
ALL_LINES = (
    "*.log|!keep.log|build/|/build|build/*|build/**|**/foo|foo/**|a/**/b|sub/foo|!sub/|*|!*/|[a-b]|[!a]|a\\ b|\\#c|"
    "\\!n|#c|foo*|*o*.t?t|/*|!/sub|**|a/|/a/b|f**o|*/foo|**/sub/**|a |{a,b}|?|**/*.log"
)
LINES = ALL_LINES.split("|")


def test_comments_and_blanks_are_no_rules() -> None:
    assert [parse(line) for line in ("", "# comment", "   ", "!", "/")] == [None] * 5


def test_the_last_line_that_matches_decides() -> None:
    rules = Rules(b"*.log\n!keep.log\n/keep.log\n")
    assert rules.match("a.log", folder=False) is True
    assert rules.match("sub/keep.log", folder=False) is False
    assert rules.match("keep.log", folder=False) is True
    assert rules.match("a.txt", folder=False) is None


def test_a_line_for_folders_spares_files() -> None:
    rules = Rules(b"build/\n")
    assert rules.match("build", folder=True) is True
    assert rules.match("build", folder=False) is None


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter() -> None:
    assert Rules("\ufeffa.txt\r\nb.txt\r\n".encode()).match("a.txt", folder=False) is True
    assert Rules(b"a.txt\r\nb.txt\r\n").match("b.txt", folder=False) is True


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        ("a**/b", ["ab", "ax/b", "ax/y/b"], ["b", "xab"]),
        ("x/a**", ["x/a", "x/ab", "x/ab/c"], ["x/b"]),
        ("/*/**/b", ["a/b", "a/x/y/b"], ["b"]),
        ("a/***/b", ["a/b", "a/x/b"], ["a/xb"]),
        ("[[:alpha:][:digit:]_-]x", ["ax", "1x", "_x", "-x"], [".x", "é"]),
        ("[]-a]", ["]", "a", "_"], ["b", "-"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[\\]]", ["]"], ["\\"]),
        ("[!a]", ["b"], ["a"]),
        ("??", ["é", "ab"], ["a"]),
        ("a\\b\\*", ["ab*"], ["a\\b\\*", "abc"]),
    ],
)
def test_patterns_are_those_of_git(pattern: str, fits: list[str], fails: list[str]) -> None:
    rules = Rules(pattern.encode())
    assert [path for path in fits if not rules.match(path, folder=False)] == []
    assert [path for path in fails if rules.match(path, folder=False)] == []


@pytest.mark.parametrize("pattern", ["a[", "a[b", "[[:nope:]]", "a\\", "a//b", "./a", "../a", "//a", "a/./b"])
def test_patterns_that_fit_nothing(pattern: str) -> None:
    rules = Rules(pattern.encode())
    assert [rules.match(path, folder=False) for path in ("a", "a[", "a/b", "b", "z", "a\\")] == [None] * 6


@pytest.mark.parametrize(
    "pattern", ["*a" * 40 + "b", "**/" * 9 + "x/*a*a*a*ab", "**/a/" * 30 + "b", "?*" * 30, "[a]*" * 50]
)
def test_no_line_takes_long(pattern: str) -> None:
    rules = Rules(f"{pattern}\n/{pattern}\n".encode() * 50)
    started = time.monotonic()
    rules.match("a" * 250, folder=False)
    rules.match("/".join("a" * 60), folder=True)
    assert time.monotonic() - started < 1


def test_lines_that_programs_read_in_different_ways_are_told() -> None:
    plain = ["*.py[cod]", "/build/", "!keep.log", "**/x/**", "# {a}", "", "node_modules", "a b.txt", "*~"]
    assert Rules("\n".join(plain).encode()).plain
    for line in ("{a,b}", "a\\ ", "[!a]", "é", "a**", "[[:alpha:]]", "***", "[", "a\tb"):
        assert not Rules(f"a\n{line}\n".encode()).plain, line
    assert not Rules("\ufeffa\n".encode()).plain


def walked(root: Path) -> list[str]:
    return sorted(walk(root, threading.Event(), time.monotonic() + 60))


def plain(root: Path) -> bool:
    return is_plain(root, threading.Event(), time.monotonic() + 60)


def test_the_rules_of_the_repository_itself_come_last(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "repository"
    (root / ".git" / "info").mkdir(parents=True)
    (root / "sub").mkdir()
    for name in ("a.log", "keep.log", "sub/b.log", "c.tmp"):
        (root / name).touch()
    (root / ".git" / "info" / "exclude").write_text("*.log\n/c.tmp\n")
    (root / ".gitignore").write_text("!keep.log\n")
    assert walked(root) == [".gitignore", "keep.log"]
    assert walked(root / "sub") == []
    assert plain(root)
    other = tmp_path.resolve() / "second"
    other.mkdir()
    (other / ".git").write_text(f"gitdir: {root}/.git/worktrees/second\n")
    (root / ".git" / "worktrees" / "second").mkdir(parents=True)
    (root / ".git" / "worktrees" / "second" / "commondir").write_text("../..\n")
    (other / "d.log").touch()
    (other / "d.txt").touch()
    assert walked(other) == ["d.txt"]
    assert not plain(other), "what ripgrep knows of second working trees depends on its version"


def test_only_folders_that_count_are_asked_for_their_rules(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    for folder in ("src/deep", "node_modules/odd"):
        (root / folder).mkdir(parents=True)
    (root / ".gitignore").write_text("node_modules/\n")
    (root / "node_modules" / "odd" / ".gitignore").write_text("{a,b}\n")
    assert plain(root)
    (root / "src" / "deep" / ".gitignore").write_text("{a,b}\n")
    assert not plain(root)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_walk_finds_what_git_would_add(tmp_path: Path) -> None:
    rng = random.Random(4)
    for number in range(20):
        root = tmp_path.resolve() / str(number)
        subprocess.run(["git", "init", "-q", root], check=True)
        folders = [root]
        for name in rng.choices(NAMES, k=14):
            path = rng.choice(folders) / name
            if not path.exists() and rng.random() < 0.4:
                path.mkdir()
                folders.append(path)
            elif not path.exists():
                path.write_text("")
        for folder in rng.sample(folders, min(2, len(folders))):
            (folder / ".gitignore").write_text("\n".join(rng.choices(LINES, k=rng.randint(1, 5))) + "\n")
        argv = ["git", "ls-files", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=True).stdout
        walked = walk(root, threading.Event(), time.monotonic() + 60)
        assert sorted(walked) == sorted(path for path in listed.split("\0") if path), root
