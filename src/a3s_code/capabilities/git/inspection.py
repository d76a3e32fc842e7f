"""The verbs that only look: status, diff, log, show, and the lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from a3s_code.capabilities.git.changes import cut, list_changes, show_patch
from a3s_code.capabilities.git.failures import GitFailure, invalid
from a3s_code.capabilities.git.repository import Repository
from a3s_code.capabilities.git.revisions import as_path, name_paths, name_stored, require_commits
from a3s_code.capabilities.git.status import read_status
from a3s_code.capabilities.git.verbs import Order
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.text import is_binary, readable

LOG_COUNT = 10
LIST_COUNT = 50
_COMMIT = "--format=%H%x00%h%x00%an%x00%aI%x00%D%x00%s"
_HEADING = "--format=commit %H%nAuthor: %an <%ae>%nDate:   %aI%n%n%B"
_BRANCH = "%(HEAD)%00%(refname)%00%(objectname:short)%00%(upstream)%00%(upstream:track)%00%(contents:subject)%00"
_ADDRESS = re.compile(r"(\w+://)([^/@\s]*)@")


async def status(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    untracked = "no" if order.on("tracked_only") else "all" if order.on("all_untracked") else "normal"
    found = await read_status(repository, name_paths(context, order.paths), untracked)
    return _output([found.text, *_missing(repository)], found.metadata)


async def diff(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    order = await _tell_paths(order, repository, context)
    revisions = [order.text(name) for name in ("ref", "target") if name in order.fields]
    await require_commits(repository, revisions)
    words = ["diff", "--ignore-submodules=dirty", *order.options("stat", "names"), *revisions]
    paths = name_paths(context, order.paths) or ["."]
    changes = await list_changes(repository, context, words, paths)
    metadata = {"staged": order.on("staged"), **changes.metadata}
    if order.on("names"):
        return _output([*(readable(change.path) for change in changes.files), *changes.notes], metadata)
    if not changes.files:
        return _output(["no changes", *changes.notes, *_missing(repository)], metadata)
    lines = [*changes.lines, *_missing(repository)]
    if not order.on("stat"):
        lines += ["", await show_patch(repository, context, words, paths, changes)]
    return _output(lines, metadata)


async def log(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    order = await _tell_paths(order, repository, context)
    revision = order.text("ref")
    if revision:
        await require_commits(repository, [revision])
    elif not order.on("all") and await repository.resolve("HEAD") is None:
        return _output(["no commits yet"], {"commits": [], "more": False})
    count = order.fields.get("max_count", LOG_COUNT)
    paths = name_paths(context, order.paths) or ([] if repository.checkout.whole else ["."])
    words = ["log", "-z", _COMMIT, "--no-color", f"--max-count={count + 1}", *order.options("max_count")]
    answer = await repository.run(*words, *([revision] if revision else []), "--", *paths)
    commits = _read_commits(answer.fields)
    shown, more = commits[:count], len(commits) > count
    lines = [_commit_line(commit) for commit in shown] or ["no commits"]
    if more:
        lines.append(f"[the newest {count}; max_count shows more, {shown[-1]['hash']}~1 as ref goes on from here]")
    return _output(lines, {"commits": shown, "more": more})


async def show(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    revision = order.text("ref") or "HEAD"
    if ":" in revision:
        return await _show_file(revision, repository, context)
    if ".." in revision:
        raise invalid("show takes one commit; log and diff take a range")
    order = await _tell_paths(order, repository, context)
    revision = order.text("ref") or "HEAD"
    (commit,) = await require_commits(repository, [revision])
    paths = name_paths(context, order.paths) or ([] if repository.checkout.whole else ["."])
    changes = await list_changes(repository, context, ["show", "--format=", commit], paths)
    heading = await repository.run("show", "--no-patch", "--no-color", _HEADING, commit, "--")
    lines = [cut(context, heading.text.rstrip(), "message"), ""]
    if order.on("names"):
        lines += [readable(change.path) for change in changes.files] + changes.notes
    else:
        lines += changes.lines
    if not order.on("names") and not order.on("stat"):
        lines += ["", await show_patch(repository, context, ["show", "--format=", commit], paths, changes)]
    return _output(lines, {"hash": commit, **changes.metadata})


async def _show_file(revision: str, repository: Repository, context: ToolContext) -> ToolOutput:
    """One file as it was in a commit."""
    base, _, name = revision.partition(":")
    (commit,) = await require_commits(repository, [base])
    path = name_stored(repository.checkout, context, name)
    kind = await repository.run("cat-file", "-t", f"{commit}:{path}", accept=(0, 128))
    if kind.text.strip() != "blob":
        what = "a folder" if kind.exit_code == 0 else "not there"
        raise GitFailure(f"{name} is {what} in {base}", "unknown", "not_found")
    answer = await repository.run("cat-file", "blob", f"{commit}:{path}")
    if is_binary(answer.output.head):
        raise GitFailure(f"{name} is a binary file", "binary", "unsupported")
    return ToolOutput(cut(context, answer.text, "file") or "(empty)", metadata={"hash": commit, "path": path})


async def list_branches(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    remotes = order.on("remotes") or order.on("all")
    places = [*([] if order.on("remotes") else ["refs/heads/"]), *(["refs/remotes/"] if remotes else [])]
    count = order.fields.get("max_count", LIST_COUNT)
    words = ["for-each-ref", f"--count={count + 1}", "--sort=-committerdate", f"--format={_BRANCH}", *places]
    fields = (await repository.run(*words)).fields
    rows: list[dict[str, Any]] = []
    for start in range(0, len(fields) - 5, 6):
        current, name, commit, upstream, track, subject = (readable(field) for field in fields[start : start + 6])
        row = {"name": _short(name), "commit": commit, "upstream": _short(upstream) or None, "subject": subject}
        rows.append({"current": current.strip() == "*", **row, "track": track.strip("[]")})
    head = await read_status(repository, untracked="no")
    lines = [_branch_line(row) for row in rows[:count]]
    if head.branch is None or head.commit is None:
        lines.insert(0, f"* {head.head}")
    if len(rows) > count:
        lines.append(f"[the {count} with the newest commits; max_count shows more]")
    return _output(lines, {"branches": rows[:count], "current": head.branch, "more": len(rows) > count})


async def list_stashes(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    exists = await repository.run("rev-parse", "--verify", "--quiet", "refs/stash", accept=(0, 1, 128))
    if exists.exit_code:
        return _output(["no stashes"], {"stashes": []})
    count = order.fields.get("max_count", LIST_COUNT)
    words = ["log", "-g", "-z", f"--max-count={count}", "--format=%h%x00%aI%x00%gs", "refs/stash", "--"]
    fields = (await repository.run(*words)).fields
    rows = [
        {
            "ref": f"stash@{{{start // 3}}}",
            "hash": fields[start],
            "date": fields[start + 1],
            "subject": fields[start + 2],
        }
        for start in range(0, len(fields) - 2, 3)
    ]
    return _output([f"{row['ref']} {row['date'][:10]} {readable(row['subject'])}" for row in rows], {"stashes": rows})


async def list_worktrees(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    rows = await read_worktrees(repository)
    lines = [f"{row['path']} {row['commit'][:10]} {row['branch'] or '(detached)'}" for row in rows]
    return _output(lines, {"worktrees": rows})


async def read_worktrees(repository: Repository) -> list[dict[str, Any]]:
    """All working trees of the repository, the main one first: path, commit, branch."""
    answer = await repository.run("worktree", "list", "--porcelain")
    rows: list[dict[str, Any]] = []
    for line in answer.text.splitlines():
        key, _, value = line.partition(" ")
        if key == "worktree":
            rows.append({"path": value, "commit": "", "branch": None})
        elif key == "HEAD":
            rows[-1]["commit"] = value
        elif key == "branch":
            rows[-1]["branch"] = _short(value)
    return rows


async def list_remotes(order: Order, repository: Repository, context: ToolContext) -> ToolOutput:
    answer = await repository.run("remote", "--verbose")
    rows: list[dict[str, str]] = []
    for line in answer.text.splitlines():
        name, _, rest = line.partition("\t")
        url, _, use = rest.rpartition(" ")
        rows.append({"name": name, "url": _ADDRESS.sub(_hide, url), "use": use.strip("()")})
    return _output([f"{row['name']}\t{row['url']} ({row['use']})" for row in rows] or ["no remotes"], {"remotes": rows})


def _hide(match: re.Match[str]) -> str:
    """An address without what may be a password or a token; a lone user of ssh is neither."""
    plain = match[1] in ("ssh://", "git+ssh://") and ":" not in match[2]
    return match[0] if plain else f"{match[1]}***@"


async def _tell_paths(order: Order, repository: Repository, context: ToolContext) -> Order:
    """The order with each revision that names no commit but a file taken for a path, as git does where it can."""
    fields = dict(order.fields)
    paths = list(order.paths)
    for name in ("target", "ref"):
        given = order.text(name)
        if given and ".." not in given and as_path(context, given) and await repository.resolve(given) is None:
            paths.insert(0, fields.pop(name))
    if paths:
        fields["paths"] = tuple(paths)
    return Order(order.verb, order.action, fields)


def _read_commits(fields: Sequence[str]) -> list[dict[str, Any]]:
    commits: list[dict[str, Any]] = []
    for start in range(0, len(fields) - 5, 6):
        full, short, author, date, refs, subject = (readable(field) for field in fields[start : start + 6])
        commits.append(
            {"hash": short, "id": full, "author": author, "date": date, "refs": refs, "subject": subject},
        )
    return commits


def _commit_line(commit: dict[str, Any]) -> str:
    refs = f" ({commit['refs']})" if commit["refs"] else ""
    return f"{commit['hash']} {commit['date'][:10]} {commit['author']}: {commit['subject']}{refs}"


def _branch_line(row: dict[str, Any]) -> str:
    track = f" [{row['upstream']}{': ' + row['track'] if row['track'] else ''}]" if row["upstream"] else ""
    return f"{'*' if row['current'] else ' '} {row['name']} {row['commit']}{track} {row['subject']}"


def _short(name: str) -> str:
    return name.removeprefix("refs/heads/").removeprefix("refs/remotes/").lstrip("\n")


def _missing(repository: Repository) -> list[str]:
    names = repository.findings.filters
    if not names:
        return []
    return [f"[the repository's own filter {', '.join(names)} was not run: files it covers may show as changed]"]


def _output(lines: Sequence[str], metadata: dict[str, Any]) -> ToolOutput:
    return ToolOutput("\n".join(lines).rstrip(), metadata=metadata, value=metadata)
