"""Limits, reference positions, and the collection of several faults."""

from __future__ import annotations

import time

import pytest

from a3s_code.config import Diagnostic, Limits, collect_diagnostics, parse
from a3s_code.errors import AclError, InvalidOption


def fault(text: str, limits: Limits | None = None) -> Diagnostic:
    with pytest.raises(AclError) as caught:
        parse(text, limits or Limits())
    diagnostic = caught.value.diagnostic
    assert isinstance(diagnostic, Diagnostic)
    return diagnostic


def places(diagnostic: Diagnostic) -> str:
    start, end = diagnostic.span.start, diagnostic.span.end
    return f"{start.line}:{start.column} {start.offset} -> {end.line}:{end.column} {end.offset}"


@pytest.mark.parametrize(
    ("text", "limits", "code", "span"),
    [
        ('secret = "value"', Limits(document_bytes=8), "acl.limit.document_bytes", "1:1 0 -> 1:1 0"),
        ('name = "\u6f22\u5b57"', Limits(token_bytes=7), "acl.limit.token_bytes", "1:8 7 -> 1:12 15"),
        ("root { child { value = true } }", Limits(nesting_depth=1), "acl.limit.nesting_depth", "1:14 13 -> 1:15 14"),
        ("first = 1\nsecond = 2", Limits(collection_items=1), "acl.limit.collection_items", "2:1 10 -> 2:7 16"),
        ('"top-secret"', Limits(), "acl.parse.unexpected_token", "1:1 0 -> 1:13 12"),
        ('name = "\u6f22\u5b57"\n]', Limits(), "acl.parse.unexpected_token", "2:1 16 -> 2:2 17"),
        ('value = env("TOP_SECRET" true)', Limits(), "acl.parse.expected_token", "1:26 25 -> 1:30 29"),
        ("password = ]", Limits(), "acl.parse.unexpected_token", "1:12 11 -> 1:13 12"),
        ("value = env(", Limits(), "acl.parse.unexpected_eof", "1:13 12 -> 1:13 12"),
    ],
)
def test_spans_count_lines_characters_and_bytes(text: str, limits: Limits, code: str, span: str) -> None:
    diagnostic = fault(text, limits)
    assert diagnostic.code == code
    assert places(diagnostic) == span


@pytest.mark.parametrize(
    ("text", "limits", "message"),
    [
        ("a = 1", Limits(document_bytes=4), "document is larger than 4 bytes"),
        ("abc = 1", Limits(token_bytes=2), "token is longer than 2 bytes"),
        ("a = [[]]", Limits(nesting_depth=1), "nesting depth is greater than 1"),
        ("a = [1 2]", Limits(collection_items=1), "collection has more than 1 items"),
    ],
)
def test_limit_messages_name_the_limit(text: str, limits: Limits, message: str) -> None:
    assert fault(text, limits).message == f"ACL parse limit exceeded: {message}"


def test_the_limits_themselves_are_allowed() -> None:
    at_the_limit = [
        ("a = [[1]]", Limits(nesting_depth=2)),
        ("a = [1, 2] b = 1", Limits(collection_items=2)),
        ('a = "12"', Limits(token_bytes=4)),
        ("a = 1", Limits(document_bytes=5)),
    ]
    assert all("a" in parse(text, limits).attributes for text, limits in at_the_limit)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = 1 b = 2 c = 3", "1:13"),
        ("b { x = 1 y = 2 z = 3 }", "1:17"),
        ('b "1" /* not one */ "2" "3" { }', "1:25"),
        ("a = [1, 2, [3]]", "1:12"),
        ("a = { x = 1\ny = 2\nz = 3 }", "3:1"),
        ('a = env("A", "B", "C")', "1:19"),
        ("a = [[1, 2, 3], 2, 3]", "1:13"),
    ],
)
def test_every_kind_of_collection_is_counted(text: str, place: str) -> None:
    diagnostic = fault(text, Limits(collection_items=2))
    assert diagnostic.code == "acl.limit.collection_items"
    assert f"{diagnostic.line}:{diagnostic.column}" == place


@pytest.mark.parametrize("text", ["# 12345678", "// 12345678", "/* 123456 */"])
def test_comments_are_tokens_too(text: str) -> None:
    assert fault(text, Limits(token_bytes=9)).code == "acl.limit.token_bytes"


def test_limits_come_before_faults() -> None:
    assert fault("a = ]\nb = [[]]", Limits(nesting_depth=1)).code == "acl.limit.nesting_depth"
    assert fault('a = ]\nb = "long one"', Limits(token_bytes=8)).code == "acl.limit.token_bytes"


