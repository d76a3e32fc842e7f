"""The safety of a session, put together: gate, confirmations, hooks, sanitizer."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from a3s_code.api.options import SessionOptions
from a3s_code.api.surroundings import sanitizer_of
from a3s_code.config.schema import Config
from a3s_code.harness.hooks import HookEngine
from a3s_code.harness.safety.confirmation import ConfirmationPolicy, Confirmations
from a3s_code.harness.safety.gate import Gate, build_gate
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.harness.safety.review import review_rules
from a3s_code.harness.safety.sanitize import SanitizerChain, adapt
from a3s_code.kernel.ports import Clock, Policy, StreamSanitizer

LOG = logging.getLogger("a3s_code.policy")


@dataclass(frozen=True, slots=True)
class Safety:
    """What decides, asks, watches and cleans in one session; `warnings` tell which rules do not do what they say."""

    gate: Gate
    confirmations: Confirmations
    hooks: HookEngine
    sanitizer: StreamSanitizer
    warnings: tuple[str, ...]


def build_safety(
    config: Config, root: Path, options: SessionOptions, clock: Clock, tool_names: Sequence[str]
) -> Safety:
    """The safety of a session in `root`, from the configuration and the session's own options, which win.

    Rules that name no tool of the session, or can never hold, are logged as warnings.
    """
    provider = options.security_provider
    policies: list[Policy] = [policy for bundle in options.capabilities for policy in bundle.policies]
    if provider is not None:
        policies.append(provider)
    hooks = HookEngine()
    for hook in (*(hook for bundle in options.capabilities for hook in bundle.hooks), *options.hooks):
        hooks.register(hook)
    if provider is not None:
        provider.register_hooks(hooks)
    policy = _policy(config, options)
    warnings = () if policy is None else tuple(_review(config, options, policy, tool_names))
    for warning in warnings:
        LOG.warning("%s", warning)
    return Safety(
        gate=build_gate(policy, root, extra=policies, custom=options.harness.gate),
        confirmations=Confirmations(_confirmation(config, options), options.on_confirm, clock),
        hooks=hooks,
        sanitizer=_sanitizer(config, options),
        warnings=warnings,
    )


def _review(
    config: Config, options: SessionOptions, policy: PermissionPolicy, tool_names: Sequence[str]
) -> Iterator[str]:
    for finding in review_rules(policy, tool_names):
        key = f"{finding.field}[{finding.index}]"
        place = f"permission_policy.{key}"
        if options.permission_policy is None:
            at = config.places.get(f"permissions.{key}", ())
            place = ":".join(map(str, (config.source_path or "permissions", *at))) + f": {key}"
        yield f"{place}: the rule {finding.rule} does nothing: {finding.message}"


def _sanitizer(config: Config, options: SessionOptions) -> StreamSanitizer:
    secrets = sanitizer_of(secret.reveal() for secret in config.secrets)
    given = options.harness.sanitizer
    own = None if given is None else adapt(given)
    further = [item for item in (options.security_provider, own) if item is not None]
    return SanitizerChain([secrets, *further]) if further else secrets


def _policy(config: Config, options: SessionOptions) -> PermissionPolicy | None:
    if options.permission_policy is not None or config.permissions is None:
        return options.permission_policy
    rules = config.permissions
    return PermissionPolicy(allow=rules.allow, ask=rules.ask, deny=rules.deny, default_decision=rules.default)


def _confirmation(config: Config, options: SessionOptions) -> ConfirmationPolicy:
    if options.confirmation_policy is not None:
        return options.confirmation_policy
    if config.confirmation is None:
        # Whoever gives a function to ask with decides how long it takes.
        return ConfirmationPolicy() if options.on_confirm is None else ConfirmationPolicy(default_timeout_ms=None)
    given = config.confirmation
    return ConfirmationPolicy(
        enabled=given.enabled,
        default_timeout_ms=given.default_timeout_ms,
        timeout_action=given.timeout_action,
        yolo_lanes=given.yolo_lanes,
    )
