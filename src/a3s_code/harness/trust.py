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
from pathlib import Path

from a3s_code.errors import WorkspaceError
from a3s_code.system.files import ABSENT, FileChanged, FileTooLarge, digest, read_bytes, write_atomic

FILES = ("agent.acl", ".mcp.json", ".claude/settings.json", ".claude/settings.local.json")
FOLDERS = (".a3s", ".claude/agents", ".claude/commands", ".claude/hooks", ".claude/skills", "skills")
MAX_FILES = 5_000
MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 16
TRIES = 20


@dataclass(frozen=True, slots=True)
class Survey:
    """The configuration that a workspace brings: the files, from the workspace, and the digest of all of it.

    `fault` says why it could not be read whole; then it cannot be trusted.
    """

    workspace: Path
    files: tuple[str, ...]
    digest: str
    fault: str = ""


def survey(workspace: Path) -> Survey:
    """Look through a workspace (a real path) for configuration. Links are noted by where they lead, not followed."""
    whole = hashlib.sha256()
    names: list[str] = []
    left = MAX_BYTES
    try:
        for name in sorted(_list_files(workspace)):
            content = _read(workspace / name, left)
            left -= len(content)
            names.append(name)
            whole.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
            whole.update(content)
            if len(names) > MAX_FILES or left < 0:
                return Survey(workspace, tuple(names), "", "it is too much to look through")
    except FileTooLarge:
        return Survey(workspace, tuple(names), "", "it is too much to look through")
    except OSError as error:
        return Survey(
            workspace, tuple(names), "", f"{error.filename or 'a file'} cannot be read: {error.strerror or error}"
        )
    return Survey(workspace, tuple(names), whole.hexdigest() if names else "")


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
        """Trust these contents from now on. Raises WorkspaceError where they could not be read whole."""
        if found.fault:
            raise WorkspaceError(
                f"{found.workspace} cannot be trusted: {found.fault}", hint="make it readable, or smaller"
            )
        self._change({str(found.workspace): found.digest})

    def revoke(self, workspace: Path) -> bool:
        """Take the trust back; False where there was none."""
        known = str(workspace) in self._load()[1]
        self._change({str(workspace): None})
        return known

    def _change(self, entries: Mapping[str, str | None]) -> None:
        for _ in range(TRIES - 1):
            with suppress(FileChanged):  # another process trusted something meanwhile
                return self._write(entries)
        return self._write(entries)

    def _write(self, entries: Mapping[str, str | None]) -> None:
        content, known = self._load()
        merged = {place: mark for place, mark in {**known, **entries}.items() if mark is not None}
        text = json.dumps({"workspaces": merged}, indent=2, sort_keys=True) + "\n"
        before = ABSENT if content is None else digest(content)
        write_atomic(self._path, text.encode(), expected=before, mode=0o600)

    def _load(self) -> tuple[bytes | None, Mapping[str, str]]:
        """The file's contents and what they say; what cannot be understood trusts nothing."""
        try:
            content = read_bytes(self._path, MAX_BYTES)
        except FileNotFoundError:
            return None, {}
        try:
            entries = json.loads(content)["workspaces"]
            return content, {place: mark for place, mark in entries.items() if isinstance(mark, str)}
        except (ValueError, KeyError, TypeError, AttributeError):
            return content, {}


def user_store(home: Path) -> TrustStore:
    """The store of the user whose home folder this is."""
    return TrustStore(home / ".a3s" / "trust.json")


def _list_files(workspace: Path) -> Iterator[str]:
    for name in FILES:
        if os.path.lexists(workspace / name):
            yield name
    for name in FOLDERS:
        yield from _list_folder(workspace, name, MAX_DEPTH)


def _list_folder(workspace: Path, name: str, depth: int) -> Iterator[str]:
    place = workspace / name
    if place.is_symlink():
        yield name
        return
    try:
        entries = sorted(entry.name for entry in place.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        inner = f"{name}/{entry}"
        if not (workspace / inner).is_dir() or (workspace / inner).is_symlink():
            yield inner
        elif depth:
            yield from _list_folder(workspace, inner, depth - 1)


def _read(path: Path, left: int) -> bytes:
    """A file's mode and contents, or where a link leads and what is there; other things only by their kind."""
    state = path.lstat()
    if stat.S_ISLNK(state.st_mode):
        target = Path(os.path.realpath(path))
        shown = os.fsencode(f"link {target} ")
        return shown + (read_bytes(target, left) if target.is_file() else b"")
    if not stat.S_ISREG(state.st_mode):
        return f"kind {stat.S_IFMT(state.st_mode)}".encode()
    return b"file " + (b"x " if state.st_mode & 0o111 else b"- ") + read_bytes(path, left)
