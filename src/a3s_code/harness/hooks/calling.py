"""One call of one hook: in time, and never able to hurt whoever made it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Any

from a3s_code.harness.hooks.answer import Answer, copy_plain, read_answer
from a3s_code.kernel.attribution import describe, is_foreign
from a3s_code.kernel.hook import Handler, Hook
from a3s_code.toolkit.threads import run_in_thread

_running: set[asyncio.Task[Any]] = set()
"""Calls that were given up and have not ended; asyncio itself keeps no reference."""


@dataclass(slots=True, eq=False)
class _Call:
    """One call of a hook, and whether it is over."""

    hook: Hook
    over: bool = False


_inside: ContextVar[tuple[_Call, ...]] = ContextVar("_inside", default=())
"""The calls of hooks that the running code belongs to."""


class HookFault(Exception):
    """A hook raised, hung, could not start, or gave what is no answer; the message says which."""


def is_inside(hook: Hook) -> bool:
    """Whether the running code is the hook's own work, of which it must not be told again, on and on."""
    return any(call.hook is hook and not call.over for call in _inside.get())


async def call_hook(hook: Hook, payload: Mapping[str, Any], context: Context | None = None) -> Answer:
    """The hook's answer to a copy of the payload. Raises HookFault; one that does not come back is left behind."""
    if hook.handler is None:
        return Answer()
    call, context = _Call(hook), context or copy_context()
    context.run(lambda: _inside.set((*_inside.get(), call)))
    task = asyncio.get_running_loop().create_task(_attempt(call, hook.handler, payload), context=context)
    try:
        done, _ = await asyncio.wait({task}, timeout=hook.config.timeout_ms / 1000)
    except asyncio.CancelledError:
        _give_up(task)
        raise
    if not done:
        _give_up(task)
        raise HookFault(f"it gave no answer within {hook.config.timeout_ms} ms")
    if task.cancelled():
        raise HookFault("it was cancelled")
    outcome = task.result()
    if isinstance(outcome, HookFault):
        raise outcome
    return outcome


async def _attempt(call: _Call, handler: Handler, payload: Mapping[str, Any]) -> Answer | HookFault:
    """The answer or the fault; what the handler raises must not reach the event loop, an exit least of all."""
    event = call.hook.event_type
    try:
        message = {"event_type": event, "payload": copy_plain(payload)}
        if _is_async(handler):
            result: Any = handler(message)
        else:
            result = await run_in_thread(lambda: handler(message))
        if inspect.isawaitable(result):
            result = await result
        return read_answer(event, result)
    except BaseException as error:
        if not is_foreign(error):
            raise
        return HookFault(describe(error))
    finally:
        call.over = True


def _is_async(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004 - its kind is asked for, not whether it is there


def _give_up(task: asyncio.Task[Any]) -> None:
    _running.add(task)
    task.add_done_callback(_running.discard)
    task.cancel()
