"""HookEngine: the hooks of a session. Some may change or block what comes next, the others only observe."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary

from a3s_code.harness.hooks.answer import MODIFIABLE, Answer, copy_plain
from a3s_code.harness.hooks.calling import HookFault, call_hook, is_inside
from a3s_code.harness.hooks.matching import Matching
from a3s_code.harness.hooks.observers import Notice, Observers
from a3s_code.kernel.contracts import Suggestion
from a3s_code.kernel.events import HookFailed
from a3s_code.kernel.hook import Handler, Hook, HookConfig, HookMatcher, HookName, read_fields
from a3s_code.kernel.ports import Emit

LONGEST_RETRY_DELAY_MS = 60_000
CLOSE_MS = 5_000


@dataclass(frozen=True, slots=True)
class _Registered:
    """A hook with its matcher made ready; `order` counts registrations."""

    hook: Hook
    matching: Matching
    order: int

    def covers(self, payload: Mapping[str, Any]) -> bool:
        """Whether to call it; a payload that cannot be matched is for all hooks, since one may be a guard."""
        try:
            return self.matching.covers(payload)
        except Exception:  # noqa: BLE001 - odd arguments must not get past a guard
            return True


class HookEngine:
    """Keeps hooks, and calls those that match: by priority, then in the order they were registered.

    Where hooks may block, each is waited for and sees what the ones before it made of the payload; one that raises,
    hangs, cannot start or answers with something else blocks, and a hook_failed event says why. Elsewhere they are
    told from a task of the engine's own, in order, and nobody waits. Registering is allowed from any thread.

    What a hook does itself, such as a call of a tool, it is not told of; where it would have to be asked about it, that
    is blocked, and the reason says so.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hooks: dict[str, _Registered] = {}
        self._by_event: dict[str, tuple[_Registered, ...]] = {}
        self._registered = 0
        self._observers: WeakKeyDictionary[asyncio.AbstractEventLoop, Observers] = WeakKeyDictionary()

    def register(self, hook: Hook) -> None:
        """Call it from now on; a hook of the same name is replaced. Raises InvalidOption."""
        matching = Matching(hook.matcher)
        with self._lock:
            self._registered += 1
            self._hooks[hook.name] = _Registered(hook, matching, self._registered)
            self._arrange()

    def register_hook(
        self,
        name: str,
        event_type: str,
        handler: Handler | None = None,
        matcher: HookMatcher | Mapping[str, Any] | None = None,
        config: HookConfig | Mapping[str, Any] | None = None,
    ) -> None:
        """The same in parts; `matcher` and `config` may be dicts. Raises InvalidOption."""
        self.register(
            Hook(
                name,
                cast("HookName", event_type),
                handler,
                read_fields(HookMatcher, matcher, "matcher"),
                read_fields(HookConfig, config, "config"),
            )
        )

    def unregister_hook(self, name: str) -> bool:
        """Take a hook out; False where there is none of that name."""
        with self._lock:
            found = self._hooks.pop(name, None) is not None
            self._arrange()
        return found

    def hook_count(self) -> int:
        """How many hooks are registered, those without a handler too."""
        return len(self._hooks)

    def listens(self, name: str) -> bool:
        """Whether any hook wants to hear of `name`."""
        return name in self._by_event

    async def consult(self, name: str, payload: Mapping[str, Any], emit: Emit) -> Suggestion:
        """What the hooks make of the payload; the first that blocks or escalates ends it. Never raises."""
        modified: Any = None
        source = ""
        for item in self._by_event.get(name, ()):
            if not item.covers(payload):
                continue
            hook = item.hook
            answer = await self._ask(hook, payload, emit)
            if answer.modified is not None:
                modified, source = answer.modified, hook.name
                payload = {**payload, MODIFIABLE[name][0]: modified}
            if answer.action == "block":
                return Suggestion("block", modified, answer.reason or f"blocked by the hook {hook.name}", hook.name)
            if answer.action == "escalate":
                return Suggestion("escalate", modified, _escalation(hook, answer), hook.name)
            if answer.action == "skip":
                break
        return Suggestion("continue", copy_plain(modified), "", source)

    def observe(self, name: str, payload: Mapping[str, Any], emit: Emit) -> None:
        """Tell the hooks a copy of the payload; returns at once."""
        if name not in self._by_event:
            return
        observers = self._here()
        listening = self._by_event.get(name, ())
        wanted = [item.hook for item in listening if not is_inside(item.hook) and item.covers(payload)]
        try:
            frozen = copy_plain(payload) if wanted else payload
        except ValueError as error:
            for hook in wanted:
                emit(HookFailed(hook.name, name, str(error), gating=False))
            return
        for hook in wanted:
            observers.tell(Notice(hook, frozen, emit, contextvars.copy_context()))

    async def close(self, timeout_ms: int = CLOSE_MS) -> None:
        """Wait until the hooks of this event loop have been told everything, at most that long."""
        loop = asyncio.get_running_loop()
        if (observers := self._observers.get(loop)) is not None:
            await observers.drain(timeout_ms / 1000)

    async def _ask(self, hook: Hook, payload: Mapping[str, Any], emit: Emit) -> Answer:
        """The hook's last word: asked again where it wants to be, as often as its config allows."""
        try:
            if is_inside(hook):
                raise HookFault("it would be asked about what it does itself; narrow its matcher")
            answer = await call_hook(hook, payload)
            for _ in range(hook.config.max_retries):
                if answer.action != "retry":
                    break
                await asyncio.sleep(min(answer.retry_delay_ms, LONGEST_RETRY_DELAY_MS) / 1000)
                answer = await call_hook(hook, payload)
        except HookFault as fault:
            emit(HookFailed(hook.name, hook.event_type, str(fault), gating=True))
            return Answer("block", reason=f"hook_error: {fault}")
        if answer.action == "retry":
            return Answer("block", reason=answer.reason or f"the hook {hook.name} asked to try again later")
        return answer

    def _arrange(self) -> None:
        by_event: dict[str, list[_Registered]] = {}
        for item in sorted(self._hooks.values(), key=lambda item: (item.hook.config.priority, item.order)):
            if item.hook.handler is not None:
                by_event.setdefault(item.hook.event_type, []).append(item)
        self._by_event = {event: tuple(items) for event, items in by_event.items()}

    def _here(self) -> Observers:
        """The queue of the running event loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            observers = self._observers.get(loop)
            if observers is None:
                observers = self._observers[loop] = Observers()
            return observers


def _escalation(hook: Hook, answer: Answer) -> str:
    reason = answer.reason or f"the hook {hook.name} wants a person to decide"
    return f"{reason} (for {answer.target})" if answer.target else reason
