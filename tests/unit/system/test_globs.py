"""File patterns."""

from __future__ import annotations

import time

import pytest

from a3s_code.system.globs import GlobError, compile_glob


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        ("*.py", ["a.py", ".py", "é.py"], ["src/a.py", "a.pyc"]),
        ("**/*.py", ["a.py", "src/a.py", "src/x/y/a.py"], ["a.js"]),
        ("src/**", ["src/a", "src/a/b"], ["src", "srcs/a"]),
        ("src/**/test_*.py", ["src/test_a.py", "src/x/test_a.py"], ["test_a.py", "src/atest_a.py"]),
        ("src/", ["src/a"], ["src"]),
        ("./a?c", ["abc", "a-c"], ["ac", "a/c"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "/x"]),
        ("[!a-c]x", ["dx"], ["ax", "/x"]),
        ("[]]x", ["]x"], ["x"]),
        ("a[", ["a["], ["a"]),
        ("[z-a]b", [], ["zb", "b"]),
        ("*.{js,ts}", ["a.js", "a.ts"], ["a.py", "a.{js,ts}"]),
        ("{src,lib/**}/{a,b}.{c,{d,e}}", ["src/a.c", "lib/x/b.d", "lib/a.e"], ["src/c.c"]),
        ("a{b}c", ["a{b}c"], ["abc"]),
        ("a{b,c", ["a{b,c"], ["ab"]),
        (r"\*.py", ["*.py"], ["a.py"]),
        ("a.b+c(d)", ["a.b+c(d)"], ["aXb+c(d)", "a.bbc(d)"]),
        ("**", ["a", "a/b"], []),
        ("a**b", ["axb", "ab"], ["a/b"]),
        ("*a*b*c", ["abc", "xaxbxc", "ababcabc"], ["acb", "abx"]),
        ("a\nb*", ["a\nb", "a\nbc"], ["ab"]),
    ],
)
def test_a_pattern_fits_what_it_should(pattern: str, fits: list[str], fails: list[str]) -> None:
    expression = compile_glob(pattern)
    assert [path for path in fits if not expression.fullmatch(path)] == []
    assert [path for path in fails if expression.fullmatch(path)] == []


@pytest.mark.parametrize("pattern", ["", "{a,b}" * 9, "{" + "a," * 300 + "}"])
def test_a_pattern_that_asks_for_too_much_is_an_error(pattern: str) -> None:
    with pytest.raises(GlobError):
        compile_glob(pattern)


@pytest.mark.parametrize("pattern", ["*a" * 40 + "b", "**/" * 9 + "*a*a*a*ab", "**/a/" * 30 + "b", "?*" * 30])
def test_no_pattern_takes_long(pattern: str) -> None:
    expression = compile_glob(pattern)
    started = time.monotonic()
    expression.fullmatch("a" * 250)
    expression.fullmatch("/".join("a" * 60))
    assert time.monotonic() - started < 1
