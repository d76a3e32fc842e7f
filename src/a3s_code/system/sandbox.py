"""Where a command may change files, and what makes the kernel hold it to that.

A sandbox takes nothing back of a decision and gives nothing to it: it is the second lock, for what a command does
beyond what could be read in it. Reading, the network and the rights of files (chmod) stay as they are.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from a3s_code.kernel.contracts import Effect
from a3s_code.system import bubblewrap, landlock
from a3s_code.system.files import read_bytes
from a3s_code.system.landlock import Grant
from a3s_code.system.launch import launcher_command

Engine = Literal["landlock", "bubblewrap"]

TRIAL_SECONDS = 10.0
MARKER_BYTES = 65_536
# What programs write to without changing anything: nothing, terminals, shared memory, the interfaces of graphics cards.
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "dri", "kfd", "kvm")
GRAPHICS = "nvidia*"
# What build tools keep to save a second download or compilation. Without these go, npm, uv, cargo and gradle stop.
CACHES = (
    ".cache",
    "Library/Caches",
    ".npm",
    ".bun/install/cache",
    ".yarn/berry",
    ".local/share/pnpm",
    ".cargo/registry",
    ".cargo/git",
    ".cargo/.package-cache",
    ".cargo/.package-cache-mutate",
    ".cargo/.global-cache",
    "go/pkg",
    ".gradle/caches",
    ".gradle/daemon",
    ".gradle/native",
    ".gradle/wrapper",
    ".m2/repository",
    ".ivy2/cache",
    ".nuget/packages",
)
CACHE_NAMES = ("XDG_CACHE_HOME", "GOCACHE", "GOMODCACHE")
# Where tools keep their folder in another place than the home.
TOOL_HOMES = {".cargo": "CARGO_HOME", ".gradle": "GRADLE_USER_HOME", ".bun": "BUN_INSTALL", "go": "GOPATH"}
_WORK_TREE = re.compile(r"^\s*worktree\s*=\s*(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SandboxSupport:
    """What this machine can do: the engine there is, and a sentence about it or about what is missing."""

    engine: Engine | None
    detail: str


@dataclass(frozen=True, slots=True)
class Sandbox:
    """An engine and the places where files may be changed."""

    engine: Engine
    grants: tuple[Grant, ...]

    def wrap(self, argv: tuple[str, ...], folder: Path) -> tuple[str, ...]:
        """`argv` as it has to be run; raises FileNotFoundError where the engine's program has gone."""
        if self.engine == "landlock":
            return argv
        program = bubblewrap.find_bubblewrap()
        if program is None:
            raise FileNotFoundError(2, "bwrap is not there any more")
        return bubblewrap.wrap(program, self.grants, argv, folder)

    def open_ruleset(self) -> int | None:
        """A descriptor for the launcher, which the caller closes; None where there is nothing to hand over."""
        return landlock.create_ruleset(self.grants) if self.engine == "landlock" else None

    def allows(self, path: Path) -> bool:
        """Whether a file at this real path could be written."""
        return any(grant.scope == "write" and path.is_relative_to(grant.path) for grant in self.grants)


@functools.cache
def probe() -> SandboxSupport:
    """What there is on this machine: Landlock before bubblewrap, each tried once."""
    if launcher_command() is None:
        return SandboxSupport(None, "commands can be sandboxed only on Linux, by a Python that can start itself anew")
    found = landlock.version()
    if found and _landlock_works():
        return SandboxSupport("landlock", f"Landlock, version {found}")
    if bubblewrap.find_bubblewrap() is not None:
        return SandboxSupport("bubblewrap", "bubblewrap")
    return SandboxSupport(
        None,
        "there is no Landlock (Linux 5.19 or later, not switched off) and no bubblewrap that works: install bubblewrap",
    )


