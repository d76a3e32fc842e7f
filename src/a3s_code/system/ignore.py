"""Which files .gitignore files leave out of a search: those that git would leave out, were nothing tracked yet.

The rules of a repository's .git/info/exclude hold as well. What the user's own settings of git name (core.excludesFile)
does not: the same tree gives the same files everywhere. That a file is tracked does not bring it back.

An entry is judged by itself, not by the folders it is in: a search does not enter an ignored folder, and one that was
started in such a folder finds what is there. So does ripgrep, with which the results must agree.

Names and patterns are compared byte by byte, as git does; here each byte is the character of its number.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from a3s_code.system.wildmatch import name_expression, path_expression

NAME = ".gitignore"
MAX_BYTES = 1024 * 1024
_BOM = b"\xef\xbb\xbf"
# Where git and every ripgrep agree.
_PLAIN_NAME = r"(?:(?:[A-Za-z0-9_.+@~=,%$:<>&;' -]|[*?](?!\*)|\[[A-Za-z0-9_.]+\])+|\*\*)"
_PLAIN = re.compile(f"!?/?{_PLAIN_NAME}(?:/{_PLAIN_NAME})*/?")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: an expression for the name, or with a slash in the line for the path from the file's folder."""

    expression: str
    negated: bool
    folders_only: bool
    whole_path: bool


class Rules:
    """One .gitignore file. The last line that matches decides. `plain`: each program would read it in the same way."""

    def __init__(self, content: bytes, *, plain: bool = True) -> None:
        lines = content.removeprefix(_BOM).decode("latin-1").split("\n")
        lines = [line for written in lines if (line := _trim(written))]
        rules = [rule for line in lines if (rule := parse(line)) is not None]
        plain = plain and not content.startswith(_BOM)
        self.plain = plain and all(line.startswith("#") or _PLAIN.fullmatch(line) for line in lines)
        self._runs: list[_Run] = []
        start = 0
        for end in range(1, len(rules) + 1):
            if end == len(rules) or rules[end].negated != rules[start].negated:
                self._runs.insert(0, _Run(rules[start:end]))
                start = end

    def match(self, path: str, *, folder: bool) -> bool | None:
        """True: left out. False: kept by a negated line. None: no line matches."""
        if not path.isascii():
            path = os.fsencode(path).decode("latin-1")
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

    @property
    def plain(self) -> bool:
        """Whether all of the rules are."""
        return self.rules.plain and (self.above is None or self.above.plain)


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


def exclude(top: Path) -> Ignore | None:
    """The rules of the repository whose top folder this is that stand in no .gitignore file."""
    git = top / ".git"
    if git.is_dir():
        rules = _load(git / "info" / "exclude")
    else:
        # Of a second working tree: they are in the folder that all of them share.
        own = top / _first_line(git).removeprefix("gitdir:").strip()
        rules = _load(own / (_first_line(own / "commondir") or ".") / "info" / "exclude", plain=False)
    return None if rules is None else Ignore(rules)


def inherit(root: Path, top: Path | None) -> Ignore | None:
    """The rules that hold in `root` by the folders above it, up to `top`; without a repository up to `/`."""
    above = [folder for folder in root.parents if top is None or folder.is_relative_to(top)]
    ignore = None if top is None else exclude(top)
    for folder in reversed(above):
        step = root.relative_to(folder).parts[0]
        ignore = descend(enter(ignore, folder), step)
    return ignore


def parse(line: str) -> Rule | None:
    """One line of a .gitignore file; None for a comment, a blank line, or one that can match nothing."""
    line = _trim(line)
    negated = line.startswith("!")
    pattern = line[1:] if negated else line
    folders_only = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    if not pattern or line.startswith("#"):
        return None
    whole_path = "/" in pattern
    found = path_expression(pattern.removeprefix("/")) if whole_path else name_expression(pattern)
    return None if found is None else Rule(found, negated, folders_only, whole_path)


def _trim(line: str) -> str:
    """`line` without its end and the blanks there, but for one behind a backslash."""
    line = line.removesuffix("\r")
    kept = re.match(r"(?:\\.|[^\\])*?(?= *$)", line, re.DOTALL)
    return kept[0] if kept else line


def _union(rules: Iterable[Rule]) -> re.Pattern[str] | None:
    expressions = [rule.expression for rule in rules]
    return re.compile("|".join(f"(?:{item})" for item in expressions), re.DOTALL) if expressions else None


def _load(file: Path, *, plain: bool = True) -> Rules | None:
    """The rules of a regular file; as git does, none of what a link leads to."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return Rules(b"", plain=False)
    with open(descriptor, "rb") as opened:  # noqa: PTH123  # a descriptor, not a path
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return Rules(b"", plain=False)
        content = opened.read(MAX_BYTES + 1)
        return Rules(content[:MAX_BYTES], plain=plain and len(content) <= MAX_BYTES)


def _first_line(file: Path) -> str:
    try:
        return file.read_text("utf-8", "surrogateescape").partition("\n")[0]
    except OSError:
        return ""
