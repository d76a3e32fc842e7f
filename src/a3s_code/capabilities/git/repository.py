"""Running git on one checkout: no shell, no input to wait for, and no program that the repository brought along."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from a3s_code.capabilities.git.checkout import Checkout, find_checkout
from a3s_code.capabilities.git.failures import GitFailure, explain
from a3s_code.capabilities.git.programs import (
    NO_PROGRAMS,
    PROOF,
    QUIET,
    Findings,
    as_environment,
    find_programs,
    read_entries,
)
from a3s_code.kernel.tool import ToolContext
from a3s_code.system.capture import Captured
from a3s_code.system.child import Command
from a3s_code.system.process import run
from a3s_code.system.threads import finish

DEFAULT_TIMEOUT_MS = 120_000
KEEP_BYTES = 8 * 1024 * 1024
LIST_BYTES = 256 * 1024 * 1024
MAX_NESTED = 64
_HELD = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
    "PAGER": "cat",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "GIT_LITERAL_PATHSPECS": "1",
    # No verb of ours needs a network. A partial clone would fetch what is missing, by programs of its configuration.
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C.UTF-8",
    "LANGUAGE": "",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What git printed; `errors` is its stderr."""

    exit_code: int
    output: Captured
    errors: str

    @property
    def text(self) -> str:
        """The output for eyes, with a note where its middle was left out."""
        return self.output.text

    @property
    def complete(self) -> bool:
        return not self.output.omitted

    @property
    def fields(self) -> list[str]:
        """What the output holds between NUL characters; a byte that is no UTF-8 is kept as a lone surrogate."""
        parts = (self.output.head + self.output.tail).decode("utf-8", "surrogateescape").split("\0")
        return parts[:-1] if parts and parts[-1] in ("", "\n") else parts


