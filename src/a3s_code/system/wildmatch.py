"""The patterns of git's ignore files, as git matches them, read into regular expressions.

The expressions have parts that cannot be retried, so that no pattern takes long on any path.
"""

from __future__ import annotations

import re

_NAMED = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": "\\t ",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t-\\r ",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


def name_expression(pattern: str) -> str | None:
    """An expression that fullmatch()es names; None for a pattern that can match nothing."""
    return None if _split(pattern) is None else _name(pattern)


def path_expression(pattern: str) -> str | None:
    """An expression that fullmatch()es relative paths with `/`; None for a pattern that can match nothing.

    What comes before the first sign is compared by itself, so that `**` right behind it goes across folders.
    """
    fixed = re.match(r"[^*?\[\\]*", pattern)
    plain = fixed[0] if fixed else ""
    names = _split(pattern[len(plain) :])
    if names is None or not {"", ".", ".."}.isdisjoint(pattern.split("/")):
        return None
    return re.escape(plain) + (_path(names) if names != [""] else "")


def _split(pattern: str) -> list[str] | None:
    """The names of a path; a set may hold a slash, which it never matches."""
    names = [""]
    position = 0
    while position < len(pattern):
        end = _token_end(pattern, position)
        if end is None:
            return None
        if pattern[position] == "/":
            names.append("")
        else:
            names[-1] += pattern[position:end]
        position = end
    return names


def _token_end(pattern: str, start: int) -> int | None:
    """Where what starts here ends: a character, one behind a backslash, or a set. None: nowhere."""
    if pattern[start] == "\\":
        return start + 2 if start + 1 < len(pattern) else None
    return _set(pattern, start)[1] if pattern[start] == "[" else start + 1


def _path(names: list[str]) -> str:
    runs: list[list[str]] = [[]]
    for name in names:
        if len(name) > 1 and not name.strip("*"):
            runs.append([])
        else:
            runs[-1].append(_name(name))
    first, *rest = ["/".join(run) for run in runs]
    if not rest:
        return first
    # As between two stars in a name: the first place where a run fits is as good as any later one.
    middle = "".join(f"(?>(?:[^/]+/)*?{run}/)" for run in rest[:-1] if run)
    end = f"(?:[^/]+/)*{rest[-1]}" if rest[-1] else ".*"
    return f"{first}/{middle}{end}" if first else f"{middle}{end}"


def _name(pattern: str) -> str:
    """What stands between two stars is taken where it is found first: a later place would not help."""
    fixed: list[str] = [""]
    position = 0
    while position < len(pattern):
        char = pattern[position]
        end = _token_end(pattern, position) or len(pattern)
        if char == "*":
            if len(fixed) == 1 or fixed[-1]:
                fixed.append("")
        elif char == "[":
            fixed[-1] += _set(pattern, position)[0]
        else:
            fixed[-1] += "[^/]" if char == "?" else re.escape(pattern[end - 1])
        position = end
    if len(fixed) == 1:
        return fixed[0]
    middle = "".join(f"(?>[^/]*?{item})" for item in fixed[1:-1])
    return f"{fixed[0]}{middle}[^/]*{fixed[-1]}"


def _set(pattern: str, start: int) -> tuple[str, int | None]:
    """The expression for the set that starts here, and where it ends; None where it has no end or no meaning."""
    position = start + 1
    negated = pattern[position : position + 1] in ("!", "^") and position < len(pattern)
    position += negated
    first = position
    found: list[str] = []
    before = ""
    while position < len(pattern) and (pattern[position] != "]" or position == first):
        char = pattern[position]
        after = pattern[position + 1 : position + 2]
        named = re.compile(r"\[:([^\]]*):\]").match(pattern, position)
        if named:
            if named[1] not in _NAMED:
                return "", None
            found.append(_NAMED[named[1]])
            position, before = named.end(), ""
        elif char == "-" and before and after not in ("", "]"):
            position += 3 if after == "\\" else 2
            high = pattern[position - 1 : position]
            found.append(f"{re.escape(before)}-{re.escape(high)}" if before <= high else "")
            before = ""
        else:
            position += 2 if char == "\\" else 1
            before = pattern[position - 1 : position]
            found.append(re.escape(before))
    if position >= len(pattern):
        return "", None
    inner = "".join(found)
    if negated:
        return f"[^/{inner}]", position + 1
    return (f"(?!/)[{inner}]" if inner else "(?!)"), position + 1
