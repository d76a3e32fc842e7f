"""The ledger: every run of a session, and which one is going on."""

from __future__ import annotations

import threading
from collections.abc import Callable

from a3s_code.errors import RunNotResumable, SessionBusy, UnknownRun
from a3s_code.kernel.events import AgentEvent
from a3s_code.kernel.facts import event_fact, run_fact
from a3s_code.kernel.journal import UNKEPT, Journal
from a3s_code.kernel.messages import Image, Message, Request
from a3s_code.kernel.ports import Clock
from a3s_code.kernel.state import Run
from a3s_code.kernel.trace import RunEventRecord, RunSnapshot, Subscriber
from a3s_code.kernel.validity import mended

RESUMABLE = frozenset({"interrupted", "failed", "cancelled", "limit_reached"})


class RunLedger:
    """All runs of one session, oldest first. One goes on at a time; later ones may wait for it. Thread-safe."""

    def __init__(self, session_id: str, clock: Clock, journal: Journal = UNKEPT) -> None:
        self._session_id = session_id
        self._clock = clock
        self._journal = journal
        self._subscribers: tuple[Subscriber, ...] = ()
        self._runs: dict[str, Run] = {}
        self._open: list[Run] = []
        self._lock = threading.Lock()

    @property
    def current(self) -> Run | None:
        """The run that goes on, None between runs."""
        return next((run for run in self._open if not run.done.done()), None)

    def begin(self, request: Request, *, queue: bool) -> tuple[Run, list[Run]]:
        """A new run for the request, and those it has to wait for.

        While another run goes on this raises SessionBusy, unless `queue` is set or that run is being cancelled.
        """
        history = None if request.history is None else mended(request.history)
        with self._lock:
            earlier = self._earlier(queue=queue)
            run_id = self._clock.new_id("run")
            while run_id in self._runs:  # a clock whose ids begin anew in each process
                run_id = self._clock.new_id("run")
            run = self._make(run_id, request.prompt, request.attachments, history)
            self._open.append(run)
            return run, earlier

    def reopen(self, run_id: str) -> tuple[Run, list[Run]]:
        """A run that was interrupted, or ended before its work was done, to be gone on with.

        Raises UnknownRun, RunNotResumable and SessionBusy.
        """
        run = self.get(run_id)
        with self._lock:
            earlier = self._earlier(queue=False)
            if run.status not in RESUMABLE or not run.done.done():
                raise RunNotResumable(f"{run_id} is {run.status}", hint="only a run that is not complete can go on")
            if next(reversed(self._runs)) != run_id:
                raise RunNotResumable(
                    f"other runs came after {run_id}", hint="send what is left to do as a new request"
                )
            run.reopen()
            self._open.append(run)
            return run, earlier

    def recall(self, run_id: str, prompt: str, at_ms: int) -> Run:
        """A run of an earlier process, to be filled with what is stored of it."""
        run = self._make(run_id, prompt)
        run.created_at_ms = run.updated_at_ms = at_ms
        run.done.set_result(None)
        return run

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell `subscriber` of every event of every run from now on; gives what ends it."""
        self._subscribers = (*self._subscribers, subscriber)

        def leave() -> None:
            self._subscribers = tuple(item for item in self._subscribers if item is not subscriber)

        return leave

    def _make(
        self, run_id: str, prompt: str, images: tuple[Image, ...] = (), history: list[Message] | None = None
    ) -> Run:
        def keep(record: RunEventRecord, then: Callable[[bool], None]) -> None:
            if not record.sequence:
                # Before its first event, whichever that is: a run may end before it begins.
                self._journal.note(run_fact(run_id, prompt, run.created_at_ms, run.images, run.history))
            self._journal.note(event_fact(run_id, record), then)

        run = Run(
            run_id,
            self._session_id,
            prompt,
            self._clock.now_ms,
            keep if self._journal.kept else None,
            images=images,
            history=history,
        )
        run.log.subscribe(self._tell)
        self._runs[run_id] = run
        return run

    def _tell(self, event: AgentEvent) -> None:
        for subscriber in self._subscribers:
            subscriber(event)

    def _earlier(self, *, queue: bool) -> list[Run]:
        """The runs that go on; raises SessionBusy where a new one may not wait for them."""
        self._open = [run for run in self._open if not run.done.done()]
        busy = next((run for run in self._open if not (run.cancelling or run.ended)), None)
        if busy is not None and not queue:
            raise SessionBusy(
                f"session {self._session_id} is busy with {busy.id}",
                hint='wait for it, cancel it, or open the session with on_busy="queue"',
            )
        return list(self._open)

    @property
    def latest(self) -> Run | None:
        """The last run that was begun."""
        return next(reversed(self._runs.values()), None)

    def open_runs(self) -> list[Run]:
        """The run that goes on and those that wait, in order."""
        return [run for run in list(self._open) if not run.done.done()]

    def get(self, run_id: str) -> Run:
        """The run with that id; raises UnknownRun."""
        try:
            return self._runs[run_id]
        except KeyError:
            raise UnknownRun(
                f"session {self._session_id} has no run {run_id!r}", hint="session.runs() lists them"
            ) from None

    def __len__(self) -> int:
        return len(self._runs)

    def snapshots(self) -> list[RunSnapshot]:
        return [run.snapshot() for run in list(self._runs.values())]
