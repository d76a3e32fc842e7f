"""Confirmation: a call that has to be asked about is put to a person, and waits for the first answer."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from a3s_code.errors import InvalidOption
from a3s_code.kernel.attribution import describe, is_foreign
from a3s_code.kernel.contracts import Confirmation, Effect
from a3s_code.kernel.events import ConfirmationReceived, ConfirmationRequired, ConfirmationTimeout
from a3s_code.kernel.ports import Clock, Emit, Question
from a3s_code.kernel.tool import Action
from a3s_code.toolkit.threads import run_in_thread

Lane = Literal["control", "query", "execute", "generate"]
TimeoutAction = Literal["reject", "auto_approve"]

QUERY_TOOLS = frozenset({"read", "glob", "ls", "grep", "list_files", "search", "web_fetch", "web_search"})
NOBODY = "nobody can be asked in this session"
SAME_ID = "two calls with the same id wait for an answer, so neither can be told from the other"
ACTION_TAKEN: Mapping[TimeoutAction, str] = {"reject": "rejected", "auto_approve": "auto_approved"}


@dataclass(frozen=True, slots=True)
class ConfirmationPolicy:
    """Whether and how long a call waits for an answer.

    enabled: wait for confirm_tool_use() even without on_confirm. default_timeout_ms: how long; None or 0: for ever.
    timeout_action: what then. yolo_lanes: lanes whose calls are confirmed beforehand: "query" (read, glob, ls, grep,
    web_fetch, web_search and their like) and "execute" (all others); what a rule denies stays denied.

    Raises InvalidOption.
    """

    enabled: bool = False
    default_timeout_ms: int | None = 30_000
    timeout_action: TimeoutAction = "reject"
    yolo_lanes: tuple[Lane, ...] = ()

    def __post_init__(self) -> None:
        enabled, wait, action, lanes = cast(
            "tuple[Any, ...]", (self.enabled, self.default_timeout_ms, self.timeout_action, self.yolo_lanes)
        )
        if not isinstance(enabled, bool):
            raise InvalidOption(f"enabled is {enabled!r}, not true or false", field="enabled")
        if wait is not None and (isinstance(wait, bool) or not isinstance(wait, int) or wait < 0):
            raise InvalidOption(
                f"default_timeout_ms is {wait!r}, not a number of milliseconds", field="default_timeout_ms"
            )
        if action not in get_args(TimeoutAction):
            raise InvalidOption(f'timeout_action is {action!r}, not "reject" or "auto_approve"', field="timeout_action")
        if isinstance(lanes, str) or not isinstance(lanes, list | tuple | set | frozenset):
            raise InvalidOption(f"yolo_lanes is {lanes!r}, not a list of lanes", field="yolo_lanes", hint='["query"]')
        for lane in lanes:
            if lane not in get_args(Lane):
                known = ", ".join(get_args(Lane))
                raise InvalidOption(f"there is no lane {lane!r}", field="yolo_lanes", hint=f"known lanes: {known}")
        object.__setattr__(self, "default_timeout_ms", wait or None)
        object.__setattr__(self, "yolo_lanes", tuple(sorted(lanes)))


@dataclass(frozen=True, slots=True)
class PendingConfirmation:
    """A call that waits for an answer: its arguments whole and read-only, who asks and why, what it would do.

    `digest` is the SHA-256 that the events carry as args_digest. `remaining_ms` is what was left when this was made;
    None where the call waits for ever.
    """

    tool_id: str
    tool_name: str
    args: Mapping[str, Any] = field(repr=False)
    reason: str = ""
    rule: str | None = None
    source: str = ""
    effects: tuple[Effect, ...] = field(default=(), repr=False)
    digest: str = ""
    remaining_ms: int | None = None


Answer = bool | Confirmation | tuple[bool, str | None]
OnConfirm = Callable[[PendingConfirmation], Awaitable[Answer] | Answer]
"""Gives True, False, (approved, reason) or a Confirmation. Anything else, and an exception, is a no."""


@dataclass(frozen=True, slots=True)
class _Settled:
    """How a wait ended."""

    answer: Confirmation
    expired: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A call that waits; the first who settles `outcome` decides."""

    question: Question
    deadline_ms: int | None
    outcome: Future[_Settled] = field(default_factory=lambda: Future[_Settled]())

    def show(self, now_ms: int) -> PendingConfirmation:
        action, decision = self.question.action, self.question.decision
        return PendingConfirmation(
            action.call_id,
            action.tool,
            _freeze(action.arguments),
            decision.reason,
            decision.rule,
            decision.source,
            decision.effects or action.effects,
            self.question.digest,
            None if self.deadline_ms is None else max(0, self.deadline_ms - now_ms),
        )


