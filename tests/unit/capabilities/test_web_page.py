"""HTML as Markdown and as text, of real and of hostile pages."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from a3s_code.capabilities.web.content import Kind, read_kind, read_text
from a3s_code.capabilities.web.outline import outline
from a3s_code.capabilities.web.page import TOO_LARGE, TOO_NESTED, render

PAGE = """<?xml version="1.0"?><!DOCTYPE html>
<html><head><title>The
 page</title><style>p { color: red }</style><script>var inHead</script></head>
<body><nav><a href="/x">Menu</a></nav>
<h2>Usage</h2>
<p>Run <code>go</code> &amp; <em>see</em>&nbsp;<a href="../b?c=1&amp;d=2#e">more</a>.</p>
<pre><code class="language-python">def f():
    return 1
</code></pre>
<ul><li>one<ul><li>inner</li></ul></li><li>two</li></ul>
<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
<p style="color:red; DISPLAY : none">ghost one</p><p hidden>ghost two</p>
<span style="visibility:hidden">ghost three</span>
<p style="font-size:0px">ghost four</p><p style="opacity: 0;">ghost five</p>
<p style="opacity: 0.5">shown faintly</p>
<template>ghost six</template><noscript>ghost seven</noscript><!-- ghost eight --><textarea>ghost nine</textarea>
<a href="javascript:alert(1)">click</a> <img src="data:image/png;base64,AAAA" alt="dot"> <img src="i.png" alt="pic">
<script type="application/json">{"ghost": 10}</script>
<footer>end</footer></body></html>"""


def test_markdown_keeps_structure_and_makes_links_absolute() -> None:
    page = render(PAGE, "https://a.test/docs/p.html", "markdown")
    assert page.title == "The page"
    assert page.note == ""
    assert "## Usage" in page.text
    assert "[more](https://a.test/b?c=1&d=2#e)" in page.text
    assert "```python\ndef f():\n    return 1\n```" in page.text
    assert "- one\n  - inner\n- two" in page.text
    assert "| a | b |" in page.text
    assert "![pic](https://a.test/docs/i.png)" in page.text
    assert "shown faintly" in page.text
    assert "\n\n\n" not in page.text


@pytest.mark.parametrize("style", ["markdown", "text"])
def test_what_no_reader_sees_is_gone(style: str) -> None:
    text = render(PAGE, "https://a.test/", "markdown" if style == "markdown" else "text").text
    for gone in ("ghost", "inHead", "color", "javascript", "base64", "Menu", "DOCTYPE", "xml"):
        assert gone not in text
    for kept in ("Usage", "click", "end", "inner"):
        assert kept in text


def test_text_has_each_block_on_lines_of_its_own() -> None:
    text = render("<h1>a</h1><p>b <b>c</b></p><div>d<br>e</div>", "https://a.test/", "text").text
    assert text == "a\n\nb c\n\nd\ne"
    listed = "<ul>\n<li>one <i>1</i>\n<li> two</ul> tail <pre>if x:\n    y\n\n\n    z</pre>"
    assert render(listed, "https://a.test/", "text").text == "one 1\ntwo\n\ntail\n\nif x:\n    y\n\n    z"


def test_a_page_of_plain_words_stays() -> None:
    assert render("just words", "https://a.test/", "markdown").text == "just words"
    assert render("", "https://a.test/", "markdown").text == ""


@pytest.mark.parametrize(
    "markup",
    [
        "<div>" * 20_000 + "deep",
        "<ul><li>" * 3_000 + "deep",
        "<blockquote>" * 140 + "deep " * 200_000,
    ],
)
def test_nesting_beyond_reason_gives_text_and_says_so(markup: str) -> None:
    page = render(markup, "https://a.test/", "markdown")
    assert page.note == TOO_NESTED
    assert "deep" in page.text


@pytest.mark.parametrize(
    "unit", ["<!--", "<a ", "<a x='", "<", "</", "<?", "<![", "&", "<script>", "<b>", '<a "', "<p hidden>", "<title>"]
)
@pytest.mark.parametrize("way", ["markdown", "outline"])
def test_no_broken_page_takes_long(unit: str, way: str) -> None:
    markup = unit * (200_000 // len(unit))
    started = time.perf_counter()
    if way == "outline":
        outline(markup)
    else:
        render(markup, "https://a.test/", "markdown")
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("unit", ["<b>", "<p>x</p>", "<a b c d e f>", "x" * 50 + "<br>"])
def test_a_page_beyond_reason_gives_text_and_says_so(unit: str) -> None:
    markup = unit * (5_000_000 // len(unit)) + "the end"
    started = time.perf_counter()
    page = render(markup, "https://a.test/", "markdown")
    assert page.note == TOO_LARGE
    assert page.text.endswith("the end")
    assert time.perf_counter() - started < 20


def test_the_outline_leaves_out_what_is_hidden_and_scripts() -> None:
    title, text = outline(PAGE)
    assert title == "The page"
    for gone in ("ghost one", "ghost two", "ghost three", "ghost six", "ghost seven", "ghost eight", "inHead", "color"):
        assert gone not in text
    for kept in ("Usage", "Run go & see more.", "inner", "click", "end"):
        assert kept in text


def test_the_outline_skips_nested_hidden_elements_to_their_end() -> None:
    assert outline("a<div hidden>b<div>c</div>d</div>e<p title='x>y'>f")[1].split() == ["ae", "f"]
    assert outline("<p hidden>a<p>b<ul><li hidden>c<li>d</ul>")[1].split() == ["b", "d"]
    assert outline("1 < 2 <b>and</b> 3 > 2")[1] == "1 < 2 and 3 > 2"


def test_without_the_packages_a_page_is_text_and_says_how_to_get_markdown() -> None:
    script = (
        "import sys\n"
        "sys.modules['markdownify'] = None\n"
        "from a3s_code.capabilities.web.page import render\n"
        "page = render('<title>t</title><p>a<script>b</script><p>c', 'https://a.test/', 'markdown')\n"
        "print((page.title, page.text, page.note))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    title, text, note = eval(done.stdout)
    assert (title, text.split()) == ("t", ["a", "c"])
    assert "pip install 'a3s-code[web]'" in note


@pytest.mark.parametrize(
    ("header", "readable"),
    [
        ("text/html; charset=utf-8", True),
        ("TEXT/plain", True),
        ("application/json", True),
        ("application/vnd.api+json", True),
        ("application/atom+xml", True),
        ("image/svg+xml", True),
        ("application/octet-stream", True),
        ("", True),
        ("image/png", False),
        ("application/pdf", False),
        ("application/zip", False),
        ("video/mp4", False),
    ],
)
def test_a_type_tells_whether_it_is_text(header: str, readable: bool) -> None:
    assert read_kind({"content-type": header}).readable is readable


@pytest.mark.parametrize(
    ("content", "charset", "text"),
    [
        (b'<meta charset="windows-1251">\xcf\xf0\xe8', "", '<meta charset="windows-1251">\u041f\u0440\u0438'),
        (b"<?xml version='1.0' encoding='ISO-8859-2'?>\xb1", "", "<?xml version='1.0' encoding='ISO-8859-2'?>\u0105"),
        (b"\x93quoted\x94", "iso-8859-1", "\u201cquoted\u201d"),
        (b"\xff\xfea\0", "utf-8", "a"),
        (b"caf\xc3\xa9 \xff caf\xc3\xa9 caf\xc3\xa9", "utf-8", "caf\u00e9 \ufffd caf\u00e9 caf\u00e9"),
        (b"abc", "zlib", "abc"),
        (b"a\0b", "utf-8", None),
        (bytes(range(256)), "", None),
    ],
)
def test_a_body_is_read_by_the_character_set_that_fits(content: bytes, charset: str, text: str | None) -> None:
    assert read_text(content, Kind("text/html", charset)) == text


def test_an_announced_size_that_is_none_is_unknown() -> None:
    assert read_kind({"content-length": "12"}).size == 12
    assert read_kind({"content-length": "-1"}).size is None
    assert read_kind({"content-length": "9" * 30}).size is None
