"""The ledger: every run of a session, and which one is going on."""

from __future__ import annotations

import threading

from a3s_code.errors import SessionBusy, UnknownRun
from a3s_code.kernel.ports import Clock
from a3s_code.kernel.state import Run
from a3s_code.kernel.trace import RunSnapshot


class RunLedger:
    """All runs of one session, oldest first. One goes on at a time; later ones may wait for it. Thread-safe."""

    def __init__(self, session_id: str, clock: Clock) -> None:
        self._session_id = session_id
        self._clock = clock
        self._runs: dict[str, Run] = {}
        self._open: list[Run] = []
        self._lock = threading.Lock()

    @property
    def current(self) -> Run | None:
        """The run that goes on, None between runs."""
        return next((run for run in self._open if not run.done.done()), None)

    def begin(self, prompt: str, *, queue: bool) -> tuple[Run, list[Run]]:
        """A new run, and those it has to wait for.

        While another run goes on this raises SessionBusy, unless `queue` is set or that run is being cancelled.
        """
        with self._lock:
            self._open = [run for run in self._open if not run.done.done()]
            earlier = list(self._open)
            if (busy := next((run for run in earlier if not run.cancelling), None)) is not None and not queue:
                raise SessionBusy(
                    f"session {self._session_id} is busy with {busy.id}",
                    hint='wait for it, cancel it, or open the session with on_busy="queue"',
                )
            run = Run(self._clock.new_id("run"), self._session_id, prompt, self._clock.now_ms)
            self._runs[run.id] = run
            self._open.append(run)
            return run, earlier

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

    def snapshots(self) -> list[RunSnapshot]:
        return [run.snapshot() for run in list(self._runs.values())]
