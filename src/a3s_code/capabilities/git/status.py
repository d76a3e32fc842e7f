"""The state of a working tree, as git's porcelain tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from a3s_code.capabilities.git.repository import Repository
from a3s_code.system.text import readable

MAX_LINES = 500
WORDS = ("status", "--porcelain=v2", "-z", "--branch", "--ignore-submodules=dirty")


@dataclass(frozen=True, slots=True)
class FileState:
    """One path that is not as in the last commit: `index` and `tree` are git's letters, "." where nothing changed."""

    index: str
    tree: str
    path: str
    before: str | None = None

    @property
    def line(self) -> str:
        """As `git status --short` has it."""
        name = f"{self.before} -> {self.path}" if self.before else self.path
        return f"{self.index}{self.tree} {name}".replace(".", " ", (self.index + self.tree).count("."))


@dataclass(frozen=True, slots=True)
class Status:
    """`branch` is None where HEAD is detached; `commit` is None before the first one. Paths start at the workspace."""

    branch: str | None
    commit: str | None
    upstream: str | None
    ahead: int
    behind: int
    files: tuple[FileState, ...]
    conflicts: tuple[FileState, ...]
    untracked: tuple[str, ...]
    state: str | None

    @property
    def staged(self) -> list[str]:
        return [file.path for file in self.files if file.index != "."]

    @property
    def unstaged(self) -> list[str]:
        return [file.path for file in self.files if file.tree != "."]

    @property
    def head(self) -> str:
        """Where HEAD is, in words."""
        if self.branch is None:
            return f"detached at {(self.commit or '')[:10]}"
        return self.branch if self.commit else f"{self.branch} (no commit yet)"

    @property
    def text(self) -> str:
        tracking = f"...{self.upstream}" if self.upstream else ""
        apart = [f"{word} {count}" for word, count in (("ahead", self.ahead), ("behind", self.behind)) if count]
        lines = [f"## {self.head}{tracking}" + (f" [{', '.join(apart)}]" if apart else "")]
        if self.state:
            lines.append(f"[a {self.state} was begun and not ended]")
        rows = [file.line for file in self.files]
        rows += [file.line for file in self.conflicts] + [f"?? {path}" for path in self.untracked]
        lines += rows[:MAX_LINES]
        if len(rows) > MAX_LINES:
            lines.append(f"[{len(rows) - MAX_LINES} more; a path narrows it]")
        return "\n".join(lines if rows else [*lines, "nothing to commit, working tree clean"])

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "branch": self.branch,
            "detached": self.branch is None,
            "commit": self.commit,
            "upstream": self.upstream,
            "ahead": self.ahead,
            "behind": self.behind,
            "staged": self.staged[:MAX_LINES],
            "unstaged": self.unstaged[:MAX_LINES],
            "untracked": list(self.untracked[:MAX_LINES]),
            "conflicts": [file.path for file in self.conflicts[:MAX_LINES]],
            "clean": not (self.files or self.conflicts or self.untracked),
            "state": self.state,
        }


async def read_status(repository: Repository, paths: Sequence[str] = (), untracked: str = "normal") -> Status:
    """The state of `paths`, else of the workspace."""
    answer = await repository.run(*WORDS, f"--untracked-files={untracked}", "--", *(paths or ["."]))
    prefix = repository.checkout.prefix
    heads: dict[str, str] = {}
    files: list[FileState] = []
    conflicts: list[FileState] = []
    news: list[str] = []
    fields = answer.fields[::-1]
    while fields:
        kind, _, rest = fields.pop().partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            heads[name] = value
        elif kind == "1":
            parts = rest.split(" ", 7)
            files.append(FileState(parts[0][0], parts[0][1], _shown(parts[7], prefix)))
        elif kind == "2":
            parts = rest.split(" ", 8)
            files.append(FileState(parts[0][0], parts[0][1], _shown(parts[8], prefix), _shown(fields.pop(), prefix)))
        elif kind == "u":
            parts = rest.split(" ", 9)
            conflicts.append(FileState(parts[0][0], parts[0][1], _shown(parts[9], prefix)))
        elif kind == "?":
            news.append(_shown(rest, prefix))
    ahead, _, behind = heads.get("branch.ab", "+0 -0").partition(" ")
    branch, commit = heads.get("branch.head", ""), heads.get("branch.oid", "")
    return Status(
        branch=None if branch == "(detached)" else branch,
        commit=None if commit == "(initial)" else commit,
        upstream=heads.get("branch.upstream"),
        ahead=int(ahead[1:]),
        behind=int(behind[1:]),
        files=tuple(files),
        conflicts=tuple(conflicts),
        untracked=tuple(news),
        state=repository.checkout.state,
    )


def _shown(path: str, prefix: str) -> str:
    return readable(path.removeprefix(prefix))
