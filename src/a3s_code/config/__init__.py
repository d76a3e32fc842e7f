"""Configuration: ACL text in, a typed Config out.

    load_config(source)     ->  Config       finds, reads and checks; overrides win
    parse(text)             ->  Document     what the text says, before anybody asks what it means
    collect_diagnostics     ->  all faults of a text, not only the first

Times are in milliseconds, prices are Decimals, keys and headers are Secrets.
"""

from __future__ import annotations

from a3s_code.config.acl import collect_diagnostics, parse, render
from a3s_code.config.diagnostics import Diagnostic, Position, Span
from a3s_code.config.document import Attribute, Block, Call, Document, ListValue, ObjectValue, Scalar
from a3s_code.config.endpoints import (
    AhpConfig,
    CostConfig,
    EndpointConfig,
    LimitConfig,
    McpServerConfig,
    ModalitiesConfig,
    ModelConfig,
    OAuthConfig,
    ProviderConfig,
)
from a3s_code.config.lanes import (
    LaneConfig,
    PriorityBoostConfig,
    QueueConfig,
    RateLimitConfig,
    RetryConfig,
)
from a3s_code.config.limits import Limits
from a3s_code.config.load import load_config
from a3s_code.config.schema import (
    AutoDelegationConfig,
    BudgetConfig,
    Config,
    ConfigWarning,
    ConfirmationConfig,
    MemoryConfig,
    PermissionsConfig,
    PruneConfig,
    RelevanceConfig,
    SearchConfig,
    SearchEngineConfig,
)
from a3s_code.config.secret import Secret

__all__ = [
    "AhpConfig",
    "Attribute",
    "AutoDelegationConfig",
    "Block",
    "BudgetConfig",
    "Call",
    "Config",
    "ConfigWarning",
    "ConfirmationConfig",
    "CostConfig",
    "Diagnostic",
    "Document",
    "EndpointConfig",
    "LaneConfig",
    "LimitConfig",
    "Limits",
    "ListValue",
    "McpServerConfig",
    "MemoryConfig",
    "ModalitiesConfig",
    "ModelConfig",
    "OAuthConfig",
    "ObjectValue",
    "PermissionsConfig",
    "Position",
    "PriorityBoostConfig",
    "ProviderConfig",
    "PruneConfig",
    "QueueConfig",
    "RateLimitConfig",
    "RelevanceConfig",
    "RetryConfig",
    "Scalar",
    "SearchConfig",
    "SearchEngineConfig",
    "Secret",
    "Span",
    "collect_diagnostics",
    "load_config",
    "parse",
    "render",
]
