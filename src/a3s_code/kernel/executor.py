"""The one door for effects: look up, validate, judge, invoke, clean, shorten, observe.

Every call comes through here, whoever asked: the model, the host's direct calls, the checks of a verification.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from a3s_code.errors import ArgumentError
from a3s_code.kernel import events
from a3s_code.kernel.artifacts import shorten
from a3s_code.kernel.attribution import describe, expect, is_foreign
from a3s_code.kernel.contracts import Confirmation, Decision, Effect, Origin
from a3s_code.kernel.messages import ArtifactRef, Observation, ToolCall
from a3s_code.kernel.pairing import INTERRUPTED
from a3s_code.kernel.ports import Clock, Confirmer, Limits, SafetyGate, Sanitizer
from a3s_code.kernel.state import Refusal, Run, SessionState
from a3s_code.kernel.tool import Action, ArtifactStore, ToolCatalog, ToolContext, ToolOutput, ToolPort
from a3s_code.kernel.trace import ActiveTool, TraceEvent

SHOWN_ARGUMENT_BYTES = 2_048
DEADLINE_GRACE_MS = 5_000
GATE_SECONDS = 10
NOTHING_DONE = frozenset({"invalid_argument", "not_found", "version_conflict", "unsupported"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for a call, and where its events go. `run` is None for the host's direct calls."""

    origin: Origin
    emit: Callable[[events.AgentEvent], None]
    run: Run | None = None


