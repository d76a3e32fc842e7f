"""What a store takes: commits that follow what is there, and blobs that are what their digest says."""

from __future__ import annotations

import hashlib
import os

from a3s_code.errors import SessionInUse, StoreError, UnknownSession
from a3s_code.kernel.store import Commit, seal

LARGEST = 999_000_000
"""The most bytes of one body or blob."""


def why_refused(commit: Commit, count: int, head: bytes, stored: bytes | None) -> StoreError | None:
    """Why a commit cannot be stored after `count` entries that end with the digest `head`.

    `stored` is the digest of the entry that has its number already.
    """
    entry = commit.entry
    if stored is not None:
        if stored == entry.digest:
            return None
        return StoreError(
            f"session {commit.session_id!r} has another entry {entry.number} already",
            hint="somebody else wrote to it; resume the session again",
        )
    sizes = (len(entry.body), len(commit.summary), *map(len, commit.blobs.values()))
    if max(sizes) > LARGEST:
        return StoreError(f"{max(sizes)} bytes are too many to be kept in one piece", hint=f"at most {LARGEST}")
    if entry.number != count or seal(head, entry.number, entry.body).digest != entry.digest:
        return StoreError(
            f"entry {entry.number} does not follow the {count} entries of session {commit.session_id!r}",
            hint="somebody else wrote to it, or its end was lost; resume the session again",
        )
    wrong = [digest for digest, content in commit.blobs.items() if hashlib.sha256(content).hexdigest() != digest]
    wrong += [digest for digest in commit.dropped if raw(digest) is None]
    return StoreError(f"{wrong[0]!r} is not the SHA-256 of its blob") if wrong else None


def raw(digest: str) -> bytes | None:
    """The 32 bytes of a SHA-256 in hexadecimal; None where it is none."""
    try:
        found = bytes.fromhex(digest)
    except ValueError:
        return None
    return found if len(found) == 32 and found.hex() == digest else None


def unknown(session_id: str) -> UnknownSession:
    return UnknownSession(f"the store holds no session {session_id!r}", hint="list what it holds with sessions()")


def in_use(session_id: str, pid: int | None) -> SessionInUse:
    who = "this process" if pid == os.getpid() else "another process" if pid is None else f"process {pid}"
    return SessionInUse(
        f"session {session_id!r} is open in {who}", pid=pid, hint="close it there, or begin a session of another id"
    )
