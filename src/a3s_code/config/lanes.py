"""What a configuration says of lane queues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

Lane = Literal["control", "query", "execute", "generate"]
LaneMode = Literal["internal", "external", "hybrid"]
RetryStrategy = Literal["exponential", "fixed", "none"]
RateLimitType = Literal["per_second", "per_minute", "per_hour", "unlimited"]
BoostStrategy = Literal["standard", "aggressive", "disabled"]


@dataclass(frozen=True, slots=True)
class LaneConfig:
    """`handler_timeout_ms` bounds an external task, `timeout_ms`, where given, anything in the lane."""

    max_concurrency: int
    mode: LaneMode = "internal"
    handler_timeout_ms: int = 60_000
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RetryConfig:
    strategy: RetryStrategy = "exponential"
    max_retries: int = 3
    initial_delay_ms: int = 100
    fixed_delay_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RateLimitConfig:
    """At most `max_operations` in each unit of time; None where unlimited."""

    limit_type: RateLimitType = "unlimited"
    max_operations: int | None = None


@dataclass(frozen=True, slots=True)
class PriorityBoostConfig:
    strategy: BoostStrategy = "standard"
    deadline_ms: int | None = None


LANE_CONCURRENCY: Mapping[Lane, int] = MappingProxyType({"control": 2, "query": 4, "execute": 2, "generate": 1})


@dataclass(frozen=True, slots=True)
class QueueConfig:
    lanes: Mapping[Lane, LaneConfig] = field(
        default_factory=lambda: MappingProxyType({lane: LaneConfig(most) for lane, most in LANE_CONCURRENCY.items()})
    )
    enable_dlq: bool = False
    dlq_max_size: int = 1000
    enable_metrics: bool = False
    enable_alerts: bool = False
    default_timeout_ms: int | None = None
    storage_path: Path | None = None
    pressure_threshold: int | None = None
    retry: RetryConfig | None = None
    rate_limit: RateLimitConfig | None = None
    priority_boost: PriorityBoostConfig | None = None
