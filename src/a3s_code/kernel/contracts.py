"""The frozen values that phases hand to each other, in the order of the loop.

A type stands here only if two layers exchange it: Intent -> Plan -> Effect -> Decision -> Confirmation ->
CheckReport -> Verification; Usage and Price travel beside them. Request, Prompt and Action are built from tools and
messages, and stand in `ports.py` and `tool.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Outcome = Literal["allow", "ask", "deny"]
Origin = Literal["model", "host", "check"]
EffectKind = Literal["read", "write", "delete", "exec", "net", "spend", "release", "unknown"]
CheckStatus = Literal["passed", "failed", "skipped", "inconclusive"]
Verdict = Literal["verified", "needs_review", "unverified", "failed", "stale", "not_applicable"]
VerificationStatus = Literal["passed", "failed", "skipped", "needs_review"]
_STATUS: Mapping[Verdict, VerificationStatus] = {
    "verified": "passed",
    "failed": "failed",
    "not_applicable": "skipped",
}
RunStatus = Literal[
    "created",
    "planning",
    "executing",
    "verifying",
    "completed",
    "failed",
    "cancelled",
    "limit_reached",
    "interrupted",
]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more model calls. `input_tokens` leaves out what the cache gave or took; `estimated` says that a
    provider did not report them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.estimated or other.estimated,
        )

    @property
    def prompt_tokens(self) -> int:
        """All tokens sent, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in the currency of the configuration, per million tokens; None where that is not known."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None

    def of(self, usage: Usage) -> Decimal | None:
        """The cost of `usage`, unrounded; None when it holds tokens of unknown price."""
        total = self.input * usage.input_tokens + self.output * usage.output_tokens
        for price, tokens in (
            (self.cache_read, usage.cache_read_tokens),
            (self.cache_write, usage.cache_write_tokens),
        ):
            if price is None and tokens:
                return None
            total += (price or 0) * tokens
        return total / 1_000_000


EVERY_GROUP = "*"


@dataclass(frozen=True, slots=True)
class Intent:
    """What a request is taken to ask for; `groups` are the gated tool groups it needs, EVERY_GROUP all of them."""

    request: str
    mode: str = "general"
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanStep:
    id: str
    content: str
    status: Literal["pending", "in_progress", "completed", "failed", "skipped", "cancelled"] = "pending"
    depends_on: tuple[str, ...] = ()
    tool: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A goal, how its success is told, and the steps towards it."""

    goal: str
    steps: tuple[PlanStep, ...] = ()
    success_criteria: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing a call would do.

    For files `target` is the real absolute path, links resolved, and `given` the path as written; for exec `target` is
    the command, and `given` "reads" where it is known to change nothing; for net the URL, and `given` the addresses it
    may be reached at. "unknown" is the effect of a tool whose author declared none: it is asked about like any other,
    and runs beside other calls.
    """

    kind: EffectKind
    target: str
    given: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow, ask or deny, and why: the rule that decided, the source it came from, the reason in words."""

    outcome: Outcome
    reason: str = ""
    source: str = "default"
    rule: str | None = None
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A person's answer to an Ask."""

    approved: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the hooks make of a step: go on, with `modified` in place of what they were shown where that is not None;
    block it; or escalate it to a person. `source` names the hook that stopped or changed it."""

    action: Literal["continue", "block", "escalate"] = "continue"
    modified: Any = None
    reason: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A way to prove the work: a command that must exit with 0.

    `timeout_ms` None takes the session's tool timeout. A check that is not `required` is reported and decides nothing.
    """

    command: str
    id: str | None = None
    kind: str = "command"
    description: str = ""
    required: bool = True
    timeout_ms: int | None = None
    must_fail_before: bool = False


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What one check showed. `output` is its shortened output, `evidence` the artifact that holds the whole, if any."""

    id: str
    kind: str
    command: str
    status: CheckStatus
    required: bool = True
    exit_code: int | None = None
    duration_ms: int = 0
    output: str = ""
    evidence: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether the work is proved. `feedback`, where given, goes to the model and the loop goes on."""

    verdict: Verdict
    reports: tuple[CheckReport, ...] = ()
    residual_risks: tuple[str, ...] = ()
    feedback: str | None = None

    @property
    def status(self) -> VerificationStatus:
        """The verdict in the words of summaries and of other protocols."""
        return _STATUS.get(self.verdict, "needs_review")

    def summary(self) -> Mapping[str, Any]:
        """The counts of the verification summary, as plain JSON values."""
        required = [report for report in self.reports if report.required]
        return {
            "status": self.status,
            "verdict": self.verdict,
            "report_count": len(self.reports),
            "required_check_count": len(required),
            "pending_required_check_count": sum(r.status in ("skipped", "inconclusive") for r in required),
            "failed_check_count": sum(report.status == "failed" for report in self.reports),
            "residual_risk_count": len(self.residual_risks),
            "failed_subjects": [report.id for report in self.reports if report.status == "failed"],
        }


NOT_VERIFIED = Verification("not_applicable")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How a model is asked; None leaves the provider's default."""

    temperature: float | None = None
    thinking_budget: int | None = None
    max_output_tokens: int | None = None
    timeout_ms: int = 180_000


@dataclass(frozen=True, slots=True)
class Labels:
    """A host's own names for a session; carried, never read."""

    tenant_id: str | None = None
    principal: str | None = None
    agent_template_id: str | None = None
    correlation_id: str | None = None
