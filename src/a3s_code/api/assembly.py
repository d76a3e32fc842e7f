"""The composition root: puts a session together. The only file that knows every box."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from a3s_code.api.async_session import AsyncAgentSession, SessionParts
from a3s_code.api.books import open_books
from a3s_code.api.direct import DirectCalls
from a3s_code.api.limits import build_limits
from a3s_code.api.models import Models
from a3s_code.api.options import SessionOptions
from a3s_code.api.policy import AsyncPolicyView
from a3s_code.api.recall import Recalled
from a3s_code.api.safety import Safety, build_safety
from a3s_code.api.surroundings import environment_of_commands
from a3s_code.api.vouching import find_untrusted
from a3s_code.capabilities.core_tools import CORE_TOOLS
from a3s_code.capabilities.git import GIT
from a3s_code.capabilities.web import web_tools
from a3s_code.config.schema import Config
from a3s_code.errors import WorkspaceError
from a3s_code.harness.compaction.trimmer import Trimmer
from a3s_code.harness.context.assembler import PromptAssembler
from a3s_code.harness.intent import PlainRouter
from a3s_code.harness.planning import NoPlanner
from a3s_code.harness.safety.repetition import RepetitionGuard
from a3s_code.harness.selection import CoreSelector
from a3s_code.harness.verification.verifier import CheckVerifier
from a3s_code.kernel.authorization import Authorization
from a3s_code.kernel.cleaning import withhold_failures
from a3s_code.kernel.contracts import Check, Labels
from a3s_code.kernel.events import AgentEvent
from a3s_code.kernel.executor import Surroundings, ToolExecutor
from a3s_code.kernel.loop import AgentLoop
from a3s_code.kernel.ports import Limits, Modules
from a3s_code.kernel.state import SessionState
from a3s_code.kernel.store import SessionStore
from a3s_code.kernel.tool import ToolCatalog
from a3s_code.system.clock import SystemClock, completed
from a3s_code.system.process import end_all, is_anything_left
from a3s_code.system.sandbox import probe

CLOCK = SystemClock()


def build_session(
    models: Models,
    workspace: str | os.PathLike[str],
    options: SessionOptions,
    store: SessionStore | None = None,
    recalled: Recalled | None = None,
) -> AsyncAgentSession:
    """A session in `workspace`, from the configuration and the session's own options, which win.

    `store` keeps it; `recalled` is what it kept of the session that is opened again.
    """
    root, config = _workspace(workspace), models.config
    _refuse_unkept(config, options)
    clock = CLOCK if options.clock is None else completed(options.clock)
    state = SessionState(options.session_id or clock.new_id("session"), root)
    labels = Labels(options.tenant_id, options.principal, options.agent_template_id, options.correlation_id)
    books = open_books(state, clock, options, labels, store, recalled)
    opened = models.open(options, root, clock)
    state.prices = opened.prices
    limits = build_limits(config, options, opened)
    if (untrusted := find_untrusted(root, None if config.found_by_search else config.source_path)) is not None:
        state.notices.append(untrusted)
    catalog = _catalog(config, options)
    safety = build_safety(config, root, options, clock, catalog.names)
    modules = _modules(config, safety, options, limits)
    surroundings = Surroundings(
        clock,
        limits,
        books.artifacts,
        environment_of_commands(),
        options.given("sandbox", config.sandbox),
        safety.gate.hider,
        () if options.security_provider is None else (options.security_provider,),
    )
    clean = withhold_failures(safety.sanitizer.clean)
    authorization = Authorization(
        safety.gate, safety.confirmations, safety.hooks, state.session_id, state.journal, clean
    )
    books.recall_questions(safety.confirmations)
    executor = ToolExecutor(state, catalog, authorization, safety.sanitizer, safety.hooks, surroundings)
    return AsyncAgentSession(
        SessionParts(
            state=state,
            catalog=catalog,
            direct=DirectCalls(catalog, executor, clock, state.journal),
            loop=AgentLoop(state, modules, opened.model, catalog, executor, limits),
            books=books,
            labels=labels,
            queue=options.on_busy == "queue",
            policy=AsyncPolicyView(catalog, executor, safety.warnings),
            confirmations=safety.confirmations,
            hooks=safety.hooks,
            clean=safety.sanitizer.clean,
            close=lambda: _close(safety, options, state.session_id),
        )
    )


def _catalog(config: Config, options: SessionOptions) -> ToolCatalog:
    tools = (*CORE_TOOLS, *GIT.tools, *web_tools(config.search))
    return ToolCatalog([*tools, *(tool for bundle in options.capabilities for tool in bundle.tools), *options.tools])


async def _close(safety: Safety, options: SessionOptions, session_id: str) -> None:
    """End what a closed session has left: background commands, hooks that still observe."""
    try:
        if safety.hooks.listens("session_end"):
            safety.hooks.observe("session_end", {"session_id": session_id}, _unheard)
        await safety.hooks.close()
    finally:
        if options.security_provider is not None:
            options.security_provider.teardown(safety.hooks)
        if is_anything_left(session_id):
            await asyncio.to_thread(end_all, session_id)


def _unheard(event: AgentEvent) -> None:
    """Nobody hears the events of a session that is closed."""


def _modules(config: Config, safety: Safety, options: SessionOptions, limits: Limits) -> Modules:
    given = options.harness
    checks: Sequence[Check] = [*config.checks, *(check for check in options.checks if isinstance(check, Check))]
    return Modules(
        router=given.router or PlainRouter(),
        planner=given.planner or NoPlanner(),
        assembler=given.assembler or PromptAssembler(),
        selector=given.selector or CoreSelector(),
        gate=safety.gate,
        sanitizer=safety.sanitizer,
        verifier=given.verifier or CheckVerifier(checks),
        compactor=given.compactor
        or Trimmer(limits.max_context_tokens, options.auto_compact_threshold, options.auto_compact),
        hooks=safety.hooks,
        guard=lambda: RepetitionGuard(options.duplicate_tool_call_threshold),
    )


def _refuse_unkept(config: Config, options: SessionOptions) -> None:
    """Raise for a setting that a host relies on and that this version, or this machine, cannot keep."""
    if config.verify == "require":
        raise config.error("verify", "verify cannot be kept by this version", "take the setting out")
    if options.given("sandbox", config.sandbox) == "require" and probe().engine is None:
        message = f"commands cannot be confined here: {probe().detail}"
        raise config.error("sandbox", message, 'write sandbox = "auto" to go without')


def _workspace(given: str | os.PathLike[str]) -> Path:
    if not isinstance(given, str | os.PathLike) or not os.fspath(given):
        raise WorkspaceError(f"the workspace is {given!r}", hint="name the folder the agent works in")
    try:
        root = Path(given).expanduser().resolve(strict=True)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise WorkspaceError(f"the workspace {str(given)!r} cannot be opened: {_cause(error)}") from error
    if not root.is_dir():
        raise WorkspaceError(f"the workspace {str(given)!r} is no folder", hint="name the folder the agent works in")
    if not os.access(root, os.R_OK | os.X_OK):
        raise WorkspaceError(f"the workspace {str(given)!r} cannot be read", hint="check its permissions")
    return root


def _cause(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
