"""The shown line of a fault: where the caret stands, and that no value is shown."""

from __future__ import annotations

import random

import pytest

from a3s_code.config import collect_diagnostics, parse, render
from a3s_code.errors import AclError

SECRET = "hunter2-SK_9f8e7d"


def shown(text: str) -> list[str]:
    with pytest.raises(AclError) as caught:
        parse(text)
    return caught.value.rendered.splitlines()


@pytest.mark.parametrize(
    ("text", "line", "caret"),
    [
        ('value = env("TOP_SECRET" true)', '  value = env("..." true)', "                    ^^^^"),
        ("a = [1, 2", "  a = [..., ...", "               ^"),
        ("a = 1\tb = ]", "  a = ... ... = ]", "                ^"),
        ('providers "x"\n  apiKey = "k"', '    apiKey = "..."', "    ^^^^^^"),
        ("a = # key: 12345\n]", "  ]", "  ^"),
        ("b { # note\nx = 1 ] }", "  x = ... ] }", "          ^"),
        ("x = { y: 1.2.3 }", "  x = { y: ... }", "           ^^^"),
        ("\u540d\u524d = ]", "  \u540d\u524d = ]", "         ^"),
        ("a = 'x", '  a = "...', "      ^^^^"),
        ("a += 1", "  a += ...", "    ^^"),
    ],
)
def test_the_caret_stands_below_the_fault(text: str, line: str, caret: str) -> None:
    assert shown(text)[1:3] == [line, caret]


def test_a_fault_at_the_end_of_an_empty_line_shows_no_line() -> None:
    assert shown("a = [\n") == [
        "<text>:2:1: Unexpected end of input",
        "  hint: the [ at line 1, column 5 is never closed",
    ]


def test_a_long_line_is_cut_around_the_caret() -> None:
    lines = shown("a = [" + "1, " * 5000 + "@" + " 2," * 5000 + "]")
    assert len(lines[1]) <= 102
    assert lines[1][lines[2].index("^")] == "?"


@pytest.mark.parametrize(
    "template",
    [
        'api_key = "{}" ]',
        'api_key = "{}',
        "api_key = '{}' = 1",
        "api_key = {} ]",
        "api_key = {}=",
        "api_key: {}: x",
        "api_key = {}@x.y = 1",
        "api_key = @{} = 1",
        "api_key = /{} = 1",
        "api_key = 'x\n{} = 1",
        "api_key =\n{} = ]",
        "api_key = [{} = 1]",
        "api_key = ({} = 1",
        "api_key = {}(",
        "# api_key = {}\n= 1 # {}",
        'providers "{}" = 1',
        'x { "{}" = ] }',
        "a = 1 ] /* {} */",
        "{} {}",
        '"{}"',
        'a = env("X", "{}" "y")',
        "9{} = 1",
        "a = 9{} = 1",
        "password 1{}",
        "a = ] /* {} ",
        'a = env("x", ;{}"y"',
        'a = env("x", {{}"y"',
        "a = ] ; {} = 1",
    ],
)
def test_no_value_is_ever_shown(template: str) -> None:
    text = template.replace("{}", SECRET)
    with pytest.raises(AclError) as caught:
        parse(text, file="agent.acl")
    error = caught.value
    for words in (str(error), repr(error), error.rendered, error.message, str(error.hint), repr(error.diagnostic)):
        for part in (SECRET, "hunter2", "9f8e7d"):
            assert part not in words
    for diagnostic in collect_diagnostics(text)[0]:
        assert "hunter2" not in render(diagnostic, text)


def test_names_of_settings_are_shown() -> None:
    assert shown("base_url ]")[1] == "  ... ]"
    assert shown("base_url = ]")[1] == "  base_url = ]"
    assert shown('providers "anthropic" { apiKey = ] }')[1] == '  providers "..." { apiKey = ] }'


@pytest.mark.parametrize(
    "second", ["MIIEhunter2abc=", "MIIEhunter2abc= ]", "hunter2 {", 'hunter2 "x" ]', "env(hunter2"]
)
def test_a_key_that_spans_lines_is_covered_on_each_of_them(second: str) -> None:
    text = f'key = "-----BEGIN KEY-----\n{second}\n-----END KEY-----"\n'
    found, _ = collect_diagnostics(text)
    assert len(found) >= 2
    for diagnostic in found:
        assert "hunter2" not in render(diagnostic, text)


def test_a_diagnostic_can_be_shown_later() -> None:
    text = "\ufeffa = 1\r\nb = ]\r\n"
    (diagnostic,), _ = collect_diagnostics(text)
    assert render(diagnostic, text, "x.acl").splitlines()[:3] == [
        "x.acl:2:5: Unexpected token in value position: RightBracket",
        "  b = ]",
        "      ^",
    ]


CAREFUL = """default_model = "anthropic/claude"
providers "anthropic" {
  apiKey = "hunter2"
  headers = { "X-A" = "hunter2", Authorization: hunter2, b = 'hunter2' }
  models "m" { api_key: env("A", "hunter2") list = ["hunter2", hunter2, 'hunter2'] }
}
token = hunter2 # hunter2
/* hunter2 */
words = [ "hunter2 x=y" ]
"""


@pytest.mark.parametrize("seed", range(4))
def test_no_slip_of_the_pen_shows_a_value(seed: int) -> None:
    dice = random.Random(seed)
    refused = 0
    for _ in range(300):
        letters = list(CAREFUL)
        for _ in range(dice.choice([1, 1, 2, 3])):
            at = dice.randrange(len(letters))
            letters[at : at + dice.randint(0, 1)] = dice.choice(["", *"\"'{}[]()=:,;#/\\ \n@.x1+-*"])
        text = "".join(letters)
        for diagnostic in collect_diagnostics(text)[0]:
            refused += 1
            assert "hunter2" not in render(diagnostic, text), text
    assert refused > 100