class Repository:
    """git on one checkout, for one call. Raises GitFailure where git fails, is too old or not there, or time is up."""

    def __init__(
        self, checkout: Checkout, program: str, environment: Mapping[str, str], deadline: float, *, supervised: bool
    ) -> None:
        self.checkout = checkout
        self._supervised = supervised
        self.findings = Findings()
        self._program = program
        self._environment = dict(environment)
        self._deadline = deadline

    @classmethod
    async def open(cls, context: ToolContext, *, reads: bool, allow_hooks: bool) -> Repository:
        """The workspace's repository. One that is only read is not even touched to refresh its index."""
        # git is not confined here, so where confinement is required nobody else's programs run either.
        allow_hooks = allow_hooks and context.sandbox != "require"
        checkout = await finish(asyncio.to_thread(find_checkout, context.workspace))
        environment = {name: value for name, value in context.environment.items() if not name.startswith("GIT_")}
        # A folder given relative to the workspace could hold a program called git.
        folders = [folder for folder in environment.get("PATH", os.defpath).split(":") if folder.startswith("/")]
        environment |= _HELD | {"PATH": ":".join(folders)}
        if reads:
            environment["GIT_OPTIONAL_LOCKS"] = "0"
        program = shutil.which("git", path=environment["PATH"])
        if program is None:
            raise GitFailure("git is not installed", "no_git", "unsupported")
        timeout_ms = context.timeout_ms or DEFAULT_TIMEOUT_MS
        deadline = time.monotonic() + timeout_ms / 1000
        repository = cls(checkout, program, environment, deadline, supervised=allow_hooks)
        await repository._disarm(reads=reads, allow_hooks=allow_hooks)
        return repository

    async def run(self, *words: str, stdin: bytes = b"", accept: Sequence[int] = (0,), literal: bool = True) -> Answer:
        """Run `git <words>` in the workspace; an exit code not in `accept` raises what git said as a GitFailure.

        Paths mean themselves, unless not `literal`: then each must say so by `:(literal)`.
        """
        place = self._place if literal else {**self._place, "GIT_LITERAL_PATHSPECS": "0"}
        answer = await self._start(words, self.checkout.workspace, place, stdin, KEEP_BYTES)
        return _require(answer, words[0], accept)

    async def resolve(self, revision: str) -> str | None:
        """The hash of the commit that a revision names, None where it names none."""
        answer = await self.run("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", accept=(0, 1, 128))
        return answer.text.strip() if answer.exit_code == 0 else None

    @property
    def _place(self) -> dict[str, str]:
        return {"GIT_DIR": str(self.checkout.folder), "GIT_WORK_TREE": str(self.checkout.top)}

    async def _start(
        self, words: Sequence[str], folder: Path, place: Mapping[str, str], stdin: bytes, keep_bytes: int
    ) -> Answer:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _timed_out(words)
        argv = (self._program, "--no-pager", *words)
        environment = {**self._environment, **place}
        command = Command(argv, folder, environment, stdin, merge=False, supervised=self._supervised)
        try:
            completed = await run(command, timeout_ms=max(round(left * 1000), 1), keep_bytes=keep_bytes)
        except (OSError, ValueError) as error:
            raise GitFailure(f"git could not be started: {error}", "no_git") from error
        if completed.timed_out:
            raise _timed_out(words)
        return Answer(completed.exit_code, completed.output, completed.errors.text)

    async def _disarm(self, *, reads: bool, allow_hooks: bool) -> None:
        """Find what programs the configuration names, and see to it that git will not start them."""
        settings = QUIET if allow_hooks else QUIET + NO_PROGRAMS
        self._environment |= as_environment(settings)
        if allow_hooks:
            return
        if not reads:
            await finish(asyncio.to_thread(self.checkout.require_no_way_out))
        self.findings = await self._read_configuration(self.checkout.workspace, self._place)
        found = self.findings
        if not reads:
            found += await self._search_nested(self.checkout.workspace, self._place, [])
        if found.conditional and not reads:
            text = "its configuration holds conditional includes, so it cannot be told which programs it would start"
            raise GitFailure(f"the repository is not changed: {text}", "unsafe_repository", "unsupported")
        self._environment |= as_environment(settings + found.settings)

    async def _read_configuration(self, folder: Path, place: Mapping[str, str]) -> Findings:
        words = ("config", "--list", "-z", "--show-scope")
        listing = await self._start(words, folder, place, b"", LIST_BYTES)
        entries = read_entries(listing.fields)
        if listing.exit_code == 0 and all((entry.scope, entry.key, entry.value) != PROOF for entry in entries):
            raise GitFailure("git 2.31 or newer is needed", "old_git", "unsupported")
        _require(listing, "config")
        return find_programs(entries)

    async def _search_nested(self, folder: Path, place: Mapping[str, str], seen: list[Path]) -> Findings:
        """What the repositories in the tree say: git asks each for its state, with what is set here still in force."""
        listing = await self._start(("ls-files", "-s", "-z"), folder, place, b"", LIST_BYTES)
        if not _require(listing, "ls-files").complete:
            raise GitFailure("the repository has too many files", "too_large", "unsupported")
        found = Findings()
        for record in listing.fields:
            inner = folder / record.partition("\t")[2]
            if not record.startswith("160000 ") or not _is_checked_out(inner):
                continue
            seen.append(inner)
            if len(seen) > MAX_NESTED:
                raise GitFailure(f"more than {MAX_NESTED} submodules are checked out", "too_large", "unsupported")
            found += await self._read_configuration(inner, {})
            found += await self._search_nested(inner, {}, seen)
        return found


def _is_checked_out(folder: Path) -> bool:
    return os.path.lexists(folder / ".git")


def _require(answer: Answer, verb: str, accept: Sequence[int] = (0,)) -> Answer:
    if answer.exit_code not in accept:
        raise explain(verb, answer.exit_code, answer.errors.strip() or answer.text)
    return answer


def _timed_out(words: Sequence[str]) -> GitFailure:
    return GitFailure(f"{words[0]}: git took too long and was killed", "timeout", "timeout")
