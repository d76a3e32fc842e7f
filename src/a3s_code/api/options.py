"""SessionOptions: everything a session can be told, checked when it is said."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from a3s_code.api.fields import CHECKS
from a3s_code.config.schema import BudgetConfig
from a3s_code.errors import InvalidOption
from a3s_code.harness.safety.confirmation import ConfirmationPolicy, OnConfirm
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.harness.safety.security import DefaultSecurityProvider
from a3s_code.kernel.capability import Capability
from a3s_code.kernel.contracts import Check
from a3s_code.kernel.hook import Hook
from a3s_code.kernel.ports import ChatModel, Clock, Harness
from a3s_code.kernel.store import SessionStore
from a3s_code.kernel.tool import SandboxMode, ToolPort

if TYPE_CHECKING:
    from typing import Unpack


class SessionFields(TypedDict, total=False):
    """The fields of SessionOptions, as keywords."""

    model: str | ChatModel | None
    session_id: str | None
    permission_policy: PermissionPolicy | None
    confirmation_policy: ConfirmationPolicy | None
    on_confirm: OnConfirm | None
    security_provider: DefaultSecurityProvider | None
    hooks: Sequence[Hook]
    sandbox: SandboxMode
    tools: Sequence[ToolPort]
    capabilities: Sequence[Capability]
    harness: Harness
    checks: Sequence[Check | Mapping[str, Any] | str]
    max_tool_rounds: int
    tool_timeout_ms: int
    duplicate_tool_call_threshold: int | None
    llm_api_timeout_ms: int
    max_output_tokens: int | None
    temperature: float | None
    thinking_budget: int | None
    artifact_store_limits: Mapping[str, int]
    on_busy: Literal["error", "queue"]
    clock: Clock | None
    llm_max_attempts: int
    llm_total_timeout_ms: int | None
    fallback_models: Sequence[str | ChatModel]
    circuit_breaker_threshold: int | None
    max_execution_time_ms: int | None
    budget: BudgetConfig | Mapping[str, Any] | None
    last_turn_at_limit: bool
    auto_compact: bool
    auto_compact_threshold: float
    max_context_tokens: int | None
    continuation_enabled: bool
    max_continuation_turns: int
    max_parse_retries: int
    session_store: SessionStore | None
    auto_save: bool
    tenant_id: str | None
    principal: str | None
    agent_template_id: str | None
    correlation_id: str | None


class SessionOptions:
    """What a session is to be like. Assign fields until a session takes the options; each is checked at once.

    model: "provider/model" or any ChatModel; None takes the configuration's default_model.
    session_id: letters, digits, dot, dash, underscore; None makes one.
    permission_policy: the rules; None allows reading in the workspace and asks for the rest.
    on_confirm: called with each PendingConfirmation; gives True, False or (approved, reason). May be a coroutine.
    confirmation_policy: how long an answer is waited for, what then, and which lanes need none.
    security_provider: redacts by pattern, follows tainted values, looks for injected instructions.
    hooks: called at the places they name; some may change or block.
    sandbox: "auto" confines commands where the system can, "require" fails where it cannot, "off" does not.
    tools, capabilities: added to the core tools; one of the same name replaces it.
    harness: modules in place of the default ones.
    checks: commands that prove the work, as Check, dict or command text.
    max_tool_rounds: model calls in one send. tool_timeout_ms: the longest one call may take.
    duplicate_tool_call_threshold: the same call without news is refused from this one on; None never.
    llm_api_timeout_ms: to the first token, and between two, each. llm_total_timeout_ms: for a whole reply.
    llm_max_attempts: model calls for one reply, where the ones before failed for a reason that may pass.
    fallback_models: asked in turn where the model before could not answer.
    circuit_breaker_threshold: after so many turns without a reply a model is left alone for a while; None never.
    max_execution_time_ms: for one send. budget: {max_cost, max_tokens} of one send.
    last_turn_at_limit: at a limit the model is asked once more, without tools, to say where it stands.
    auto_compact, auto_compact_threshold: the history is shortened when it fills this share of the window.
    max_context_tokens: the window; None takes the model's own, else 200,000.
    continuation_enabled, max_continuation_turns: a reply that is empty or ends with a colon is asked to go on.
    max_parse_retries: replies in a row whose calls cannot be read.
    max_output_tokens, temperature, thinking_budget: None takes the provider's default.
    artifact_store_limits: {max_items, max_bytes} of the outputs kept in memory.
    on_busy: "error" raises SessionBusy when a run goes on, "queue" waits for it.
    clock: time and ids, for deterministic runs.
    session_store: keeps the session, as FileSessionStore(folder). auto_save: as it goes; else when save() is called.
    tenant_id, principal, agent_template_id, correlation_id: the host's labels; carried, never read.

    Raises InvalidOption, which names the field.
    """

    model: str | ChatModel | None = None
    session_id: str | None = None
    permission_policy: PermissionPolicy | None = None
    confirmation_policy: ConfirmationPolicy | None = None
    on_confirm: OnConfirm | None = None
    security_provider: DefaultSecurityProvider | None = None
    hooks: Sequence[Hook] = ()
    sandbox: SandboxMode = "auto"
    tools: Sequence[ToolPort] = ()
    capabilities: Sequence[Capability] = ()
    harness: Harness = Harness()
    checks: Sequence[Check | Mapping[str, Any] | str] = ()
    max_tool_rounds: int = 50
    tool_timeout_ms: int = 600_000
    duplicate_tool_call_threshold: int | None = 3
    llm_api_timeout_ms: int = 180_000
    max_output_tokens: int | None = None
    temperature: float | None = None
    thinking_budget: int | None = None
    artifact_store_limits: Mapping[str, int] = {"max_items": 256, "max_bytes": 16 * 1024 * 1024}
    on_busy: Literal["error", "queue"] = "error"
    clock: Clock | None = None
    llm_max_attempts: int = 8
    llm_total_timeout_ms: int | None = None
    fallback_models: Sequence[str | ChatModel] = ()
    circuit_breaker_threshold: int | None = 3
    max_execution_time_ms: int | None = None
    budget: BudgetConfig | Mapping[str, Any] | None = None
    last_turn_at_limit: bool = False
    auto_compact: bool = True
    auto_compact_threshold: float = 0.8
    max_context_tokens: int | None = None
    continuation_enabled: bool = True
    max_continuation_turns: int = 3
    max_parse_retries: int = 2
    session_store: SessionStore | None = None
    auto_save: bool = True
    tenant_id: str | None = None
    principal: str | None = None
    agent_template_id: str | None = None
    correlation_id: str | None = None

    def __init__(self, **given: Unpack[SessionFields]) -> None:
        for name, value in given.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        if (check := CHECKS.get(name)) is None:
            near = difflib.get_close_matches(name, CHECKS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known options: {', '.join(CHECKS)}"
            raise InvalidOption(f"there is no option {name!r}", field=name, hint=hint)
        object.__setattr__(self, name, check(name, value))

    def __repr__(self) -> str:
        return f"SessionOptions({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def given(self, name: str, otherwise: Any) -> Any:
        """The field, if it was assigned, else `otherwise`."""
        return vars(self).get(name, otherwise)

    def merged(self, **given: Unpack[SessionFields]) -> SessionOptions:
        """A copy with these fields on top; the original may change afterwards without effect on the copy."""
        fields: SessionFields = {**vars(self), **given}  # type: ignore[typeddict-item]  # vars holds checked fields
        return SessionOptions(**fields)