class Confirmations:
    """The calls of one session that wait for an answer.

    A call is answered by `on_confirm`, by settle() from any thread, or by the clock, whichever is first. Where neither
    on_confirm nor `policy.enabled` is there, the answer is no at once.
    """

    def __init__(self, policy: ConfirmationPolicy, on_confirm: OnConfirm | None, clock: Clock) -> None:
        self._policy = policy
        self._on_confirm = on_confirm
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}
        self._recalled: dict[str, PendingConfirmation] = {}
        self._kept: dict[str, Confirmation] = {}
        self._lock = threading.Lock()

    async def confirm(self, question: Question, emit: Emit) -> Confirmation:
        """Wait for the answer; a cancelled wait leaves nothing behind."""
        action = question.action
        if (kept := self._take_kept(question)) is not None:
            emit(ConfirmationReceived(action.call_id, kept.approved, kept.reason or None))
            return kept
        lane = lane_of(action)
        if lane in self._policy.yolo_lanes:
            return Confirmation(approved=True, reason=f"the lane {lane} is confirmed beforehand")
        if self._on_confirm is None and not self._policy.enabled:
            return Confirmation(approved=False, reason=NOBODY)
        waiting = self._enter(question)
        if waiting is None:
            return Confirmation(approved=False, reason=SAME_ID)
        wait_ms = self._policy.default_timeout_ms
        emit(ConfirmationRequired(action.call_id, action.tool, question.shown, wait_ms, question.digest))
        try:
            settled = await self._wait(waiting)
        finally:
            self._leave(waiting)
        answer = settled.answer
        if settled.expired:
            emit(ConfirmationTimeout(action.call_id, ACTION_TAKEN[self._policy.timeout_action]))
        else:
            emit(ConfirmationReceived(action.call_id, answer.approved, answer.reason or None))
        return answer

    def pending(self) -> list[PendingConfirmation]:
        """The calls that wait, the oldest first."""
        now = self._clock.now_ms()
        with self._lock:
            recalled = [question for tool_id, question in self._recalled.items() if tool_id not in self._kept]
            return recalled + [waiting.show(now) for waiting in self._waiting.values() if not waiting.outcome.done()]

    def recall(self, question: PendingConfirmation, answer: Confirmation | None = None) -> None:
        """Take in a question that an earlier process left open. Its answer is kept until the same call is made again,
        and holds for that call only: other arguments are refused."""
        with self._lock:
            self._recalled[question.tool_id] = question
            if answer is not None:
                self._kept[question.tool_id] = answer

    def retain(self, tool_ids: Collection[str]) -> None:
        """Forget the questions of an earlier process but for those: their calls have had their results since."""
        with self._lock:
            for tool_id in self._recalled.keys() - set(tool_ids):
                del self._recalled[tool_id]
                self._kept.pop(tool_id, None)

    def objects(self, call_id: str) -> bool:
        """Whether the answer that is kept for the call is no."""
        kept = self._kept.get(call_id)
        return kept is not None and not kept.approved

    def recalls(self, tool_id: str) -> bool:
        """Whether this is an open question of an earlier process."""
        return tool_id in self._recalled and tool_id not in self._kept

    def settle(self, tool_id: str, approved: bool, reason: str | None = None) -> bool:
        """Answer a call; False where none waits under that id any more. May be called from any thread."""
        if not isinstance(cast("Any", approved), bool):
            raise InvalidOption(f"approved is {approved!r}, not true or false", field="approved")
        answer = Confirmation(approved, reason or "")
        with self._lock:
            if self.recalls(tool_id):
                self._kept[tool_id] = answer
                return True
        return self._end(tool_id, _Settled(answer))

    def cancel(self, tool_id: str) -> bool:
        """Withdraw the question, which is a no; False where none waits under that id."""
        return self._end(tool_id, _Settled(Confirmation(approved=False, reason="the question was withdrawn")))

    def cancel_all(self) -> int:
        """Withdraw all questions; how many there were."""
        return sum(self.cancel(tool_id) for tool_id in list(self._waiting))

    def check_timeouts(self) -> list[str]:
        """Settle what has waited for its whole time by the session's clock; the ids of these calls."""
        now = self._clock.now_ms()
        with self._lock:
            late = [
                tool_id
                for tool_id, waiting in self._waiting.items()
                if waiting.deadline_ms is not None and waiting.deadline_ms <= now
            ]
        return [tool_id for tool_id in late if self._end(tool_id, self._expiry())]

    def _take_kept(self, question: Question) -> Confirmation | None:
        """The answer that was given to this question since it was recalled; it holds once."""
        with self._lock:
            recalled = self._recalled.pop(question.action.call_id, None)
            answer = self._kept.pop(question.action.call_id, None)
        if recalled is None or answer is None or recalled.digest == question.digest:
            return answer
        return Confirmation(approved=False, reason="the arguments are not those that were confirmed")

    def _enter(self, question: Question) -> _Waiting | None:
        """Take the call in. None where another waits under its id; that one is refused too."""
        wait_ms = self._policy.default_timeout_ms
        deadline = None if wait_ms is None else self._clock.now_ms() + wait_ms
        waiting = _Waiting(question, deadline)
        tool_id = question.action.call_id
        with self._lock:
            other = self._waiting.get(tool_id)
            if other is not None and not other.outcome.done():
                other.outcome.set_result(_Settled(Confirmation(approved=False, reason=SAME_ID)))
                return None
            self._waiting[tool_id] = waiting
            return waiting

    def _leave(self, waiting: _Waiting) -> None:
        tool_id = waiting.question.action.call_id
        with self._lock:
            waiting.outcome.cancel()
            if self._waiting.get(tool_id) is waiting:
                del self._waiting[tool_id]

    def _end(self, tool_id: str, settled: _Settled) -> bool:
        with self._lock:
            waiting = self._waiting.get(tool_id)
            if waiting is None or waiting.outcome.done():
                return False
            waiting.outcome.set_result(settled)
            return True

    def _expiry(self) -> _Settled:
        approved = self._policy.timeout_action == "auto_approve"
        wait_s = (self._policy.default_timeout_ms or 0) / 1000
        what = "taken as a yes" if approved else "taken as a no"
        return _Settled(Confirmation(approved, f"no answer within {wait_s:g} s, {what}"), expired=True)

    async def _wait(self, waiting: _Waiting) -> _Settled:
        """The outcome, once somebody has settled it."""
        wait_ms = self._policy.default_timeout_ms
        settled = asyncio.wrap_future(waiting.outcome)
        asking = asyncio.create_task(self._ask(waiting)) if self._on_confirm is not None else None
        try:
            await asyncio.wait({settled}, timeout=None if wait_ms is None else wait_ms / 1000)
            if not settled.done():
                self._expire(waiting)
            return await settled
        finally:
            if asking is not None:
                asking.cancel()

    def _expire(self, waiting: _Waiting) -> None:
        """Let the time be up, unless it was settled in this very moment."""
        with self._lock:
            if not waiting.outcome.done():
                waiting.outcome.set_result(self._expiry())

    async def _ask(self, waiting: _Waiting) -> None:
        """Put the question to on_confirm and settle it with the answer."""
        ask = self._on_confirm
        assert ask is not None
        try:
            shown = waiting.show(self._clock.now_ms())
            given: Any = ask(shown) if _is_async(ask) else await run_in_thread(lambda: ask(shown))
            if inspect.isawaitable(given):
                given = await given
            answer = _read(given)
        except BaseException as error:
            if not is_foreign(error):
                raise
            answer = Confirmation(approved=False, reason=f"on_confirm failed: {describe(error)}")
        with self._lock:
            if not waiting.outcome.done():
                waiting.outcome.set_result(_Settled(answer))


def lane_of(action: Action) -> Lane:
    """ "query" for a call that only looks, else "execute"."""
    return "query" if action.tool.lower() in QUERY_TOOLS and not action.may_change else "execute"


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - its kind is asked for, not whether it is there


def _read(given: Any) -> Confirmation:
    if isinstance(given, Confirmation):
        given = (given.approved, given.reason)
    if isinstance(given, bool):
        return Confirmation(given)
    match given:
        case (bool() as approved, str() | None as reason):
            return Confirmation(approved, reason or "")
        case _:
            wanted = "True, False or (approved, reason)"
            return Confirmation(approved=False, reason=f"on_confirm gave {type(given).__name__}, not {wanted}")


def _freeze(value: Any) -> Any:
    """A copy that nobody can change."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: _freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_freeze(item) for item in cast("list[Any]", value))
    return value
