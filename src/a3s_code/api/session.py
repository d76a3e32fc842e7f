"""AgentSession: the verbs of a session, blocking. Every method is one call through the portal."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from a3s_code.api.async_session import AsyncAgentSession, RequestLike
from a3s_code.api.direct import OnEvent
from a3s_code.api.policy import PolicyView
from a3s_code.api.portal import portal
from a3s_code.api.results import AgentResult, ToolResult
from a3s_code.api.stream import RunStream
from a3s_code.harness.hooks import Handler
from a3s_code.harness.safety.confirmation import PendingConfirmation
from a3s_code.kernel.contracts import Labels
from a3s_code.kernel.hook import HookConfig, HookMatcher
from a3s_code.kernel.messages import Message
from a3s_code.kernel.trace import ActiveTool, RunEventRecord, RunSnapshot, TraceEvent

T = TypeVar("T")


class AgentSession:
    """One conversation with one workspace. One run at a time; direct tools any time.

    Blocks, and works in scripts, threads, notebooks, inside a running event loop and in a tool. A context manager,
    closed at its end. Made by Agent.session().
    """

    def __init__(self, session: AsyncAgentSession) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.session_id} in {self.workspace}>"

    @property
    def session_id(self) -> str:
        return self._session.session_id

    @property
    def workspace(self) -> Path:
        return self._session.workspace

    @property
    def labels(self) -> Labels:
        return self._session.labels

    def send(self, request: RequestLike) -> AgentResult:
        """Work on `request`, text or {prompt, history?, attachments?}, to its end.

        Returns for completed, limit_reached and cancelled runs. Raises A3SError with `.result` when the run failed;
        SessionBusy when another goes on. Ctrl-C cancels the run, waits until nothing of it is left, and goes on.
        """
        return self._wait(lambda: self._session.send(request))

    run = send

    def stream(self, request: RequestLike) -> RunStream:
        """The same, as events while it happens: `for event in session.stream(...)`."""

        async def start() -> RunStream:
            return self._session._blocking_stream(request)

        return self._wait(start)

    def tool(self, name: str, args: Mapping[str, Any] | None = None, on_event: OnEvent | None = None) -> ToolResult:
        """Call a tool without a model. It passes the same gate: the host's own call satisfies an ask, never a deny.

        `on_event` sees the call's events, on the library's own thread; it must return at once, and what it raises is
        logged.
        """
        return self._wait(lambda: self._session.tool(name, args, on_event))

    @property
    def policy(self) -> PolicyView:
        """What would be decided: `session.policy.check(tool, **args)`."""
        return PolicyView(self._session.policy, self._wait)

    def pending_confirmations(self) -> list[PendingConfirmation]:
        """The calls that wait for a person's answer."""
        return self._wait(self._session.pending_confirmations)

    def confirm_tool_use(self, tool_id: str, approved: bool, reason: str | None = None) -> bool:
        """Answer one of them; False where it is not waiting, or was answered before."""
        return self._wait(lambda: self._session.confirm_tool_use(tool_id, approved, reason))

    def register_hook(
        self,
        name: str,
        event_type: str,
        handler: Handler | None = None,
        matcher: HookMatcher | Mapping[str, Any] | None = None,
        config: HookConfig | Mapping[str, Any] | None = None,
    ) -> None:
        """Call `handler` at every `event_type` from now on; one of the same name is replaced. Raises InvalidOption."""
        self._session.register_hook(name, event_type, handler, matcher, config)

    def unregister_hook(self, name: str) -> bool:
        """Take a hook out; False where there is none of that name."""
        return self._session.unregister_hook(name)

    def hook_count(self) -> int:
        """How many hooks are registered."""
        return self._session.hook_count()

    def read_file(self, *args: Any, **named: Any) -> str:
        """The text of a file: {file_path, offset?, limit?}. Raises ToolError."""
        return self._wait(lambda: self._session.read_file(*args, **named))

    def write_file(self, *args: Any, **named: Any) -> ToolResult:
        """Write a file whole: {file_path, content}."""
        return self._wait(lambda: self._session.write_file(*args, **named))

    def edit_file(self, *args: Any, **named: Any) -> ToolResult:
        """Replace text in a file: {file_path, old_string, new_string, replace_all?}."""
        return self._wait(lambda: self._session.edit_file(*args, **named))

    def patch_file(self, *args: Any, **named: Any) -> ToolResult:
        """Apply a patch to one or several files, all or nothing: {diff, file_path?}."""
        return self._wait(lambda: self._session.patch_file(*args, **named))

    def ls(self, *args: Any, **named: Any) -> ToolResult:
        """List a folder: {path?}."""
        return self._wait(lambda: self._session.ls(*args, **named))

    def glob(self, *args: Any, **named: Any) -> list[str]:
        """The paths that match: {pattern, path?}. Raises ToolError."""
        return self._wait(lambda: self._session.glob(*args, **named))

    def grep(self, *args: Any, **named: Any) -> ToolResult:
        """Search file contents: {pattern, path?, glob?, ...}."""
        return self._wait(lambda: self._session.grep(*args, **named))

    def bash(self, *args: Any, **named: Any) -> ToolResult:
        """Run a command: {command, timeout?}."""
        return self._wait(lambda: self._session.bash(*args, **named))

    def git(self, *args: Any, **named: Any) -> ToolResult:
        """Run a git verb: {command, ...}."""
        return self._wait(lambda: self._session.git(*args, **named))

    def web_fetch(self, *args: Any, **named: Any) -> ToolResult:
        """Fetch a page as text: {url, format?, timeout?}."""
        return self._wait(lambda: self._session.web_fetch(*args, **named))

    def web_search(self, *args: Any, **named: Any) -> ToolResult:
        """Search the web: {query, limit?, engines?}."""
        return self._wait(lambda: self._session.web_search(*args, **named))

    def tool_names(self) -> list[str]:
        """The names of all registered tools."""
        return self._session.tool_names()

    def tool_definitions(self) -> list[dict[str, Any]]:
        """All registered tools as {name, description, parameters}."""
        return self._session.tool_definitions()

    def history(self) -> list[Message]:
        """The conversation so far."""
        return self._wait(self._session.history)

    def runs(self) -> list[RunSnapshot]:
        """All runs of this session, oldest first."""
        return self._wait(self._session.runs)

    def run_snapshot(self, run_id: str) -> RunSnapshot:
        """One run as it stands now. Raises UnknownRun."""
        return self._wait(lambda: self._session.run_snapshot(run_id))

    def run_events(self, run_id: str, after: int = -1, limit: int | None = None) -> list[RunEventRecord]:
        """The events of a run with a sequence above `after`, at most `limit`. Raises UnknownRun."""
        return self._wait(lambda: self._session.run_events(run_id, after, limit))

    def current_run(self) -> RunSnapshot | None:
        """The run that goes on, if any."""
        return self._wait(self._session.current_run)

    def active_tools(self) -> list[ActiveTool]:
        """The calls that run at this moment, oldest first."""
        return self._wait(self._session.active_tools)

    def trace_events(self) -> list[TraceEvent]:
        """A line for every call so far, whoever asked for it, without argument values."""
        return self._wait(self._session.trace_events)

    def cancel(self) -> bool:
        """Stop the run that goes on; returns when nothing of it is left. False if there was none.

        Called in an async tool of the run itself, it asks for the stop and returns at once.
        """
        return self._wait(self._session.cancel)

    def cancel_run(self, run_id: str) -> bool:
        """Stop that run, if it still goes on. Raises UnknownRun."""
        return self._wait(lambda: self._session.cancel_run(run_id))

    def resume_run(self, run_id: str) -> AgentResult:
        """Go on with the last run, where it was interrupted, failed, was cancelled or reached a limit.

        What it did counts, and no call that has ended is made again; one that was cut off is told to the model as such.
        Returns and raises as send(); UnknownRun, RunNotResumable.
        """
        return self._wait(lambda: self._session.resume_run(run_id))

    def subscribe(self, callback: OnEvent) -> Callable[[], None]:
        """Call `callback` with every event of every run from now on; gives the function that ends it.

        It is called on the event loop of the run and must return at once; what it raises is logged. With a store it
        hears of an event when that is stored.
        """
        return self._session.subscribe(callback)

    def artifact(self, uri: str, offset: int = 0, limit: int | None = None) -> str:
        """A whole output by its `a3s://` URI, or `limit` characters of it from `offset` on. Raises InvalidRequest."""
        return self._wait(lambda: self._session.artifact(uri, offset, limit))

    def save(self) -> None:
        """Make all that happened so far durable. Raises StoreError; UsageError where the session has no store."""
        self._wait(self._session.save)

    def close(self) -> None:
        """Stop what goes on, what its commands left running too, and end the session. Records stay readable."""
        self._wait(self._session.close)

    def _wait(self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return portal().call(start)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
