"""Storage: the store of an agent's sessions, as its configuration or the session's options name it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import a3s_code.stores as stores
from a3s_code.api.options import SessionOptions
from a3s_code.api.recall import Recalled, recall
from a3s_code.api.results import SessionRecord
from a3s_code.config.schema import Config
from a3s_code.errors import A3SError, StoreError, UsageError
from a3s_code.kernel.attribution import blame_store
from a3s_code.kernel.packing import read, read_summary
from a3s_code.kernel.state import TERMINAL
from a3s_code.kernel.store import Listing, SessionStore


class Storage:
    """The stores of one agent. The configured one is made when it is first needed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._own: SessionStore | None = None
        self._used: list[SessionStore] = []

    def store_for(self, options: SessionOptions) -> SessionStore | None:
        """The store of a session with these options; None: it is kept in memory only. Raises ConfigError."""
        store = options.session_store or self._configured()
        if store is not None and not any(store is known for known in self._used):
            self._used.append(store)
        return store

    async def sessions(self, given: SessionStore | None) -> list[SessionRecord]:
        """All sessions of `given`, else of the configured store and of those that sessions were opened with."""
        if given is None and self._config.storage_backend != "custom":
            own = self._configured()
            if own is not None and own not in self._used:
                self._used.append(own)
        searched = list(self._used) if given is None else [given]
        return [await _record(store, listing) for store in searched for listing in await _listings(store)]

    async def close(self) -> None:
        """Close the configured store; one that the host gave is the host's."""
        if self._own is not None:
            await self._own.close()

    def _configured(self) -> SessionStore | None:
        if self._own is None:
            self._own = self._make()
        return self._own

    def _make(self) -> SessionStore | None:
        config = self._config
        if config.storage_backend == "custom":
            hint = "give sessions a session_store, or take the setting out"
            raise config.error("storage_backend", 'the backend "custom" is one that the host brings', hint)
        if config.storage_backend == "memory":
            if "storage_backend" not in config.places and config.sessions_dir is None:
                return None
            return stores.MemorySessionStore()
        folder = config.sessions_dir or (None if config.storage_url is None else Path(config.storage_url))
        if folder is None:
            return None
        return stores.FileSessionStore(folder)


async def claim_and_recall(store: SessionStore | None, session_id: str) -> tuple[SessionStore, Recalled]:
    """Become the writer of a stored session and read it; raises UnknownSession, SessionInUse and StoreError.

    One whose store can only be read goes on in memory, and says so with its first commit.
    """
    if store is None:
        hint = "give session_store=FileSessionStore(folder), or write sessions_dir in the configuration"
        raise UsageError("this agent has no store to resume a session from", hint=hint)
    try:
        with blame_store():
            await store.claim(session_id)
    except StoreError:
        return store, await recall(store, session_id, claimed=False)
    try:
        return store, await recall(store, session_id)
    except BaseException:
        with blame_store():
            await store.release(session_id)
        raise


async def _listings(store: SessionStore) -> Sequence[Listing]:
    with blame_store():
        return await store.sessions()


async def _record(store: SessionStore, listing: Listing) -> SessionRecord:
    body = read_summary(listing.summary)
    if body is None:
        return await _reread(store, listing)
    said = read(body)
    status = said["status"]
    if status not in TERMINAL and said["runs"] and listing.pid is None:
        status = "interrupted"
    return SessionRecord(
        listing.session_id, Path(said["workspace"]), status, said["at"], said["updated"], said["runs"], said["prompt"],
        listing.pid,
    )  # fmt: skip


async def _reread(store: SessionStore, listing: Listing) -> SessionRecord:
    """A session whose summary is damaged, or from another version: what its first entries say."""
    try:
        recalled = await recall(store, listing.session_id, claimed=False)
    except A3SError as error:
        return SessionRecord(listing.session_id, Path(), "damaged", 0, 0, 0, str(error), listing.pid)
    runs = [fact for fact in recalled.facts if fact["k"] == "run"]
    at = recalled.header["at"]
    last = runs[-1] if runs else {"at": at, "prompt": ""}
    return SessionRecord(
        listing.session_id, recalled.workspace, "interrupted" if runs else "created", at, last["at"], len(runs),
        last["prompt"][:200], listing.pid,
    )  # fmt: skip
