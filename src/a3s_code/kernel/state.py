"""The two mutable objects: SessionState lives as long as the session, Run as long as one send.

Both are changed on the event loop of the run only. Other threads may read them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from a3s_code.errors import A3SError, RunLimit, UsageError
from a3s_code.kernel.budget import Budget
from a3s_code.kernel.contracts import NOT_VERIFIED, Decision, Plan, Price, RunStatus, Usage, Verification
from a3s_code.kernel.events import AgentEnd, AgentEvent, AgentStart, Error, LimitReached, RunResumed, ToolEnd
from a3s_code.kernel.facts import call_fact, history_fact, message_fact, result_fact, state_fact
from a3s_code.kernel.journal import UNKEPT, Journal
from a3s_code.kernel.messages import Image, Message, Observation, Reply, Request, StopReason, ToolCall
from a3s_code.kernel.notice import is_last_turn, notice
from a3s_code.kernel.pairing import interrupted
from a3s_code.kernel.trace import ActiveTool, EventLog, Keep, RunSnapshot, TraceEvent
from a3s_code.kernel.validity import distinct

TERMINAL: frozenset[RunStatus] = frozenset({"completed", "failed", "cancelled", "limit_reached", "interrupted"})


@dataclass(slots=True)
class SessionState:
    """What a session knows. Owner: the session.

    `files` maps real paths to the digest last seen. `changes` counts calls that may have changed the workspace;
    `verified_changes` is that count when the last verified verdict was reached. `notices` are events that the next run
    begins with. `prices` are those of the models it may ask, by their names. `overflows` counts how often in a row the
    model refused the history as too long, `context_tokens` is what the model counted up to its last reply, 0 where that
    says nothing of the history any more. `call_ids` are the ids of calls so far, in all their spellings.

    The history is changed by `append` and `replace`, which note it in the journal. `aside` is the run that this is a
    view for, `noted` the results that are noted already and whose message is not there yet, `unfit` the calls of the
    last message that cannot be made any more, and why, `known_files` the files as noted.
    """

    session_id: str
    workspace: Path
    history: list[Message] = field(default_factory=list[Message])
    usage: Usage = field(default_factory=Usage)
    plan: Plan | None = None
    prices: Mapping[str, Price | None] = field(default_factory=dict[str, Price | None])
    files: dict[str, str] = field(default_factory=dict[str, str])
    changes: int = 0
    verified_changes: int = 0
    active: dict[str, ActiveTool] = field(default_factory=dict[str, ActiveTool])
    trace: list[TraceEvent] = field(default_factory=list[TraceEvent])
    notices: list[AgentEvent] = field(default_factory=list[AgentEvent])
    overflows: int = 0
    context_tokens: int = 0
    call_ids: set[str] = field(default_factory=set[str])
    journal: Journal = UNKEPT
    aside: str | None = None
    noted: dict[str, Observation] = field(default_factory=dict[str, Observation])
    unfit: dict[str, str] = field(default_factory=dict[str, str])
    known_files: dict[str, str] = field(default_factory=dict[str, str])

    def conversation(self, run: Run) -> SessionState:
        """The state a run works on: this one, or a view of it with the history that the request brought.

        What an interrupted run has left open here is closed before another conversation begins, for what is known of
        calls is known of those of one message.
        """
        if run.history is None:
            return self
        if not run.taken:
            self.close_calls()
        taken: set[str] = set()
        for message in run.history:
            distinct(message, taken)
        return replace(self, history=run.history, aside=run.id, call_ids=taken, context_tokens=0, overflows=0)

    def append(self, message: Message, reply: Reply | None = None, covered: Sequence[str] = ()) -> None:
        """The history grows. `reply` is what the message came with, `covered` are the calls in it of which not all
        arguments may be stored."""
        self.history.append(message)
        if self.journal.kept:
            self.journal.note(message_fact(message, self.aside, self.noted, reply, covered))
        self.noted.clear()
        self.unfit.clear()

    def replace(self, messages: Sequence[Message]) -> None:
        """Another history takes the place of this one; what stays in it is the same objects."""
        if self.journal.kept:
            self.journal.note(history_fact(self.history, messages, self.aside))
        self.history[:] = messages
        self.context_tokens = 0

    def known_result(self, call: ToolCall) -> Observation | None:
        """What is known of a call of the last message: its result, or why it cannot be made; None: it is to be made."""
        if (seen := self.noted.get(call.id)) is not None:
            return seen
        reason = self.unfit.get(call.id)
        return None if reason is None else Observation(call.id, call.name, reason, 1, "interrupted")

    def close_calls(self) -> None:
        """Give every call of the last message a result, where an interrupted run has left some without."""
        if self.history and (calls := self.history[-1].calls):
            self.append(Message("tool", tuple(self.known_result(call) or interrupted(call) for call in calls)))

    def note_call(self, line: TraceEvent) -> None:
        """A call ended, whoever made it."""
        self.trace.append(line)
        if self.journal.kept:
            fresh = {path: digest for path, digest in self.files.items() if self.known_files.get(path) != digest}
            self.known_files.update(fresh)
            self.journal.note(call_fact(line, fresh, self.changes))

    def note_progress(self) -> None:
        """The plan, or what is verified, has changed."""
        if self.journal.kept:
            self.journal.note(state_fact(self.plan, self.verified_changes))

    def note_result(self, seen: Observation) -> None:
        """A call of the last message has its result, which counts from now on, whatever becomes of its siblings."""
        self.noted[seen.call_id] = seen
        if self.journal.kept:
            self.journal.note(result_fact(seen))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that the gate did not let through, and its decision."""

    call: ToolCall
    decision: Decision


