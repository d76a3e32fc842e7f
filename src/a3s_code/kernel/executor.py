"""The one door for effects: look up, validate, consult, judge, invoke, clean, shorten, observe.

Every call comes through here, whoever asked: the model, the host's direct calls, the calls inside a batch, the checks
of a verification.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from a3s_code.errors import RunLimit
from a3s_code.kernel import events
from a3s_code.kernel.artifacts import shorten
from a3s_code.kernel.attribution import describe, is_foreign
from a3s_code.kernel.authorization import Authorization
from a3s_code.kernel.cleaning import clean_value, tell_cleaned, withhold_failures
from a3s_code.kernel.contracts import Decision, Effect, Origin
from a3s_code.kernel.doors import Doors
from a3s_code.kernel.messages import ArtifactRef, Observation, ToolCall
from a3s_code.kernel.pairing import INTERRUPTED
from a3s_code.kernel.ports import Clock, Emit, Guard, Hooks, Limits, StreamSanitizer, Watcher
from a3s_code.kernel.preparation import MAX_NESTING, Prepared, Ready, expand, fail, prepare
from a3s_code.kernel.progress import Progress
from a3s_code.kernel.spelling import Spelling
from a3s_code.kernel.state import Refusal, Run, SessionState
from a3s_code.kernel.tool import Action, ArtifactStore, SandboxMode, ToolCatalog, ToolContext, ToolOutput
from a3s_code.kernel.trace import ActiveTool, TraceEvent
from a3s_code.kernel.validity import are_images

DEADLINE_GRACE_MS = 5_000
NOTHING_DONE = frozenset({"invalid_argument", "not_found", "version_conflict", "unsupported"})
TOLD_KINDS = frozenset({"permission_denied", "timeout"})
RECENT = 10
DECIDED = "a3s_code.decision"
INVOKED = "a3s_code.invocation"
"""The audit events (sys.audit) of each call that is decided, with its id, its tool and the outcome, and of each that is
invoked, with its id and its tool: whoever listens can count that nothing acts without a decision."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for a call, and where its events go. `run` is None for the host's direct calls, `guard` watches those of
    the model, `depth` counts the calls that this one is made inside of."""

    origin: Origin
    emit: Emit
    run: Run | None = None
    guard: Guard | None = None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every call of a session gets to work with.

    `hides` tells whether a rule keeps a file from being read without a word; `watchers` see each observation.
    """

    clock: Clock
    limits: Limits
    artifacts: ArtifactStore
    environment: Mapping[str, str]
    sandbox: SandboxMode = "auto"
    hides: Callable[[str], bool] | None = None
    watchers: tuple[Watcher, ...] = ()


