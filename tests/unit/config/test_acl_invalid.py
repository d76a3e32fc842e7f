"""Documents that do not parse: code and place of the first fault, and that no value is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from a3s_code.config import parse
from a3s_code.errors import AclError, ConfigError

FAULTS = [
    pytest.param("]", "unexpected_token", "1:1", id="01-lone-bracket"),
    pytest.param('"text"', "unexpected_token", "1:1", id="02-lone-string"),
    pytest.param("42", "unexpected_token", "1:1", id="03-lone-number"),
    pytest.param("= 1", "unexpected_token", "1:1", id="04-no-key"),
    pytest.param("a =", "unexpected_eof", "1:4", id="05-no-value"),
    pytest.param("a = ]", "unexpected_token", "1:5", id="06-bracket-as-value"),
    pytest.param("a = ,", "unexpected_token", "1:5", id="07-comma-as-value"),
    pytest.param("a = [1, 2", "unexpected_eof", "1:10", id="08-open-list"),
    pytest.param("a = {x = 1", "unexpected_eof", "1:11", id="09-open-object"),
    pytest.param("b {", "unexpected_eof", "1:4", id="10-open-block"),
    pytest.param("b { k = 1\nc = 2", "unexpected_eof", "2:6", id="11-open-block-with-items"),
    pytest.param("b } ", "expected_token", "1:3", id="12-closing-brace-for-opening"),
    pytest.param('providers "x"\napiKey = "k"', "expected_token", "2:1", id="13-missing-brace"),
    pytest.param('a = "unterminated', "unterminated_string", "1:5", id="14-open-double-quote"),
    pytest.param("a = 'unterminated\n", "unterminated_string", "1:5", id="15-open-single-quote"),
    pytest.param("a = env(", "unexpected_eof", "1:9", id="16-open-call"),
    pytest.param('a = env("A" true)', "expected_token", "1:13", id="17-call-without-comma"),
    pytest.param('a = env("A",,"B")', "unexpected_token", "1:13", id="18-two-commas"),
    pytest.param("a += 1", "unsupported_operator", "1:3", id="19-plus-equals"),
    pytest.param("a = 1.2.3", "invalid_number", "1:5", id="20-two-points"),
    pytest.param("a = 1e", "invalid_number", "1:5", id="21-empty-exponent"),
    pytest.param("a = --1", "invalid_number", "1:5", id="22-two-signs"),
    pytest.param("a = 10__0", "invalid_number", "1:5", id="23-two-underscores"),
    pytest.param("a = 10_", "invalid_number", "1:5", id="23-trailing-underscore"),
    pytest.param("a = 0x10", "invalid_number", "1:5", id="24-hexadecimal"),
    pytest.param("a = @x", "unexpected_character", "1:5", id="25-at-sign"),
    pytest.param("a = $HOME", "unexpected_character", "1:5", id="26-dollar"),
    pytest.param("a = /etc/passwd", "unexpected_character", "1:5", id="27-unquoted-path"),
    pytest.param("a.b = 1", "unexpected_character", "1:2", id="28-dotted-key"),
    pytest.param("a = {1 = 2}", "expected_token", "1:6", id="29-number-as-key"),
    pytest.param('a = { inner "x" { } }', "expected_token", "1:13", id="30-block-in-object"),
    pytest.param("a = mode { x = 1 }", "unexpected_token", "1:10", id="31-word-and-braces"),
    pytest.param("{ a = 1 }", "unexpected_token", "1:1", id="32-braces-around-all"),
    pytest.param('{"a": 1}', "unexpected_token", "1:1", id="33-json"),
    pytest.param("a = " + "[" * 65 + "]" * 65, "nesting_depth", "1:69", id="34-65-nested-lists"),
    pytest.param("a = [" + "1 " * 10_001 + "]", "collection_items", "1:20006", id="35-10001-items"),
    pytest.param('a = "' + "x" * 300 * 1024 + '"', "token_bytes", "1:5", id="36-300-kib-string"),
    pytest.param("#" * (1024 * 1024 + 1), "document_bytes", "1:1", id="37-a-byte-over-1-mib"),
    pytest.param("a = 1 }", "unexpected_token", "1:7", id="38-extra-brace"),
    pytest.param('b "l" = 1', "expected_token", "1:7", id="39-equals-after-label"),
    pytest.param("/* never closed", "unexpected_eof", "1:16", id="40-open-comment"),
    pytest.param("a = -x", "unexpected_character", "1:5", id="minus-before-a-word"),
    pytest.param("a = +1", "invalid_number", "1:5", id="plus-sign"),
    pytest.param("a = 1x", "invalid_number", "1:5", id="letters-after-digits"),
    pytest.param("a = 1-2", "invalid_number", "1:5", id="subtraction"),
    pytest.param("a = 1_.5", "invalid_number", "1:5", id="underscore-before-the-point"),
    pytest.param("a = 1e999", "invalid_number", "1:5", id="infinite-number"),
    pytest.param("a = " + "9" * 5000, "invalid_number", "1:5", id="number-of-5000-digits"),
    pytest.param("true = 1", "unexpected_token", "1:1", id="reserved-word-as-key"),
    pytest.param("a\n= 1", "expected_token", "2:1", id="equals-on-the-next-line"),
    pytest.param('a = env\n("A")', "unexpected_token", "2:1", id="parenthesis-on-the-next-line"),
    pytest.param("a = [1,,2]", "unexpected_token", "1:8", id="two-commas-in-a-list"),
    pytest.param("a = [,]", "unexpected_token", "1:6", id="comma-alone-in-a-list"),
    pytest.param('a = { "x" 1 }', "expected_token", "1:11", id="no-equals-in-object"),
    pytest.param("a = { x = 1 ]", "expected_token", "1:13", id="wrong-bracket-closes-object"),
    pytest.param("a = [ x = 1 ]", "unexpected_token", "1:9", id="member-in-a-list"),
    pytest.param(", a = 1", "unexpected_token", "1:1", id="comma-first"),
    pytest.param("a = 1 )", "unexpected_token", "1:7", id="extra-parenthesis"),
    pytest.param("a = <<EOT", "unexpected_character", "1:5", id="here-document"),
    pytest.param('"x" \n# why\n y = 1', "unexpected_token", "1:1", id="lone-string-before-an-item"),
    pytest.param('b { "x" }', "unexpected_token", "1:5", id="lone-string-in-a-block"),
    pytest.param('a = 1 "x"', "unexpected_token", "1:7", id="lone-string-after-a-value"),
    pytest.param("a = ]\nb = @", "unexpected_token", "1:5", id="the-first-fault-in-the-text-is-told"),
    pytest.param("a = 1 /* x", "unexpected_eof", "1:11", id="open-comment-after-a-value"),
    pytest.param("a = \u201cx\u201d", "unexpected_character", "1:5", id="typographic-quotes"),
    pytest.param("a = \u3000 1", "unexpected_character", "1:5", id="ideographic-blank"),
    pytest.param('a = "\ud800"', "unexpected_character", "1:6", id="lone-surrogate"),
]


@pytest.mark.parametrize(("text", "code", "place"), FAULTS)
def test_a_fault_has_its_code_and_place(text: str, code: str, place: str) -> None:
    with pytest.raises(AclError) as caught:
        parse(text)
    error = caught.value
    assert error.code.endswith(f".{code}")
    assert error.code.split(".")[1] == ("limit" if code.split("_")[0] in _LIMITS else "parse")
    assert f"{error.line}:{error.column}" == place
    assert error.diagnostic.severity == "error"
    assert error.rendered.startswith(f"<text>:{place}: {error.diagnostic.message}")


_LIMITS = ("nesting", "collection", "token", "document")


def test_an_unlabelled_provider_is_refused(load) -> None:
    with pytest.raises(ConfigError, match="label required") as caught:
        load('providers { apiKey = "k" }')
    assert (caught.value.line, caught.value.column, caught.value.key) == (1, 1, "providers")
    assert caught.value.hint == 'write providers "NAME" { ... }'


def test_an_unlabelled_model_is_refused(load) -> None:
    with pytest.raises(ConfigError, match="label required") as caught:
        load('providers "p" { models { } }')
    assert (caught.value.line, caught.value.column, caught.value.key) == (1, 17, "providers.p.models")


def test_a_default_model_without_a_slash_is_refused_on_use(load) -> None:
    config = load('\n  default_model = "noslash"')
    with pytest.raises(ConfigError) as caught:
        config.model_ref()
    assert (caught.value.key, caught.value.line, caught.value.column) == ("default_model", 2, 3)
    assert caught.value.hint == 'write default_model = "provider/model"'


@pytest.mark.parametrize("name", ["agent.json", "agent.hcl"])
def test_another_format_is_refused_by_its_name(load, folder: Path, name: str) -> None:
    (folder / name).write_text('{"default_model": "a/b"}')
    for source in (name, folder / name):
        with pytest.raises(ConfigError, match=r"\.acl") as caught:
            load(source)
        assert caught.value.file == str(folder / name)


def test_bytes_that_are_not_utf8_are_refused_with_their_offset(load, folder: Path) -> None:
    (folder / "agent.acl").write_bytes(b'a = 1\nb = "\xff"\n')
    with pytest.raises(ConfigError, match="offset 11") as caught:
        load("agent.acl")
    assert caught.value.file == str(folder / "agent.acl")
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("]", "Unexpected token: RightBracket"),
        ("a = ]", "Unexpected token in value position: RightBracket"),
        ('a = env("A" true)', "Expected ',' or ')', found True"),
        ("a = { x 1 }", "Expected '=' or ':', found Number"),
        ("a 1", "Expected '=', ':' or '{', found Number"),
        ('b "l" = 1', "Expected '{', found Equal"),
        ("a = {1 = 2}", "Expected a key or '}', found Number"),
        ("a =", "Unexpected end of input"),
        ("a += 1", "Unsupported operator: PlusEqual"),
        ("a = 1e", "Invalid number"),
        ('a = "x', "Unterminated string"),
        ("a = @", "Unexpected character"),
        ("a = 1 ;= 2", "Unexpected token: Equal"),
        ("a = ;", "Unexpected token in value position: Semicolon"),
    ],
)
def test_messages_name_kinds_of_tokens(text: str, message: str) -> None:
    with pytest.raises(AclError) as caught:
        parse(text)
    assert caught.value.message == message
    assert str(caught.value.diagnostic) == (
        f"Parse error at line {caught.value.line}, column {caught.value.column}: {message}"
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{"a": 1}', "JSON is not ACL"),
        ("\n\n[1]", "JSON is not ACL"),
        ("a = /etc/passwd", "quotes"),
        ("a = $HOME", 'env("NAME")'),
        ("a.b = 1", "dot"),
        ("a = <<EOT", "here-documents"),
        ("a = `x`", "quotes are"),
        ("a = \u201cx\u201d", "typographic"),
        ("a = x@y", "quotes"),
        ("b {\n  k = 1", "the { at line 1, column 3 is never closed"),
        ("a = [1, {x = 1}", "the [ at line 1, column 5 is never closed"),
        ("a = 1\n/* x\n", "the comment that begins at line 2, column 1 is never closed"),
        (r"a = 'c:\dir\'", r"in single quotes \' is a quote"),
        ("a = mode { x = 1 }", "for an object"),
        ("a = env\n()", "line of its name"),
        ("a = 1 }", "closes nothing"),
        ("a\n= 1", "on the line of its name"),
    ],
)
def test_hints_say_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(AclError) as caught:
        parse(text)
    assert hint in (caught.value.hint or "")
    assert caught.value.rendered.splitlines()[-1] == f"  hint: {caught.value.hint}"


def test_the_file_is_named_in_front() -> None:
    with pytest.raises(AclError) as caught:
        parse("a = 1\nb = ]", file="agent.acl")
    assert str(caught.value).splitlines() == [
        "agent.acl:2:5: Unexpected token in value position: RightBracket",
        "  b = ]",
        "      ^",
        "  hint: a value is missing before it",
    ]
    assert caught.value.file == "agent.acl"


def test_the_error_of_the_parser_below_does_not_travel_along() -> None:
    with pytest.raises(AclError) as caught:
        parse('api_key = "sk-hunter2" ]')
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