def _landlock_works() -> bool:
    """Whether a process can put itself under a ruleset: a container may forbid just that."""
    command = launcher_command()
    if command is None:
        return False
    try:
        ruleset = landlock.create_ruleset(())
    except OSError:
        return False
    try:
        trial = subprocess.run(
            (*command, "try", str(ruleset)),
            capture_output=True,
            check=False,
            pass_fds=(ruleset,),
            timeout=TRIAL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    finally:
        os.close(ruleset)
    return trial.returncode == 0


def confine(
    engine: Engine, workspace: Path, temporary: Path, effects: Iterable[Effect], environment: Mapping[str, str]
) -> Sandbox:
    """The sandbox of one call: the workspace and its repository, the temporary folder, the caches of build tools, and
    what `effects`, those the gate let through, are to write and to delete."""
    places = {workspace, temporary, *_repository(workspace), *_devices(), *_caches(environment)}
    grants = [Grant(place) for place in sorted(places)]
    for effect in effects:
        if effect.kind in ("write", "delete"):
            with suppress(OSError, ValueError):  # what cannot be looked at cannot be granted
                grants += _grants(effect, workspace)
    return Sandbox(engine, tuple(dict.fromkeys(grants)))


def _grants(effect: Effect, workspace: Path) -> Iterator[Grant]:
    target = Path(effect.target)
    if not target.is_absolute() or target.is_relative_to(workspace):
        return
    if effect.kind == "delete":
        # The right to remove is one of the folder, and holds for all that is in it.
        yield Grant(target.parent, "remove")
        if target.is_dir():
            yield Grant(target)
    elif target.exists():
        yield Grant(target)
    else:
        # A right cannot be given to what is not there yet: the whole folder that it will be in has to have it.
        folder = next(parent for parent in target.parents if parent.is_dir())
        if folder != Path(folder.anchor):
            yield Grant(folder)


def _devices() -> Iterator[Path]:
    if sys.platform == "linux":
        for name in DEVICES:
            yield Path("/dev", name)
        yield from Path("/dev").glob(GRAPHICS)


def _caches(environment: Mapping[str, str]) -> Iterator[Path]:
    named = [environment[name] for name in CACHE_NAMES if name in environment]
    for place in (*named, *(_locate(name, environment) for name in CACHES)):
        with suppress(OSError, ValueError):
            path = Path(place)
            if path.is_absolute() and path.exists():
                yield path.resolve()


def _locate(cache: str, environment: Mapping[str, str]) -> str:
    folder, _, rest = cache.partition("/")
    usual = os.path.join(environment.get("HOME", ""), folder)  # noqa: PTH118  # many for each command
    return os.path.join(environment.get(TOOL_HOMES.get(folder, "")) or usual, rest)  # noqa: PTH118  # as above


def _repository(workspace: Path) -> Iterator[Path]:
    """Where git keeps the repository that the workspace is part of, where that lies outside of it.

    A `.git` file can be written by a command, so what it points to counts only when that place points back.
    """
    for folder in (workspace, *workspace.parents):
        entry = folder / ".git"
        if entry.is_dir() and not entry.is_symlink():
            if folder != workspace:
                yield entry
            return
        if entry.is_file():
            with suppress(OSError, ValueError):
                yield from _distant_folder(entry, workspace)
            return


def _distant_folder(entry: Path, workspace: Path) -> Iterator[Path]:
    """That of all worktrees, or of a submodule."""
    own = Path(entry.parent, _read_small(entry).removeprefix("gitdir:").strip()).resolve(strict=True)
    common = own.parent.parent
    is_worktree = own.parent.name == "worktrees" and (common / "HEAD").exists() and not own.is_relative_to(workspace)
    if is_worktree and Path(_read_small(own / "gitdir")).resolve() == entry:
        yield common
    elif any(own.is_relative_to(above / ".git" / "modules") for above in entry.parent.parents):
        named = _WORK_TREE.search(_read_small(own / "config"))
        if named is not None and Path(own, named[1]).resolve() == entry.parent:
            yield own


def _read_small(file: Path) -> str:
    """What a small file holds. A command may have put a pipe there, or gigabytes."""
    return os.fsdecode(read_bytes(file, MARKER_BYTES)).strip()
