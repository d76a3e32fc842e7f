"""The typed verbs: what each takes, how it is written, and which names may stand in it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from a3s_code.capabilities.git.failures import invalid

VALUED = frozenset({"message", "max_count", "since", "until", "author", "grep", "name"})
MAX_COUNT = 200

_BAD_IN_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f?*\[\\]|@\{[^}]*[^\w}/.@-]|\{/")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_STASH = re.compile(r"stash@\{[0-9]{1,6}\}")


@dataclass(frozen=True, slots=True)
class Option:
    """A field that is written as an option; `spellings` are all that mean the same, the first is ours. Without a
    field it is taken and changes nothing, for what it asks for is done anyway."""

    field: str
    spellings: tuple[str, ...]

    @property
    def valued(self) -> bool:
        return self.field in VALUED


@dataclass(frozen=True, slots=True)
class Shape:
    """How one thing that git does is asked for: `git <words> <options> <operands> -- <paths>`.

    `operands` are the fields that stand for themselves, in order; `bare` paths need no `--` before them. `also` are
    names of arguments that mean another field here.
    """

    words: tuple[str, ...]
    options: tuple[Option, ...] = ()
    operands: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    reads: bool = False
    paths: bool = False
    bare: bool = False
    also: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def fields(self) -> list[str]:
        named = [option.field for option in self.options if option.field]
        return [*self.operands, *named, *(["paths"] if self.paths else [])]

    @property
    def spellings(self) -> list[str]:
        """The options as a text may hold them."""
        return [spelling for option in self.options for spelling in option.spellings]


@dataclass(frozen=True, slots=True)
class Order:
    """One thing that git is to do. Fields that are not set are not in `fields`."""

    verb: str
    action: str
    fields: Mapping[str, Any]

    @property
    def shape(self) -> Shape:
        return SHAPES[self.verb, self.action]

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self.fields.get("paths", ()))

    def text(self, name: str) -> str:
        """A field as text, "" where it is not set."""
        return str(self.fields.get(name, ""))

    def on(self, name: str) -> bool:
        return bool(self.fields.get(name, False))

    def options(self, *skip: str) -> list[str]:
        """The options that are set, as git reads them; without those of the fields in `skip`."""
        return [word for option in self.shape.options if option.field not in skip for word in self._spell(option)]

    def _spell(self, option: Option) -> Iterator[str]:
        value = self.fields.get(option.field)
        if not option.field or value is None or value is False:
            return
        spelling = option.spellings[0]
        if not option.valued:
            yield spelling
        elif spelling.startswith("--"):
            yield f"{spelling}={value}"
        else:
            yield from (spelling, str(value))

    def spell(self) -> str:
        """The order as a command that a shell would read the same; what rules are matched against."""
        operands = [self.text(name) for name in self.shape.operands if name in self.fields]
        paths = self.paths if self.shape.bare or not self.paths else ("--", *self.paths)
        return shlex.join(("git", *self.shape.words, *self.options(), *operands, *paths))


def _options(**spellings: str) -> tuple[Option, ...]:
    return tuple(Option(name.removeprefix("_"), tuple(text.split())) for name, text in spellings.items())


_STAT = {"stat": "--stat --shortstat --numstat", "names": "--name-only --name-status"}

SHAPES: Mapping[tuple[str, str], Shape] = {
    ("status", ""): Shape(
        ("status",),
        _options(
            tracked_only="-uno --untracked-files=no",
            all_untracked="-uall -u --untracked-files --untracked-files=all",
            _="-s --short -b --branch --long --porcelain --porcelain=v1 --porcelain=v2 -unormal --show-stash",
        ),
        reads=True,
        paths=True,
        bare=True,
    ),
    ("diff", ""): Shape(
        ("diff",),
        _options(staged="--staged --cached", **_STAT, blanks="-w --ignore-all-space", _="-p --patch --no-color"),
        ("ref", "target"),
        reads=True,
        paths=True,
    ),
    ("log", ""): Shape(
        ("log",),
        _options(
            max_count="-n --max-count",
            all="--all",
            since="--since --after",
            until="--until --before",
            author="--author",
            grep="--grep",
            first_parent="--first-parent",
            merges="--merges",
            no_merges="--no-merges",
            reverse="--reverse",
            _="--oneline --decorate --no-decorate --graph --no-color",
        ),
        ("ref",),
        reads=True,
        paths=True,
        also={"target": "ref", "name": "ref"},
    ),
    ("show", ""): Shape(
        ("show",),
        _options(**_STAT, _="-p --patch --no-color"),
        ("ref",),
        reads=True,
        paths=True,
        also={"target": "ref", "name": "ref"},
    ),
    ("add", ""): Shape(
        ("add",),
        _options(all="-A --all", update="-u --update", force="-f --force", _="-v --verbose"),
        paths=True,
        bare=True,
    ),
    ("commit", ""): Shape(
        ("commit",),
        _options(
            all="-a --all",
            amend="--amend",
            allow_empty="--allow-empty",
            no_verify="--no-verify",
            message="-m --message",
            _="-q --quiet --no-edit --no-gpg-sign",
        ),
        paths=True,
    ),
    ("branch", "list"): Shape(
        ("branch",),
        _options(
            all="-a --all",
            remotes="-r --remotes",
            max_count="--count",
            _="--list -l -v -vv --verbose --show-current --no-color",
        ),
        reads=True,
    ),
    ("branch", "create"): Shape(
        ("branch",), operands=("name", "base"), needs=("name",), also={"ref": "base", "target": "base"}
    ),
    ("branch", "delete"): Shape(
        ("branch",),
        _options(force="-D", merged="-d --delete"),
        ("name",),
        ("name",),
        also={"ref": "name", "target": "name"},
    ),
    ("checkout", "switch"): Shape(
        ("checkout",),
        _options(force="-f --force", detach="--detach", _="-q --quiet"),
        ("ref",),
        ("ref",),
        also={"name": "ref", "target": "ref"},
    ),
    ("checkout", "create"): Shape(
        ("checkout",), _options(name="-b", _="-q --quiet"), ("base",), ("name",), also={"ref": "base", "target": "base"}
    ),
    ("checkout", "restore"): Shape(
        ("checkout",), _options(_="-q --quiet"), ("ref",), ("paths",), paths=True, also={"base": "ref", "target": "ref"}
    ),
    ("stash", "list"): Shape(("stash", "list"), _options(max_count="-n --max-count"), reads=True),
    ("stash", "push"): Shape(
        ("stash", "push"),
        _options(
            include_untracked="-u --include-untracked",
            keep_index="-k --keep-index",
            message="-m --message",
            _="-q --quiet",
        ),
        paths=True,
    ),
    **{
        ("stash", action): Shape(
            ("stash", action),
            _options(_="-q --quiet") if action == "drop" else _options(index="--index", _="-q --quiet"),
            ("ref",),
            also={"name": "ref", "target": "ref"},
        )
        for action in ("pop", "apply", "drop")
    },
    ("worktree", "list"): Shape(("worktree", "list"), _options(_="-v --porcelain"), reads=True),
    ("worktree", "create"): Shape(
        ("worktree", "add"), _options(detach="--detach", name="-b"), ("place", "base"), ("place",)
    ),
    ("worktree", "remove"): Shape(("worktree", "remove"), _options(force="-f --force"), ("place",), ("place",)),
    ("remote", "list"): Shape(("remote",), _options(_="-v --verbose"), reads=True),
}

VERBS = tuple(dict.fromkeys(verb for verb, _ in SHAPES))


def actions(verb: str) -> list[str]:
    """What a verb can do, where there is more than one thing."""
    return [action for known, action in SHAPES if known == verb and action]


def check(order: Order) -> Order:
    """The order itself, if nothing in it is missing or can be taken for something else; raises GitFailure."""
    shape, title = order.shape, f"{order.verb} {order.action}".strip()
    for name in shape.needs:
        if not order.fields.get(name):
            shown = {"place": "path", "paths": "path"}.get(name, name)
            raise invalid(f"{title} needs {shown}; it takes {', '.join(_shown(shape)) or 'no arguments'}")
    for name in ("ref", "target", "base"):
        if name in order.fields:
            _check_ref(name, order.text(name))
    if "name" in order.fields:
        _check_branch(order.text("name"))
    if order.verb == "stash" and "ref" in order.fields and not _STASH.fullmatch(order.text("ref")):
        raise invalid("a stash is named by its number: ref 0 is the newest")
    for path in (*order.paths, *([order.text("place")] if "place" in order.fields else [])):
        _check_path(path)
    count = order.fields.get("max_count", 1)
    if not 1 <= count <= MAX_COUNT:
        raise invalid(f"max_count: expected 1 to {MAX_COUNT}, got {count}")
    for name, value in order.fields.items():
        if isinstance(value, str) and _NO_TEXT.search(value):
            raise invalid(f"{name}: it holds a NUL character or a lone surrogate")
    return order


def _shown(shape: Shape) -> list[str]:
    return ["path" if name in ("place", "paths") else name for name in shape.fields]


def _check_ref(name: str, ref: str) -> None:
    if not ref or ref.startswith(("-", ":", "^", "/")) or _BAD_IN_REF.search(ref):
        raise invalid(f"{name}: {ref[:80]!r} is no commit, branch or tag, such as main, v1.0, HEAD~2 or main..topic")


def _check_branch(name: str) -> None:
    parts = name.split("/")
    bad = not name or name.startswith("-") or name in ("@", "HEAD") or name.endswith((".", "/"))
    if bad or _BAD_IN_NAME.search(name) or any(part.startswith(".") or part.endswith(".lock") for part in parts):
        raise invalid(f"name: {name[:80]!r} cannot be the name of a branch")


def _check_path(path: str) -> None:
    if not path or "\0" in path or path.startswith("-"):
        written = "" if not path.startswith("-") or "\0" in path else f"; write ./{path[:80]}"
        raise invalid(f"path: {path[:80]!r} is no path that git is given{written}")
