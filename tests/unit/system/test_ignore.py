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
from a3s_code.system.walk import walk

NAMES = ["a", "b", "build", "x.log", "keep.log", "sub", "foo", "a b", "foo.txt", "#c", "!n", "{a,b}"]
ALL_LINES = (
    "*.log|!keep.log|build/|/build|build/*|build/**|**/foo|foo/**|a/**/b|sub/foo|!sub/|*|!*/|[a-b]|[!a]|a\\ b|\\#c|"
    "\\!n|#c|foo*|*o*.t?t|/*|!/sub|**|a/|/a/b|f**o|*/foo|**/sub/**|a |{a,b}|?|**/*.log"
)
LINES = ALL_LINES.split("|")


def test_comments_and_blanks_are_no_rules() -> None:
    assert [parse(line) for line in ("", "# comment", "   ", "!", "/")] == [None] * 5


def test_the_last_line_that_matches_decides() -> None:
    rules = Rules("*.log\n!keep.log\n/keep.log\n")
    assert rules.match("a.log", folder=False) is True
    assert rules.match("sub/keep.log", folder=False) is False
    assert rules.match("keep.log", folder=False) is True
    assert rules.match("a.txt", folder=False) is None


def test_a_line_for_folders_spares_files() -> None:
    rules = Rules("build/\n")
    assert rules.match("build", folder=True) is True
    assert rules.match("build", folder=False) is None


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter() -> None:
    assert Rules("\ufeffa.txt\r\nb.txt\r\n").match("a.txt", folder=False) is True
    assert Rules("a.txt\r\nb.txt\r\n").match("b.txt", folder=False) is True


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
