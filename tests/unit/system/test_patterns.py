"""Search expressions: read once, spelled for each engine, refused where they would mean different things."""

from __future__ import annotations

import re
import time

import pytest

from a3s_code.system.matches import SearchError
from a3s_code.system.patterns import parse
from a3s_code.system.spelling import Needles, in_python, in_rust, needles


def matches(pattern: str, line: str) -> bool:
    """Whether a line matches in Python's spelling; both spellings agree where both hold."""
    parsed = parse(pattern)
    found = re.compile(in_python(parsed, ascii_only=False), re.MULTILINE).search(line) is not None
    if line.isascii():
        assert (re.compile(in_python(parsed, ascii_only=True), re.MULTILINE).search(line) is not None) == found
    return found


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        ("interface{}", ["interface{}"], ["interface"]),
        ("a{,2}b{x", ["b{x", "aab{x"], ["aab"]),
        (r"\"q\" \/ \_", ['"q" / _'], ["q"]),
        ("a++", ["aa"], ["b"]),
        (r"\w+$", ["e\u0301", "\u200d"], ["²", "½", "-"]),
        (r"^\s$", [" ", "\t", "\x85", "\u2003"], ["\x1c", "\x1f", "\u200b"]),
        (r"^\d$", ["5", "٣"], ["²", "Ⅷ"]),
        (r"\bx\b", ["x", "é x", "x²"], ["éx", "xe", "x\u0301"]),
        (r"a\B", ["ab"], ["a", "a-"]),
        (r"\<foo\>", ["a foo"], ["foox", "xfoo"]),
        (r"\b{start}foo\b{end}", ["foo"], ["foos"]),
        (r"\Aa\z", ["a"], ["ba", "ab"]),
        (r"[[:alpha:]&&[^aeiou]]", ["x"], ["a", "1"]),
        (r"[\w--\d]", ["a", "_"], ["1"]),
        (r"[a-c~~b-d]", ["a", "d"], ["b", "c"]),
        (r"[]a][^]b]", ["]a", "aa"], ["a]", "bb"]),
        (r"[a\]-]", ["]", "-"], ["b"]),
        (r"\p{Lu}\pN\P{L}", ["A1-"], ["a1-", "A1b"]),
        (r"[\u4e00-\u9fff]", ["中"], ["a"]),
        (r"\x41\x{42}\u0043\U00000044", ["ABCD"], ["abcd"]),
        (r"(?x) a b \x20 c # what", ["ab c"], ["a b c"]),
        (r"(?i)k", ["k", "K", "\u212a"], ["c"]),
        (r"(?i)i", ["I"], ["\u0131", "\u0130"]),
        (r"(?i)ß", ["ẞ"], ["ss"]),
        (r"(?i)[^k]", ["x"], ["k", "K", "\u212a"]),
        (r"a(?i:b)c|(?-i)D", ["aBc", "D"], ["ABc", "d"]),
        (r"(?i)\p{Lu}", ["a"], ["1"]),
        (r"(?P<a>x)(?P=a)", ["xx"], ["xy"]),
        (r"(?<a>x)\k<a>\1", ["xxx"], ["xx"]),
        (r"(?<!a)b(?=c)(?!cd)", ["bc"], ["abc", "bcd", "b"]),
        (r"(?>a+)a", [], ["aaa"]),
    ],
)
def test_an_expression_means_what_it_means_to_ripgrep(pattern: str, fits: list[str], fails: list[str]) -> None:
    assert [line for line in fits if not matches(pattern, line)] == []
    assert [line for line in fails if matches(pattern, line)] == []


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "( without its )"),
        (")", ") without its ("),
        ("[a", "[ without its ]"),
        ("*a", "nothing before *"),
        ("a|+", "nothing before +"),
        ("a\\", "\\ at its end"),
        (r"\h", "[ \\t] is a blank or a tab"),
        (r"\Qa.b\E", "escape each sign"),
        (r"\y", "\\y is not known"),
        (r"\0", "\\0 is not known"),
        (r"\n", "cannot match a line end"),
        ("a\nb", "cannot match a line end"),
        (r"[\n]", "a line end cannot be matched"),
        (r"[a&&b]", "a set without a character"),
        (r"\p{Greek}", "of a script write the characters"),
        ("[[:nope:]]", "name of a set"),
        ("[z-a]", "runs backwards"),
        ("a{3,2}", "runs backwards"),
        ("a{1000000}", "a count above"),
        (r"\x{110000}", "number of a character"),
        (r"\ud800", "number of a character"),
        ("(?R)a", "is not known"),
        ("(?-u)a", "is not known"),
        ("(?#a)", "is not known"),
        ("(?(1)a|b)", "is not known"),
        ("(?P<a>x)(?P<a>y)", "two groups are named a"),
        (r"(a)\2", "no group 2"),
        (r"\k<a>", "no group"),
        ("(" * 200 + ")" * 200, "in one another"),
        ("[" * 200, "in one another"),
        ("a" + "*" * 200, "too many repetitions"),
        ("\udce9", "half a character"),
    ],
)
def test_what_is_not_known_is_refused_with_a_reason(pattern: str, reason: str) -> None:
    with pytest.raises(SearchError) as caught:
        parse(pattern)
    assert reason in str(caught.value)


def test_what_only_python_knows_is_marked() -> None:
    assert [parse(pattern).beyond for pattern in ("a(b)c", r"a(?=b)", r"(a)\1", "(?>a)", "(?<n>a)")] == [
        False,
        True,
        True,
        True,
        False,
    ]


def test_ripgrep_gets_what_all_its_versions_take() -> None:
    assert in_rust(parse(r"\"a{\/(?i)é[\"-']")) == r"""\"a\{/(?i:é)(?i:[\x{22}-\x{27}])""".replace('\\"', '"')


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("needle", Needles(("needle",), whole=True)),
        (r"\bneedle\b", Needles(("needle",))),
        ("def (get|set)_x+yz", Needles(("def ",))),
        ("foo|barn|(?:x+quux)", Needles(("foo", "barn", "quux"))),
        ("foo|b?", Needles()),
        ("(?i)Needle", Needles(("needle",), fold=True)),
        ("(?i)straße", Needles()),
        (r"(abc)?d", Needles(("d",), whole=False)),
        (r"\w+", Needles()),
        ("(?!abc)de", Needles(("de",))),
        ("x{0}yy", Needles(("yy",))),
        ("a|b|c|d|e|f|g|h|i", Needles()),
    ],
)
def test_words_without_which_nothing_matches(pattern: str, found: Needles) -> None:
    assert needles(parse(pattern)) == found


def test_a_long_expression_is_read_quickly() -> None:
    started = time.monotonic()
    for pattern in ("a" * 4096, "(a|b)" * 800, "[a-z]" * 800, r"\w" * 2000, "x{2}" * 1000):
        in_rust(parse(pattern))
        in_python(parse(pattern), ascii_only=True)
        in_python(parse(pattern, ignore_case=True), ascii_only=False)
    assert time.monotonic() - started < 5
