"""The parser against texts that nobody wrote."""

from __future__ import annotations

import math
import string
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from a3s_code.config import Attribute, Block, Document, Limits, collect_diagnostics, parse
from a3s_code.config.acl import _machine
from a3s_code.errors import AclError

RANDOM = settings(derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
TOKENS = [
    *"{}[]()=:,;\"'#/@$.+-_\\ \n\t",
    "\r\n",
    "//",
    "/*",
    "*/",
    "+=",
    "a",
    "b-c",
    "env",
    "true",
    "null",
    "1",
    '"x"',
]
TOKENS += [
    "'y'",
    "-2.5e3",
    "1.2.3",
    "\u6f22",
    "\u00a0",
    "\x00",
    "\ud800",
    "\U0001f600",
    "providers",
    "a = 1\n",
    "b {\n",
]
PIECES = st.lists(st.sampled_from(TOKENS), max_size=60).map("".join)


def attempt(text: str, limits: Limits | None = None) -> Document | AclError:
    try:
        return parse(text, limits or Limits())
    except AclError as error:
        return error


@RANDOM
@given(st.one_of(st.text(max_size=200), PIECES))
def test_any_text_parses_or_is_refused_with_a_place(text: str) -> None:
    started = time.thread_time()
    found, truncated = collect_diagnostics(text)
    outcome = attempt(text)
    if isinstance(outcome, AclError):
        fault = outcome.diagnostic
        assert 1 <= fault.line <= text.count("\n") + text.count("\r") + 1
        assert fault.span.start <= fault.span.end
        assert fault.span.end.offset <= len(text.encode("utf-8", "surrogatepass"))
        assert found[0] == fault
        assert outcome.rendered
    else:
        assert not found
        assert not truncated
        assert attempt(text) == outcome
    assert time.thread_time() - started < 5


@RANDOM
@given(PIECES)
def test_scan_and_grammar_cut_valid_text_alike(text: str) -> None:
    if isinstance(attempt(text), AclError):
        return
    machine = _machine()
    normal = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    scanned = [(token.start, token.end) for token in machine.scanner.scan(normal, 10**9)[0] if token.kind != "Comment"]
    lexed = [(token.start_pos, token.end_pos) for token in machine.lark.lex(normal)]
    assert scanned == lexed


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("true", "false", "null")
)
NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(NAMES, TEXTS), inner, max_size=4)),
    max_leaves=12,
)
GAPS = st.sampled_from(["", " ", "\t", " /* x */ ", "\u00a0"])
BREAKS = st.sampled_from(["\n", "\r\n", "\n\n# note ] }\n", ", ", "; ", "\n// note\n", ",\n"])


@st.composite
def spelled(draw: st.DrawFn, value: Any) -> str:
    """One of the ways to write `value`."""
    if isinstance(value, str):
        return draw(quoted(value))
    if isinstance(value, list):
        comma = draw(st.sampled_from([",", ", ", " ", "\n", " ,\n# x\n"]))
        tail = draw(st.sampled_from(["", ",", "\n"])) if value else ""
        return "[" + comma.join([draw(spelled(item)) for item in value]) + tail + "]"
    if isinstance(value, dict):
        members = [draw(member(name, item)) for name, item in value.items()]
        return "{" + draw(GAPS) + "".join(text + draw(BREAKS) for text in members) + "}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return draw(st.sampled_from([repr(value), repr(value).upper()]))


@st.composite
def quoted(draw: st.DrawFn, text: str) -> str:
    single_works = not set(text) & set("\\\r\n")
    if single_works and draw(st.booleans()):
        return "'" + text.replace("'", "\\'") + "'"
    escapes = {"\n": "\\n", "\r": "\\r", "\\": "\\\\", '"': '\\"'}
    as_number = draw(st.booleans())
    return '"' + "".join(escapes.get(c, f"\\u{{{ord(c):x}}}" if as_number and ord(c) > 126 else c) for c in text) + '"'


