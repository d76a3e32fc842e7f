"""The composition root: puts a session together. The only file that knows every box."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from a3s_code.api.async_session import AsyncAgentSession, SessionParts
from a3s_code.api.direct import DirectCalls
from a3s_code.api.models import Models
from a3s_code.api.options import SessionOptions
from a3s_code.capabilities.core_tools import CORE_TOOLS
from a3s_code.config.schema import Config
from a3s_code.errors import WorkspaceError
from a3s_code.harness.compaction.compactor import WholeHistory
from a3s_code.harness.context.assembler import PromptAssembler
from a3s_code.harness.intent import PlainRouter
from a3s_code.harness.planning import NoPlanner
from a3s_code.harness.safety.gate import build_gate
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.harness.safety.sanitize import TextSanitizer
from a3s_code.harness.selection import CoreSelector
from a3s_code.harness.verification.verifier import CheckVerifier
from a3s_code.kernel.contracts import Check, Labels, ModelSettings
from a3s_code.kernel.executor import ToolExecutor
from a3s_code.kernel.ledger import RunLedger
from a3s_code.kernel.loop import AgentLoop
from a3s_code.kernel.ports import Limits, Modules
from a3s_code.kernel.state import SessionState
from a3s_code.kernel.tool import ToolCatalog
from a3s_code.stores.artifacts import MemoryArtifactStore
from a3s_code.system.clock import SystemClock
from a3s_code.system.environment import child_environment

CLOCK = SystemClock()


def build_session(models: Models, workspace: str | os.PathLike[str], options: SessionOptions) -> AsyncAgentSession:
    """A session in `workspace`, from the configuration and the session's own options, which win."""
    root, config = _workspace(workspace), models.config
    _refuse_unkept(config)
    clock = options.clock or CLOCK
    state = SessionState(options.session_id or clock.new_id("session"), root)
    limits = Limits(options.given("max_tool_rounds", config.max_tool_rounds), options.tool_timeout_ms)
    settings = ModelSettings(
        options.temperature,
        options.given("thinking_budget", config.thinking_budget),
        options.max_output_tokens,
        options.given("llm_api_timeout_ms", config.llm_api_timeout_ms),
    )
    model, state.price = models.open(options.model, settings, root)
    catalog = ToolCatalog(
        [*CORE_TOOLS, *(tool for bundle in options.capabilities for tool in bundle.tools), *options.tools]
    )
    modules = _modules(config, root, options)
    executor = ToolExecutor(
        state,
        catalog,
        modules.gate,
        modules.sanitizer,
        MemoryArtifactStore(**options.artifact_store_limits),
        clock=clock,
        limits=limits,
        environment=child_environment(os.environ),
    )
    labels = Labels(options.tenant_id, options.principal, options.agent_template_id, options.correlation_id)
    return AsyncAgentSession(
        SessionParts(
            state=state,
            catalog=catalog,
            direct=DirectCalls(catalog, executor, clock),
            loop=AgentLoop(state, modules, model, catalog, executor, limits),
            ledger=RunLedger(state.session_id, clock),
            labels=labels,
            queue=options.on_busy == "queue",
        )
    )


def _modules(config: Config, root: Path, options: SessionOptions) -> Modules:
    given = options.harness
    policies = [policy for bundle in options.capabilities for policy in bundle.policies]
    checks: Sequence[Check] = [*config.checks, *(check for check in options.checks if isinstance(check, Check))]
    return Modules(
        router=given.router or PlainRouter(),
        planner=given.planner or NoPlanner(),
        assembler=given.assembler or PromptAssembler(),
        selector=given.selector or CoreSelector(),
        gate=build_gate(_policy(config, options), root, extra=policies, custom=given.gate),
        sanitizer=given.sanitizer or TextSanitizer(secret.reveal() for secret in config.secrets),
        verifier=given.verifier or CheckVerifier(checks),
        compactor=given.compactor or WholeHistory(),
    )


def _policy(config: Config, options: SessionOptions) -> PermissionPolicy | None:
    if options.permission_policy is not None or config.permissions is None:
        return options.permission_policy
    rules = config.permissions
    return PermissionPolicy(allow=rules.allow, ask=rules.ask, deny=rules.deny, default_decision=rules.default)


def _refuse_unkept(config: Config) -> None:
    """Raise for a setting that a host relies on and that this version cannot keep."""
    asked = {
        "sandbox": config.sandbox == "require",
        "verify": config.verify == "require",
        "budget": config.budget is not None,
    }
    for key, unkept in asked.items():
        if unkept:
            raise config.error(key, f"{key} cannot be kept by this version", "take the setting out")


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
