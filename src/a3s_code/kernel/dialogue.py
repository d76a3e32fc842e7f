"""The dialogue: asks the model, and keeps what is said in the history and on the run."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from a3s_code.errors import ContextOverflow, ModelError, RunLimit
from a3s_code.kernel import events
from a3s_code.kernel.attribution import blame, expect
from a3s_code.kernel.budget import OUTPUT_FLOOR, Budget, Reservation
from a3s_code.kernel.cleaning import Clean, clean_message
from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.estimation import Gauge
from a3s_code.kernel.facts import used_fact
from a3s_code.kernel.lifecycle import Lifecycle
from a3s_code.kernel.messages import Message, Reply, Retry, Text, ToolCall
from a3s_code.kernel.notice import last_turn
from a3s_code.kernel.ports import ChatModel, Limits, Modules, Prompt
from a3s_code.kernel.reading import Said, read_reply
from a3s_code.kernel.state import INTERRUPTED_HERE, Run, SessionState
from a3s_code.kernel.validity import distinct, mended, says_nothing, sendable

CALLED = "a3s_code.model_call"
"""The audit event (sys.audit) of each model call, with the model's name and the prompt."""

MOST_OVERFLOWS = 2
Assemble = Callable[[], Awaitable[Prompt]]


class Dialogue:
    """Speaks with the model of one session."""

    def __init__(self, modules: Modules, model: ChatModel, lifecycle: Lifecycle, limits: Limits, clean: Clean) -> None:
        self._modules = modules
        self._model = model
        self._lifecycle = lifecycle
        self._limits = limits
        self._clean = clean
        self._gauge = Gauge()
        self._gauged: str | None = None

    def budget(self, state: SessionState) -> Budget | None:
        """What one run may spend; None where nothing limits it."""
        limits = self._limits
        if limits.max_tokens is None and limits.max_cost is None:
            return None
        price = state.prices.get(self._model.name)
        # Without a price there is a limit on cost only where the model cannot be asked at all.
        return Budget(limits.max_tokens, None if price is None else limits.max_cost, price)

    async def ask(self, run: Run, state: SessionState, assemble: Assemble, *, last: bool = False) -> Reply:
        """One turn's reply, which is in the history then. A history that is too long is shortened and sent again, at
        most twice. Raises ModelError, and RunLimit where the budget has no room; the `last` reply of a run takes what
        was kept back for it."""
        run.turns += 1
        run.emit(events.TurnStart(run.turns))
        state.overflows = 0
        before, said = run.text, Said()
        while True:
            with blame("assembler"):
                prompt = expect(Prompt, await assemble())
            if last:
                prompt = replace(prompt, calls=False)
            try:
                reply = await self._ask(run, state, prompt, said, last)
            except ContextOverflow as error:
                state.overflows += 1
                if state.overflows > MOST_OVERFLOWS or not await self.compact(run, state):
                    raise
                run.text = before
                if said.withdraw():
                    run.emit(events.TextWithdrawn(run.turns, self._clean(str(error))))
            else:
                state.overflows = 0
                return reply

    async def conclude(self, run: Run, state: SessionState, assemble: Assemble, limit: RunLimit) -> None:
        """Let the model say where it stands; no call in what it says is carried out."""
        state.append(last_turn(limit))
        before = run.text
        try:
            reply = await self.ask(run, state, assemble, last=True)
        except (ModelError, RunLimit) as error:
            # The run ends at its limit either way, with what was said before.
            if run.text != before:
                run.text = before
                run.emit(events.TextWithdrawn(run.turns, self._clean(str(error))))
            return
        run.emit(events.TurnEnd(run.turns, reply.usage))

    async def compact(self, run: Run, state: SessionState) -> bool:
        """Let the compactor shorten the history; whether it did."""
        with blame("compactor"):
            shorter = await self._modules.compactor.compact(state)
            if shorter is None:
                return False
            ids: set[str] = set()
            if not (kept := mended(shorter, ids)):
                raise ValueError("it left nothing of the history")
            state.call_ids |= ids
        before, used = len(state.history), state.context_tokens
        state.replace(kept)
        percent = round(100 * used / self._limits.max_context_tokens, 1)
        run.emit(events.ContextCompacted(state.session_id, before, len(kept), percent))
        return True

    async def _ask(self, run: Run, state: SessionState, prompt: Prompt, said: Said, last: bool) -> Reply:
        promised = self._reserve(run.budget, state, prompt, last)
        try:
            await state.journal.settled()
            self._lifecycle.asked(run, prompt)
            sys.audit(CALLED, self._model.name, prompt)
            with blame("model"):
                stream = self._model.stream(prompt)
                reply = await read_reply(
                    stream, run.emit, said, self._modules.sanitizer, partial(self._retried, run, state)
                )
            self._count(run, state, prompt, reply, promised)
            if reply.stop == "context_overflow":
                raise ContextOverflow(f"the window of {self._model.name} was full before its reply was complete")
        except BaseException as error:
            _keep_partial(run, state, said.text, error)
            raise
        finally:
            if promised is not None:
                promised.release()
        state.context_tokens = reply.usage.prompt_tokens + reply.usage.output_tokens
        return self._keep(run, state, reply, last)

    def _keep(self, run: Run, state: SessionState, reply: Reply, last: bool) -> Reply:
        """The reply as it is to be acted on; what goes into the history is cleaned and can be sent."""
        message = reply.message
        if last and message.calls:
            message = replace(message, parts=tuple(part for part in message.parts if not isinstance(part, ToolCall)))
        message = distinct(message, state.call_ids)
        kept = sendable(clean_message(message, self._modules.sanitizer.clean))
        run.text = kept.text or run.text
        run.stop = reply.stop
        run.calls += len(kept.calls)
        if not says_nothing(kept):
            given = zip(kept.calls, message.calls, strict=True)
            state.append(kept, reply, [call.id for call, raw in given if call is not raw])
        self._lifecycle.replied(run, reply if kept is reply.message else replace(reply, message=kept))
        return reply if message is reply.message else replace(reply, message=message)

    def _reserve(self, budget: Budget | None, state: SessionState, prompt: Prompt, last: bool) -> Reservation | None:
        if budget is None:
            return None
        if self._gauged != state.aside:
            self._gauge, self._gauged = Gauge(), state.aside
        expected, output = self._gauge.estimate(prompt), self._limits.max_output_tokens or OUTPUT_FLOOR
        promised = budget.reserve(expected, output, last=last)
        if self._limits.last_turn and not last:
            budget.keep_back(expected, output)
        return promised

    def _count(self, run: Run, state: SessionState, prompt: Prompt, reply: Reply, promised: Reservation | None) -> None:
        _use(run, state, reply.usage, reply.model)
        if promised is None or run.budget is None:
            return
        promised.settle(reply.usage, state.prices.get(reply.model))
        self._gauge.note(prompt, reply.usage)
        for crossing in run.budget.crossed():
            run.emit(
                events.BudgetThresholdHit(
                    crossing.resource, crossing.kind, crossing.consumed, crossing.limit, crossing.message
                )
            )

    def _retried(self, run: Run, state: SessionState, retry: Retry, shown: bool) -> None:
        reason = self._clean(str(retry.error))
        if shown:
            run.emit(events.TextWithdrawn(run.turns, reason))
        run.emit(events.ModelRetry(retry.attempt, retry.delay_ms, reason, retry.model))
        if retry.usage.total_tokens:
            _use(run, state, retry.usage, retry.asked)
        self._lifecycle.retried(run, retry)
        if run.budget is not None:
            run.budget.charge(retry.usage, state.prices.get(retry.asked))


def _use(run: Run, state: SessionState, usage: Usage, model: str) -> None:
    run.use(usage, model)
    if state.journal.kept:
        state.journal.note(used_fact(run.id, usage, model))


def _keep_partial(run: Run, state: SessionState, text: str, error: BaseException) -> None:
    """Keep what was said before the model was cut off; in the history, too, where the run was cancelled."""
    if text:
        run.text = text
        if isinstance(error, asyncio.CancelledError):
            state.append(sendable(Message("assistant", (Text(text + INTERRUPTED_HERE),))))
