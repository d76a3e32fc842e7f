"""Which files .gitignore files leave out of a search.

An entry is judged by itself, not by the folders it is in: a search does not enter an ignored folder, and one that was
started in such a folder finds what is there. So does ripgrep, with which the results must agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from a3s_code.system.globs import name_expression, path_expression

NAME = ".gitignore"
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: an expression for the name, or with a slash in the line for the path from the file's folder."""

    expression: str
    negated: bool
    folders_only: bool
    whole_path: bool


class Rules:
    """One .gitignore file. The last line that matches decides."""

    def __init__(self, text: str) -> None:
        rules = [rule for line in text.removeprefix("\ufeff").split("\n") if (rule := parse(line)) is not None]
        self._runs: list[_Run] = []
        start = 0
        for end in range(1, len(rules) + 1):
            if end == len(rules) or rules[end].negated != rules[start].negated:
                self._runs.insert(0, _Run(rules[start:end]))
                start = end

    def match(self, path: str, *, folder: bool) -> bool | None:
        """True: left out. False: kept by a negated line. None: no line matches."""
        name = path.rpartition("/")[2]
        for run in self._runs:
            if run.matches(path, name, folder=folder):
                return not run.negated
        return None


class _Run:
    """Neighbouring lines of one kind, whose order does not matter: four expressions instead of many."""

    def __init__(self, rules: list[Rule]) -> None:
        self.negated = rules[0].negated
        self._folder_path = _union(rule for rule in rules if rule.whole_path)
        self._folder_name = _union(rule for rule in rules if not rule.whole_path)
        self._file_path = _union(rule for rule in rules if rule.whole_path and not rule.folders_only)
        self._file_name = _union(rule for rule in rules if not rule.whole_path and not rule.folders_only)

    def matches(self, path: str, name: str, *, folder: bool) -> bool:
        by_name = self._folder_name if folder else self._file_name
        by_path = self._folder_path if folder else self._file_path
        return bool((by_name and by_name.fullmatch(name)) or (by_path and by_path.fullmatch(path)))


@dataclass(frozen=True, slots=True)
class Ignore:
    """The rules that hold in one folder: its own first, then those of the folders above.

    `prefix` leads from the folder of `rules` to the folder it is for: empty, or with a `/` at its end.
    """

    rules: Rules
    prefix: str = ""
    above: Ignore | None = None

    def ignores(self, name: str, *, folder: bool) -> bool:
        """Whether an entry of this folder is left out. The nearest file with an opinion decides."""
        level: Ignore | None = self
        path = name
        while level is not None:
            path = level.prefix + path
            decided = level.rules.match(path, folder=folder)
            if decided is not None:
                return decided
            level = level.above
        return False


def enter(above: Ignore | None, folder: Path) -> Ignore | None:
    """The rules inside `folder`: `above`, as seen from there, and its own."""
    rules = _load(folder / NAME)
    return above if rules is None else Ignore(rules, "", above)


def descend(above: Ignore | None, name: str) -> Ignore | None:
    """The rules of a folder as they are seen from its sub-folder `name`."""
    return None if above is None else Ignore(above.rules, f"{above.prefix}{name}/", above.above)


def repository(root: Path) -> Path | None:
    """The nearest folder, `root` or above it, that is the top of a git repository."""
    return next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)


def inherit(root: Path, top: Path | None) -> Ignore | None:
    """The rules that hold in `root` by the folders above it, up to `top`; without a repository up to `/`."""
    above = [folder for folder in root.parents if top is None or folder.is_relative_to(top)]
    ignore: Ignore | None = None
    for folder in reversed(above):
        step = root.relative_to(folder).parts[0]
        ignore = descend(enter(ignore, folder), step)
    return ignore


def parse(line: str) -> Rule | None:
    """One line of a .gitignore file; None for a comment, a blank line, or one that can match nothing."""
    line = re.sub(r"(?<!\\) +$", "", line.removesuffix("\r"))
    negated = line.startswith("!")
    pattern = line[1:] if negated else line
    folders_only = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    if not pattern or line.startswith("#"):
        return None
    whole_path = "/" in pattern
    expression = path_expression(pattern) if whole_path else name_expression(pattern)
    return Rule(expression, negated, folders_only, whole_path)


def _union(rules: Iterable[Rule]) -> re.Pattern[str] | None:
    expressions = [rule.expression for rule in rules]
    return re.compile("|".join(f"(?:{item})" for item in expressions), re.DOTALL) if expressions else None


def _load(file: Path) -> Rules | None:
    try:
        with file.open("rb") as opened:
            return Rules(opened.read(MAX_BYTES).decode("utf-8", "surrogateescape"))
    except OSError:
        return None