@dataclass(frozen=True, slots=True)
class _Ready:
    """What it takes to judge and to make a call."""

    tool: ToolPort
    args: Any
    action: Action


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A call after lookup and validation: ready, or with the output that says why it is not."""

    call: ToolCall
    found: _Ready | ToolOutput

    @property
    def changes(self) -> bool:
        return isinstance(self.found, _Ready) and self.found.action.changes


class ToolExecutor:
    """Carries out calls for one session. What a tool or a gate raises is observed; only cancellation passes through."""

    def __init__(
        self,
        state: SessionState,
        catalog: ToolCatalog,
        gate: SafetyGate,
        sanitizer: Sanitizer,
        artifacts: ArtifactStore,
        *,
        clock: Clock,
        limits: Limits,
        environment: Mapping[str, str],
        confirmer: Confirmer | None = None,
    ) -> None:
        self._state = state
        self._catalog = catalog
        self._gate = gate
        self._sanitizer = sanitizer
        self._artifacts = artifacts
        self._clock = clock
        self._limits = limits
        self._environment = environment
        self._confirmer = confirmer

    async def execute_all(self, calls: Sequence[ToolCall], caller: Caller, results: dict[int, Observation]) -> None:
        """Carry out the calls of one reply; `results` gets each observation at its call's index as the call ends.

        Calls that change nothing run together; one that may change something waits for those before it and holds up
        those after it, so that the outcome is the same as one by one.
        """
        for wave in self._waves(calls, caller.origin):
            if len(wave) == 1:
                index, prepared = wave[0]
                results[index] = await self._execute(prepared, caller)
                continue
            async with asyncio.TaskGroup() as group:
                for index, prepared in wave:
                    group.create_task(self._execute_into(results, index, prepared, caller))

    def _waves(self, calls: Sequence[ToolCall], origin: Origin) -> Iterator[list[tuple[int, _Prepared]]]:
        """The calls in groups that may run together; each is prepared when what came before a change is done."""
        together: list[tuple[int, _Prepared]] = []
        for index, call in enumerate(calls):
            prepared = self._prepare(call, origin)
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
        self, results: dict[int, Observation], index: int, prepared: _Prepared, caller: Caller
    ) -> None:
        results[index] = await self._execute(prepared, caller)

    async def execute(self, call: ToolCall, caller: Caller) -> Observation:
        """Carry out one call."""
        return await self._execute(self._prepare(call, caller.origin), caller)

    def _prepare(self, call: ToolCall, origin: Origin) -> _Prepared:
        tool = self._catalog.get(call.name)
        if tool is None:
            near = self._catalog.nearest(call.name) or self._catalog.names
            text = f"There is no tool {call.name!r}. Nearest: {', '.join(near)}."
            return _Prepared(call, ToolOutput.failure(text, "unknown_tool"))
        if call.malformed is not None:
            text = f"The arguments of {call.name} are not a JSON object: {call.malformed[:200]!r}. Nothing was done."
            return _Prepared(call, ToolOutput.failure(text, "invalid_argument"))
        try:
            args = tool.parse(call.arguments)
            effects = tuple(expect(Effect, effect) for effect in tool.effects(args, self._state.workspace))
        except (ArgumentError, ValueError) as error:
            return _Prepared(call, ToolOutput.failure(f"{call.name}: {error}", "invalid_argument"))
        except BaseException as error:
            if not is_foreign(error):
                raise
            return _Prepared(call, _failure(call, "internal", describe(error)))
        action = Action(call.id, call.name, call.arguments, effects, origin)
        return _Prepared(call, _Ready(tool, args, action))

    async def _execute(self, prepared: _Prepared, caller: Caller) -> Observation:
        call, ready = prepared.call, prepared.found
        started = time.perf_counter()
        shown, digest = self._show(call)
        caller.emit(events.ToolStart(call.id, call.name, shown, digest, caller.origin))
        active = ActiveTool(call.id, call.name, self._clock.now_ms())
        self._state.active[key := f"{call.id}/{id(active)}"] = active
        cut_off: BaseException | None = None
        try:
            if isinstance(ready, ToolOutput):
                output = ready
            elif (decision := await self._judge(ready.action, shown, digest, caller)).outcome != "allow":
                output = self._refuse(call, shown, decision, caller)
            else:
                # Counted before the call, for one that is cut off may have had effects.
                counted = ready.action.may_change and caller.origin != "check"
                self._state.changes += counted
                context = self._context(call, ready.action, decision, caller, key)
                async with asyncio.timeout((self._limits.tool_timeout_ms + DEADLINE_GRACE_MS) / 1000):
                    output = _checked(call, await ready.tool.invoke(ready.args, context))
                if counted and output.error_kind in NOTHING_DONE:
                    self._state.changes -= 1
        except TimeoutError as error:
            text = str(error) or f"{call.name} was stopped after {self._limits.tool_timeout_ms / 1000:g} s."
            output = ToolOutput.failure(text, "timeout")
        except BaseException as error:  # noqa: BLE001 - what a tool raises, its exit too, is observed; the rest goes on below
            output = _failure(call, "failed", describe(error))
            if not is_foreign(error):
                cut_off, output = error, ToolOutput.failure(INTERRUPTED, "cancelled")
        self._state.active.pop(key, None)
        observation = self._observe(call, output, caller)
        self._record(observation, caller, int((time.perf_counter() - started) * 1000))
        if cut_off is not None:
            raise cut_off
        return observation

    async def _judge(self, action: Action, shown: str, digest: str, caller: Caller) -> Decision:
        try:
            async with asyncio.timeout(GATE_SECONDS):
                decision = expect(Decision, await self._gate.decide(action))
        except BaseException as error:
            if not is_foreign(error):
                raise
            return Decision("deny", f"the gate failed: {describe(error)}", source="gate", effects=action.effects)
        if decision.outcome != "ask":
            return decision
        if caller.origin != "model":
            return replace(decision, outcome="allow", reason=f"asked for by the {caller.origin}")
        if self._confirmer is None:
            reason = f"{decision.reason or 'this call needs a confirmation'}; nobody can be asked in this session"
            return replace(decision, outcome="deny", reason=reason)
        caller.emit(events.ConfirmationRequired(action.call_id, action.tool, shown, args_digest=digest))
        answer = await self._confirm(self._confirmer, action, decision)
        caller.emit(events.ConfirmationReceived(action.call_id, answer.approved, answer.reason or None))
        reason = answer.reason or ("confirmed" if answer.approved else "refused by the person asked")
        return replace(decision, outcome="allow" if answer.approved else "deny", reason=reason)

    async def _confirm(self, confirmer: Confirmer, action: Action, decision: Decision) -> Confirmation:
        try:
            return expect(Confirmation, await confirmer.confirm(action, decision))
        except BaseException as error:
            if not is_foreign(error):
                raise
            return Confirmation(approved=False, reason=f"the confirmation failed: {describe(error)}")

    def _refuse(self, call: ToolCall, shown: str, decision: Decision, caller: Caller) -> ToolOutput:
        decision = replace(decision, reason=self._clean(decision.reason))
        caller.emit(events.PermissionDenied(call.id, call.name, shown, decision.reason, decision.rule, decision.source))
        if caller.run is not None:
            caller.run.refused.append(Refusal(call, decision))
        return ToolOutput.failure(f"Not allowed: {decision.reason}", "permission_denied")

    def _context(self, call: ToolCall, action: Action, decision: Decision, caller: Caller, key: str) -> ToolContext:
        loop, thread = asyncio.get_running_loop(), threading.get_ident()

        def show(text: str) -> None:
            if key in self._state.active:
                caller.emit(events.ToolOutputDelta(call.id, call.name, text))

        def progress(text: str) -> None:
            cleaned = self._clean(str(text))
            if threading.get_ident() == thread:
                show(cleaned)
            else:
                with suppress(RuntimeError):  # the loop is closed: nobody is left to show it to
                    loop.call_soon_threadsafe(show, cleaned)

        return ToolContext(
            workspace=self._state.workspace,
            session_id=self._state.session_id,
            run_id=None if caller.run is None else caller.run.id,
            call_id=call.id,
            origin=caller.origin,
            decision=decision,
            effects=action.effects,
            artifacts=self._artifacts,
            files=self._state.files,
            environment=self._environment,
            progress=progress,
            timeout_ms=self._limits.tool_timeout_ms,
        )

    def _observe(self, call: ToolCall, output: ToolOutput, caller: Caller) -> Observation:
        text = self._clean(output.text)
        budget = self._limits.host_output_bytes if caller.origin == "host" else self._limits.observation_bytes
        artifact: ArtifactRef | None = None
        if len(text) > budget or (not text.isascii() and len(text.encode("utf-8", "replace")) > budget):
            artifact = self._artifacts.put(call.name, text, budget)
            text = shorten(text, budget, artifact.uri)
        return Observation(
            call.id,
            call.name,
            text,
            output.exit_code,
            output.error_kind,
            output.metadata,
            output.images,
            artifact,
            None if caller.origin == "model" else output.value,
        )

    def _record(self, seen: Observation, caller: Caller, duration_ms: int) -> None:
        self._state.trace.append(
            TraceEvent(
                name=seen.name,
                success=not seen.failed,
                exit_code=seen.exit_code,
                duration_ms=duration_ms,
                output_bytes=seen.artifact.original_bytes if seen.artifact else len(seen.output),
                origin=caller.origin,
                run_id=None if caller.run is None else caller.run.id,
                error_kind=seen.error_kind,
                metadata_keys=tuple(sorted(seen.metadata)),
                artifact_uris=(seen.artifact.uri,) if seen.artifact else (),
            )
        )
        caller.emit(
            events.ToolEnd(seen.call_id, seen.name, seen.output, seen.exit_code, seen.metadata, seen.error_kind)
        )

    def _clean(self, text: str) -> str:
        try:
            return expect(str, self._sanitizer.clean(text))
        except BaseException as error:
            if not is_foreign(error):
                raise
            return f"[withheld: the sanitizer failed: {describe(error)}]"

    def _show(self, call: ToolCall) -> tuple[str, str]:
        """The arguments as cleaned, shortened JSON text, and the digest of the whole."""
        whole = call.malformed
        if whole is None:
            whole = _spell(call.arguments)
        data = whole.encode("utf-8", "surrogatepass")
        shown = self._clean(whole).encode("utf-8", "replace")
        if len(shown) > SHOWN_ARGUMENT_BYTES:
            shown = shown[: SHOWN_ARGUMENT_BYTES - 3] + "…".encode()
        return shown.decode("utf-8", "ignore"), hashlib.sha256(data).hexdigest()


def _spell(arguments: Mapping[str, Any]) -> str:
    try:
        return json.dumps(arguments, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):
        return repr(arguments)


def _checked(call: ToolCall, given: Any) -> ToolOutput:
    """The output, if it is one that can be observed: a tool of the host is not type-checked."""
    if not isinstance(given, ToolOutput):
        return _failure(call, "internal", f"it gave {type(given).__name__}, not a ToolOutput")
    text, exit_code, metadata = (cast("Any", value) for value in (given.text, given.exit_code, given.metadata))
    if not (isinstance(text, str) and isinstance(exit_code, int) and isinstance(metadata, Mapping)):
        return _failure(call, "internal", "it gave a ToolOutput whose text, exit code or metadata is of another type")
    return given


def _failure(call: ToolCall, kind: str, reason: str) -> ToolOutput:
    return ToolOutput.failure(f"{call.name} failed: {reason}", kind)
