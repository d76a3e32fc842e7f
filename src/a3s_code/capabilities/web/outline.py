"""The text of an HTML page without an HTML parser: in linear time whatever the page, and less exact than one."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_TAG = re.compile(r"""<(/?)([a-zA-Z][a-zA-Z0-9:-]*)((?:[^<>"']|"[^"<]*"|'[^'<]*'|["'])*+)>""")
_BLANKS = re.compile(r"[ \t\r\f\v\xa0]+")
_HIDES = re.compile(
    r"""(?:^|\s)hidden(?:\s|=|/|$)|style\s*=\s*["'][^"']*(?:display\s*:\s*none|visibility\s*:\s*hidden)""",
    re.IGNORECASE,
)
_RAW = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "object", "textarea", "select"})
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)  # fmt: skip
_ENDED_BY_THE_NEXT = frozenset({"p", "li", "dt", "dd", "option", "tr", "td", "th"})
BLOCKS = (
    *("address", "article", "aside", "blockquote", "br", "caption", "dd", "details", "div", "dl", "dt", "figcaption"),
    *("figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol"),
    *("option", "p", "pre", "section", "summary", "table", "td", "th", "title", "tr", "ul"),
)
"""The elements that stand on lines of their own."""


def outline(markup: str) -> tuple[str, str]:
    """Title and text of a page, blocks on lines of their own; scripts, styles, comments, hidden parts left out.

    Where a hidden element never ends, the rest of the page is left out with it.
    """
    title: list[str] = []
    text: list[str] = []
    inside_title = False
    for name, piece in _read(markup):
        if name in ("title", "/title"):
            inside_title = name == "title" and not title
        elif name:
            if name.removeprefix("/") in BLOCKS:
                text.append("\n")
        else:
            (title if inside_title else text).append(html.unescape(piece))
    return tidy("".join(title)).replace("\n", " "), tidy("".join(text))


def tidy(text: str) -> str:
    """`text` with runs of blanks as one, no blanks at the ends of lines, and at most one empty line in a row."""
    lines: list[str] = []
    for line in _BLANKS.sub(" ", text).split("\n"):
        stripped = line.strip()
        if stripped or (lines and lines[-1]):
            lines.append(stripped)
    return "\n".join(lines).strip()


def _read(markup: str) -> Iterator[tuple[str, str]]:
    """Tags by name, an end with a slash before it, and the texts between them under the name ""."""
    position = 0
    while (start := markup.find("<", position)) >= 0:
        if start > position:
            yield "", markup[position:start]
        if markup.startswith("<!--", start):
            position = _after(markup, "-->", start + 4)
            continue
        if markup.startswith(("<!", "<?"), start):
            position = _after(markup, ">", start)
            continue
        tag = _TAG.match(markup, start)
        if tag is None:
            yield "", "<"
            position = start + 1
            continue
        position = tag.end()
        name = tag[2].lower()
        if not tag[1] and (name in _RAW or (name not in _VOID and _HIDES.search(tag[3]))):
            position = _skip(markup, name, position)
        else:
            yield f"{tag[1]}{name}", ""
    if position < len(markup):
        yield "", markup[position:]


def _after(markup: str, end: str, start: int) -> int:
    found = markup.find(end, start)
    return len(markup) if found < 0 else found + len(end)


def _skip(markup: str, name: str, start: int) -> int:
    """The position after the end of an element that began before `start`."""
    depth = 1
    for tag in re.compile(rf"<(/?){re.escape(name)}\b[^<>]*>", re.IGNORECASE).finditer(markup, start):
        if name in _ENDED_BY_THE_NEXT:
            return tag.end() if tag[1] else tag.start()
        depth += -1 if tag[1] else name not in _RAW
        if depth == 0:
            return tag.end()
    return len(markup)
