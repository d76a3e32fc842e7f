"""Putting a damaged database aside, and what could be read of it in its place."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from a3s_code.stores.archive import Archive
from a3s_code.stores.salvage import salvage
from a3s_code.stores.tables import NAME, connect, create_file, is_newest, lay_out, open_store, settle, sync_folder
from a3s_code.stores.witness import Witness

_LOG = logging.getLogger("a3s_code.stores")


def log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-wal")


def copy_log(directory: Path) -> bool:
    """Keep the log as it was found, before SQLite reads it; whether there is one."""
    log, copy = log_of(directory / NAME), _copy(directory)
    if not copy.exists() and log.exists() and log.stat().st_size:
        draft = copy.with_name(f"{copy.name}.new")
        shutil.copyfile(log, draft)
        draft.replace(copy)
    return copy.exists()


def check_log(database: Path, witness: Witness) -> None:
    """Raise Damaged where a log that was left behind does not fit its database. Changes neither: a connection that may
    write would carry the log over when it closes."""
    with closing(open_store(database, mode="ro")) as connection:
        if is_newest(connection):
            Archive(connection, witness).check()


def drop_copy(directory: Path) -> None:
    _copy(directory).unlink(missing_ok=True)


def rebuild(directory: Path, why: str, acknowledged: dict[int, int]) -> None:
    """Replace the database by what can be read of it. Nobody may have it open."""
    database = directory / NAME
    kept = _aside(directory)
    draft = database.with_name(f"{NAME}.new")
    create_file(draft)
    target = connect(draft)
    try:
        lay_out(target)
        losses = salvage(database, _found_log(directory), target, acknowledged, f"the damaged file was kept as {kept}")
    finally:
        target.close()
    settle(draft, _restored(directory))
    finish(directory)
    lost = "; ".join(losses) or "nothing was lost"
    _LOG.warning("%s was damaged (%s) and has been written anew: %s", database, why, lost)


def finish(directory: Path) -> None:
    """Go on with a replacement that was interrupted at any point, or has just been prepared."""
    restored, database = _restored(directory), directory / NAME
    if not restored.exists():
        return
    kept, log = _aside(directory), _found_log(directory)
    if log.exists():
        log.replace(log_of(kept))
    log_of(database).unlink(missing_ok=True)
    database.with_name(f"{NAME}-shm").unlink(missing_ok=True)
    if database.exists():
        database.replace(kept)
    restored.replace(database)
    sync_folder(directory)


def remains(directory: Path, whereabouts: str, acknowledged: dict[int, int]) -> sqlite3.Connection:
    """What can be read of the database, in memory; the file stays as it is."""
    target = connect(None)
    try:
        lay_out(target)
        salvage(directory / NAME, _found_log(directory), target, acknowledged, whereabouts)
    except BaseException:
        target.close()
        raise
    return target


def _aside(directory: Path) -> Path:
    number = 1
    while (kept := directory / f"{NAME}.damaged-{number}").exists():
        number += 1
    return kept


def _restored(directory: Path) -> Path:
    return directory / f"{NAME}.restored"


def _copy(directory: Path) -> Path:
    return directory / f"{NAME}.log"


def _found_log(directory: Path) -> Path:
    copy = _copy(directory)
    return copy if copy.exists() else log_of(directory / NAME)
