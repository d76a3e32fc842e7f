"""File patterns: `*` and `?` within one folder, `**` across folders, `[a-z]` and `[!a]`, `{a,b}`, `\\` to escape.

A pattern becomes a regular expression whose parts cannot be retried, so that no pattern takes long on any path.
"""

from __future__ import annotations

import re
from itertools import product

MAX_ALTERNATIVES = 256


class GlobError(ValueError):
    """A pattern that is empty, or asks for too much."""


def compile_glob(pattern: str) -> re.Pattern[str]:
    """An expression that fullmatch()es relative paths with `/`; raises GlobError."""
    if not pattern:
        raise GlobError("the pattern is empty")
    alternatives = _expand(pattern)
    return re.compile("|".join(f"(?:{path_expression(item)})" for item in alternatives), re.DOTALL)


def _expand(pattern: str) -> list[str]:
    """The patterns that a pattern with braces stands for."""
    parts: list[list[str]] = [[""]]
    position = 0
    while position < len(pattern):
        end = _closing(pattern, position) if pattern[position] == "{" else -1
        if end < 0:
            size = 2 if pattern[position] == "\\" else 1
            parts[-1] = [item + pattern[position : position + size] for item in parts[-1]]
            position += size
            continue
        choices = [item for choice in _split(pattern[position + 1 : end]) for item in _expand(choice)]
        parts += [choices, [""]]
        position = end + 1
        if len(choices) > MAX_ALTERNATIVES:
            raise GlobError(f"the braces stand for more than {MAX_ALTERNATIVES} patterns")
    total = 1
    for part in parts:
        total *= len(part)
    if total > MAX_ALTERNATIVES:
        raise GlobError(f"the braces stand for more than {MAX_ALTERNATIVES} patterns")
    return ["".join(item) for item in product(*parts)]


def _closing(pattern: str, start: int) -> int:
    """Where the brace at `start` closes; -1 where it does not, or holds no comma: then it is an ordinary character."""
    depth, comma, position = 0, False, start
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            position += 1
        elif char == "{":
            depth += 1
        elif char == "," and depth == 1:
            comma = True
        elif char == "}":
            depth -= 1
            if depth == 0:
                return position if comma else -1
        position += 1
    return -1


def _split(choices: str) -> list[str]:
    found, depth, start, position = [], 0, 0, 0
    while position < len(choices):
        char = choices[position]
        position += 2 if char == "\\" else 1
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            found.append(choices[start : position - 1])
            start = position
    return [*found, choices[start:]]


def path_expression(pattern: str) -> str:
    """The expression for a pattern without braces."""
    names = [name for name in pattern.split("/") if name not in ("", ".")]
    if pattern.endswith("/"):
        names.append("**")
    runs: list[list[str]] = [[]]
    for name in names:
        if name == "**":
            runs.append([])
        else:
            runs[-1].append(name_expression(name))
    first, *rest = ["/".join(run) for run in runs]
    if not rest:
        return first
    # As between two stars in a name: the first place where a run fits is as good as any later one.
    middle = "".join(f"(?>(?:[^/]+/)*?{run}/)" for run in rest[:-1] if run)
    end = f"(?:[^/]+/)*{rest[-1]}" if rest[-1] else ".+"
    return f"{first}/{middle}{end}" if first else f"{middle}{end}"


def name_expression(pattern: str) -> str:
    """The expression for one name. What stands between two stars is taken where it is found first: a later place would
    not help, so it is never tried."""
    fixed: list[str] = [""]
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            if len(fixed) == 1 or fixed[-1]:
                fixed.append("")
        elif char == "?":
            fixed[-1] += "[^/]"
        elif char == "[" and (end := _set_end(pattern, position)) > 0:
            fixed[-1] += _set(pattern[position:end])
            position = end + 1
        elif char == "\\" and position < len(pattern):
            fixed[-1] += re.escape(pattern[position])
            position += 1
        else:
            fixed[-1] += re.escape(char)
    if len(fixed) == 1:
        return fixed[0]
    middle = "".join(f"(?>[^/]*?{item})" for item in fixed[1:-1])
    return f"{fixed[0]}{middle}[^/]*{fixed[-1]}"


def _set_end(pattern: str, start: int) -> int:
    first = start + (pattern[start : start + 1] in ("!", "^"))
    return pattern.find("]", first + 1)


def _set(content: str) -> str:
    negated = content[0] in "!^"
    inner = re.sub(r"([\\\[\]&~|^])", r"\\\1", content[1:] if negated else content)
    inner = re.sub(r"(.)-(.)", lambda found: found[0] if found[1] <= found[2] else "", inner)
    if negated:
        return f"[^/{inner}]"
    return f"(?!/)[{inner}]" if inner else "(?!)"
