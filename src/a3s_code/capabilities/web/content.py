"""What came back: its type as the server says it, and its text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from a3s_code.system.text import BOMS, decode, is_binary

_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([^\s"';]+)""", re.IGNORECASE)
_DECLARED = re.compile(
    rb"""<meta[^<>]{0,200}?charset\s{0,9}=\s{0,9}["']?([a-z0-9_:.-]{1,40})|<\?xml[^<>]{0,100}?encoding=["']([a-z0-9_:.-]{1,40})""",
    re.IGNORECASE,
)
_DECLARED_WITHIN = 4096
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXTS = frozenset(
    (
        *("json", "xml", "javascript", "ecmascript", "x-javascript", "x-ndjson", "jsonlines", "yaml", "x-yaml", "toml"),
        *("sql", "graphql", "x-sh", "x-httpd-php", "x-www-form-urlencoded", "x-tex", "x-latex", "octet-stream"),
    )
)
"""The types application/... that are text; octet-stream is what servers say that do not know."""

_BROADER = {
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
}
"""What pages mean that name an older, narrower set of characters."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a body: `name` such as text/html, "" where the server says none; `size` in bytes as announced."""

    name: str = ""
    charset: str = ""
    size: int | None = None

    @property
    def readable(self) -> bool:
        """Whether it may be text; bytes of no known type may."""
        family, _, name = self.name.partition("/")
        if family == "application" and name in _TEXTS:
            return True
        return family in ("", "text") or name.endswith(("+json", "+xml", "+yaml"))

    def looks_like_html(self, text: str) -> bool:
        """Whether a text of this type is a page; where the type says nothing, by how it begins."""
        if self.name:
            return self.name in _HTML
        return text[:500].lstrip().lower().startswith(("<!doctype html", "<html"))


def read_kind(headers: Mapping[str, str]) -> Kind:
    """The type that the headers, by lower-case names, announce."""
    given = headers.get("content-type", "")
    charset = _CHARSET.search(given)
    size = headers.get("content-length", "")
    return Kind(
        given.partition(";")[0].strip().lower(),
        "" if charset is None else charset[1].lower(),
        int(size) if size.isascii() and size.isdigit() and len(size) < 19 else None,
    )


def read_text(content: bytes, kind: Kind) -> str | None:
    """The text of a body, None where it is binary: by its byte order mark, the announced character set, the declared
    one, else as files are read. A character set that does not fit is passed over."""
    for bom, encoding in BOMS:
        if content.startswith(bom):
            return content[len(bom) :].decode(encoding, "replace")
    found = _DECLARED.search(content, 0, _DECLARED_WITHIN)
    declared = "" if found is None else (found[1] or found[2]).decode("ascii").lower()
    for charset in (kind.charset, declared):
        text = _decode(content, charset)
        if text is not None:
            return None if "\0" in text[:_DECLARED_WITHIN] else text
    if is_binary(content):
        return None
    return decode(content).text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _decode(content: bytes, charset: str) -> str | None:
    if not charset:
        return None
    try:
        return content.decode(_BROADER.get(charset, charset))
    except (LookupError, ValueError):
        return None
