"""What the patterns of rules match: command text, paths."""

from __future__ import annotations

import os
import re

_WILD = re.compile(r"[*?\[]")


class TextPattern:
    """A pattern over text: `*` is any run of characters; matching takes time linear in the text.

    `p:*` is p alone or p, a blank and anything. One trailing ` *` may be absent from the text.
    """

    __slots__ = ("_alternatives", "_fold", "_whole", "exact", "literal")

    def __init__(self, pattern: str, *, ignore_case: bool) -> None:
        text = pattern.casefold() if ignore_case else pattern
        spellings: tuple[str, ...]
        if text.endswith(":*"):
            spellings = (text[:-2], text[:-2] + " *")
        elif text.endswith(" *"):
            spellings = (text[:-2], text)
        else:
            spellings = (text,)
        self._alternatives = tuple(tuple(spelling.split("*")) for spelling in spellings)
        self._fold = ignore_case
        self.literal = self._alternatives[0][0]
        self.exact = "*" not in text
        self._whole = len(self._alternatives[0]) == 1

    def matches(self, text: str) -> bool:
        folded = text.casefold() if self._fold else text
        return any(_match_pieces(pieces, folded) for pieces in self._alternatives)

    def named_words(self) -> frozenset[str]:
        """The words that it names in full before its first wildcard."""
        words = self.literal.split(" ")
        return frozenset(words if self._whole else words[:-1])

    def may_match_after(self, start: str) -> bool:
        """Whether some text that begins with `start` could match."""
        start = start.casefold() if self._fold else start
        return start.startswith(self.literal) or self.literal.startswith(start)


def _match_pieces(pieces: tuple[str, ...], text: str) -> bool:
    if len(pieces) == 1:
        return text == pieces[0]
    first, *middle, last = pieces
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


class PathPattern:
    """A pattern over real absolute paths.

    `*` stays within one folder, `**` crosses them, `?` is one character, `[..]` a set. Without a slash the pattern
    matches a name at any depth; with one it is anchored at the workspace; `~` is the home folder; an absolute pattern
    stands as it is. A folder's name covers what is beneath.

    A `granting` pattern heeds case, holds inside the workspace unless it is absolute, and `folder/**` does not cover
    writing `folder` itself. A restricting one ignores case, a bare name matches anywhere, and so does `name/`.
    """

    __slots__ = (
        "_bare",
        "_beneath",
        "_beneath_workspace",
        "_expression",
        "_granting",
        "_workspace",
        "absolute",
        "base",
        "wild",
    )

    def __init__(self, pattern: str, workspace: str, home: str, *, granting: bool) -> None:
        self._workspace = workspace
        self._beneath_workspace = workspace.rstrip("/") + "/"
        self._granting = granting
        if pattern == "~" or pattern.startswith("~/"):
            pattern = home + pattern[1:]
        self.absolute = pattern.startswith("/")
        beneath_only = pattern.endswith("/**")
        self._bare = "/" not in (pattern if granting else pattern.rstrip("/") or "/")
        pattern = pattern.removesuffix("/**").rstrip("/") or "/"
        flags = re.DOTALL | (0 if granting else re.IGNORECASE)
        if self._bare:
            self.base, self.wild = workspace, True
            body = f"(?:.*/)?{_either(pattern)}"
        else:
            full = os.path.normpath(pattern if self.absolute else f"{workspace}/{pattern}")
            self.base, rest = _split_literal(full)
            self.wild = bool(rest)
            bases = {os.path.realpath(self.base)} if granting else {os.path.realpath(self.base), self.base}
            heads = "|".join(re.escape(base.rstrip("/")) for base in sorted(bases))
            body = f"(?:{heads})" + (f"/{_either(rest)}" if rest else "")
        self._expression = re.compile(f"{body}(?:/.*)?", flags)
        self._beneath = re.compile(f"{body}/.+", flags) if beneath_only and granting else None

    def matches(self, path: str, *, reading: bool = True) -> bool:
        """Whether `path`, absolute and normalised, is covered; `reading` False for an effect that changes it."""
        subject = path
        if self._bare:
            inside = path == self._workspace or path.startswith(self._beneath_workspace)
            if self._granting and not inside:
                return False
            subject = path[len(self._beneath_workspace) :] if inside else path[1:]
        expression = self._expression if reading or self._beneath is None else self._beneath
        return expression.fullmatch(subject) is not None


def _split_literal(path: str) -> tuple[str, str]:
    """The leading folders without a wildcard, and the rest."""
    segments = path.split("/")
    for index, segment in enumerate(segments):
        if _WILD.search(segment):
            return "/".join(segments[:index]) or "/", "/".join(segments[index:])
    return path, ""


def _either(glob: str) -> str:
    """`glob` translated, or else taken letter by letter: files may be called `[id].ts`."""
    return f"(?:{_translate(glob)}|{re.escape(glob)})" if _WILD.search(glob) else re.escape(glob)


def _translate(glob: str) -> str:
    out: list[str] = []
    position = 0
    while position < len(glob):
        if glob.startswith("**/", position) and (position == 0 or glob[position - 1] == "/"):
            out.append("(?:.*/)?")
            position += 3
        elif glob.startswith("**", position):
            out.append(".*")
            position += 2
        else:
            char = glob[position]
            end = glob.find("]", position + 2) if char == "[" else -1
            if end > 0:
                out.append(_translate_set(glob[position + 1 : end]))
                position = end
            else:
                out.append({"*": "[^/]*", "?": "[^/]"}.get(char) or re.escape(char))
            position += 1
    return "".join(out)


def _translate_set(inside: str) -> str:
    negated = inside[0] in "!^" and len(inside) > 1
    members = inside[1:] if negated else inside
    out: list[str] = []
    position = 0
    while position < len(members):
        first = members[position]
        last = (
            members[position + 2] if members[position + 1 : position + 2] == "-" and position + 2 < len(members) else ""
        )
        if last and last < first:
            return re.escape(f"[{inside}]")
        out.append(f"{re.escape(first)}-{re.escape(last)}" if last else re.escape(first))
        position += 3 if last else 1
    return f"(?!/)[{'^' if negated else ''}{''.join(out)}]"
