"""The names in an order, made certain: commits that are there, paths that lie in the workspace."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence

from a3s_code.capabilities.git.checkout import Checkout
from a3s_code.capabilities.git.failures import GitFailure, invalid
from a3s_code.capabilities.git.repository import Repository
from a3s_code.kernel.tool import ToolContext
from a3s_code.system.paths import PathError, is_inside, resolve

MAX_BRANCHES = 5000


async def require_commits(repository: Repository, revisions: Sequence[str]) -> list[str]:
    """The hashes of the commits named; of a range both ends. Raises GitFailure for a name of none.

    Anything that is no commit is refused: the name of a stored file would show what a rule may hide.
    """
    found: list[str] = []
    for revision in revisions:
        for end in re.split(r"\.{2,3}", revision):
            commit = await repository.resolve(end or "HEAD")
            if commit is None:
                raise await _unknown(repository, end or "HEAD")
            found.append(commit)
    return found


async def _unknown(repository: Repository, name: str) -> GitFailure:
    if name.startswith("HEAD") and await repository.resolve("HEAD") is None:
        return GitFailure("there is no commit yet on this branch", "unborn_branch")
    words = (
        "for-each-ref",
        f"--count={MAX_BRANCHES}",
        "--format=%(refname)",
        "refs/heads/",
        "refs/remotes/",
        "refs/tags/",
    )
    answer = await repository.run(*words)
    names = [line.split("/", 2)[2] for line in answer.text.splitlines() if line.count("/") >= 2]
    near = [known for known in names if known.endswith(f"/{name}")] + difflib.get_close_matches(name, names)
    hint = f"; there is {', '.join(dict.fromkeys(near[:5]))}" if near else ""
    return GitFailure(f"no commit is called {name[:80]!r} here{hint}", "unknown", "not_found")


def name_paths(context: ToolContext, given: Iterable[str]) -> list[str]:
    """The paths as seen from the workspace; raises GitFailure for one outside of it."""
    return [_name_path(context, path) for path in given]


def _name_path(context: ToolContext, given: str) -> str:
    place = os.path.normpath(context.workspace / given)
    # A link is tracked as itself, so only the way to it has to stay inside.
    try:
        way = resolve(context.workspace, os.path.dirname(place) if place != str(context.workspace) else place)  # noqa: PTH120  # as text
    except PathError as error:
        raise invalid(str(error)) from error
    if not (is_inside(context.workspace, place) and way.inside):
        raise GitFailure(f"path: {given[:200]} is outside the workspace", "outside", "invalid_argument")
    return os.path.relpath(place, context.workspace)


def name_stored(checkout: Checkout, context: ToolContext, name: str) -> str:
    """A file of a commit, from the root of the tree; raises GitFailure for one that is outside or hidden."""
    start = checkout.workspace if name.startswith("./") else checkout.top
    place = os.path.normpath(start / name)
    if not name or not is_inside(context.workspace, place):
        raise GitFailure(f"ref: {name[:80]!r} is no file of the workspace", "outside", "invalid_argument")
    hides = context.hides
    if hides is not None and (hides(place) or hides(os.path.realpath(place))):
        raise GitFailure(f"{name}: a rule keeps this file from being read", "hidden", "permission_denied")
    return os.path.relpath(place, checkout.top)


def as_path(context: ToolContext, given: str) -> bool:
    """Whether a word names something that is there, in the workspace."""
    try:
        return os.path.lexists(context.workspace / _name_path(context, given))
    except GitFailure:
        return False
