"""AsyncAgentSession: the verbs of a session, awaited. This file only forwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from a3s_code.api.books import Books
from a3s_code.api.direct import DirectCalls, OnEvent, guarded
from a3s_code.api.policy import AsyncPolicyView
from a3s_code.api.recall import read_events
from a3s_code.api.requests import call_arguments, parse_request
from a3s_code.api.results import AgentResult, ToolResult, result_of, tool_result_of
from a3s_code.api.stream import AsyncRunStream, RunStream
from a3s_code.errors import InvalidRequest, SessionClosed, ToolError, UsageError
from a3s_code.harness.hooks import Handler, HookEngine
from a3s_code.harness.safety.confirmation import Confirmations, PendingConfirmation
from a3s_code.kernel.attribution import blame
from a3s_code.kernel.cleaning import Clean, clean_request
from a3s_code.kernel.contracts import Labels
from a3s_code.kernel.hook import HookConfig, HookMatcher
from a3s_code.kernel.loop import AgentLoop
from a3s_code.kernel.messages import Message, Request
from a3s_code.kernel.state import Run, SessionState
from a3s_code.kernel.tool import ToolCatalog
from a3s_code.kernel.trace import ActiveTool, RunEventRecord, RunSnapshot, TraceEvent

RequestLike = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What the composition root puts a session together from."""

    state: SessionState
    catalog: ToolCatalog
    direct: DirectCalls
    loop: AgentLoop
    books: Books
    labels: Labels
    queue: bool
    policy: AsyncPolicyView
    confirmations: Confirmations
    hooks: HookEngine
    clean: Clean
    close: Callable[[], Awaitable[None]]


