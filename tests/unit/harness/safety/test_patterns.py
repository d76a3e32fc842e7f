"""What the patterns of rules match."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.harness.safety.patterns import PathPattern, TextPattern


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("git push", "git push", True),
        ("git push", "git push origin", False),
        ("git push:*", "git push", True),
        ("git push:*", "git push origin main", True),
        ("git push:*", "git pushx", False),
        ("git push*", "git pushx", True),
        ("ls *", "ls", True),
        ("ls *", "ls -l", True),
        ("ls *", "lsof", False),
        ("* --version", "node --version", True),
        ("git * main", "git checkout main", True),
        ("git * main", "git main", False),
        ("a*b*c", "a/b\nc", True),
        ("a*b*b", "ab", False),
        ("npm run build:*:fast", "npm run build:x:fast", True),
    ],
)
def test_a_star_in_a_text_pattern_is_any_text(pattern: str, text: str, expected: bool) -> None:
    assert TextPattern(pattern, ignore_case=False).matches(text) is expected


@settings(derandomize=True, max_examples=500)
@given(st.text("ab* ", max_size=8), st.text("ab ", max_size=12))
def test_text_patterns_agree_with_a_regular_expression(pattern: str, text: str) -> None:
    body = "".join(".*" if char == "*" else re.escape(char) for char in pattern)
    if pattern.endswith(" *"):
        body = f"(?:{body}|{''.join('.*' if c == '*' else re.escape(c) for c in pattern[:-2])})"
    assert TextPattern(pattern, ignore_case=False).matches(text) is (re.fullmatch(body, text, re.DOTALL) is not None)


def test_many_stars_take_linear_time() -> None:
    pattern = TextPattern("a" + "*a" * 40 + "*b", ignore_case=False)
    started = time.perf_counter()
    assert not pattern.matches("a" * 200_000)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("pattern", "start", "expected"),
    [("rm -rf:*", "rm", True), ("git push:*", "git log", False), ("git push:*", "", True), ("git push:*", "git", True)],
)
def test_a_command_that_goes_on_unknown_may_still_match(pattern: str, start: str, expected: bool) -> None:
    assert TextPattern(pattern, ignore_case=True).may_match_after(start) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("src/**", "/ws/src/a/b.py", True),
        ("src/**", "/ws/lib/a.py", False),
        ("src/**", "/ws/srcx/a.py", False),
        ("src/**", "/ws/x/src/a.py", False),
        ("src/*.py", "/ws/src/a.py", True),
        ("src/*.py", "/ws/src/x/a.py", False),
        ("./src/*.py", "/ws/src/a.py", True),
        ("src/../lib/*", "/ws/lib/a", True),
        ("docs", "/ws/docs/a/b.md", True),
        ("docs/", "/ws/docs/a.md", True),
        ("docs", "/ws/x/docs/a.md", True),
        ("/docs", "/ws/docs/a.md", False),
        (".env", "/ws/.env", True),
        (".env", "/ws/app/.env", True),
        (".env", "/ws/.env.example", False),
        (".env", "/ws/x.env", False),
        ("**/*.lock", "/ws/c.lock", True),
        ("**/*.lock", "/ws/a/b/c.lock", True),
        ("a/**/z", "/ws/a/z", True),
        ("a/**/z", "/ws/a/b/c/z", True),
        ("f?.txt", "/ws/f1.txt", True),
        ("f?.txt", "/ws/f12.txt", False),
        ("f?x", "/ws/f/x", False),
        ("[ab].txt", "/ws/b.txt", True),
        ("[!ab].txt", "/ws/b.txt", False),
        ("[a-c]", "/ws/b", True),
        ("[z-a]", "/ws/b", False),
        ("[a", "/ws/[a", True),
        ("pages/[id].ts", "/ws/pages/[id].ts", True),
        ("~/.ssh/**", "/home/u/.ssh/id", True),
        ("~", "/home/u/x", True),
        ("/etc/*", "/etc/passwd", True),
        ("/etc/*", "/etc/ssl/x", True),
        ("/", "/anything", True),
    ],
)
@pytest.mark.parametrize("granting", [True, False])
def test_path_patterns_name_files_and_what_is_beneath(pattern: str, path: str, expected: bool, granting: bool) -> None:
    assert PathPattern(pattern, "/ws", "/home/u", granting=granting).matches(path) is expected


def test_only_restricting_patterns_ignore_case_and_reach_outside_by_name() -> None:
    restricting = PathPattern(".env", "/ws", "/home/u", granting=False)
    granting = PathPattern(".env", "/ws", "/home/u", granting=True)
    for path in ("/ws/.ENV", "/other/.env"):
        assert restricting.matches(path)
        assert not granting.matches(path)
    assert PathPattern("docs/", "/ws", "/h", granting=False).matches("/ws/x/docs/a")
    assert not PathPattern("docs/", "/ws", "/h", granting=True).matches("/ws/x/docs/a")


def test_a_name_among_the_parents_of_the_workspace_matches_nothing_inside() -> None:
    assert not PathPattern("build", "/home/build/ws", "/h", granting=False).matches("/home/build/ws/a.py")


def test_a_grant_for_what_is_beneath_lets_the_folder_be_read_but_not_replaced() -> None:
    pattern = PathPattern("out/**", "/ws", "/h", granting=True)
    assert pattern.matches("/ws/out", reading=True)
    assert not pattern.matches("/ws/out", reading=False)
    assert pattern.matches("/ws/out/a", reading=False)


def test_everything_lies_beneath_a_workspace_that_is_the_root() -> None:
    assert PathPattern("etc/*", "/", "/h", granting=True).matches("/etc/x")
    assert PathPattern("x", "/", "/h", granting=True).matches("/etc/x")


@settings(derandomize=True, max_examples=300)
@given(st.text("ab*?[]!-/.~^&|\\", min_size=1, max_size=10), st.text("ab[]-/.", max_size=12))
def test_any_path_pattern_compiles_and_a_grant_is_no_wider_than_a_restriction(pattern: str, path: str) -> None:
    granting, restricting = (PathPattern(pattern, "/ws", "/h", granting=granting) for granting in (True, False))
    if granting.matches(f"/ws/{path}"):
        assert restricting.matches(f"/ws/{path}")
