"""Where a workspace's repository is, and whether it is one that belongs to this workspace."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from a3s_code.capabilities.git.failures import GitFailure
from a3s_code.system.paths import is_inside

_MARKER_BYTES = 4096
_MAX_ENTRIES = 100_000
_STATES = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree with its repository, all real paths: `top` is the tree's root, `folder` the .git folder, `shared`
    the one that all worktrees of the repository have in common."""

    workspace: Path
    top: Path
    folder: Path
    shared: Path

    @property
    def whole(self) -> bool:
        """Whether the workspace is the whole working tree; else it is a folder of it."""
        return self.workspace == self.top

    @property
    def prefix(self) -> str:
        """The workspace as seen from the tree's root: "" or "a/b/"."""
        return "" if self.workspace == self.top else f"{self.workspace.relative_to(self.top).as_posix()}/"

    @property
    def state(self) -> str | None:
        """What was begun and not ended: merge, rebase, cherry-pick, revert, bisect."""
        return next((state for name, state in _STATES.items() if os.path.lexists(self.folder / name)), None)

    def require_no_way_out(self) -> None:
        """Raise GitFailure where the repository holds links by which git would write outside of it.

        Only where it keeps its state; objects are never changed, and a link among hooks is not followed.
        """
        count = 0
        for root in dict.fromkeys((self.folder, self.shared)):
            for path in _state_files(root):
                count += 1
                if count > _MAX_ENTRIES:
                    raise _unsafe("it has too many branches to look through for links; git pack-refs --all helps")
                if _leaves(path, root):
                    raise _unsafe(f"{path} is a link that leads outside of it")


def find_checkout(workspace: Path) -> Checkout:
    """The checkout of a workspace (a real path), looked for from there upwards; raises GitFailure.

    git's own search is not asked: it would take a folder that only looks like a bare repository for one.
    """
    for top in (workspace, *workspace.parents):
        marker = top / ".git"
        if not os.path.lexists(marker):
            continue
        folder = Path(os.path.realpath(marker))
        if folder.is_file():
            folder = _follow(marker, folder)
        if not (folder / "HEAD").exists():
            continue
        shared = _find_shared(folder)
        if folder != top / ".git" and not _belongs(folder, shared, marker, workspace):
            raise _unsafe(f"{marker} leads to {folder}, which does not know this folder")
        return Checkout(workspace, top, folder, shared)
    text = "this workspace is no git repository, nor is a folder above it; `git init` (by bash) makes one"
    raise GitFailure(text, "not_a_repository", "not_found")


def _follow(marker: Path, file: Path) -> Path:
    content = _read_line(file)
    if not content.startswith("gitdir:"):
        raise _unsafe(f"{marker} is a file, but does not say where the repository is")
    return Path(os.path.realpath(marker.parent / content.removeprefix("gitdir:").strip()))


def _find_shared(folder: Path) -> Path:
    named = folder / "commondir"
    if not os.path.lexists(named):
        return folder
    shared = Path(os.path.realpath(folder / _read_line(named)))
    if shared != folder and folder.parent != shared / "worktrees":
        raise _unsafe(f"{named} leads to {shared}, which does not hold it")
    return shared


def _read_line(file: Path) -> str:
    """The path that a small file of git's own holds; raises GitFailure where it is no file."""
    try:
        if not file.is_file():  # a pipe would keep us waiting
            raise _unsafe(f"{file} is no file")
        with file.open("rb") as opened:
            return opened.read(_MARKER_BYTES).decode("utf-8", "surrogateescape").strip().replace("\0", "")
    except OSError as error:
        raise _unsafe(f"{file} cannot be read: {error.strerror}") from error


def _belongs(folder: Path, shared: Path, marker: Path, workspace: Path) -> bool:
    """Whether a repository that lies elsewhere names this place as its own, or lies in the workspace anyway."""
    if is_inside(workspace, folder) and is_inside(workspace, shared):
        return True
    backlink = folder / "gitdir"
    if shared != folder and backlink.is_file():
        named = folder / _read_line(backlink)
        return os.path.realpath(named.parent) == os.path.realpath(marker.parent) and named.name == ".git"
    # A submodule: its repository lies in the one that holds it.
    return any(folder.is_relative_to(above / ".git" / "modules") for above in marker.parent.parents)


def _state_files(root: Path) -> list[str]:
    paths = [entry.path for entry in os.scandir(root) if entry.name not in ("hooks", "annex", "lfs")]
    for name in ("refs", "logs"):
        for folder, folders, files in os.walk(root / name):
            paths += [os.path.join(folder, found) for found in (*folders, *files)]  # noqa: PTH118  # may be very many
            if len(paths) > _MAX_ENTRIES:
                return paths
    return paths


def _leaves(path: str, root: Path) -> bool:
    return os.path.islink(path) and not is_inside(root, os.path.realpath(path))  # noqa: PTH114  # may be very many


def _unsafe(text: str) -> GitFailure:
    return GitFailure(f"the repository is not used: {text}", "unsafe_repository", "unsupported")
