"""Documents that parse, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from a3s_code.config import Attribute, Block, Call, Document, Scalar, parse


def plain(document: Document) -> dict[str, Any]:
    return {name: value.plain() for name, value in document.attributes.items()}


def call(name: str, *arguments: Any) -> Call:
    return Call(name, tuple(item if isinstance(item, Call) else Scalar(item) for item in arguments))


ATTRIBUTES: list[Any] = [
    pytest.param("", {}, id="01-empty"),
    pytest.param("a = 1", {"a": 1}, id="02-equals"),
    pytest.param("a: 1", {"a": 1}, id="03-colon"),
    pytest.param("a = -3.5e-2", {"a": -0.035}, id="04-negative-exponent"),
    pytest.param("a = .5", {"a": 0.5}, id="05-leading-point"),
    pytest.param("a = 10_000", {"a": 10_000}, id="06-underscore-in-number"),
    pytest.param(r'a = "x\ny"', {"a": "x\ny"}, id="07-line-break-escape"),
    pytest.param(r"a = 'c:\new'", {"a": r"c:\new"}, id="08-single-quotes-are-raw"),
    pytest.param(r'a = "tab\tq\"b\\"', {"a": 'tab\tq"b\\'}, id="09-escapes"),
    pytest.param(r'a = "\d+"', {"a": r"\d+"}, id="10-unknown-escape-is-kept"),
    pytest.param("a = true\nb = false\nc = null", {"a": True, "b": False, "c": None}, id="11-constants"),
    pytest.param("a = fast", {"a": "fast"}, id="12-bare-word"),
    pytest.param("a = []\nb = {}", {"a": [], "b": {}}, id="13-empty-collections"),
    pytest.param("a = [1, 2, 3,]", {"a": [1, 2, 3]}, id="14-trailing-comma"),
    pytest.param("a = [1 2 3]", {"a": [1, 2, 3]}, id="15-list-without-commas"),
    pytest.param("a = [\n1, # one\n2\n# two\n3,\n]", {"a": [1, 2, 3]}, id="16-list-over-lines-with-comments"),
    pytest.param("a = [[1], [2, [3]]]", {"a": [[1], [2, [3]]]}, id="17-nested-lists"),
    pytest.param('a = { x = 1, y = "z" }', {"a": {"x": 1, "y": "z"}}, id="18-object"),
    pytest.param("a = {\nx = 1\ny = 2\n}", {"a": {"x": 1, "y": 2}}, id="19-object-by-lines"),
    pytest.param("a = { x: 1, y: { z: true } }", {"a": {"x": 1, "y": {"z": True}}}, id="20-object-with-colons"),
    pytest.param('a = { "X-Api-Key" = "k" }', {"a": {"X-Api-Key": "k"}}, id="21-quoted-key"),
    pytest.param('a = env("HOME")', {"a": call("env", "HOME")}, id="22-call"),
    pytest.param("a = env()", {"a": call("env")}, id="24-call-without-arguments"),
    pytest.param("# only a comment", {}, id="31-hash-comment"),
    pytest.param("// only a comment", {}, id="31-slash-comment"),
    pytest.param('a = 1 # trailing\nb = "http://x" // ok', {"a": 1, "b": "http://x"}, id="32-comments-after-values"),
    pytest.param("a =\n\n  # why\n  1", {"a": 1}, id="35-value-on-a-later-line"),
    pytest.param("a = 1 b = 2", {"a": 1, "b": 2}, id="36-two-on-a-line"),
    pytest.param("a = " + "[" * 64 + "]" * 64, None, id="40-64-nested-lists"),
    pytest.param('allowed-tools = "x"', {"allowed-tools": "x"}, id="42-key-with-a-dash"),
]


@pytest.mark.parametrize(("text", "expected"), ATTRIBUTES)
def test_attributes_have_the_values_they_spell(text: str, expected: dict[str, Any] | None) -> None:
    document = parse(text)
    assert not document.blocks
    assert not document.warnings
    if expected is not None:
        assert plain(document) == expected


def test_both_separators_say_the_same() -> None:
    assert parse("a: 1").items == parse("a = 1").items


def test_ints_stay_ints_and_floats_stay_floats() -> None:
    document = plain(parse("a = 10_000 b = 1.0 c = 9007199254740993 d = -0 e = 1_0.2_5 f = 1e3"))
    assert [type(value) for value in document.values()] == [int, float, int, int, float, float]
    assert document == {"a": 10_000, "b": 1.0, "c": 9007199254740993, "d": 0, "e": 10.25, "f": 1000.0}


def test_a_call_keeps_its_arguments_and_its_place() -> None:
    document = parse('a = concat("x", env("Y"), [1])')
    value = document.attributes["a"]
    assert isinstance(value, Call)
    assert value.name == "concat"
    assert value.arguments[:2] == (Scalar("x"), call("env", "Y"))
    assert value.arguments[2].plain() == [1]
    assert (value.line, value.column) == (1, 5)


@pytest.mark.parametrize("text", ['a = env("A", "B",)', 'a = env(\n"A",\n"B"\n)', 'a = env ("A", "B")'])
def test_a_call_may_spread_over_lines_and_end_in_a_comma(text: str) -> None:
    assert plain(parse(text)) == {"a": call("env", "A", "B")}


def test_an_empty_block_is_a_block() -> None:
    assert parse("b { }").items == (Block("b"),)
    assert parse("b {}").items == (Block("b"),)


def test_blocks_keep_their_labels_in_order() -> None:
    one, two = parse('b "l" { } ; b "l1" "l2" { k = 1 }').blocks
    assert one == Block("b", ("l",))
    assert two.labels == ("l1", "l2")
    assert two.attributes == {"k": Scalar(1)}


def test_a_label_may_be_a_bare_word() -> None:
    assert parse("providers anthropic { }").items == (Block("providers", ("anthropic",)),)


def test_nested_blocks_stay_in_order() -> None:
    (outer,) = parse('outer { inner "x" { k = 1 } inner "y" { k = 2 } }').blocks
    assert [inner.labels for inner in outer.blocks] == [("x",), ("y",)]
    assert [inner.attributes["k"].plain() for inner in outer.blocks] == [1, 2]


def test_the_brace_may_stand_on_the_next_line() -> None:
    assert parse('b "l"\n\n  # here\n{ k = 1 }').items == parse('b "l" { k = 1 }').items


def test_a_provider_fits_on_one_line() -> None:
    (block,) = parse('providers "anthropic" { apiKey = env("K") }').blocks
    assert block == Block("providers", ("anthropic",), (Attribute("apiKey", call("env", "K")),))


def test_blocks_of_one_name_are_kept_apart() -> None:
    blocks = parse('providers "a" { }\nproviders "b" { }').blocks
    assert [block.labels for block in blocks] == [("a",), ("b",)]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"], ids=["crlf", "lf", "cr"])
def test_each_line_ending_counts_as_one_line(end: str) -> None:
    document = parse(end.join(["a = 1", "b = 2", "c = 3", ""]))
    assert [(item.name, item.line, item.column) for item in document.items] == [("a", 1, 1), ("b", 2, 1), ("c", 3, 1)]


def test_names_labels_and_texts_may_be_in_any_script() -> None:
    document = parse(
        '\u540d\u524d = "\u5024"\n\u30d6\u30ed\u30c3\u30af "\u30e9\u30d9\u30eb" { \u0928\u093e\u092e = 1 }'
    )
    assert plain(document) == {"\u540d\u524d": "\u5024"}
    assert document.blocks == (
        Block("\u30d6\u30ed\u30c3\u30af", ("\u30e9\u30d9\u30eb",), (Attribute("\u0928\u093e\u092e", Scalar(1)),)),
    )


def test_of_two_attributes_the_last_counts_with_one_warning() -> None:
    document = parse("a = 1\na = 2")
    assert plain(document) == {"a": 2}
    assert len(document.items) == 2
    (warning,) = document.warnings
    assert warning.code == "acl.parse.duplicate_attribute"
    assert warning.severity == "warning"
    assert (warning.line, warning.column) == (2, 1)


@pytest.mark.parametrize("text", ["b { k = 1 k = 2 }", "a = { k = 1, k = 2 }", 'a = [{ "k" = 1 \n k = 2 }]'])
def test_a_repeated_attribute_is_found_at_every_level(text: str) -> None:
    assert [warning.code for warning in parse(text).warnings] == ["acl.parse.duplicate_attribute"]


def test_the_same_name_in_two_blocks_is_no_repetition() -> None:
    assert parse("a { k = 1 } b { k = 2 } k = 3").warnings == ()


def test_a_byte_order_mark_is_ignored() -> None:
    document = parse("\ufeffa = 1")
    assert plain(document) == {"a": 1}
    assert document.items[0].column == 1


@pytest.mark.parametrize("blank", [" ", "\t", "\f", "\v", "\u00a0"])
def test_all_blanks_separate(blank: str) -> None:
    assert plain(parse(f"{blank}a{blank}={blank}1{blank}")) == {"a": 1}


def test_a_block_comment_may_span_lines_and_hold_anything() -> None:
    assert plain(parse('a = /* one\n } ] " */ 1 /**/ b = 2')) == {"a": 1, "b": 2}


@pytest.mark.parametrize("text", ["a = 1; b = 2", "a = 1, b = 2", "a = 1;;\n,b = 2;"])
def test_items_may_be_separated_by_commas_and_semicolons(text: str) -> None:
    assert plain(parse(text)) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\0", "\0"),
        (r"\/", "/"),
        (r"\b\f\r", "\b\f\r"),
        (r"\u0041", "A"),
        (r"\u{1F600}", "\U0001f600"),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\uD83D", r"\uD83D"),
        (r"\u{D800}", r"\u{D800}"),
        (r"\u{110000}", r"\u{110000}"),
        (r"\u12", r"\u12"),
        (r"\U0041", r"\U0041"),
        (r"\\n", r"\n"),
        (r"\q", r"\q"),
    ],
)
def test_double_quoted_escapes(written: str, meant: str) -> None:
    value = parse(f'a = "{written}"').attributes["a"].plain()
    assert value == meant
    assert value.encode()


@pytest.mark.parametrize(("written", "meant"), [(r"it\'s", "it's"), (r"a\nb", r"a\nb"), (r"\\x", r"\\x"), ('"', '"')])
def test_single_quoted_escapes(written: str, meant: str) -> None:
    assert parse(f"a = '{written}'").attributes["a"].plain() == meant


def test_words_that_begin_like_constants_are_words() -> None:
    assert plain(parse("a = truely b = null_ c = false-ish trueish = 1")) == {
        "a": "truely",
        "b": "null_",
        "c": "false-ish",
        "trueish": 1,
    }


def test_every_node_knows_its_place() -> None:
    document = parse('x = 1\nb "l" {\n  k = [\n    { z = env("A") }]\n}')
    (block,) = document.blocks
    (attribute,) = block.items
    assert isinstance(attribute, Attribute)
    assert (block.line, block.column) == (2, 1)
    assert (attribute.line, attribute.column) == (3, 3)
    assert (attribute.value.line, attribute.value.column) == (3, 7)
    (item,) = attribute.value.items  # type: ignore[union-attr]  # a list, as written above
    assert (item.line, item.column) == (4, 5)
    assert (item.members[0].value.line, item.members[0].value.column) == (4, 11)


def test_attributes_may_be_seen_as_blocks() -> None:
    document = parse('a = 1\nb "l" { }')
    assert document.as_blocks() == (Block("a", (), (Attribute("a", Scalar(1)),)), Block("b", ("l",)))


def test_a_document_does_not_show_its_texts() -> None:
    document = parse('api_key = "hunter2" \n b { c = hunter3 d = ["hunter4", env("X", "hunter5")] }')
    assert "hunter" not in repr(document)
