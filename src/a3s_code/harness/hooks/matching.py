"""Which payloads a hook is called for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from a3s_code.errors import InvalidOption
from a3s_code.kernel.hook import HookMatcher, snake_case
from a3s_code.system.globs import GlobError, compile_glob, name_expression

MAX_COMMAND = 8_192
"""Characters of a command that an expression is tried on."""

_PATH_ARGUMENTS = frozenset({"file_path", "path", "file", "filename", "paths"})
_PATCH_ARGUMENTS = frozenset({"diff", "patch"})
_PATCHED = re.compile(
    r"^(?:\*\*\* (?:Add File|Update File|Delete File|Move to): |(?:---|\+\+\+) )([^\t\n]+)", re.MULTILINE
)

Test = Callable[[Mapping[str, Any]], bool]


class Matching:
    """A matcher, ready to be asked. Raises InvalidOption for a path pattern that cannot be one."""

    __slots__ = ("_tests",)

    def __init__(self, matcher: HookMatcher) -> None:
        self._tests: list[Test] = []
        if matcher.session_id is not None:
            self._tests.append(_equal(("session_id",), matcher.session_id))
        if matcher.skill is not None:
            self._tests.append(_equal(("skill_name", "skill"), matcher.skill))
        if matcher.tool is not None:
            self._tests.append(_tool(matcher.tool))
        if matcher.command_pattern is not None:
            self._tests.append(_command(matcher.command_pattern))
        if matcher.path_pattern is not None:
            self._tests.append(_path(matcher.path_pattern))

    def covers(self, payload: Mapping[str, Any]) -> bool:
        """Whether all that the matcher names is so in the payload."""
        return all(test(payload) for test in self._tests)


def _equal(keys: tuple[str, ...], wanted: str) -> Test:
    return lambda payload: any(payload.get(key) == wanted for key in keys)


def _tool(pattern: str) -> Test:
    names = "|".join(name_expression(name.strip()) for name in pattern.split("|"))
    expression = re.compile(f"(?:{names})", re.IGNORECASE)
    return lambda payload: expression.fullmatch(str(payload.get("tool", ""))) is not None


def _command(pattern: str) -> Test:
    """A command too long to be searched counts as found: a guard must not be dodged by length."""
    expression = re.compile(pattern)

    def test(payload: Mapping[str, Any]) -> bool:
        command = _arguments(payload).get("command")
        if not isinstance(command, str):
            return False
        return len(command) > MAX_COMMAND or expression.search(command) is not None

    return test


def _path(pattern: str) -> Test:
    pattern = os.path.expanduser(pattern)  # noqa: PTH111 - a text with wildcards, not a path
    try:
        anchored = compile_glob(pattern.removeprefix("./"))
        below = compile_glob(f"**/{pattern}") if "/" not in pattern.rstrip("/") else anchored
    except GlobError as error:
        raise InvalidOption(f"path_pattern cannot be used: {error}", field="matcher.path_pattern") from error
    absolute = pattern.startswith("/")

    def test(payload: Mapping[str, Any]) -> bool:
        root = str(payload.get("working_directory") or "/")
        return any(_meets(path, root) for path in _paths(_arguments(payload)))

    def _meets(path: str, root: str) -> bool:
        return any(
            expression.fullmatch(form) is not None
            for spelling in _spellings(path, root, absolute)
            for form in _with_folders(spelling)
            for expression in (anchored, below)
        )

    return test


def _arguments(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    given = payload.get("args")
    return cast("Mapping[str, Any]", given) if isinstance(given, Mapping) else {}


def _paths(arguments: Mapping[str, Any]) -> Iterator[str]:
    for key, value in arguments.items():
        name = snake_case(str(key))
        if name in _PATH_ARGUMENTS:
            yield from (
                item for item in (value if isinstance(value, list | tuple) else [value]) if isinstance(item, str)
            )
        elif name in _PATCH_ARGUMENTS and isinstance(value, str):
            for found in _PATCHED.findall(value):
                yield found.strip()
                yield re.sub(r"^[ab]/", "", found.strip())


def _spellings(path: str, root: str, absolute: bool) -> set[str]:
    """The path as it can be meant, without a leading slash: normalised, and with links resolved."""
    spelled = os.path.normpath(Path(root, os.path.expanduser(path)))  # noqa: PTH111 - links must stay for now
    real_root = os.path.realpath(root)
    real = os.path.realpath(spelled) if "\0" not in path else spelled
    if absolute:
        return {spelled.lstrip("/"), real.lstrip("/")}
    return {os.path.relpath(spelled, root), os.path.relpath(real, real_root)}


def _with_folders(path: str) -> Iterator[str]:
    """The path and the folders it is in."""
    while path:
        yield path
        path = path.rpartition("/")[0]