class ToolExecutor:
    """Carries out calls for one session. What a tool or a gate raises is observed; only cancellation passes through."""

    def __init__(
        self,
        state: SessionState,
        catalog: ToolCatalog,
        authorization: Authorization,
        sanitizer: StreamSanitizer,
        hooks: Hooks,
        surroundings: Surroundings,
    ) -> None:
        self._state = state
        self._catalog = catalog
        self._authorization = authorization
        self._sanitizer = sanitizer
        self._clean = withhold_failures(sanitizer.clean)
        self._hooks = hooks
        self._around = surroundings

    async def execute_all(self, calls: Sequence[ToolCall], caller: Caller, results: dict[int, Observation]) -> None:
        """Carry out the calls of one reply that have no observation in `results` yet, which gets each at its call's
        index as the call ends.

        Calls that change nothing run together; one that may change something waits for those before it and holds up
        those after it, so that the outcome is the same as one by one.
        """
        async with aclosing(self._waves(calls, caller, frozenset(results))) as waves:
            async for wave in waves:
                if len(wave) == 1:
                    index, prepared = wave[0]
                    results[index] = await self._execute(prepared, caller)
                    continue
                async with asyncio.TaskGroup() as group:
                    for index, prepared in wave:
                        group.create_task(self._execute_into(results, index, prepared, caller))

    async def _waves(
        self, calls: Sequence[ToolCall], caller: Caller, done: frozenset[int]
    ) -> AsyncGenerator[list[tuple[int, Prepared]], None]:
        """The calls in groups that may run together; each is prepared when what came before a change is done."""
        together: list[tuple[int, Prepared]] = []
        for index, call in enumerate(calls):
            if index in done:
                continue
            prepared = await self._prepare(call, caller)
            if not prepared.changes:
                together.append((index, prepared))
                continue
            if together:
                yield together
                together = []
            yield [(index, prepared)]
        if together:
            yield together

    async def _execute_into(
        self, results: dict[int, Observation], index: int, prepared: Prepared, caller: Caller
    ) -> None:
        results[index] = await self._execute(prepared, caller)

    async def execute(self, call: ToolCall, caller: Caller) -> Observation:
        """Carry out one call."""
        return await self._execute(await self._prepare(call, caller), caller)

    def _changes(self, call: ToolCall, origin: Origin) -> bool:
        """Whether the call is declared to change something; one that cannot be prepared changes nothing."""
        return prepare(self._catalog, self._state.workspace, call, origin).changes

    async def permit(self, call: ToolCall, caller: Caller) -> Decision:
        """Allow or deny, for a call that a running tool makes itself: a redirect it meets. A hook that would have the
        arguments changed denies, for the tool acts on those it asked for."""
        prepared = await self._prepare(call, caller)
        found = prepared.found
        if isinstance(found, ToolOutput):
            return Decision("deny", found.text, "executor")
        if prepared.call is not call:
            return Decision("deny", "a hook changed the arguments of what the call met on its way", "hook")
        if isinstance(found, Ready):
            spelled = Spelling(call.arguments, self._clean)
            emit = tell_cleaned(caller.emit, self._clean)
            found = await self._authorization.settle(found.action, spelled, emit, prepared.doubt)
        return found

    async def foresee(self, call: ToolCall) -> Decision:
        """What would be decided on a call of the model, were it made now; the strictest of it and the calls it is known
        to make. Nothing is done, and nobody is asked.

        A tool that is not there is judged by its name, and arguments that do not fit as a call of unknown effect.
        """
        found = prepare(self._catalog, self._state.workspace, call, "model").found
        unknown = "" if self._catalog.get(call.name) else call.name
        action = Action(call.id, call.name, call.arguments, (Effect("unknown", unknown),), "model")
        if isinstance(found, Ready):
            with suppress(ValueError):
                action = expand(self._catalog, self._state.workspace, found)
        return await self._authorization.decide(action)

    async def _prepare(self, call: ToolCall, caller: Caller) -> Prepared:
        """The call, ready to be judged: after the hooks that may change its arguments or block it."""
        prepared = prepare(self._catalog, self._state.workspace, call, caller.origin)
        if not (isinstance(prepared.found, Ready) and self._hooks.listens("pre_tool_use")):
            return prepared
        payload = {
            "session_id": self._state.session_id,
            "tool": call.name,
            "args": prepared.found.action.arguments,
            "working_directory": str(self._state.workspace),
            "recent_tools": [seen.name for seen in self._state.trace[-RECENT:]],
        }
        said = await self._hooks.consult("pre_tool_use", payload, tell_cleaned(caller.emit, self._clean))
        if said.action == "block":
            return replace(prepared, found=Decision("deny", said.reason, f"hook {said.source}"))
        if said.modified is not None:
            call = replace(call, arguments=said.modified)
            prepared = prepare(self._catalog, self._state.workspace, call, caller.origin)
        if said.action == "escalate":
            prepared = replace(prepared, doubt=Decision("ask", said.reason, f"hook {said.source}"))
        return prepared

    async def _execute(self, prepared: Prepared, caller: Caller) -> Observation:
        call, found = prepared.call, prepared.found
        started = time.perf_counter()
        spelled = Spelling(call.arguments if call.malformed is None else call.malformed, self._clean)
        caller.emit(events.ToolStart(call.id, call.name, spelled.shown, spelled.digest, caller.origin))
        active = ActiveTool(call.id, call.name, self._around.clock.now_ms())
        self._state.active[key := f"{call.id}/{id(active)}"] = active
        cut_off: BaseException | None = None
        stopped = _guard(call, caller)
        try:
            judged = stopped or await self._judge(prepared, spelled, caller)
            if isinstance(judged, ToolOutput) or not isinstance(found, Ready):
                output = cast("ToolOutput", judged)
            else:
                # Counted before the call, for one that is cut off may have had effects.
                counted = found.action.may_change and caller.origin != "check"
                self._state.changes += counted
                sys.audit(INVOKED, call.id, call.name)
                async with asyncio.timeout((self._around.limits.tool_timeout_ms + DEADLINE_GRACE_MS) / 1000) as limit:
                    context = self._context(found, judged, caller, key, limit)
                    output = _checked(call, await found.tool.invoke(found.args, context))
                if counted and output.error_kind in NOTHING_DONE:
                    self._state.changes -= 1
        except TimeoutError as error:
            text = str(error) or f"{call.name} was stopped after {self._around.limits.tool_timeout_ms / 1000:g} s."
            output = ToolOutput.failure(text, "timeout")
        except BaseException as error:  # noqa: BLE001 - what a tool raises, its exit too, is observed; the rest goes on below
            output = fail(call, "failed", describe(error))
            if not is_foreign(error):
                cut_off, output = error, ToolOutput.failure(INTERRUPTED, "cancelled")
        self._state.active.pop(key, None)
        observation = self._observe(call, output, caller)
        if caller.guard is not None and stopped is None:
            caller.guard.note(call, observation, isinstance(found, Ready) and found.action.may_change)
        self._record(call, observation, caller, int((time.perf_counter() - started) * 1000))
        if cut_off is not None:
            raise cut_off
        return observation

    async def _judge(self, prepared: Prepared, spelled: Spelling, caller: Caller) -> Decision | ToolOutput:
        """The decision that allows the call, or the output in its place."""
        call, found = prepared.call, prepared.found
        if isinstance(found, ToolOutput):
            return found
        if isinstance(found, Ready):
            emit = tell_cleaned(caller.emit, self._clean)
            found = await self._authorization.settle(found.action, spelled, emit, prepared.doubt)
        if found.outcome == "allow":
            # Here, so that nothing can come between the decision and the call.
            await self._state.journal.settled()
        sys.audit(DECIDED, call.id, call.name, found.outcome)
        return found if found.outcome == "allow" else self._refuse(call, spelled, found, caller)

    def _refuse(self, call: ToolCall, spelled: Spelling, decision: Decision, caller: Caller) -> ToolOutput:
        decision = replace(decision, reason=self._clean(decision.reason))
        caller.emit(
            events.PermissionDenied(call.id, call.name, spelled.shown, decision.reason, decision.rule, decision.source)
        )
        if caller.run is not None:
            kept = replace(call, arguments=clean_value(call.arguments, self._clean))
            caller.run.refused.append(Refusal(kept, decision))
        return ToolOutput.failure(f"Not allowed: {decision.reason}", "permission_denied")

    def _context(
        self, ready: Ready, decision: Decision, caller: Caller, key: str, limit: asyncio.Timeout
    ) -> ToolContext:
        state, around, action = self._state, self._around, ready.action

        def is_open() -> bool:
            return key in state.active

        doors = Doors(
            action,
            limit,
            is_open,
            execute=lambda call: self.execute(call, replace(caller, depth=caller.depth + 1)),
            permit=lambda call: self.permit(call, caller),
            changes=lambda call: self._changes(call, caller.origin),
        )
        return ToolContext(
            workspace=state.workspace,
            session_id=state.session_id,
            run_id=None if caller.run is None else caller.run.id,
            call_id=action.call_id,
            origin=caller.origin,
            decision=decision,
            effects=action.effects,
            artifacts=around.artifacts,
            files=state.files,
            environment=around.environment,
            progress=Progress(action, self._sanitizer, caller.emit, is_open),
            timeout_ms=around.limits.tool_timeout_ms,
            sandbox=around.sandbox,
            call=doors.call,
            changes=doors.changes,
            permit=doors.permit,
            hides=around.hides,
        )

    def _observe(self, call: ToolCall, output: ToolOutput, caller: Caller) -> Observation:
        text = self._clean(output.text)
        limits = self._around.limits
        budget = limits.host_output_bytes if caller.origin == "host" else limits.observation_bytes
        artifact: ArtifactRef | None = None
        if len(text) > budget or (not text.isascii() and len(text.encode("utf-8", "replace")) > budget):
            artifact = self._around.artifacts.put(call.name, text, budget)
            text = shorten(text, budget, artifact.uri)
        seen = Observation(
            call.id,
            call.name,
            text,
            output.exit_code,
            output.error_kind,
            clean_value(output.metadata, self._clean),
            output.images,
            artifact,
            None if caller.origin == "model" else output.value,
        )
        for watcher in self._around.watchers:
            try:
                watcher.note(call, seen)
            except Exception as error:  # noqa: BLE001 - what nobody could look at must not reach the model
                text = f"[withheld: a watcher failed: {describe(error)}]"
                seen = replace(seen, output=text, metadata={}, images=(), artifact=None, value=None)
        return seen

    def _record(self, call: ToolCall, seen: Observation, caller: Caller, duration_ms: int) -> None:
        line = TraceEvent(
            name=seen.name,
            success=not seen.failed,
            exit_code=seen.exit_code,
            duration_ms=duration_ms,
            output_bytes=seen.artifact.original_bytes if seen.artifact else len(seen.output),
            origin=caller.origin,
            run_id=None if caller.run is None else caller.run.id,
            error_kind=seen.error_kind,
            metadata_keys=tuple(sorted(map(str, seen.metadata))),
            artifact_uris=(seen.artifact.uri,) if seen.artifact else (),
        )
        caller.emit(
            events.ToolEnd(seen.call_id, seen.name, seen.output, seen.exit_code, seen.metadata, seen.error_kind)
        )
        # In one go with the event, so that a call that is stored as ended is stored with what it gave.
        self._state.note_call(line)
        if caller.origin == "model" and not caller.depth:
            self._state.note_result(seen)
        if self._hooks.listens("post_tool_use"):
            payload = {
                "session_id": self._state.session_id,
                "tool": call.name,
                "args": clean_value(call.arguments, self._clean),
                "result": {
                    "success": not seen.failed,
                    "output": seen.output,
                    "exit_code": seen.exit_code,
                    "duration_ms": duration_ms,
                },
            }
            self._hooks.observe("post_tool_use", payload, tell_cleaned(caller.emit, self._clean))
        if seen.failed and self._hooks.listens("on_error"):
            payload = {
                "session_id": self._state.session_id,
                "error_type": seen.error_kind if seen.error_kind in TOLD_KINDS else "tool_failure",
                "error_message": seen.output,
                "context": {"tool": call.name, "tool_id": call.id, "exit_code": seen.exit_code},
            }
            self._hooks.observe("on_error", payload, tell_cleaned(caller.emit, self._clean))


def _guard(call: ToolCall, caller: Caller) -> ToolOutput | None:
    if caller.depth > MAX_NESTING:
        return ToolOutput.failure(f"calls are nested more than {MAX_NESTING} deep", "invalid_argument")
    try:
        return None if caller.guard is None else caller.guard.check(call)
    except RunLimit as limit:
        if caller.run is not None:
            caller.run.due = caller.run.due or limit
        return ToolOutput.failure(str(limit), "failed", guard=limit.limit)


def _checked(call: ToolCall, given: Any) -> ToolOutput:
    """The output, if it is one that can be observed: a tool of the host is not type-checked."""
    if not isinstance(given, ToolOutput):
        return fail(call, "internal", f"it gave {type(given).__name__}, not a ToolOutput")
    text, exit_code, metadata = (cast("Any", value) for value in (given.text, given.exit_code, given.metadata))
    fits = isinstance(text, str) and isinstance(exit_code, int) and isinstance(metadata, Mapping)
    if not (fits and are_images(given.images)):
        text = "it gave a ToolOutput whose text, exit code, metadata or images are of another type"
        return fail(call, "internal", text)
    return given
