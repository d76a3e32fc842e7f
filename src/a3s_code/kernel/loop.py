"""The loop: intent, context, action, observation, verification, compaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from a3s_code.errors import A3SError, ModelProtocolError, RunLimit
from a3s_code.kernel import events, messages
from a3s_code.kernel.attribution import blame
from a3s_code.kernel.executor import Caller, ToolExecutor, interrupted
from a3s_code.kernel.messages import Delta, Message, Observation, Reply, Text, ToolCall
from a3s_code.kernel.ports import ChatModel, Execute, Limits, Modules, Prompt, Request
from a3s_code.kernel.state import Run, SessionState
from a3s_code.kernel.tool import ToolCatalog

SHOWN: Mapping[type[Delta], Callable[[str], events.AgentEvent]] = {
    messages.TextDelta: events.TextDelta,
    messages.ReasoningDelta: events.ReasoningDelta,
    messages.ToolInputDelta: events.ToolInputDelta,
}


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

    async def run(self, run: Run, request: Request, after: Run | None = None) -> None:
        """Work on `request`, once `after` is over, until it is done, fails, reaches a limit or is cancelled.

        `run` tells which. Never raises.
        """
        try:
            if after is not None:
                await after.wait()
            run.emit(events.AgentStart(request.prompt))
            with blame("kernel"):
                await self._work(run, request)
            run.end("completed")
        except RunLimit as limit:
            run.emit(events.LimitReached(limit.limit, limit.message))
            run.end("limit_reached")
        except asyncio.CancelledError:
            run.end("cancelled")
        except A3SError as error:
            run.fail(error)
        finally:
            self._state.usage += run.usage

    async def _work(self, run: Run, request: Request) -> None:
        harness, state = self._modules, self._state.conversation(request.history)
        with blame("router"):
            intent = await harness.router.route(request, state)
        run.emit(events.IntentResolved(intent.mode, intent.groups))
        with blame("planner"):
            plan = state.plan = await harness.planner.plan(intent, state)
        state.history.append(Message.user(request.prompt, request.attachments))
        while True:
            with blame("selector"):
                tools = await harness.selector.select(intent, self._catalog, state)
            with blame("assembler"):
                prompt = await harness.assembler.assemble(intent, plan, tools, state)
            reply = await self._ask(run, state, prompt)
            if calls := reply.message.calls:
                await self._act(run, state, calls)
            run.emit(events.TurnEnd(run.turns, reply.usage))
            if not calls and reply.stop != "pause":
                run.status = "verifying"
                with blame("verifier"):
                    run.verification = await harness.verifier.verify(self._state, self._check(run))
                if run.verification.feedback is None:
                    return
                run.status = "executing"
                state.history.append(Message.user(run.verification.feedback))
            with blame("compactor"):
                shorter = await harness.compactor.compact(state)
            if shorter is not None:
                state.history[:] = shorter
            if run.turns >= self._limits.max_tool_rounds:
                raise RunLimit("turns", f"the run used its {run.turns} model calls (max_tool_rounds)")

    async def _ask(self, run: Run, state: SessionState, prompt: Prompt) -> Reply:
        run.turns += 1
        run.emit(events.TurnStart(run.turns))
        said: list[str] = []
        try:
            with blame("model"):
                reply = await self._read(run, self._model.stream(prompt), said)
        except asyncio.CancelledError:
            if text := "".join(said):
                run.text = text
                state.history.append(Message("assistant", (Text(text + "\n[interrupted here]"),)))
            raise
        run.text = reply.message.text or run.text
        run.stop = reply.stop
        run.use(reply.usage)
        state.history.append(reply.message)
        return reply

    async def _read(self, run: Run, stream: AsyncIterator[Delta | Reply], said: list[str]) -> Reply:
        reply: Reply | None = None
        try:
            async for piece in stream:
                if isinstance(piece, Reply):
                    reply = piece
                    continue
                if isinstance(piece, messages.TextDelta):
                    said.append(piece.text)
                run.emit(SHOWN[type(piece)](piece.text))
        finally:
            if (close := getattr(stream, "aclose", None)) is not None:
                await close()
        if reply is None:
            raise ModelProtocolError("the reply ended before it was complete", provider=self._model.name)
        return reply

    async def _act(self, run: Run, state: SessionState, calls: tuple[ToolCall, ...]) -> None:
        run.calls += len(calls)
        done: dict[int, Observation] = {}
        try:
            await self._executor.execute_all(calls, Caller("model", run.emit, run), done)
        finally:
            seen = tuple(done.get(index) or interrupted(call) for index, call in enumerate(calls))
            state.history.append(Message("tool", seen))

    def _check(self, run: Run) -> Execute:
        async def execute(call: ToolCall) -> Observation:
            return await self._executor.execute(call, Caller("check", run.emit, run))

        return execute
