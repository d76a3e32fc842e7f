"""Reads `queue { }`."""

from __future__ import annotations

from types import MappingProxyType
from typing import get_args

from a3s_code.config.labels import labelled
from a3s_code.config.lanes import (
    LANE_CONCURRENCY,
    BoostStrategy,
    Lane,
    LaneConfig,
    LaneMode,
    PriorityBoostConfig,
    QueueConfig,
    RateLimitConfig,
    RateLimitType,
    RetryConfig,
    RetryStrategy,
)
from a3s_code.config.section import Section

LANES: tuple[Lane, ...] = get_args(Lane)
_MODES: tuple[LaneMode, ...] = get_args(LaneMode)
_RETRIES: tuple[RetryStrategy, ...] = get_args(RetryStrategy)
_RATES: tuple[RateLimitType, ...] = get_args(RateLimitType)
_BOOSTS: tuple[BoostStrategy, ...] = get_args(BoostStrategy)


def read_queue(section: Section | None) -> QueueConfig | None:
    if section is None:
        return None
    usual = QueueConfig()
    config = QueueConfig(
        lanes=MappingProxyType(_lanes(section)),
        enable_dlq=section.flag("enable_dlq", usual.enable_dlq),
        dlq_max_size=section.integer("dlq_max_size", usual.dlq_max_size),
        enable_metrics=section.flag("enable_metrics", usual.enable_metrics),
        enable_alerts=section.flag("enable_alerts", usual.enable_alerts),
        default_timeout_ms=section.integer("default_timeout_ms", usual.default_timeout_ms),
        storage_path=section.path("storage_path"),
        pressure_threshold=section.integer("pressure_threshold", usual.pressure_threshold),
        retry=_retry(section.section("retry_policy", "retry")),
        rate_limit=_rate_limit(section.section("rate_limit")),
        priority_boost=_boost(section.section("priority_boost")),
    )
    section.finish({lane: f"write {lane}_max_concurrency = 2, or lane_handlers {{ {lane} {{ }} }}" for lane in LANES})
    return config


def _lanes(section: Section) -> dict[Lane, LaneConfig]:
    handlers: dict[Lane, Section] = {}
    for label, handler in labelled(section, "lane_handlers", "lane_handler", unlabelled="nested").items():
        named: Lane = section.word(handler.prefix, label, LANES, handler.at)
        handlers[named] = handler
    timeouts = section.section("lane_timeouts")
    lanes: dict[Lane, LaneConfig] = {
        lane: LaneConfig(
            section.integer(f"{lane}_max_concurrency", LANE_CONCURRENCY[lane]),
            *_handler(handlers.get(lane)),
            timeout_ms=None if timeouts is None else timeouts.integer(lane, None),
        )
        for lane in LANES
    }
    if timeouts is not None:
        timeouts.finish()
    return lanes


def _handler(section: Section | None) -> tuple[LaneMode, int]:
    """Mode and timeout of a lane's handler."""
    usual = LaneConfig(1)
    if section is None:
        return usual.mode, usual.handler_timeout_ms
    mode: LaneMode = section.choice("mode", _MODES, usual.mode)
    timeout = section.integer("timeout_ms", usual.handler_timeout_ms)
    section.finish()
    return mode, timeout


def _retry(section: Section | None) -> RetryConfig | None:
    if section is None:
        return None
    usual = RetryConfig()
    config = RetryConfig(
        strategy=section.choice("strategy", _RETRIES, usual.strategy),
        max_retries=section.integer("max_retries", usual.max_retries, least=0),
        initial_delay_ms=section.integer("initial_delay_ms", usual.initial_delay_ms, least=0),
        fixed_delay_ms=section.integer("fixed_delay_ms", usual.fixed_delay_ms, least=0),
    )
    section.finish()
    if config.strategy == "fixed" and config.fixed_delay_ms is None:
        raise section.missing("fixed_delay_ms", "write fixed_delay_ms = 500, the wait between two tries")
    return config


def _rate_limit(section: Section | None) -> RateLimitConfig | None:
    if section is None:
        return None
    usual = RateLimitConfig()
    config = RateLimitConfig(
        section.choice("limit_type", _RATES, usual.limit_type),
        section.integer("max_operations", usual.max_operations),
    )
    section.finish()
    if config.limit_type != "unlimited" and config.max_operations is None:
        raise section.missing("max_operations", "write max_operations = 60")
    return config


def _boost(section: Section | None) -> PriorityBoostConfig | None:
    if section is None:
        return None
    usual = PriorityBoostConfig()
    config = PriorityBoostConfig(
        section.choice("strategy", _BOOSTS, usual.strategy),
        section.integer("deadline_ms", usual.deadline_ms),
    )
    section.finish()
    return config
