"""Runs a check as an ordinary call of bash and reads what it shows."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from a3s_code.kernel.contracts import Check, CheckReport, CheckStatus
from a3s_code.kernel.messages import Observation, ToolCall
from a3s_code.kernel.ports import Execute

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
_UNPROVEN = {
    "timeout": "it did not end in time",
    "cancelled": "it was cancelled",
    "interrupted": "it was interrupted",
    "internal": "the call failed inside",
    "unknown_tool": "there is no bash tool to run it",
    "invalid_argument": "its command or time limit cannot be used",
}


def name_checks(checks: Sequence[Check]) -> tuple[str, ...]:
    """An id for each check: its own, or a slug of its command; never the same twice."""
    names: list[str] = []
    for number, check in enumerate(checks, start=1):
        name = wanted = check.id or _slug(check.command) or f"check-{number}"
        again = 2
        while name in names:
            name, again = f"{wanted}-{again}", again + 1
        names.append(name)
    return tuple(names)


async def run_check(check: Check, name: str, call_id: str, execute: Execute) -> CheckReport:
    """The report of one check, run through `execute` under `call_id`."""
    arguments: dict[str, object] = {"command": check.command}
    if check.timeout_ms is not None:
        arguments["timeout"] = check.timeout_ms
    started = time.monotonic()
    seen = await execute(ToolCall(call_id, "bash", arguments))
    duration_ms = round((time.monotonic() - started) * 1000)
    status, reason = judge_check(check, seen)
    return CheckReport(
        id=name,
        kind=check.kind,
        command=check.command,
        status=status,
        required=check.required,
        exit_code=None if status == "skipped" else seen.exit_code,
        duration_ms=duration_ms,
        output=seen.output,
        evidence=(seen.artifact.uri,) if seen.artifact else (),
        reason=reason,
    )


def judge_check(check: Check, seen: Observation) -> tuple[CheckStatus, str]:
    """What an observation proves of a check, and why it proves no more."""
    if seen.error_kind == "permission_denied":
        return "skipped", f"it was not allowed to run: {seen.output}"
    if seen.error_kind in _UNPROVEN:
        return "inconclusive", _UNPROVEN[seen.error_kind]
    if seen.exit_code == _NOT_FOUND:
        return "inconclusive", "its program was not found (exit 127)"
    if seen.exit_code == _NOT_EXECUTABLE:
        return "inconclusive", "its program could not be started (exit 126)"
    if seen.exit_code != 0:
        return "failed", f"exit {seen.exit_code}"
    if seen.error_kind is not None:
        return "inconclusive", f"the call ended as {seen.error_kind}"
    if check.must_fail_before:
        return "inconclusive", "it passes now, but was not seen to fail before the change"
    return "passed", ""


def _slug(command: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", command.lower()).strip("-")[:40].rstrip("-")
