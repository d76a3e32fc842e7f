"""Reads the blocks that say how a session works, from memory and permissions to budget and delegation."""

from __future__ import annotations

from types import MappingProxyType
from typing import get_args

from a3s_code.config.labels import labelled
from a3s_code.config.lane_blocks import LANES
from a3s_code.config.schema import (
    AutoDelegationConfig,
    BudgetConfig,
    ConfirmationConfig,
    MemoryConfig,
    PermissionsConfig,
    PruneConfig,
    RelevanceConfig,
    SearchConfig,
    SearchEngineConfig,
    TimeoutAction,
)
from a3s_code.config.section import Section
from a3s_code.errors import InvalidRule
from a3s_code.kernel.contracts import Check, Outcome
from a3s_code.kernel.rules import parse_rule

_OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_ACTIONS: tuple[TimeoutAction, ...] = get_args(TimeoutAction)
_PROXIES = ("socks5", "socks5h", "http", "https")


def read_memory(section: Section | None) -> MemoryConfig | None:
    if section is None:
        return None
    usual = MemoryConfig()
    config = MemoryConfig(
        max_short_term=section.integer("max_short_term", usual.max_short_term),
        max_working=section.integer("max_working", usual.max_working),
        prune_interval_ms=section.integer("prune_interval_secs", 0, least=0) * 1000 or None,
        llm_extraction=section.flag("llm_extraction", usual.llm_extraction),
        llm_extraction_max_items=section.integer("llm_extraction_max_items", usual.llm_extraction_max_items),
        llm_extraction_max_input_chars=section.integer(
            "llm_extraction_max_input_chars", usual.llm_extraction_max_input_chars
        ),
        relevance=_relevance(section.section("relevance")),
        prune=_prune(section.section("prune", "prune_policy")),
    )
    section.finish()
    return config


def _relevance(section: Section | None) -> RelevanceConfig:
    usual = RelevanceConfig()
    if section is None:
        return usual
    config = RelevanceConfig(
        decay_days=section.number("decay_days", usual.decay_days, least=0.1, clamp=True),
        importance_weight=section.number("importance_weight", usual.importance_weight),
        recency_weight=section.number("recency_weight", usual.recency_weight),
    )
    section.finish()
    return config


def _prune(section: Section | None) -> PruneConfig:
    usual = PruneConfig()
    if section is None:
        return usual
    config = PruneConfig(
        max_age_days=section.number("max_age_days", usual.max_age_days),
        min_importance_to_keep=section.number("min_importance_to_keep", usual.min_importance_to_keep, most=1.0),
        max_items=section.integer("max_items", 0, least=0) or None,
    )
    section.finish()
    return config


def read_search(section: Section | None) -> SearchConfig | None:
    if section is None:
        return None
    usual = SearchConfig()
    health = section.section("health")
    max_failures, suspend_ms = usual.max_failures, usual.suspend_ms
    if health is not None:
        max_failures = health.integer("max_failures", max_failures)
        suspend_ms = health.milliseconds(("suspend_ms",), ("suspend_seconds", "suspend_secs"), suspend_ms)
        health.finish()
    engines = labelled(section, "engine", "engines", unlabelled="nested")
    config = SearchConfig(
        timeout_ms=section.milliseconds(("timeout_ms",), ("timeout", "timeout_secs"), usual.timeout_ms),
        engines=MappingProxyType({name: _engine(engine) for name, engine in engines.items()}),
        max_failures=max_failures,
        suspend_ms=suspend_ms,
        proxy=section.url("proxy", _PROXIES, "proxy_url"),
    )
    section.finish()
    return config


def _engine(section: Section) -> SearchEngineConfig:
    usual = SearchEngineConfig()
    config = SearchEngineConfig(
        enabled=section.flag("enabled", usual.enabled),
        weight=section.number("weight", usual.weight),
        timeout_ms=section.milliseconds(("timeout_ms",), ("timeout", "timeout_secs"), usual.timeout_ms),
        api_key=section.secret("api_key"),
    )
    section.finish()
    return config