@st.composite
def member(draw: st.DrawFn, name: str, value: Any) -> str:
    bare = name and set(name) <= set(string.ascii_letters + string.digits + "_-") and not name[0].isdigit()
    bare = bare and name[0] != "-" and name not in ("true", "false", "null")
    key = name if bare else draw(quoted(name))
    gap, sign = draw(GAPS), draw(st.sampled_from(["=", ":"]))
    pause = draw(st.sampled_from(["", " ", "\n"]))
    return f"{key}{gap}{sign}{pause}{draw(spelled(value))}"


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@RANDOM
@given(st.data(), st.dictionaries(NAMES, VALUES, max_size=5))
def test_what_is_written_is_read(data: st.DataObject, values: dict[str, Any]) -> None:
    text = "".join(data.draw(member(name, value)) + data.draw(BREAKS) for name, value in values.items())
    document = parse(text)
    assert same({name: value.plain() for name, value in document.attributes.items()}, values)
    assert not document.blocks


BLOCKS = st.recursive(
    st.builds(lambda items: items, st.lists(st.tuples(NAMES, NUMBERS), max_size=3)),
    lambda inner: st.lists(st.one_of(st.tuples(NAMES, NUMBERS), st.tuples(NAMES, st.lists(TEXTS, max_size=3), inner))),
    max_leaves=8,
)


@RANDOM
@given(st.data(), BLOCKS)
def test_blocks_are_read_as_they_nest(data: st.DataObject, items: list[Any]) -> None:
    def write(items: list[Any]) -> str:
        parts = []
        for item in items:
            if len(item) == 2:
                parts.append(data.draw(member(*item)))
            else:
                labels = "".join(" " + data.draw(quoted(label)) for label in item[1])
                brace = data.draw(st.sampled_from([" {", "\n{", "{", " # why\n{"]))
                parts.append(item[0] + labels + brace + data.draw(st.sampled_from(["", "\n"])) + write(item[2]) + "}")
        return "".join(part + data.draw(BREAKS) for part in parts)

    def read(items: Any) -> list[Any]:
        return [
            (item.name, item.value.plain())
            if isinstance(item, Attribute)
            else (item.name, list(item.labels), read(item.items))
            for item in items
        ]

    document = parse(write(items))
    assert read(document.items) == items
    assert all(isinstance(item, Attribute | Block) for item in document.items)


GROWING: list[Any] = [
    pytest.param(300, lambda n: "".join(f'key_{i} = "value {i}"\n' for i in range(n)), id="attributes"),
    pytest.param(150, lambda n: "".join(f'b "l{i}" {{ k = [1, 2] e = env("A") }}\n' for i in range(n)), id="blocks"),
    pytest.param(300, lambda n: "a = 1\n" * n, id="one-attribute-again-and-again"),
    pytest.param(500, lambda n: "a = [" + "1, " * n + "]", id="list"),
    pytest.param(500, lambda n: "x " * n, id="labels"),
    pytest.param(500, lambda n: "a = 1 " * n + "@", id="fault-at-the-end"),
    pytest.param(2000, lambda n: "a = ]\n" * n, id="faults"),
    pytest.param(5000, lambda n: 'a = "' + "\\x" * n, id="escapes"),
    pytest.param(5000, lambda n: "a = '" + "\\'" * n, id="quotes-in-quotes"),
    pytest.param(5000, lambda n: "1_" * n, id="digits"),
    pytest.param(2000, lambda n: "a = " + "-" * n, id="signs"),
    pytest.param(2000, lambda n: "a = " + "." * n, id="points"),
    pytest.param(2000, lambda n: "/" * n, id="slashes"),
    pytest.param(2000, lambda n: "/*" * n, id="comments"),
    pytest.param(2000, lambda n: "{" * n, id="braces"),
    pytest.param(2000, lambda n: "[]" * n, id="pairs"),
    pytest.param(2000, lambda n: '"' * n, id="quotes"),
    pytest.param(2000, lambda n: "\n" * n + "]", id="lines"),
]


@pytest.mark.parametrize(("size", "make"), GROWING)
def test_four_times_the_text_takes_at_most_eight_times_as_long(size: int, make: Callable[[int], str]) -> None:
    limits = Limits(collection_items=10**6)
    texts = make(size), make(4 * size)
    costs: tuple[list[float], list[float]] = ([], [])
    attempt("a = 1")  # the grammar is made once
    for _ in range(4):
        for text, times in zip(texts, costs, strict=True):
            started = time.thread_time()  # of this thread alone: others may be at work on this machine
            collect_diagnostics(text, limits)
            attempt(text, limits)
            times.append(time.thread_time() - started)
    small, large = map(min, costs)
    assert large <= 8 * small + 0.005
