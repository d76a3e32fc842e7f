"""The names of files in a diff: quoted, dated, with the prefixes of git."""

from __future__ import annotations

import re

from a3s_code.capabilities.core_tools.patching.change import Malformed

_NULL = "/dev/null"
_PREFIX = re.compile(r"[abciow12]/")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def read_name(text: str, line: int) -> str:
    """The name after `--- ` and the like: unquoted, without a date; raises Malformed for none."""
    quoted = _QUOTED.match(text)
    name = _unquote(quoted[1]) if quoted else text.split("\t")[0].rstrip("\r ")
    if not name:
        raise Malformed("the name of a file is missing", line)
    return name


def read_git_pair(text: str, line: int) -> tuple[str, str] | None:
    """The two names after `diff --git `; None where they cannot be told apart, and other lines have to name them."""
    text = text.rstrip("\r")
    quoted = _QUOTED.match(text)
    if quoted:
        return _unquote(quoted[1]), read_name(text[quoted.end() :].lstrip(" "), line)
    if text.endswith('"') and ' "' in text:
        old, _, new = text.partition(' "')
        return old, read_name(f'"{new}', line)
    if text.count(" ") == 1:
        old, _, new = text.partition(" ")
        return old, new
    # A name may hold blanks; unless it changed, both halves are the same beside their prefixes.
    middle = len(text) // 2
    old, new = text[:middle], text[middle + 1 :]
    same = text[middle : middle + 1] == " " and strip_pair(old, new)[0] == strip_pair(old, new)[1]
    return (old, new) if same else None


def strip_pair(old: str, new: str) -> tuple[str, str]:
    """Both names without the prefixes `a/` and `b/`, if they have them."""
    if _NULL in (old, new):
        return (old, new.removeprefix("b/")) if old == _NULL else (old.removeprefix("a/"), new)
    if old[:2] == "a/" and new[:2] == "b/":
        return old[2:], new[2:]
    # git also writes i/ and w/, c/ and o/; then only the first letter tells the names apart.
    if old != new and old[2:] == new[2:] and _PREFIX.match(old) and _PREFIX.match(new):
        return old[2:], new[2:]
    return old, new


def agree(old: str, new: str, file_path: str, line: int) -> tuple[str, str]:
    """The names of the one file of a diff as `file_path` gives it; raises Malformed where both names are another's."""
    names = [name for name in dict.fromkeys((old, new)) if name != _NULL]
    if not any(_ends_with(name, file_path) or _ends_with(file_path, name) for name in names):
        raise Malformed(f"it is about {' and '.join(names)}, but file_path says {file_path}", line)
    return (_NULL if old == _NULL else file_path), (_NULL if new == _NULL else file_path)


def _ends_with(longer: str, shorter: str) -> bool:
    whole, tail = (_parts(name) for name in (longer, shorter))
    return whole[-len(tail) :] == tail


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _unquote(text: str) -> str:
    def put(found: re.Match[bytes]) -> bytes:
        code = found[1]
        return bytes([int(code, 8) & 0xFF]) if len(code) == 3 else _LETTERS.get(code, code)

    return _ESCAPE.sub(put, text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
