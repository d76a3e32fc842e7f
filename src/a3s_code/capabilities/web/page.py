"""An HTML page as Markdown or as text: what a reader would see, without scripts, styles, comments and hidden parts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urljoin

from a3s_code.capabilities.web.outline import BLOCKS, outline, tidy

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

Style = Literal["markdown", "text"]
NOT_INSTALLED = "[plain text: Markdown takes `pip install 'a3s-code[web]'`]"
TOO_LARGE = "[plain text: the page is too large for Markdown]"
TOO_NESTED = "[plain text: the page is nested too deep for Markdown]"
MAX_MARKUP = 2_000_000
MAX_TAGS = 60_000
"""A tree of more takes hundreds of megabytes and many seconds."""

MAX_DEPTH = 150
MAX_INDENTED = 50_000_000
"""Characters times levels of lists and quotes; each level indents all that is in it once more."""

_UNSEEN = (
    *("script", "style", "template", "noscript", "svg", "math", "iframe", "object", "embed", "canvas", "audio"),
    *("video", "link", "meta", "input", "select", "textarea", "button", "dialog", "nav"),
)
_BLOCK_NAMES = frozenset(BLOCKS)
_CLOSE = frozenset({"li", "tr", "td", "th", "dd", "dt", "option", "summary", "caption", "figcaption"})
"""Blocks that follow each other without an empty line."""

MAX_RUN = 40
_INDENTING = frozenset({"ul", "ol", "blockquote"})
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|(?:opacity|font-size)\s*:\s*0+(?:\.0+)?(?:px|em|rem|pt|%)?\s*"
    r"(?:;|!|$)",
    re.IGNORECASE,
)
_DECLARATION = re.compile(r"<\?xml[^<>]*>", re.IGNORECASE)
_LONG_RUN = re.compile(r"\s{100,}")
_BLANKS = re.compile(r"\s+")
_EMPTY_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")


@dataclass(frozen=True, slots=True)
class Page:
    """A page's title and text; `note`, where not "", says what could not be done."""

    title: str
    text: str
    note: str = ""


def render(markup: str, url: str, style: Style) -> Page:
    """The page that `markup`, fetched from `url`, shows; links become absolute.

    Where the packages for it are not installed, and where a page is large or nested beyond reason, the text comes in
    place of Markdown, with a note.
    """
    if "<" not in markup:
        return Page("", tidy(markup))
    try:
        import markdownify
        from bs4 import BeautifulSoup, FeatureNotFound
    except ImportError:
        return _outline(markup, style, NOT_INSTALLED)
    if len(markup) > MAX_MARKUP or markup.count("<") > MAX_TAGS:
        return _outline(markup, style, TOO_LARGE)
    try:
        # The parser of the standard library takes quadratic time on some broken pages.
        soup = BeautifulSoup(_drop_declaration(markup), "lxml")
    except FeatureNotFound:
        return _outline(markup, style, NOT_INSTALLED)
    title = tidy(soup.title.get_text()).replace("\n", " ") if soup.title is not None else ""
    _prune(soup)
    if style == "text":
        return Page(title, _read_text(soup))
    if not _is_shallow(soup):
        return Page(title, _read_text(soup), TOO_NESTED)
    _squeeze(soup)
    _resolve_links(soup, url)
    converter: Any = markdownify.MarkdownConverter(
        heading_style="ATX", bullets="-", code_language_callback=_find_language
    )
    return Page(title, _EMPTY_LINES.sub("\n\n", converter.convert_soup(soup)).strip())


def _outline(markup: str, style: Style, note: str) -> Page:
    title, text = outline(markup)
    return Page(title, text, note if style == "markdown" else "")


def _drop_declaration(markup: str) -> str:
    """`markup` without an XML declaration, at which the parser would warn of XML."""
    begun = markup.lstrip("\ufeff \t\r\n")
    found = _DECLARATION.match(begun)
    return begun if found is None else begun[found.end() :]


def _prune(soup: BeautifulSoup) -> None:
    from bs4.element import PreformattedString

    # Comments, doctypes and the like are what bs4 calls preformatted.
    for string in soup.find_all(string=lambda text: isinstance(text, PreformattedString)):
        string.extract()
    if soup.head is not None:
        soup.head.decompose()
    _remove(soup.find_all(_UNSEEN))
    _remove(tag for tag in soup.find_all(True) if _is_hidden(tag))