def test_every_kind_of_bracket_counts_for_the_depth() -> None:
    assert places(fault("b { a = [ f( 1 ) ] }", Limits(nesting_depth=2))).startswith("1:12 ")


@pytest.mark.parametrize("opener", ["[", "{", "(", "b { ", "a = { a = ", "f("])
def test_five_thousand_deep_brackets_are_a_diagnostic_and_no_recursion_error(opener: str) -> None:
    started = time.thread_time()
    assert fault("a = " + opener * 5000).code == "acl.limit.nesting_depth"
    assert time.thread_time() - started < 5


def test_the_deepest_document_can_be_used() -> None:
    limits = Limits(nesting_depth=100)
    text = "a = " + "{ a = " * 100 + "1" + "}" * 100
    document = parse(text, limits)
    assert document == parse(text, limits)
    assert repr(document)
    value = document.attributes["a"].plain()
    for _ in range(100):
        value = value["a"]
    assert value == 1


@pytest.mark.parametrize("name", ["document_bytes", "nesting_depth", "collection_items", "token_bytes", "diagnostics"])
@pytest.mark.parametrize("value", [-1, 1.5, True, "8", None])
def test_a_limit_must_be_a_whole_number(name: str, value: object) -> None:
    with pytest.raises(InvalidOption) as caught:
        Limits(**{name: value})  # type: ignore[arg-type]  # that is the point
    assert caught.value.field == name


def test_no_depth_is_allowed_that_could_exhaust_the_stack() -> None:
    with pytest.raises(InvalidOption):
        Limits(nesting_depth=101)


def test_all_faults_are_collected() -> None:
    found, truncated = collect_diagnostics("first = ]\nsecond = ]\nthird = ]")
    assert [f"{item.line}:{item.column}" for item in found] == ["1:9", "2:10", "3:9"]
    assert [item.span.start.offset for item in found] == [8, 19, 29]
    assert not truncated


def test_a_budget_cuts_and_says_so() -> None:
    text = "first = ]\nsecond = ]\nthird = ]"
    found, truncated = collect_diagnostics(text, budget=2)
    assert len(found) == 2
    assert truncated
    assert collect_diagnostics(text, budget=3)[1] is False
    assert len(collect_diagnostics(text, Limits(diagnostics=1))[0]) == 1


def test_a_budget_of_nothing_still_tells_whether_there_is_a_fault() -> None:
    assert collect_diagnostics("a = ]", budget=0) == ([], True)
    assert collect_diagnostics("a = 1", budget=0) == ([], False)


def test_valid_text_has_no_faults() -> None:
    assert collect_diagnostics("a = 1\nb { }\n") == ([], False)
    assert collect_diagnostics("") == ([], False)


def test_the_search_goes_on_as_if_the_document_began_there() -> None:
    found, _ = collect_diagnostics("b {\n  x = ]\n  y = 2\n}\nc = 1.2.3\n")
    assert [(item.line, item.code.rsplit(".", 1)[1]) for item in found] == [
        (2, "unexpected_token"),
        (4, "unexpected_token"),
        (5, "invalid_number"),
    ]


def test_only_one_fault_is_told_of_a_line() -> None:
    found, _ = collect_diagnostics("a = ] ] ]\nb = 1")
    assert len(found) == 1


def test_a_comment_that_ends_on_a_later_line_is_not_taken_apart() -> None:
    found, _ = collect_diagnostics("a = ] /* one\n two */ b = [1,, 2]\nc = 3")
    assert [f"{item.line}:{item.column}" for item in found] == ["1:5", "2:16"]


@pytest.mark.parametrize(
    "limits", [Limits(document_bytes=3), Limits(token_bytes=1), Limits(nesting_depth=0), Limits(collection_items=0)]
)
def test_a_broken_limit_ends_the_collection(limits: Limits) -> None:
    found, truncated = collect_diagnostics("ab = []\nb = 1\nab = []", limits)
    assert [item.code.split(".")[1] for item in found] == ["limit"]
    assert not truncated


def test_a_broken_limit_behind_a_fault_has_its_true_place() -> None:
    found, _ = collect_diagnostics("a = ]\n\n  b = [1, 2, 3]", Limits(collection_items=2))
    assert [(item.code.split(".")[1], f"{item.line}:{item.column}") for item in found] == [
        ("parse", "1:5"),
        ("limit", "3:14"),
    ]


def test_windows_line_ends_do_not_shift_places() -> None:
    found, _ = collect_diagnostics("a = ]\r\nb = ]\r\n")
    assert [(item.line, item.column, item.span.start.offset) for item in found] == [(1, 5, 4), (2, 5, 11)]
