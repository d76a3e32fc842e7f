"""The loop: intent, context, action, observation, verification, compaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from a3s_code.errors import A3SError, RunLimit
from a3s_code.kernel import events
from a3s_code.kernel.attribution import blame, expect
from a3s_code.kernel.cleaning import clean_error, clean_request, withhold_failures
from a3s_code.kernel.continuation import Continuation
from a3s_code.kernel.contracts import Intent, Verification
from a3s_code.kernel.deadline import Deadline
from a3s_code.kernel.dialogue import Dialogue
from a3s_code.kernel.executor import Caller, ToolExecutor
from a3s_code.kernel.lifecycle import Lifecycle
from a3s_code.kernel.messages import Message, Request, ToolCall
from a3s_code.kernel.notice import notice
from a3s_code.kernel.pairing import interrupted
from a3s_code.kernel.ports import ChatModel, Limits, Modules
from a3s_code.kernel.state import Run, SessionState
from a3s_code.kernel.tool import ToolCatalog, ToolSpec
from a3s_code.kernel.validity import sendable


class AgentLoop:
    """Runs requests for one session, one at a time."""

    def __init__(
        self,
        state: SessionState,
        modules: Modules,
        model: ChatModel,
        catalog: ToolCatalog,
        executor: ToolExecutor,
        limits: Limits,
    ) -> None:
        self._state = state
        self._modules = modules
        self._catalog = catalog
        self._executor = executor
        self._limits = limits
        self._clean = withhold_failures(modules.sanitizer.clean)
        self._lifecycle = Lifecycle(modules.hooks, state, model.name, self._clean)
        self._dialogue = Dialogue(modules, model, self._lifecycle, limits, self._clean)

    async def run(self, run: Run, request: Request, after: Sequence[Run] = ()) -> None:
        """Work on `request`, once all in `after` are over, until it is done, fails, reaches a limit or is cancelled.

        A run that was begun before goes on where it stood. `run` tells the outcome. Raises nothing but an interrupt
        from the keyboard.
        """
        try:
            for earlier in after:
                await earlier.wait()
            with blame("kernel"):
                await self._state.journal.open()
                run.begin()
                run.budget = self._dialogue.budget(self._state)
                async with Deadline(self._limits.max_execution_time_ms) as deadline:
                    await self._work(run, request, deadline)
            run.end("cancelled" if run.cancelling else "completed")
        except RunLimit as limit:
            run.emit(events.LimitReached(limit.limit, self._clean(limit.message)))
            run.end("limit_reached")
        except asyncio.CancelledError:
            run.end("cancelled")
        except A3SError as error:
            clean_error(error, self._clean)
            run.fail(error)
        finally:
            self._state.usage += run.spent
            self._lifecycle.ended(run)
            await self._state.journal.settled()

    async def _work(self, run: Run, request: Request, deadline: Deadline) -> None:
        harness, limits, state = self._modules, self._limits, self._state.conversation(run)
        caller = Caller("model", run.emit, run, harness.guard())
        self._lifecycle.begin(run)
        if not run.taken:
            request = clean_request(await self._lifecycle.admit(run, request), harness.sanitizer.clean)
        with blame("router"):
            intent = expect(Intent, await harness.router.route(request, state))
        run.emit(events.IntentResolved(intent.mode, intent.groups))
        with blame("planner"):
            plan = state.plan = await harness.planner.plan(intent, state)
        state.note_progress()
        reply = run.take_up(request, state)
        assemble = partial(harness.assembler.assemble, intent, plan)
        continuation = Continuation(max_turns=limits.continuation_turns, max_parse_retries=limits.parse_retries)
        tools: tuple[ToolSpec, ...] = ()
        try:
            while True:
                with blame("selector"):
                    tools = tuple(await harness.selector.select(intent, self._catalog, state))
                if reply is None:
                    reply = await self._dialogue.ask(run, state, partial(assemble, tools, state))
                if calls := reply.message.calls:
                    await self._act(state, calls, caller)
                run.emit(events.TurnEnd(run.turns, reply.usage))
                if (more := continuation.after(reply)) is None and not calls and reply.stop != "pause":
                    more = await self._verify(run)
                    if more is None:
                        return
                if more is not None:
                    state.append(more)
                await self._dialogue.compact(run, state)
                if run.cancelling:
                    return
                deadline.check()
                self._check_limits(run)
                reply = None
        except RunLimit as limit:
            turns = run.turns - run.turns_before
            if limits.last_turn and limit.limit != "time" and turns < limits.max_tool_rounds:
                await self._dialogue.conclude(run, state, partial(assemble, tools, state), limit)
            raise

    async def _verify(self, run: Run) -> Message | None:
        """The verdict on the work; what the model is told, where it is not done."""
        run.status = "verifying"
        with blame("verifier"):
            check = partial(self._executor.execute, caller=Caller("check", run.emit, run))
            found = await self._modules.verifier.verify(self._state, check)
            run.verification = expect(Verification, found)
        self._state.note_progress()
        if run.verification.feedback is None:
            return None
        run.status = "executing"
        return notice(self._clean(run.verification.feedback))

    def _check_limits(self, run: Run) -> None:
        if run.due is not None:
            raise run.due
        rounds = self._limits.max_tool_rounds
        if run.turns - run.turns_before >= (max(rounds - 1, 1) if self._limits.last_turn else rounds):
            raise RunLimit("turns", f"the run used its {run.turns} model calls (max_tool_rounds)")

    async def _act(self, state: SessionState, calls: tuple[ToolCall, ...], caller: Caller) -> None:
        known = ((index, state.known_result(call)) for index, call in enumerate(calls))
        done = {index: seen for index, seen in known if seen is not None}
        try:
            await self._executor.execute_all(calls, caller, done)
        finally:
            seen = tuple(done.get(index) or interrupted(call) for index, call in enumerate(calls))
            state.append(sendable(Message("tool", seen)))
