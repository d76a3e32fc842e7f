"""Books: what a session keeps about itself, its ledger, its journal and its artifacts; new, or as they were stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from a3s_code.api.keeping import plain_options
from a3s_code.api.options import SessionOptions
from a3s_code.api.recall import VERSION, Recalled
from a3s_code.errors import A3SError
from a3s_code.harness.safety.confirmation import Confirmations, PendingConfirmation
from a3s_code.kernel.contracts import Confirmation, Labels
from a3s_code.kernel.events import PersistenceFailed
from a3s_code.kernel.facts import Fact
from a3s_code.kernel.journal import UNKEPT, StoredJournal
from a3s_code.kernel.ledger import RunLedger
from a3s_code.kernel.ports import Clock
from a3s_code.kernel.restoring import Asked, Restoration
from a3s_code.kernel.state import SessionState
from a3s_code.kernel.store import SessionStore
from a3s_code.stores.artifacts import MemoryArtifactStore

LOG = logging.getLogger("a3s_code")
SHOWN_PROMPT = 200


@dataclass(frozen=True, slots=True)
class Books:
    """`store` and `journal` are None for a session that is kept in memory; `asked` are the open questions of an earlier
    process."""

    ledger: RunLedger
    artifacts: MemoryArtifactStore
    store: SessionStore | None
    journal: StoredJournal | None
    asked: Mapping[str, Asked]

    def open_calls(self, state: SessionState) -> set[str]:
        """The calls of the last message, which have no results yet."""
        run = self.ledger.latest
        history = state.history if run is None or run.history is None else run.history
        return {call.id for call in history[-1].calls} if history else set()

    def recall_questions(self, confirmations: Confirmations) -> None:
        """Let the questions of an earlier process be answered."""
        for asked in self.asked.values():
            call, decision = asked.call, asked.decision
            question = PendingConfirmation(
                call.id, call.name, call.arguments, decision.reason, decision.rule, decision.source, decision.effects,
                asked.digest,
            )  # fmt: skip
            answer = None if asked.answer is None else Confirmation(*asked.answer)
            confirmations.recall(question, answer)


def open_books(
    state: SessionState,
    clock: Clock,
    options: SessionOptions,
    labels: Labels,
    store: SessionStore | None,
    recalled: Recalled | None,
) -> Books:
    """The books of a session; fills `state` with what was recalled."""
    if store is None:
        artifacts = MemoryArtifactStore(UNKEPT, **options.artifact_store_limits)
        return Books(RunLedger(state.session_id, clock), artifacts, None, None, {})
    header = _header(state, clock, options, labels) if recalled is None else recalled.header
    journal = StoredJournal(
        store, state.session_id, header, lambda: _summary(header, state, ledger), automatic=options.auto_save
    )
    state.journal = journal
    ledger = RunLedger(state.session_id, clock, journal)
    journal.failed = lambda error: _tell_failed(error, state, ledger)
    artifacts = MemoryArtifactStore(journal, **options.artifact_store_limits)
    restoration = Restoration(state, ledger)
    if recalled is not None:
        restoration.restore(recalled.facts)
        journal.follow(recalled.entries, recalled.packed, claimed=recalled.claimed)
        artifacts.restore(restoration.artifacts)
        if recalled.damage is not None:
            LOG.warning("session %s was damaged: %s", state.session_id, recalled.damage)
            state.notices.append(PersistenceFailed(state.session_id, "load", recalled.damage))
    return Books(ledger, artifacts, store, journal, restoration.asked)


def _header(state: SessionState, clock: Clock, options: SessionOptions, labels: Labels) -> Fact:
    plain, left = plain_options(options)
    return {
        "k": "session",
        "id": state.session_id,
        "version": VERSION,
        "workspace": str(state.workspace),
        "at": clock.now_ms(),
        "labels": asdict(labels),
        "options": plain,
        "left": left,
    }


def _summary(header: Fact, state: SessionState, ledger: RunLedger) -> Mapping[str, Any]:
    last = ledger.latest
    return {
        "id": state.session_id,
        "workspace": header["workspace"],
        "at": header["at"],
        "updated": header["at"] if last is None else last.updated_at_ms,
        "runs": len(ledger),
        "status": "created" if last is None else last.status,
        "prompt": "" if last is None else last.prompt[:SHOWN_PROMPT],
    }


def _tell_failed(error: A3SError, state: SessionState, ledger: RunLedger) -> None:
    LOG.warning("the store of session %s fails: %s", state.session_id, error)
    event = PersistenceFailed(state.session_id, "append", str(error))
    run = ledger.current
    if run is None or run.ended or run.task is None:
        state.notices.append(event)
    elif (loop := run.task.get_loop()) is asyncio.get_running_loop():
        run.emit(event)
    else:
        with suppress(RuntimeError):  # it has ended, and the run with it
            loop.call_soon_threadsafe(run.emit, event)