class AsyncAgentSession:
    """One conversation with one workspace. One run at a time; direct tools any time.

    A context manager, closed at its end. Made by AsyncAgent.session(); awaiting it gives itself.
    """

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts
        self._closed = False

    def __await__(self) -> Generator[Any, None, Self]:
        return self.open().__await__()

    @property
    def stored(self) -> bool:
        """Whether a store keeps this session."""
        return self._parts.books.store is not None

    async def open(self) -> Self:
        """Take the session's place in its store, as its first use would. Raises SessionExists and SessionInUse."""
        await self._parts.state.journal.open()
        await self._parts.state.journal.settled()
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.session_id} in {self.workspace}>"

    @property
    def session_id(self) -> str:
        return self._parts.state.session_id

    @property
    def workspace(self) -> Path:
        return self._parts.state.workspace

    @property
    def labels(self) -> Labels:
        return self._parts.labels

    async def send(self, request: RequestLike) -> AgentResult:
        """Work on `request`, text or {prompt, history?, attachments?}, to its end.

        Returns for completed, limit_reached and cancelled runs. Raises A3SError with `.result` when the run failed;
        SessionBusy when another goes on. Cancelling the call cancels the run, and waits until nothing of it is left.
        """
        return await self._finish(self._launch(request))

    run = send

    def stream(self, request: RequestLike) -> AsyncRunStream:
        """The same, as events while it happens: `async for event in session.stream(...)`."""
        run = self._launch(request)
        return AsyncRunStream(run, lambda: self._finish(run))

    def _blocking_stream(self, request: RequestLike) -> RunStream:
        run = self._launch(request)
        return RunStream(run, lambda: self._finish(run))

    def _launch(self, given: RequestLike) -> Run:
        self._check_open()
        with blame("sanitizer"):
            request = clean_request(parse_request(given, self.workspace), self._parts.clean)
        run, earlier = self._parts.books.ledger.begin(request, queue=self._parts.queue)
        run.start(self._parts.loop.run(run, request, earlier))
        return run

    async def resume_run(self, run_id: str) -> AgentResult:
        """Go on with the last run, where it was interrupted, failed, was cancelled or reached a limit.

        What it did counts, and no call that has ended is made again; one that was cut off is told to the model as such.
        Returns and raises as send(); UnknownRun, RunNotResumable.
        """
        self._check_open()
        if (run := self._parts.books.ledger.get(run_id)).ended:
            await run.wait()  # whoever heard of its end may be here before it is over
        run, earlier = self._parts.books.ledger.reopen(run_id)
        run.start(self._parts.loop.run(run, Request(run.prompt, run.images), earlier))
        return await self._finish(run)

    async def _finish(self, run: Run) -> AgentResult:
        try:
            await run.wait()
        except BaseException:
            await run.terminate()
            raise
        result = result_of(run, self._parts.state.prices)
        if run.error is not None:
            run.error.result = result
            raise run.error
        return result

    async def tool(
        self, name: str, args: Mapping[str, Any] | None = None, on_event: OnEvent | None = None
    ) -> ToolResult:
        """Call a tool without a model. It passes the same gate: the host's own call satisfies an ask, never a deny.

        `on_event` sees the call's events; it must return at once, and what it raises is logged.
        """
        self._check_open()
        return tool_result_of(await self._parts.direct.call(name, args, on_event))

    @property
    def policy(self) -> AsyncPolicyView:
        """What would be decided: `await session.policy.check(tool, **args)`."""
        return self._parts.policy

    async def pending_confirmations(self) -> list[PendingConfirmation]:
        """The calls that wait for a person's answer."""
        return self._questions().pending()

    async def confirm_tool_use(self, tool_id: str, approved: bool, reason: str | None = None) -> bool:
        """Answer one of them; False where it is not waiting, or was answered before."""
        confirmations = self._questions()
        settled = confirmations.settle(tool_id, approved, reason)
        journal = self._parts.state.journal
        if settled and journal.kept:
            said = self._parts.clean(reason or "")
            journal.note({"k": "answer", "call": tool_id, "approved": approved, "reason": said})
            await journal.settled()
        return settled

    def _questions(self) -> Confirmations:
        """The questions, those of an earlier process only where their calls are still to be made."""
        self._parts.confirmations.retain(self._parts.books.open_calls(self._parts.state))
        return self._parts.confirmations

    def register_hook(
        self,
        name: str,
        event_type: str,
        handler: Handler | None = None,
        matcher: HookMatcher | Mapping[str, Any] | None = None,
        config: HookConfig | Mapping[str, Any] | None = None,
    ) -> None:
        """Call `handler` at every `event_type` from now on; one of the same name is replaced. Raises InvalidOption."""
        self._parts.hooks.register_hook(name, event_type, handler, matcher, config)

    def unregister_hook(self, name: str) -> bool:
        """Take a hook out; False where there is none of that name."""
        return self._parts.hooks.unregister_hook(name)

    def hook_count(self) -> int:
        """How many hooks are registered."""
        return self._parts.hooks.hook_count()

    async def read_file(self, *args: Any, **named: Any) -> str:
        """The text of a file: {file_path, offset?, limit?}. Raises ToolError."""
        result = _succeeded(await self._direct("read", args, named))
        return result.output if result.value is None else str(result.value)

    async def write_file(self, *args: Any, **named: Any) -> ToolResult:
        """Write a file whole: {file_path, content}."""
        return await self._direct("write", args, named)

    async def edit_file(self, *args: Any, **named: Any) -> ToolResult:
        """Replace text in a file: {file_path, old_string, new_string, replace_all?}."""
        return await self._direct("edit", args, named)

    async def patch_file(self, *args: Any, **named: Any) -> ToolResult:
        """Apply a patch to one or several files, all or nothing: {diff, file_path?}."""
        return await self._direct("patch", args, named)

    async def ls(self, *args: Any, **named: Any) -> ToolResult:
        """List a folder: {path?}."""
        return await self._direct("ls", args, named)

    async def glob(self, *args: Any, **named: Any) -> list[str]:
        """The paths that match: {pattern, path?}. Raises ToolError."""
        return list(_succeeded(await self._direct("glob", args, named)).value)

    async def grep(self, *args: Any, **named: Any) -> ToolResult:
        """Search file contents: {pattern, path?, glob?, ...}."""
        return await self._direct("grep", args, named)

    async def bash(self, *args: Any, **named: Any) -> ToolResult:
        """Run a command: {command, timeout?}."""
        return await self._direct("bash", args, named)

    async def git(self, *args: Any, **named: Any) -> ToolResult:
        """Run a git verb: {command, ...}."""
        return await self._direct("git", args, named)

    async def web_fetch(self, *args: Any, **named: Any) -> ToolResult:
        """Fetch a page as text: {url, format?, timeout?}."""
        return await self._direct("web_fetch", args, named)

    async def web_search(self, *args: Any, **named: Any) -> ToolResult:
        """Search the web: {query, limit?, engines?}."""
        return await self._direct("web_search", args, named)

    async def _direct(self, name: str, args: tuple[Any, ...], named: Mapping[str, Any]) -> ToolResult:
        tool = self._parts.catalog.get(name)
        given = call_arguments(tool.spec, args, named) if tool is not None else {}
        return await self.tool(name, given)

    def tool_names(self) -> list[str]:
        """The names of all registered tools."""
        return self._parts.catalog.names

    def tool_definitions(self) -> list[dict[str, Any]]:
        """All registered tools as {name, description, parameters}."""
        return [
            {"name": spec.name, "description": spec.description, "parameters": dict(spec.parameters)}
            for spec in self._parts.catalog.specs
        ]

    async def history(self) -> list[Message]:
        """The conversation so far."""
        so_far = list(self._parts.state.history)
        await self._parts.state.journal.settled()
        return so_far

    async def runs(self) -> list[RunSnapshot]:
        """All runs of this session, oldest first."""
        return self._parts.books.ledger.snapshots()

    async def run_snapshot(self, run_id: str) -> RunSnapshot:
        """One run as it stands now. Raises UnknownRun."""
        return self._parts.books.ledger.get(run_id).snapshot()

    async def run_events(self, run_id: str, after: int = -1, limit: int | None = None) -> list[RunEventRecord]:
        """The events of a run with a sequence above `after`, at most `limit`. Raises UnknownRun, InvalidRequest."""
        if not isinstance(after, int) or not (limit is None or (isinstance(limit, int) and limit >= 0)):
            raise InvalidRequest("after is a sequence number, and limit a number of events or None")
        log, books = self._parts.books.ledger.get(run_id).log, self._parts.books
        await self._parts.state.journal.settled()
        if after + 1 >= log.first or books.store is None:
            return log.records(after, limit)
        kept = await read_events(books.store, self.session_id, run_id, after, limit)
        newest = kept[-1].sequence if kept else after
        rest = None if limit is None else limit - len(kept)
        return kept + (log.records(newest, rest) if newest + 1 >= log.first else [])

    async def current_run(self) -> RunSnapshot | None:
        """The run that goes on, if any."""
        run = self._parts.books.ledger.current
        return None if run is None else run.snapshot()

    async def active_tools(self) -> list[ActiveTool]:
        """The calls that run at this moment, oldest first."""
        return list(self._parts.state.active.values())

    async def trace_events(self) -> list[TraceEvent]:
        """A line for every call so far, whoever asked for it, without argument values."""
        return list(self._parts.state.trace)

    async def cancel(self) -> bool:
        """Stop the run that goes on; returns when nothing of it is left. False if there was none.

        Called by a blocking session in an async tool of the run itself, it asks for the stop and returns at once.
        """
        run = self._parts.books.ledger.current
        return run is not None and await run.terminate()

    async def cancel_run(self, run_id: str) -> bool:
        """Stop that run, if it still goes on. Raises UnknownRun."""
        return await self._parts.books.ledger.get(run_id).terminate()

    def subscribe(self, callback: OnEvent) -> Callable[[], None]:
        """Call `callback` with every event of every run from now on; gives the function that ends it.

        It is called on the event loop of the run and must return at once; what it raises is logged. With a store it
        hears of an event when that is stored.
        """
        return self._parts.books.ledger.subscribe(guarded(callback))

    async def artifact(self, uri: str, offset: int = 0, limit: int | None = None) -> str:
        """A whole output by its `a3s://` URI, or `limit` characters of it from `offset` on. Raises InvalidRequest."""
        text = self._parts.books.artifacts.get(uri)
        if text is None:
            hint = "the oldest outputs make room for new ones: artifact_store_limits says how many are kept"
            raise InvalidRequest(f"this session has no output {uri!r}", hint=hint)
        if offset < 0 or (limit is not None and limit < 0):
            raise InvalidRequest("offset and limit are numbers of characters, 0 or more")
        return text[offset : None if limit is None else offset + limit]

    async def save(self) -> None:
        """Make all that happened so far durable. Raises StoreError; UsageError where the session has no store."""
        journal = self._parts.books.journal
        if journal is None:
            raise UsageError("this session has no store", hint="open it with session_store=FileSessionStore(folder)")
        await journal.open()
        await journal.save()

    async def close(self) -> None:
        """Stop what goes on, what its commands left running too, and end the session. Records stay readable.

        When whoever waits for it is cancelled, it waits for no hook any more, and ends everything before it gives up.
        """
        if self._closed:
            return
        self._closed = True
        closing = asyncio.create_task(self._close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            closing.cancel()
            await asyncio.wait({closing})
            raise

    async def _close(self) -> None:
        self._parts.confirmations.cancel_all()
        runs = self._parts.books.ledger.open_runs()
        for run in runs:
            run.cancel()
        try:
            await self._parts.direct.stop()
            for run in runs:
                if not run.held_up:
                    await run.wait()
        finally:
            try:
                await self._parts.close()
            finally:
                if (journal := self._parts.books.journal) is not None:
                    await journal.close()

    def _check_open(self) -> None:
        if self._closed:
            raise SessionClosed(f"session {self.session_id} is closed", hint="open a new one with agent.session()")

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _succeeded(result: ToolResult) -> ToolResult:
    if not result.ok:
        raise ToolError(result.output, result=result)
    return result
