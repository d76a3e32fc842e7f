"""The verbs that change something: add, commit, branches, checkout, stash, worktrees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from a3s_code.capabilities.git.changes import SAFE, list_changes
from a3s_code.capabilities.git.failures import GitFailure, invalid
from a3s_code.capabilities.git.inspection import read_worktrees
from a3s_code.capabilities.git.repository import Repository
from a3s_code.capabilities.git.revisions import name_paths, require_commits
from a3s_code.capabilities.git.status import read_status
from a3s_code.capabilities.git.verbs import Order
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.paths import is_inside, relative, resolve
from a3s_code.system.text import readable

MAX_SHOWN = 50


async def add(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    paths = name_paths(context, order.paths)
    if not paths and not (order.on("all") or order.on("update")):
        raise invalid("add needs path")
    _require_filters(repository)
    await repository.run("add", *order.options(), "--", *(paths or ["."]))
    found = await read_status(repository)
    names = found.staged
    more = f", {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    text = f"staged: {', '.join(names[:MAX_SHOWN])}{more}" if names else "nothing is staged: there was nothing to add"
    return ToolOutput(text, metadata=found.metadata, value=found.metadata)


async def commit(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    message = order.text("message")
    paths = name_paths(context, order.paths)
    if not message.strip() and not order.on("amend"):
        raise invalid("commit needs message")
    if order.on("all") or paths:
        _require_filters(repository)
    if order.on("all") and not repository.checkout.whole:
        raise _outside(repository, "commit -a takes every changed file of it; name paths")
    before = await read_status(repository, untracked="no")
    if before.conflicts:
        names = ", ".join(file.path for file in before.conflicts)
        raise GitFailure(f"commit: conflicts are not resolved: {names}", "conflict", conflicts=names)
    await _require_something(order, repository)
    words = ["commit", "--quiet", "--cleanup=whitespace", *order.options("message")]
    # Not as an argument: a long message would be too much for one.
    words += ["--file=-"] if message else ["--no-edit"]
    await repository.run(*words, "--", *paths, stdin=message.encode())
    made = (await repository.run("log", "-1", "-z", "--format=%H%x00%h%x00%s", "HEAD", "--")).fields
    changes = await list_changes(repository, context, ["show", "--format=", made[0]], ["."])
    after = await read_status(repository, untracked="no")
    note = [] if after.branch else ["[HEAD is detached: make a branch, or this commit is soon lost]"]
    lines = [f"[{after.branch or 'detached HEAD'} {made[1]}] {readable(made[2])}", *changes.lines, *note]
    metadata = {"hash": made[0], "branch": after.branch, "subject": readable(made[2]), **changes.metadata}
    return ToolOutput("\n".join(lines), metadata=metadata, value=metadata)


async def _require_something(order: Order, repository: Repository) -> None:
    """Raise where nothing is staged, or where something is staged outside the workspace and would be committed too."""
    words = ("diff", "--cached", "--ignore-submodules=dirty", *SAFE[:-1], "--no-relative", "--name-only", "-z")
    staged = (await repository.run(*words)).fields
    prefix = repository.checkout.prefix
    if not order.paths and any(not name.startswith(prefix) for name in staged):
        raise _outside(repository, "something outside the workspace is staged and would be committed too; name paths")
    forced = order.paths or any(order.on(name) for name in ("all", "amend", "allow_empty"))
    if staged or forced or repository.checkout.state:
        return
    found = await read_status(repository)
    names = [*found.unstaged, *found.untracked]
    hint = f"; changed and not added: {', '.join(names[:MAX_SHOWN])}" if names else "; the working tree is clean"
    raise GitFailure(f"commit: nothing is staged{hint}", "nothing_to_commit")


async def create_branch(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    base = order.text("base")
    commit = (await require_commits(repository, [_one(base or "HEAD")]))[0]
    await repository.run("branch", order.text("name"), *([base] if base else []))
    metadata = {"name": order.text("name"), "commit": commit}
    return ToolOutput(f"created branch {order.text('name')} at {commit[:10]}", metadata=metadata, value=metadata)


async def delete_branch(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    name = order.text("name")
    commit = (await require_commits(repository, [f"refs/heads/{name}"]))[0]
    await repository.run("branch", "--quiet", "-D" if order.on("force") else "-d", "--", name)
    metadata = {"name": name, "commit": commit}
    return ToolOutput(f"deleted branch {name} (it was at {commit})", metadata=metadata, value=metadata)


async def switch(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    target = _one(order.text("ref"))
    _require_whole(repository, "switching")
    _require_filters(repository)
    await require_commits(repository, [target])
    await repository.run("checkout", "--quiet", "--no-guess", *order.options(), target, "--")
    return await _told(repository)


async def create_and_switch(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    base = order.text("base")
    if base:
        _require_whole(repository, "switching")
        _require_filters(repository)
        await require_commits(repository, [_one(base)])
    await repository.run("checkout", "--quiet", "-b", order.text("name"), *([base] if base else []), "--")
    return await _told(repository)


async def restore(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    paths = name_paths(context, order.paths)
    revision = order.text("ref")
    _require_filters(repository)
    if revision:
        await require_commits(repository, [_one(revision)])
    await repository.run("checkout", "--quiet", *([revision] if revision else []), "--", *paths)
    metadata = {"paths": paths, "ref": revision or None}
    text = f"restored {', '.join(paths[:MAX_SHOWN])} from {revision or 'what is staged'}"
    return ToolOutput(text, metadata=metadata, value=metadata)


async def push_stash(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    paths = name_paths(context, order.paths) or ([] if repository.checkout.whole else ["."])
    _require_filters(repository)
    if await repository.resolve("HEAD") is None:
        raise GitFailure("stash: there is no commit yet to go back to", "unborn_branch")
    before = await repository.resolve("refs/stash")
    message = order.text("message")
    words = [*order.options("message"), *([f"--message={message}"] if message else [])]
    # git itself removes what it stashed by a pattern.
    literal = [f":(literal){path}" for path in paths]
    await repository.run("stash", "push", "--quiet", *words, "--", *literal, literal=False)
    made = await repository.resolve("refs/stash")
    if made is None or made == before:
        raise GitFailure("stash: there is nothing to stash", "nothing_to_stash")
    metadata = {"ref": "stash@{0}", "hash": made}
    return ToolOutput(f"stashed as stash@{{0}} ({made[:10]})", metadata=metadata, value=metadata)


async def use_stash(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    """pop, apply and drop."""
    action, ref = order.action, order.text("ref") or "stash@{0}"
    if action != "drop":
        _require_whole(repository, "a stash")
        _require_filters(repository)
    commit = await repository.resolve("refs/stash" if ref == "stash@{0}" else ref)
    if commit is None:
        raise GitFailure(f"there is no {ref}; stash list shows what there is", "unknown", "not_found")
    answer = await repository.run("stash", action, "--quiet", *order.options(), ref, accept=(0, 1))
    found = await read_status(repository)
    if answer.exit_code:
        names = [file.path for file in found.conflicts]
        said = answer.errors.strip() or answer.text.strip()
        text = f"conflicts in {', '.join(names)}; the stash is kept" if names else said
        raise GitFailure(f"stash {action}: {text}", "conflict" if names else "local_changes", conflicts=names)
    metadata = {"ref": ref, "hash": commit, **found.metadata}
    done = f"{'dropped' if action == 'drop' else 'applied'} {ref} ({commit})"
    return ToolOutput(f"{done}\n{found.text}", metadata=metadata, value=metadata)


async def create_worktree(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    _require_filters(repository)
    place = resolve(context.workspace, order.text("place")).real
    base, name = order.text("base"), order.text("name")
    await require_commits(repository, [_one(base or "HEAD")])
    await repository.run("worktree", "add", "--quiet", *order.options(), "--", str(place), *([base] if base else []))
    row = next((row for row in await read_worktrees(repository) if row["path"] == str(place)), {})
    metadata: dict[str, Any] = {"path": str(place), "branch": row.get("branch") or name or None}
    where = relative(context.workspace, place)
    return ToolOutput(
        f"created worktree {where} on {metadata['branch'] or 'no branch'}", metadata=metadata, value=metadata
    )


async def remove_worktree(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    place = resolve(context.workspace, order.text("place")).real
    rows = await read_worktrees(repository)
    if str(place) not in [row["path"] for row in rows]:
        raise GitFailure(f"{place} is no worktree; worktree list shows them", "unknown", "not_found")
    if str(place) == rows[0]["path"] or is_inside(place, context.workspace):
        raise invalid("this is the working tree that the session works in, or the main one")
    await repository.run("worktree", "remove", *order.options(), "--", str(place))
    metadata = {"path": str(place)}
    return ToolOutput(f"removed worktree {relative(context.workspace, place)}", metadata=metadata, value=metadata)


async def _told(repository: Repository) -> ToolOutput:
    found = await read_status(repository)
    return ToolOutput(found.text, metadata=found.metadata, value=found.metadata)


def _one(revision: str) -> str:
    if ".." in revision or ":" in revision:
        raise invalid(f"{revision[:80]!r} is not one commit or branch")
    return revision


def _require_whole(repository: Repository, what: str) -> None:
    if not repository.checkout.whole:
        raise _outside(repository, f"{what} would change files outside the workspace")


def _outside(repository: Repository, text: str) -> GitFailure:
    top: Path = repository.checkout.top
    return GitFailure(f"the workspace is a folder of the repository at {top}: {text}", "outside", "unsupported")


def _require_filters(repository: Repository) -> None:
    """Raise where files would be stored or written without a filter that the repository relies on."""
    if names := repository.findings.filters:
        text = (
            f"the repository's own configuration names programs for the filter {', '.join(names)}. They are not run, "
            "and without them files would be stored or written wrongly. Use bash for this"
        )
        raise GitFailure(text, "filters", "unsupported")
