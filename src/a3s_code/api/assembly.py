"""The composition root: puts a session together. The only file that knows every box."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from a3s_code.api.async_session import AsyncAgentSession, SessionParts
from a3s_code.api.options import SessionOptions
from a3s_code.capabilities.core_tools import CORE_TOOLS
from a3s_code.config.endpoints import ModelConfig
from a3s_code.config.schema import Config
from a3s_code.errors import A3SError, ConfigError, WorkspaceError
from a3s_code.harness.compaction.compactor import WholeHistory
from a3s_code.harness.context.assembler import PromptAssembler
from a3s_code.harness.intent import PlainRouter
from a3s_code.harness.planning import NoPlanner
from a3s_code.harness.safety.gate import build_gate
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.harness.safety.sanitize import TextSanitizer
from a3s_code.harness.selection import CoreSelector
from a3s_code.harness.verification.verifier import CheckVerifier
from a3s_code.kernel.contracts import Check, Labels, ModelSettings, Price
from a3s_code.kernel.executor import ToolExecutor
from a3s_code.kernel.ledger import RunLedger
from a3s_code.kernel.loop import AgentLoop
from a3s_code.kernel.messages import Delta, Reply
from a3s_code.kernel.ports import ChatModel, Limits, Modules, Prompt
from a3s_code.kernel.state import SessionState
from a3s_code.kernel.tool import ToolCatalog
from a3s_code.providers.endpoint import OFFLINE, ModelEndpoint
from a3s_code.providers.registry import create_model, warm
from a3s_code.stores.artifacts import MemoryArtifactStore
from a3s_code.system.clock import SystemClock
from a3s_code.system.environment import child_environment


class UnusableModel:
    """Stands for a model that the configuration does not give: sessions open, the first request raises why."""

    def __init__(self, name: str, error: A3SError) -> None:
        self.name = name
        self._error = error

    def stream(self, prompt: Prompt) -> AsyncIterator[Delta | Reply]:
        raise self._error


@dataclass(slots=True)
class Models:
    """The models of one configuration. Its SDK begins to load in the background as soon as this is made."""

    config: Config
    clock: SystemClock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        try:
            endpoint, _ = self._endpoint(None, Path())
        except A3SError:
            return  # told at the first request, by the session that asks
        if endpoint.provider not in OFFLINE:
            warm(endpoint.speaks)

    def model(
        self, given: str | ChatModel | None, settings: ModelSettings, workspace: Path
    ) -> tuple[ChatModel, Price | None]:
        """The model to ask, and what it costs where that is known."""
        if given is not None and not isinstance(given, str):
            return given, None
        try:
            endpoint, listed = self._endpoint(given, workspace)
            if settings.max_output_tokens is None and listed.limit.output:
                settings = ModelSettings(
                    settings.temperature, settings.thinking_budget, listed.limit.output, settings.timeout_ms
                )
            return create_model(endpoint, settings), _price(listed)
        except ConfigError as error:
            return UnusableModel(given or self.config.default_model or "none", error), None

    def secrets(self) -> list[str]:
        """The values that no output may show."""
        found = []
        for provider in self.config.providers.values():
            for endpoint in (provider, *provider.models.values()):
                found += [endpoint.api_key, *endpoint.headers.values()]
        return [secret.reveal() for secret in found if secret is not None]

    def _endpoint(self, given: str | None, workspace: Path) -> tuple[ModelEndpoint, ModelConfig]:
        label, model_id = self.config.model_ref(given)
        provider = self.config.providers.get(label)
        if provider is None:
            if label not in OFFLINE:
                known = ", ".join(sorted(self.config.providers)) or "none"
                raise ConfigError(
                    f'there is no provider "{label}"; configured: {known}',
                    key="default_model" if given is None else "model",
                    hint=f'write providers "{label}" {{ api_key = env("...") }} in the configuration',
                )
            listed, path = ModelConfig(id=model_id, name=model_id), None
        else:
            listed, path = provider.model(model_id), provider.path
        endpoint = ModelEndpoint(
            provider=label,
            model=model_id,
            api=listed.api,
            base_url=listed.base_url,
            api_key=None if listed.api_key is None else listed.api_key.reveal(),
            api_key_variable=listed.api_key_variable,
            headers={name: value.reveal() for name, value in listed.headers.items()},
            stream=listed.stream,
            tool_calls=listed.tool_call,
            path=path,
            workspace=workspace,
        )
        return endpoint, listed


def build_session(models: Models, workspace: str | os.PathLike[str], options: SessionOptions) -> AsyncAgentSession:
    """A session in `workspace`, from the configuration's models and the session's own options."""
    root = _workspace(workspace)
    clock = options.clock or models.clock
    state = SessionState(options.session_id or clock.new_id("session"), root)
    limits = Limits(max_tool_rounds=options.max_tool_rounds, tool_timeout_ms=options.tool_timeout_ms)
    settings = ModelSettings(
        options.temperature, options.thinking_budget, options.max_output_tokens, options.llm_api_timeout_ms
    )
    model, state.price = models.model(options.model, settings, root)
    catalog = ToolCatalog(
        [*CORE_TOOLS, *(tool for bundle in options.capabilities for tool in bundle.tools), *options.tools]
    )
    modules = _modules(models, root, options)
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
            executor=executor,
            loop=AgentLoop(state, modules, model, catalog, executor, limits),
            ledger=RunLedger(state.session_id, clock),
            clock=clock,
            labels=labels,
            queue=options.on_busy == "queue",
        )
    )


def _modules(models: Models, root: Path, options: SessionOptions) -> Modules:
    given, config = options.harness, models.config
    policies = [policy for bundle in options.capabilities for policy in bundle.policies]
    checks: Sequence[Check] = [*config.checks, *(check for check in options.checks if isinstance(check, Check))]
    return Modules(
        router=given.router or PlainRouter(),
        planner=given.planner or NoPlanner(),
        assembler=given.assembler or PromptAssembler(),
        selector=given.selector or CoreSelector(),
        gate=build_gate(_policy(config, options), root, extra=policies, custom=given.gate),
        sanitizer=given.sanitizer or TextSanitizer(models.secrets()),
        verifier=given.verifier or CheckVerifier(checks),
        compactor=given.compactor or WholeHistory(),
    )


def _policy(config: Config, options: SessionOptions) -> PermissionPolicy | None:
    if options.permission_policy is not None or config.permissions is None:
        return options.permission_policy
    rules = config.permissions
    return PermissionPolicy(allow=rules.allow, ask=rules.ask, deny=rules.deny, default_decision=rules.default)


def _price(listed: ModelConfig) -> Price | None:
    cost = listed.cost
    if cost is None or cost.input is None or cost.output is None:
        return None
    return Price(
        cost.input,
        cost.output,
        cost.input if cost.cache_read is None else cost.cache_read,
        cost.input if cost.cache_write is None else cost.cache_write,
    )


def _workspace(given: str | os.PathLike[str]) -> Path:
    if not os.fspath(given):
        raise WorkspaceError("the workspace is empty text", hint="name the folder the agent works in")
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