def _remove(tags: Iterable[Tag]) -> None:
    for tag in list(tags):
        if not tag.decomposed:
            tag.decompose()


def _is_hidden(tag: Tag) -> bool:
    style = tag.attrs.get("style", "")
    return "hidden" in tag.attrs or bool(isinstance(style, str) and style and _HIDING.search(style))


def _read_text(soup: BeautifulSoup) -> str:
    """The text, with blocks on lines of their own; blanks are as a browser shows them."""
    # Each node's nearest block is noted on the way down: looking it up from below takes quadratic time on a deep page.
    places: dict[int, tuple[int, bool, bool]] = {id(soup): (0, False, False)}
    lines = [""]
    current = 0
    for node in soup.descendants:
        block, close, preformatted = places.get(id(node.parent), (0, False, False))
        name = getattr(node, "name", None)
        if name == "br":
            lines.append("")
        elif name is not None:
            if name in _BLOCK_NAMES:
                block, close = id(node), name in _CLOSE
            places[id(node)] = (block, close, preformatted or name == "pre")
        elif preformatted or str(node).strip():
            if block != current:
                lines += [""] if close else ["", ""]
                current = block
            _add_text(lines, str(node), preformatted)
        elif lines[-1]:
            lines[-1] += " "
    return _EMPTY_LINES.sub("\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n")


def _add_text(lines: list[str], text: str, preformatted: bool) -> None:
    if preformatted:
        first, *rest = text.split("\n")
        lines[-1] += first
        lines.extend(rest)
        return
    shown = _BLANKS.sub(" ", text)
    lines[-1] += shown if lines[-1] and not lines[-1].endswith(" ") else shown.lstrip()


def _is_shallow(soup: BeautifulSoup) -> bool:
    """Whether Markdown can be made of it in reasonable time and memory: depth, and text by levels of indent."""
    depths: dict[int, tuple[int, int]] = {id(soup): (0, 0)}
    indented = 0
    for node in soup.descendants:
        depth, levels = depths.get(id(node.parent), (0, 0))
        name = getattr(node, "name", None)
        if name is None:
            indented += len(str(node)) * levels
        else:
            depths[id(node)] = (depth + 1, levels + (name in _INDENTING))
        if depth > MAX_DEPTH or indented > MAX_INDENTED:
            return False
    return True


def _squeeze(soup: BeautifulSoup) -> None:
    """Make runs of blanks short, and code plain text: the converter takes quadratic time on long runs."""
    for block in soup.find_all("pre"):
        if block.decomposed or block.find_parent("pre") is not None:
            continue
        language = _find_language(block)
        block.string = _LONG_RUN.sub(lambda found: found[0][:MAX_RUN], block.get_text())
        block.attrs = {"class": f"language-{language}"} if language else {}
    for string in list(soup.find_all(string=_LONG_RUN)):
        if string.find_parent("pre") is None:
            string.replace_with(_BLANKS.sub(" ", string))


def _resolve_links(soup: BeautifulSoup, url: str) -> None:
    for tag in soup.find_all(["a", "img"]):
        key = "href" if tag.name == "a" else "src"
        given = tag.attrs.get(key)
        if not isinstance(given, str):
            continue
        target = _join(url, given)
        if target is not None:
            tag.attrs[key] = target
        elif tag.name == "img":
            tag.decompose()
        else:
            del tag.attrs[key]


def _join(url: str, given: str) -> str | None:
    """The absolute target of a link; None for a script, inline data, and what is no link."""
    try:
        target = urljoin(url, given.strip())
    except ValueError:
        return None
    return target if target.partition(":")[0].lower() in ("http", "https", "mailto") else None


def _find_language(block: Tag) -> str:
    """The language that the class of a code block names, as most highlighters do."""
    for tag in (block, block.find("code")):
        classes = getattr(tag, "attrs", {}).get("class") or []
        for name in classes if isinstance(classes, list) else [classes]:
            if name.startswith(("language-", "lang-", "highlight-source-")):
                return str(name.rpartition("-")[2])
    return ""
