"""The loop: intent, context, action, observation, verification, compaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from a3s_code.errors import A3SError, RunLimit
from a3s_code.kernel import events
from a3s_code.kernel.attribution import blame, expect
from a3s_code.kernel.cleaning import clean_error, clean_message, clean_request, withhold_failures
from a3s_code.kernel.contracts import Intent, Verification
from a3s_code.kernel.executor import Caller, ToolExecutor
from a3s_code.kernel.lifecycle import Lifecycle
from a3s_code.kernel.messages import Message, Observation, Reply, Text, ToolCall
from a3s_code.kernel.pairing import interrupted, pair
from a3s_code.kernel.ports import ChatModel, Execute, Limits, Modules, Prompt, Request
from a3s_code.kernel.reading import read_reply
from a3s_code.kernel.state import Run, SessionState
from a3s_code.kernel.tool import ToolCatalog


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
        self._model = model
        self._catalog = catalog
        self._executor = executor
        self._limits = limits
        self._clean = withhold_failures(modules.sanitizer.clean)
        self._lifecycle = Lifecycle(modules.hooks, state, model.name, self._clean)

    async def run(self, run: Run, request: Request, after: Sequence[Run] = ()) -> None:
        """Work on `request`, once all in `after` are over, until it is done, fails, reaches a limit or is cancelled.

        `run` tells which. Raises nothing but an interrupt from the keyboard.
        """
        try:
            for earlier in after:
                await earlier.wait()
            run.emit(events.AgentStart(request.prompt))
            with blame("kernel"):
                await self._work(run, request)
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
            self._state.usage += run.usage
            self._lifecycle.ended(run)

    async def _work(self, run: Run, request: Request) -> None:
        harness, state = self._modules, self._state.conversation(request.history)
        request = clean_request(await self._lifecycle.admit(run, request), harness.sanitizer.clean)
        caller = Caller("model", run.emit, run, harness.guard())
        with blame("router"):
            intent = expect(Intent, await harness.router.route(request, state))
        run.emit(events.IntentResolved(intent.mode, intent.groups))
        with blame("planner"):
            plan = state.plan = await harness.planner.plan(intent, state)
        state.history.append(Message.user(request.prompt, request.attachments))
        while True:
            with blame("selector"):
                tools = tuple(await harness.selector.select(intent, self._catalog, state))
            with blame("assembler"):
                prompt = expect(Prompt, await harness.assembler.assemble(intent, plan, tools, state))
            reply = await self._ask(run, state, prompt)
            if calls := reply.message.calls:
                await self._act(run, state, calls, caller)
            run.emit(events.TurnEnd(run.turns, reply.usage))
            if not calls and reply.stop != "pause":
                run.status = "verifying"
                with blame("verifier"):
                    found = await harness.verifier.verify(self._state, self._check(run))
                    run.verification = expect(Verification, found)
                if run.verification.feedback is None:
                    return
                run.status = "executing"
                state.history.append(Message.user(harness.sanitizer.clean(run.verification.feedback)))
            with blame("compactor"):
                shorter = await harness.compactor.compact(state)
                if shorter is not None:
                    state.history[:] = pair([expect(Message, message) for message in shorter])
            if run.cancelling:
                return
            if run.due is not None:
                raise run.due
            if run.turns >= self._limits.max_tool_rounds:
                raise RunLimit("turns", f"the run used its {run.turns} model calls (max_tool_rounds)")

    async def _ask(self, run: Run, state: SessionState, prompt: Prompt) -> Reply:
        run.turns += 1
        run.emit(events.TurnStart(run.turns))
        self._lifecycle.asked(run, prompt)
        said: list[str] = []
        try:
            with blame("model"):
                reply = await read_reply(self._model.stream(prompt), run.emit, said, self._modules.sanitizer)
        except BaseException as error:
            if text := "".join(said):
                run.text = text
                if isinstance(error, asyncio.CancelledError):
                    state.history.append(Message("assistant", (Text(text + "\n[interrupted here]"),)))
            raise
        kept = clean_message(reply.message, self._modules.sanitizer.clean)
        run.text = kept.text or run.text
        run.stop = reply.stop
        run.use(reply.usage)
        state.history.append(kept)
        self._lifecycle.replied(run, replace(reply, message=kept))
        return reply

    async def _act(self, run: Run, state: SessionState, calls: tuple[ToolCall, ...], caller: Caller) -> None:
        run.calls += len(calls)
        done: dict[int, Observation] = {}
        try:
            await self._executor.execute_all(calls, caller, done)
        finally:
            seen = tuple(done.get(index) or interrupted(call) for index, call in enumerate(calls))
            state.history.append(Message("tool", seen))

    def _check(self, run: Run) -> Execute:
        async def execute(call: ToolCall) -> Observation:
            return await self._executor.execute(call, Caller("check", run.emit, run))

        return execute
