"""The verifier: proves changes by running the checks that the host gave."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from a3s_code.harness.verification.checks import name_checks, run_check
from a3s_code.kernel.contracts import Check, CheckReport, Verdict, Verification
from a3s_code.kernel.ports import Execute
from a3s_code.kernel.state import SessionState

_SENTENCES: dict[Verdict, str] = {
    "verified": "Verified",
    "needs_review": "Needs review",
    "unverified": "Not verified",
    "failed": "Failed",
    "stale": "Out of date",
    "not_applicable": "Nothing to verify",
}


class CheckVerifier:
    """Runs every check, in order, once something has changed since the last verified verdict."""

    def __init__(self, checks: Sequence[Check] = ()) -> None:
        self._checks = tuple(checks)
        self._names = name_checks(self._checks)
        self._rounds = itertools.count(1)

    async def verify(self, state: SessionState, execute: Execute) -> Verification:
        """Whether the changes are proved; remembers in `state` what a verified verdict covers."""
        if state.changes == state.verified_changes:
            return Verification("not_applicable")
        if not self._checks:
            return Verification(
                "unverified",
                residual_risks=("The workspace may have been changed, and no check has proved the change.",),
            )
        number = next(self._rounds)
        reports: list[CheckReport] = []
        for name, check in zip(self._names, self._checks, strict=True):
            reports.append(await run_check(check, name, f"check-{number}-{name}", execute))
        verdict = verdict_of(reports)
        if verdict == "verified":
            state.verified_changes = state.changes
        return Verification(verdict, tuple(reports), _list_risks(reports))


def verdict_of(reports: Sequence[CheckReport]) -> Verdict:
    """What the reports amount to: failed before unverified before verified; only required checks count."""
    required = {report.status for report in reports if report.required}
    if "failed" in required:
        return "failed"
    return "verified" if required == {"passed"} else "unverified"


def summary_text(verification: Verification) -> str:
    """One line on the verdict, one on each required check that failed, one on each risk that is left."""
    required = [report for report in verification.reports if report.required]
    passed = sum(report.status == "passed" for report in required)
    head = _SENTENCES[verification.verdict]
    if required:
        head += f": {passed} of {len(required)} required checks passed"
    failed = [f"- {_describe(report)}" for report in required if report.status == "failed"]
    risks = [f"- Risk: {risk}" for risk in verification.residual_risks]
    return "\n".join([f"{head}.", *failed, *risks])


def _list_risks(reports: Sequence[CheckReport]) -> tuple[str, ...]:
    """What a reader should know besides the verdict: failures that do not count, and checks that showed nothing."""
    risks = [
        _describe(report)
        for report in reports
        if report.status in ("skipped", "inconclusive") or (report.status == "failed" and not report.required)
    ]
    if not any(report.required for report in reports):
        risks.append("No check is required, so none has proved the change.")
    return tuple(risks)


def _describe(report: CheckReport) -> str:
    optional = "" if report.required else "optional "
    reason = f": {report.reason}" if report.reason else ""
    return f"{optional}check {report.id} ({report.command}) {report.status}{reason}"
