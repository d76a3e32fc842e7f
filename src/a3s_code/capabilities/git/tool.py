"""git: typed verbs, or a git command as a text that means one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from a3s_code.capabilities.git import alteration, inspection
from a3s_code.capabilities.git.command_line import SYNONYMS, find_action, find_verb, parse, split
from a3s_code.capabilities.git.failures import GitFailure, invalid
from a3s_code.capabilities.git.repository import Repository
from a3s_code.capabilities.git.verbs import Order, check
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import READS, ToolContext, ToolOutput
from a3s_code.system.paths import PathError, resolve
from a3s_code.toolkit import Tool

Perform = Callable[[Order, Repository, ToolContext], Awaitable[ToolOutput]]

_PERFORM: Mapping[tuple[str, str], Perform] = {
    ("status", ""): inspection.status,
    ("diff", ""): inspection.diff,
    ("log", ""): inspection.log,
    ("show", ""): inspection.show,
    ("branch", "list"): inspection.list_branches,
    ("stash", "list"): inspection.list_stashes,
    ("worktree", "list"): inspection.list_worktrees,
    ("remote", "list"): inspection.list_remotes,
    ("add", ""): alteration.add,
    ("commit", ""): alteration.commit,
    ("branch", "create"): alteration.create_branch,
    ("branch", "delete"): alteration.delete_branch,
    ("checkout", "switch"): alteration.switch,
    ("checkout", "create"): alteration.create_and_switch,
    ("checkout", "restore"): alteration.restore,
    ("stash", "push"): alteration.push_stash,
    ("stash", "pop"): alteration.use_stash,
    ("stash", "apply"): alteration.use_stash,
    ("stash", "drop"): alteration.use_stash,
    ("worktree", "create"): alteration.create_worktree,
    ("worktree", "remove"): alteration.remove_worktree,
}


class GitArgs(BaseModel):
    command: str = Field(
        description="status, diff, log, show, add, commit, branch, checkout, stash, worktree, remote; or a text: log -3"
    )
    subcommand: str | None = Field(None, description="list, create, delete, remove, push, pop, apply, drop")
    name: str | None = None
    path: str | list[str] | None = None
    ref: str | None = None
    target: str | None = None
    base: str | None = None
    message: str | None = None
    max_count: int | None = None
    force: bool | None = None
    staged: bool | None = None
    include_untracked: bool | None = None
    new_branch: bool | None = None


class Git(Tool):
    """git on the workspace's repository, without a shell, without a network, and without any program that the
    repository's own files name: hooks, filters, drivers, pagers, editors, signatures.

    Rules see the command as `git <text>`. A text that is none of the typed verbs is judged, and then refused. With
    `allow_hooks` the hooks, filters, drivers and signatures of the repository's configuration run as in a terminal.
    """

    name = "git"
    description = "Inspect or change the git repository."
    Args = GitArgs

    def __init__(self, *, allow_hooks: bool = False) -> None:
        self._allow_hooks = allow_hooks

    def parse(self, arguments: Mapping[str, Any]) -> Any:
        """As of any tool; `paths` is taken for `path`."""
        given = dict(arguments)
        if "paths" in given and given.get("path") is None:
            given["path"] = given.pop("paths")
        return super().parse(given)

    def effects(self, args: GitArgs, workspace: Path) -> tuple[Effect, ...]:
        """The command; and the place of a worktree, where that is outside the workspace."""
        try:
            order = read_order(args)
        except GitFailure:
            return (Effect("exec", _spell_unread(args)),)
        text = order.spell() if _typed(args) or not _is_text(args) else _with_git(args.command)
        effects = [Effect("exec", text, READS if order.shape.reads else "")]
        if "place" in order.fields and (place := _find_place(order.text("place"), workspace)) is not None:
            effects.append(Effect("delete" if order.action == "remove" else "write", place, order.text("place")))
        return tuple(effects)

    async def invoke(self, args: GitArgs, context: ToolContext) -> ToolOutput:
        """Do it, or say in a typed failure why not."""
        try:
            order = read_order(args)
            if not set(self.effects(args, context.workspace)) <= set(context.effects):
                raise GitFailure("this is not what the call was judged by", "changed", "permission_denied")
            repository = await Repository.open(context, reads=order.shape.reads, allow_hooks=self._allow_hooks)
            return await _PERFORM[order.verb, order.action](order, repository, context)
        except GitFailure as failure:
            return failure.output
        except PathError as error:
            return ToolOutput.failure(str(error), "invalid_argument")


def read_order(args: GitArgs) -> Order:
    """What the arguments ask for; raises GitFailure where that is none of the typed verbs."""
    words = split(args.command)
    if not words:
        find_verb("")
    typed = _typed(args)
    if len(words) == 1 or typed.keys() & {"subcommand"}:
        return check(_read_typed(words, typed))
    order = parse(words)
    twice = [name for name in typed if order.fields.get(_field(order, name)) is not None]
    if twice:
        raise invalid(f"{twice[0]} is given in the command's text and again by itself")
    return check(_fill(order, typed))


def _read_typed(words: list[str], typed: dict[str, Any]) -> Order:
    if len(words) > 1:
        raise invalid("subcommand goes with a verb alone, not with a text")
    verb = find_verb(words[0])
    named = typed.pop("subcommand", None)
    action = find_action(verb, named) if named is not None else _guess(verb, typed)
    return _fill(Order(verb, action, {}), typed)


def _guess(verb: str, typed: dict[str, Any]) -> str:
    """What a verb without a subcommand means, as git has it."""
    if verb == "branch":
        return "create" if "name" in typed else "list"
    if verb == "checkout":
        if typed.get("new_branch") or ("base" in typed and "path" not in typed):
            return "create"
        return "restore" if "path" in typed else "switch"
    if verb == "stash":
        return "push"
    return "list" if verb in SYNONYMS else ""


def _fill(order: Order, typed: dict[str, Any]) -> Order:
    """The order with the arguments in the fields that they mean; raises GitFailure for one it does not take."""
    fields = dict(order.fields)
    given = dict(typed)
    if order.verb == "branch" and order.action == "delete" and not (given.get("force") or fields.get("force")):
        fields["merged"] = True
    if order.verb == "status" and "include_untracked" in given:
        fields["all_untracked" if given.pop("include_untracked") else "tracked_only"] = True
    if order.verb == "worktree" and order.action == "create":
        _name_worktree(given)
    if order.verb == "checkout":
        given.pop("new_branch", None)
        if order.action == "create" and "name" not in given and "name" not in fields and "ref" in given:
            given["name"] = given.pop("ref")
    for name, value in given.items():
        field = _field(order, name)
        if field not in order.shape.fields:
            raise _not_taken(order, name)
        if field in fields:
            raise invalid(f"{order.verb}: {name} says again what another argument said")
        fields[field] = _convert(order, field, value)
    return Order(order.verb, order.action, {name: value for name, value in fields.items() if value is not False})


def _name_worktree(given: dict[str, Any]) -> None:
    """A worktree's branch: a new one called `name`, or with new_branch false the one that is called so."""
    new = given.pop("new_branch", True)
    if "ref" in given and "base" not in given:
        given["base"] = given.pop("ref")
    if not new and "name" in given:
        given["base"] = given.pop("name")