def read_permissions(section: Section | None) -> PermissionsConfig | None:
    if section is None:
        return None
    config = PermissionsConfig(
        allow=_rules(section, "allow"),
        ask=_rules(section, "ask"),
        deny=_rules(section, "deny"),
        default=section.choice("default", _OUTCOMES, PermissionsConfig().default, "default_decision"),
    )
    section.finish()
    return config


def _rules(section: Section, name: str) -> tuple[str, ...]:
    """Rules, each a text or an object `{ rule = "..." }`; one that is malformed is refused where it stands."""
    found = section.placed_texts(name, member="rule")
    for key, text, at in found:
        complaint = _complaint(text)
        if complaint is not None:
            hint = 'write "tool" or "tool(pattern)", such as "read(src/**)"'
            raise section.reading.error(key, f"is no rule: it {complaint}", at, hint)
        section.reading.note(key, at)
    return tuple(rule.text for rule in found)


def _complaint(text: str) -> str | None:
    """What is wrong with the rule `text`, in words that do not quote it; None for a good one."""
    if not text.strip():
        return "is empty and would match nothing"
    try:
        parse_rule(text)
    except InvalidRule as error:
        return error.message.removeprefix(f"rule {text!r} ")
    return None


def read_confirmation(section: Section | None) -> ConfirmationConfig | None:
    if section is None:
        return None
    usual = ConfirmationConfig()
    timeout = section.integer("default_timeout_ms", usual.default_timeout_ms or 0, "timeout_ms", least=0)
    lanes = section.texts("yolo_lanes", ())
    entry = section.entry("yolo_lanes")
    config = ConfirmationConfig(
        enabled=section.flag("enabled", usual.enabled),
        default_timeout_ms=timeout or None,
        timeout_action=section.choice("timeout_action", _ACTIONS, usual.timeout_action),
        yolo_lanes=tuple(
            section.word(section.key("yolo_lanes"), lane, LANES, entry.content if entry else section.at)
            for lane in lanes
        ),
    )
    section.finish()
    return config


def read_checks(top: Section) -> tuple[Check, ...]:
    """The checks in order; of two with one id the later."""
    return tuple(_check(label, section) for label, section in labelled(top, "check", "checks", merge=False).items())


def _check(label: str, section: Section) -> Check:
    command = section.text("command", None)
    if not command:
        raise section.missing("command", 'write command = "pytest -q"')
    check = Check(
        command=command,
        id=label,
        kind=section.text("kind", "command"),
        description=section.text("description", ""),
        required=section.flag("required", True),
        timeout_ms=section.integer("timeout_ms", None),
        must_fail_before=section.flag("must_fail_before", False),
    )
    section.finish()
    return check


def read_budget(section: Section | None) -> BudgetConfig | None:
    if section is None:
        return None
    config = BudgetConfig(section.decimal("max_cost"), section.integer("max_tokens", None))
    section.finish()
    return config


def read_auto_delegation(section: Section | None, auto_parallel: bool | None) -> AutoDelegationConfig:
    """The block; the top-level `auto_parallel` overrides the one inside."""
    usual = AutoDelegationConfig()
    if section is None:
        return AutoDelegationConfig(auto_parallel=usual.auto_parallel if auto_parallel is None else auto_parallel)
    inside = section.flag("auto_parallel", usual.auto_parallel, "parallel")
    config = AutoDelegationConfig(
        enabled=section.flag("enabled", usual.enabled),
        auto_parallel=inside if auto_parallel is None else auto_parallel,
        allow_manual_delegation=section.flag(
            "allow_manual_delegation", usual.allow_manual_delegation, "manual_delegation"
        ),
        min_confidence=section.number("min_confidence", usual.min_confidence, most=1.0, clamp=True),
        max_tasks=section.integer("max_tasks", usual.max_tasks),
    )
    section.finish()
    return config