GO_ON = "You were interrupted here. Go on with the task."
INTERRUPTED_HERE = "\n[interrupted here]"
"""Stands at the end of a text that was cut off by a cancellation."""

standing_still: ContextVar[frozenset[int]] = ContextVar("standing_still", default=frozenset())
"""The threads of event loops that wait, blocking, for the code that looks."""


class Run:
    """One send: its status, its events, what it has used. Owner: the ledger.

    The first terminal event decides the status; nothing changes it afterwards, unless the run is reopened. `done` is
    set when the run's task is over, and with it everything the run had started. `images` and `history` are what the
    request brought, `taken` says that it is in the history; `spent` is the usage since it was last begun. Of a run of
    another process `failure` is the error's text, and `dangling` are the calls that had begun and not ended, each with
    its tool and with what is to be said of it.
    """

    def __init__(
        self,
        run_id: str,
        session_id: str,
        prompt: str,
        now_ms: Callable[[], int],
        keep: Keep | None = None,
        *,
        images: tuple[Image, ...] = (),
        history: list[Message] | None = None,
    ) -> None:
        self.id = run_id
        self.session_id = session_id
        self.prompt = prompt
        self.status: RunStatus = "created"
        self.text = ""
        self.stop: StopReason = "end"
        self.error: A3SError | None = None
        self.failure: str | None = None
        self.limit: str | None = None
        self.images = images
        self.history = history
        self.taken = False
        self.dangling: dict[str, tuple[str, str]] = {}
        self.usage = self.spent = Usage()
        self.used: dict[str, Usage] = {}
        self.turns = self.turns_before = 0
        self.calls = 0
        self.refused: list[Refusal] = []
        self.due: RunLimit | None = None
        self.budget: Budget | None = None
        self.verification: Verification = NOT_VERIFIED
        self.created_at_ms = now_ms()
        self.updated_at_ms = self.created_at_ms
        self.log = EventLog(now_ms, keep)
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
            case AgentStart() | RunResumed():
                self.status = "executing"
            case AgentEnd(status=("completed" | "limit_reached" | "cancelled") as status):
                self.status = status
            case Error():
                self.status = "failed"
            case LimitReached(limit=limit):
                self.limit = limit
            case _:
                pass

    def reopen(self) -> None:
        """Make a run that ended before its work was done ready to go on; it gets its limits anew."""
        self.status = "created"
        self.error = self.limit = self.due = None
        self.failure = None
        self.cancelling = False
        self.turns_before = self.turns
        self.spent = Usage()
        self.done = Future()
        self.log.finished = False

    def use(self, usage: Usage, model: str) -> None:
        """Count what a call of `model` used."""
        self.usage += usage
        self.spent += usage
        self.used[model] = self.used.get(model, Usage()) + usage

    def cost(self, prices: Mapping[str, Price | None]) -> Decimal | None:
        """What the run cost; None where it used tokens of unknown price."""
        total = Decimal(0)
        for model, usage in self.used.items():
            price = prices.get(model)
            cost = None if price is None else price.of(usage)
            if cost is None:
                return None
            total += cost
        return total if self.used or any(prices.values()) else None

    def begin(self) -> None:
        """Tell that the run begins; or that it goes on, where it was begun before."""
        began = len(self.log)
        self.emit(RunResumed(self.id, began) if began else AgentStart(self.prompt))
        for call_id, (name, what) in self.dangling.items():
            self.emit(ToolEnd(call_id, name, what, 1, error_kind="interrupted"))
        self.dangling.clear()

    def take_up(self, request: Request, state: SessionState) -> Reply | None:
        """Bring the request into the history; where it is there, give the reply that is to be acted on, if any."""
        if not self.taken:
            state.close_calls()
            state.append(Message.user(request.prompt, request.attachments))
            self.taken = True
            return None
        if not state.history:
            return None
        last = state.history[-1]
        if last.text.endswith(INTERRUPTED_HERE) or any(map(is_last_turn, state.history[-2:])):
            state.append(notice(GO_ON))
            return None
        return Reply(last, "tool_calls" if last.calls else self.stop, Usage()) if last.role == "assistant" else None

    def end(self, status: RunStatus) -> None:
        """End the run as completed, limit_reached or cancelled."""
        if self.status == "created":
            self.begin()
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
            with suppress(RuntimeError):  # its event loop was closed under it: nothing of it goes on
                self.task.get_loop().call_soon_threadsafe(self.task.cancel)
        return True

    async def terminate(self) -> bool:
        """Cancel, and return when nothing of the run is left; at once where the caller holds it up.

        False if it was over, or came to another end before it could be stopped.
        """
        stopped = self.cancel()
        if self.held_up:
            return stopped
        await self.wait()
        return stopped and self.status == "cancelled"

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
        return self.failure if self.error is None else str(self.error)

    def _meta(self) -> dict[str, Any]:
        return {"turns": self.turns, "tool_calls": self.calls, "denied": len(self.refused), "stop": self.stop}
