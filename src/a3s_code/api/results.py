"""What calls give back: AgentResult of a run, ToolResult of a direct call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from a3s_code.harness.verification.verifier import summary_text
from a3s_code.kernel.contracts import Price, RunStatus, Usage, Verdict, Verification
from a3s_code.kernel.messages import Observation, StopReason
from a3s_code.kernel.record import Record
from a3s_code.kernel.state import Run


@dataclass(frozen=True, slots=True, eq=False)
class Denied(Record):
    """A call that was refused: the tool, its arguments, and the decision's reason, source and rule."""

    tool: str
    args: Mapping[str, Any]
    reason: str
    source: str
    rule: str | None


@dataclass(frozen=True, slots=True, eq=False)
class SessionRecord(Record):
    """A stored session. `status` is that of its last run; interrupted: its process ended in the middle of it.

    Times are milliseconds since 1970; `prompt` is the beginning of the last request, `pid` the process that has the
    session open now. A session that cannot be read is "damaged", and `prompt` says why.
    """

    id: str
    workspace: Path
    status: str
    created_at_ms: int
    updated_at_ms: int
    run_count: int
    prompt: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class AgentResult:
    """What one send() came to.

    `status` is completed, limit_reached or cancelled (failed on the result of a raised error). `verdict` says whether
    the work is proved. `cost` is in the currency of the configuration, None when the model's price is unknown.
    """

    text: str
    status: RunStatus
    verdict: Verdict
    usage: Usage
    cost: Decimal | None
    tool_calls_count: int
    denied: tuple[Denied, ...]
    residual_risks: tuple[str, ...]
    run_id: str
    duration_ms: int
    turns: int
    stop_reason: StopReason
    limit: str | None = None
    verification: Verification = field(repr=False, default=Verification("not_applicable"))

    def __str__(self) -> str:
        return self.text

    @property
    def prompt_tokens(self) -> int:
        return self.usage.prompt_tokens

    @property
    def completion_tokens(self) -> int:
        return self.usage.output_tokens

    @property
    def total_tokens(self) -> int:
        return self.usage.total_tokens

    @property
    def verification_status(self) -> str:
        """passed | failed | skipped | needs_review."""
        return self.verification.status

    @property
    def verification_summary(self) -> Mapping[str, Any]:
        """The counts and names of the checks, as plain JSON values."""
        return self.verification.summary()

    @property
    def verification_summary_text(self) -> str:
        return summary_text(self.verification)

    @property
    def verification_summary_json(self) -> str:
        return json.dumps(self.verification_summary, ensure_ascii=False)


@dataclass(frozen=True, slots=True, eq=False)
class ToolResult(Record):
    """What a direct call of a tool gave. `exit_code` 0 is success; `error_kind` is None then."""

    name: str
    output: str
    exit_code: int
    metadata: Mapping[str, Any]
    error_kind: str | None
    value: Any = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and self.error_kind is None


def result_of(run: Run, prices: Mapping[str, Price | None]) -> AgentResult:
    """The result of an ended run."""
    verification = run.verification
    return AgentResult(
        text=run.text,
        status=run.status,
        verdict=verification.verdict,
        usage=run.usage,
        cost=run.cost(prices),
        tool_calls_count=run.calls,
        denied=tuple(
            Denied(item.call.name, item.call.arguments, item.decision.reason, item.decision.source, item.decision.rule)
            for item in run.refused
        ),
        residual_risks=verification.residual_risks,
        run_id=run.id,
        duration_ms=run.updated_at_ms - run.created_at_ms,
        turns=run.turns,
        stop_reason=run.stop,
        limit=run.limit,
        verification=verification,
    )


def tool_result_of(seen: Observation) -> ToolResult:
    """The result of a direct call."""
    return ToolResult(seen.name, seen.output, seen.exit_code, seen.metadata, seen.error_kind, seen.value)
