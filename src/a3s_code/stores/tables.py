"""The database file: its tables, how it is made, opened, and brought up from older versions."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from a3s_code.errors import StoreError, StoreVersionError

NAME = "sessions.db"
PAGE = 4096
BUSY_SECONDS = 20.0
STEPS = (
    """
    CREATE TABLE sessions(number INTEGER PRIMARY KEY, id BLOB, count INTEGER, head BLOB, seal BLOB, summary BLOB,
        damage BLOB);
    CREATE TABLE entries(key INTEGER PRIMARY KEY, fresh BLOB, size INTEGER, body BLOB, digest BLOB, blobs BLOB);
    CREATE TABLE blobs(number INTEGER PRIMARY KEY, digest BLOB UNIQUE, size INTEGER, packed INTEGER, body BLOB);
    CREATE TABLE refs(blob INTEGER, session INTEGER, PRIMARY KEY(blob, session)) WITHOUT ROWID;
    CREATE TABLE aside(number INTEGER PRIMARY KEY, entry INTEGER, session BLOB, body BLOB, digest BLOB, reason BLOB);
    """,
)
"""What makes version 1, then what brings each version to the next. A step that was released never changes."""

_TABLES = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
_NAMES = {b"sessions", b"entries", b"blobs", b"refs", b"aside"}
_APPLICATION = 0x41335300
"""The file says that it is ours, and its version once more: a single changed bit must not make it a newer one."""

_CORRUPT, _CONSTRAINT, _NOT_A_DATABASE = 11, 19, 26
_UNREADABLE, _READ_ONLY = 1, 8
_MAGIC = b"SQLite format 3\0"
_FORMAT_VERSIONS = {1, 2}
_FIXED = {16: PAGE >> 8, 17: PAGE & 0xFF, 20: 0, 21: 64, 22: 32, 23: 32, 44: 0, 45: 0, 46: 0, 47: 4, 59: 1}
"""Bytes in the head of the file that never change, by their place."""

_REASONS = {
    5: ("it is locked by another program", "close what holds it open"),
    6: ("it is locked by another program", "close what holds it open"),
    8: ("it is read-only", "make it writable, or choose another directory"),
    10: ("the disk failed to read or write", "see the system's log; free some space if the disk or a quota is full"),
    13: ("the disk is full", "free some space; the session goes on in memory meanwhile"),
    14: ("it cannot be opened", "see that the directory exists and may be written"),
    18: ("a record is too large", "at most 1 GB can be kept in one piece"),
}
_UNWRITABLE = {8, 10, 13, 14}
_HINTS = dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), _REASONS[8][1]) | dict.fromkeys(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _REASONS[13][1]
)


class Damaged(Exception):
    """Something in the file is not what was written; says what."""


def refuses_its_head(error: Exception, path: Path) -> bool:
    """Whether SQLite failed because of a changed bit in the head of the file, which it takes for an unknown format or
    a file that may only be read. No connection of this process may be open: reading a file ends the locks on it."""
    if not isinstance(error, sqlite3.Error) or getattr(error, "sqlite_errorcode", 0) & 0xFF not in (
        _UNREADABLE,
        _READ_ONLY,
    ):
        return False
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:
        return False
    fixed = all(head[place] == byte for place, byte in _FIXED.items()) if len(head) == 100 else False
    return not (fixed and head.startswith(_MAGIC) and {head[18], head[19]} <= _FORMAT_VERSIONS)


def forbids_writing(error: BaseException | None) -> bool:
    """Whether what could not be opened or written may still be read."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 1) & 0xFF in _UNWRITABLE
    return isinstance(error, OSError) and error.errno in _HINTS


def explain(error: Exception, directory: Path) -> Exception:
    """The error as this library raises it: Damaged, or a StoreError that says what to do."""
    if isinstance(error, UnicodeDecodeError):
        return Damaged("SQLite names something that is no text any more")
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 1) & 0xFF
        if code in (_CORRUPT, _CONSTRAINT, _NOT_A_DATABASE):
            return Damaged(str(error))
        reason, hint = _REASONS.get(code, (str(error), None))
        return StoreError(f"the store in {directory} cannot be used: {reason}", hint=hint)
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        hint = _HINTS.get(error.errno or 0, _REASONS[14][1])
        return StoreError(f"the store in {directory} cannot be used: {reason}", hint=hint)
    return error


def make(path: Path, steps: Sequence[str] = STEPS) -> None:
    """A new, empty database; it is there whole, or not at all."""
    draft = path.with_name(path.name + ".new")
    create_file(draft)
    connection = connect(draft)
    try:
        lay_out(connection, steps)
    finally:
        connection.close()
    settle(draft, path)


def create_file(path: Path) -> None:
    """An empty file that only its owner may read, in place of what was there."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def lay_out(connection: sqlite3.Connection, steps: Sequence[str] = STEPS) -> None:
    """Make the tables in an empty database."""
    connection.execute(f"PRAGMA page_size = {PAGE}")
    _step(connection, 0, steps)


def settle(draft: Path, path: Path) -> None:
    """Put a finished file in its place, so that it stays there after a power cut."""
    descriptor = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect(path: Path | None, mode: str = "rw") -> sqlite3.Connection:
    """A connection to a file that is there, or to a database in memory."""
    where = ":memory:" if path is None else f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(where, timeout=BUSY_SECONDS, isolation_level=None, uri=path is not None)
    connection.text_factory = bytes
    return connection


def open_store(path: Path, steps: Sequence[str] = STEPS, mode: str = "rw") -> sqlite3.Connection:
    """A connection to a store that is there, brought up to the newest version, or with the mode "ro" as it is.

    Raises Damaged where it is not as it was made, StoreVersionError where it is newer, sqlite3.Error else.
    """
    connection = connect(path, mode)
    try:
        version = _version(connection)
        if version > len(steps) and _application(connection) == _APPLICATION + version:
            raise StoreVersionError(
                f"{path} was written by a newer version of a3s-code: format {version}, where {len(steps)} is known",
                hint="upgrade a3s-code, or choose another directory",
            )
        _inspect(connection, path, steps[:version])
        if mode == "rw":
            _prepare(connection, path)
            if version < len(steps):
                _step(connection, version, steps)
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != b"wal":
        raise StoreError(f"{path} is on a file system without shared memory", hint="keep the store on a local disk")
    for setting in ("synchronous = FULL", "wal_autocheckpoint = 256", "cell_size_check = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute(f"PRAGMA journal_size_limit = {1024 * 1024}")


def is_newest(connection: sqlite3.Connection) -> bool:
    return _version(connection) == len(STEPS)


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _application(connection: sqlite3.Connection) -> int:
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    return application


def _step(connection: sqlite3.Connection, version: int, steps: Sequence[str]) -> None:
    """Bring the tables from `version` to the newest, all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[_version(connection) :]:
            for statement in step.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute(f"PRAGMA application_id = {_APPLICATION + len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _inspect(connection: sqlite3.Connection, path: Path, steps: Sequence[str]) -> None:
    """Raise where the tables are not those that these steps make."""
    found = connection.execute(_TABLES).fetchall()
    if found != _expected(tuple(steps)) or _application(connection) != _APPLICATION + len(steps):
        if found and not {name for name, _ in found} & _NAMES:
            raise StoreError(f"{path} is a database of another program", hint="choose another directory")
        raise Damaged("its tables are not as they were made")


@cache
def _expected(steps: tuple[str, ...]) -> list[tuple[bytes, bytes]]:
    model = connect(None)
    try:
        if steps:
            lay_out(model, steps)
        return model.execute(_TABLES).fetchall()
    finally:
        model.close()
