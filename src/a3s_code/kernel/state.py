"""The two mutable objects: SessionState lives as long as the session, Run as long as one send.

Both are changed on the event loop of the run only. Other threads may read them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from a3s_code.errors import A3SError, RunLimit, UsageError
from a3s_code.kernel.contracts import NOT_VERIFIED, Decision, Plan, Price, RunStatus, Usage, Verification
from a3s_code.kernel.events import AgentEnd, AgentEvent, AgentStart, Error, LimitReached
from a3s_code.kernel.messages import Message, StopReason, ToolCall
from a3s_code.kernel.pairing import pair
from a3s_code.kernel.trace import ActiveTool, EventLog, RunSnapshot, TraceEvent

TERMINAL: frozenset[RunStatus] = frozenset({"completed", "failed", "cancelled", "limit_reached", "interrupted"})


@dataclass(slots=True)
class SessionState:
    """What a session knows. Owner: the session.

    `files` maps real paths to the digest last seen. `changes` counts calls that may have changed the workspace;
    `verified_changes` is that count when the last verified verdict was reached. `notices` are events that the next run
    begins with.
    """

    session_id: str
    workspace: Path
    history: list[Message] = field(default_factory=list[Message])
    usage: Usage = field(default_factory=Usage)
    plan: Plan | None = None
    price: Price | None = None
    files: dict[str, str] = field(default_factory=dict[str, str])
    changes: int = 0
    verified_changes: int = 0
    active: dict[str, ActiveTool] = field(default_factory=dict[str, ActiveTool])
    trace: list[TraceEvent] = field(default_factory=list[TraceEvent])
    notices: list[AgentEvent] = field(default_factory=list[AgentEvent])

    def conversation(self, history: Sequence[Message] | None) -> SessionState:
        """The state a run works on: this one, or a view of it with a history of its own."""
        return self if history is None else replace(self, history=pair(history))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that the gate did not let through, and its decision."""

    call: ToolCall
    decision: Decision


standing_still: ContextVar[frozenset[int]] = ContextVar("standing_still", default=frozenset())
"""The threads of event loops that wait, blocking, for the code that looks."""


class Run:
    """One send: its status, its events, what it has used. Owner: the ledger.

    The first terminal event decides the status; nothing changes it afterwards. `done` is set when the run's task is
    over, and with it everything the run had started.
    """

    def __init__(self, run_id: str, session_id: str, prompt: str, now_ms: Callable[[], int]) -> None:
        self.id = run_id
        self.session_id = session_id
        self.prompt = prompt
        self.status: RunStatus = "created"
        self.text = ""
        self.stop: StopReason = "end"
        self.error: A3SError | None = None
        self.limit: str | None = None
        self.usage = Usage()
        self.turns = 0
        self.calls = 0
        self.refused: list[Refusal] = []
        self.due: RunLimit | None = None
        self.verification: Verification = NOT_VERIFIED
        self.created_at_ms = now_ms()
        self.updated_at_ms = self.created_at_ms
        self.log = EventLog(now_ms)
        self.task: asyncio.Task[None] | None = None
        self.thread = 0
        self.done: Future[None] = Future()
        self.cancelling = False

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL

    def emit(self, event: AgentEvent) -> None:
        """Record an event; it changes the status where the event is one that does, and never the flow.

        What comes after the end is dropped: a tool that runs on in its thread has nobody to tell.
        """
        if self.ended:
            return
        self._advance(event)
        self.updated_at_ms = self.log.append(event).timestamp_ms

    def _advance(self, event: AgentEvent) -> None:
        match event:
            case AgentStart():
                self.status = "executing"
            case AgentEnd(status=("completed" | "limit_reached" | "cancelled") as status):
                self.status = status
            case Error():
                self.status = "failed"
            case LimitReached(limit=limit):
                self.limit = limit
            case _:
                pass

    def use(self, usage: Usage) -> None:
        self.usage = self.usage + usage

    def end(self, status: RunStatus) -> None:
        """End the run as completed, limit_reached or cancelled."""
        if self.status == "created":
            self.emit(AgentStart(self.prompt))
        summary = self.verification.summary()
        self.emit(AgentEnd(self.text, self.usage, summary, status, self._meta()))

    def fail(self, error: A3SError) -> None:
        """End the run as failed."""
        self.error = error
        self.emit(Error(str(error), type(error).__name__))

    def cancel(self) -> bool:
        """Ask the run to stop; thread-safe. True if it was still going on."""
        if self.ended or self.task is None:
            return False
        if not self.cancelling:
            self.cancelling = True
            self.task.get_loop().call_soon_threadsafe(self.task.cancel)
        return True

    async def terminate(self) -> bool:
        """Cancel, and return when nothing of the run is left; at once where the caller holds it up.

        False if it was over, or came to another end before it could be stopped.
        """
        if not self.cancel():
            return False
        if self.held_up:
            return True
        await self.wait()
        return self.status == "cancelled"

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin the work on the running event loop."""
        self.thread = threading.get_ident()
        self.task = asyncio.get_running_loop().create_task(work)
        self.task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        if not self.ended:
            self.end("cancelled")
        self.done.set_result(None)

    async def wait(self) -> None:
        """Wait until nothing of the run is left; may be awaited on any event loop, by any number of tasks.

        Raises UsageError where the wait could not end, since the run's own event loop stands still for it.
        """
        if self.held_up:
            raise UsageError(
                f"{self.id} cannot be waited for from one of its own tools", hint="use the async session in async tools"
            )
        await asyncio.shield(asyncio.wrap_future(self.done))

    @property
    def held_up(self) -> bool:
        """Whether the run's event loop stands still until the caller is done."""
        return not self.done.done() and self.thread in standing_still.get()

    def snapshot(self) -> RunSnapshot:
        return RunSnapshot(
            id=self.id,
            session_id=self.session_id,
            status=self.status,
            prompt=self.prompt,
            created_at_ms=self.created_at_ms,
            updated_at_ms=self.updated_at_ms,
            result_text=self.text if self.ended and self.status != "failed" else None,
            error=self._error_text(),
            event_count=len(self.log),
        )

    def _error_text(self) -> str | None:
        if self.limit is not None:
            return f"limit_reached: {self.limit}"
        return None if self.error is None else str(self.error)

    def _meta(self) -> dict[str, Any]:
        return {"turns": self.turns, "tool_calls": self.calls, "denied": len(self.refused), "stop": self.stop}