def _field(order: Order, name: str) -> str:
    if name == "path":
        return "place" if "place" in order.shape.operands else "paths"
    return name if name in order.shape.fields else order.shape.also.get(name, name)


def _convert(order: Order, field: str, value: Any) -> Any:
    if field == "paths":
        return (value,) if isinstance(value, str) else tuple(value)
    if field == "place" and not isinstance(value, str):
        raise invalid("worktree: path is one path")
    if order.verb == "stash" and field == "ref" and value.isdecimal():
        return f"stash@{{{value}}}"
    return value


def _not_taken(order: Order, name: str) -> GitFailure:
    shape = order.shape
    known = [argument for argument in GitArgs.model_fields if _field(order, argument) in shape.fields]
    title = f"{order.verb} {order.action}".strip()
    return invalid(f"{title} does not take {name}; it takes {', '.join(known) or 'no arguments'}")


def _typed(args: GitArgs) -> dict[str, Any]:
    """The arguments beside the command that were given."""
    given = ((name, getattr(args, name)) for name in GitArgs.model_fields if name != "command")
    return {name: value for name, value in given if value is not None}


def _is_text(args: GitArgs) -> bool:
    return len(args.command.split()) > 1


def _with_git(text: str) -> str:
    words = text.split(maxsplit=1)
    return text.strip() if words[:1] == ["git"] else f"git {text.strip(' ')}"


def _spell_unread(args: GitArgs) -> str:
    """What rules see of a call that will be refused."""
    return _with_git(f"{args.command} {args.subcommand}" if args.subcommand else args.command)


def _find_place(given: str, workspace: Path) -> str | None:
    """The real path of a place outside the workspace; None for one inside."""
    found = resolve(workspace, given)
    return None if found.inside else str(found.real)
