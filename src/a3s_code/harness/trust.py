"""Trust: which configuration that came with a workspace may act, told by the digest of its contents.

A cloned repository may bring commands to start, rules that allow, addresses to send to. None of it acts until somebody
who looked at it said so, and a change of one byte takes that back.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from a3s_code.errors import WorkspaceError
from a3s_code.system.files import ABSENT, FileChanged, FileTooLarge, digest, read_bytes, write_atomic

FILES = ("agent.acl", ".mcp.json", ".claude/settings.json", ".claude/settings.local.json")
FOLDERS = (".a3s", ".claude/agents", ".claude/commands", ".claude/hooks", ".claude/skills", "skills")
TOPS = tuple(dict.fromkeys(name.partition("/")[0] for name in (*FILES, *FOLDERS)))
MAX_FILES = 5_000
MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 16
TRIES = 20
TOO_MUCH = "it is too much to look through"
_NOTHING_READ: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Survey:
    """The configuration that a workspace brings: the files, from the workspace, and the digest of all of it.

    `fault` says why it could not be read whole; then it cannot be trusted.
    """

    workspace: Path
    files: tuple[str, ...]
    digest: str
    fault: str = ""


def brings_nothing(workspace: Path) -> bool:
    """Whether there is nothing in the workspace that a survey would look at; most have nothing, and this is quick."""
    return not any(os.path.lexists(f"{workspace}/{name}") for name in TOPS)


def survey(workspace: Path, of_user: Path | None = None, read: Mapping[str, bytes] = _NOTHING_READ) -> Survey:
    """Look through a workspace (a real path) for configuration. A link counts with where it leads and what is there.

    The folder `of_user` is that of the user, which no workspace brings. `read` holds the contents of files that were
    read before: what is used of them and what is looked at must be the same.
    """
    whole = hashlib.sha256()
    names: list[str] = []
    left = MAX_BYTES
    try:
        for name in sorted(islice(_list_files(workspace, of_user), MAX_FILES + 1)):
            content = _read(workspace / name, left, read.get(name))
            left -= len(content)
            names.append(name)
            whole.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
            whole.update(content)
            if len(names) > MAX_FILES or left < 0:
                return Survey(workspace, tuple(names), "", TOO_MUCH)
    except (FileTooLarge, _TooDeep):
        return Survey(workspace, tuple(names), "", TOO_MUCH)
    except OSError as error:
        return Survey(
            workspace, tuple(names), "", f"{error.filename or 'a file'} cannot be read: {error.strerror or error}"
        )
    return Survey(workspace, tuple(names), whole.hexdigest() if names else "")


class _TooDeep(Exception):
    """Folders are nested too deep, or links lead round."""


class TrustStore:
    """Remembers in one file of the user's which workspaces are trusted, and with which contents."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def trusts(self, found: Survey) -> bool:
        """Whether that workspace was trusted with exactly these contents; a workspace without any needs no trust."""
        if not found.files and not found.fault:
            return True
        return bool(found.digest) and self._load()[1].get(str(found.workspace)) == found.digest

    def trust(self, found: Survey) -> None:
        """Trust these contents from now on. Raises WorkspaceError where they could not be read whole, or the store
        cannot be written."""
        if found.fault:
            raise WorkspaceError(
                f"{found.workspace} cannot be trusted: {found.fault}", hint="make it readable, or smaller"
            )
        self._change({str(found.workspace): found.digest})

    def revoke(self, workspace: Path) -> bool:
        """Take the trust back; False where there was none. Raises WorkspaceError where the store cannot be written."""
        known = str(workspace) in self._load()[1]
        self._change({str(workspace): None})
        return known

    def _change(self, entries: Mapping[str, str | None]) -> None:
        try:
            for _ in range(TRIES - 1):
                with suppress(FileChanged):  # another process trusted something meanwhile
                    return self._write(entries)
            return self._write(entries)
        except OSError as error:
            raise WorkspaceError(
                f"{self._path}, which remembers what is trusted, cannot be written: {error.strerror or error}",
                hint="check the file and its folder",
            ) from error

    def _write(self, entries: Mapping[str, str | None]) -> None:
        content, known = self._load()
        merged = {place: mark for place, mark in {**known, **entries}.items() if mark is not None}
        text = json.dumps({"workspaces": merged}, indent=2, sort_keys=True) + "\n"
        before = ABSENT if content is None else digest(content)
        write_atomic(self._path, text.encode(), expected=before, mode=0o600)

    def _load(self) -> tuple[bytes | None, Mapping[str, str]]:
        """The file's contents and what they say; what cannot be read or understood trusts nothing."""
        try:
            content = read_bytes(self._path, MAX_BYTES)
        except OSError:
            return None, {}
        try:
            entries = json.loads(content)["workspaces"]
            return content, {place: mark for place, mark in entries.items() if isinstance(mark, str)}
        except (ValueError, KeyError, TypeError, AttributeError):
            return content, {}


def user_store(home: Path) -> TrustStore:
    """The store of the user whose home folder this is."""
    return TrustStore(home / ".a3s" / "trust.json")


def _list_files(workspace: Path, of_user: Path | None) -> Iterator[str]:
    root = str(workspace)
    for name in FILES:
        if os.path.lexists(f"{root}/{name}"):
            yield name
    for name in FOLDERS:
        if of_user is None or workspace / name != of_user:
            yield from _list_folder(root, name, MAX_DEPTH)


def _list_folder(root: str, name: str, depth: int) -> Iterator[str]:
    """What lies in a folder."""
    place = f"{root}/{name}"
    try:
        with os.scandir(place) as found:
            entries = sorted((entry.name, entry.is_dir()) for entry in islice(found, MAX_FILES + 1))
    except (FileNotFoundError, NotADirectoryError):
        entries = []
        if not os.path.lexists(place):
            return
    if os.path.islink(place):  # noqa: PTH114 - a text, and this is the fast way
        yield name
    if entries and not depth:
        raise _TooDeep
    for entry, is_folder in entries:
        inner = f"{name}/{entry}"
        if is_folder:
            yield from _list_folder(root, inner, depth - 1)
        else:
            yield inner


def _read(path: Path, left: int, known: bytes | None) -> bytes:
    """A file's mode and contents, or where a link leads and what is there; other things only by their kind."""
    state = path.lstat()
    if stat.S_ISLNK(state.st_mode):
        target = Path(os.path.realpath(path))
        content = known if known is not None else read_bytes(target, left) if target.is_file() else b""
        return os.fsencode(f"link {target} ") + content
    if not stat.S_ISREG(state.st_mode):
        return f"kind {stat.S_IFMT(state.st_mode)}".encode()
    content = known if known is not None else read_bytes(Path(os.path.realpath(path)), left)
    return b"file " + (b"x " if state.st_mode & 0o111 else b"- ") + content
