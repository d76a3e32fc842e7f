"""What one check shows."""

from __future__ import annotations

import pytest

from a3s_code.harness.verification.checks import judge_check, name_checks, run_check
from a3s_code.kernel.contracts import Check
from a3s_code.kernel.messages import ArtifactRef, Observation, ToolCall


@pytest.mark.parametrize(
    ("exit_code", "error_kind", "status"),
    [
        (0, None, "passed"),
        (1, "failed", "failed"),
        (2, None, "failed"),
        (139, "failed", "failed"),
        (-9, "failed", "failed"),
        (1, "permission_denied", "skipped"),
        (124, "timeout", "inconclusive"),
        (1, "cancelled", "inconclusive"),
        (1, "interrupted", "inconclusive"),
        (1, "internal", "inconclusive"),
        (1, "unknown_tool", "inconclusive"),
        (1, "invalid_argument", "inconclusive"),
        (126, "failed", "inconclusive"),
        (127, "failed", "inconclusive"),
        (0, "failed", "inconclusive"),
    ],
)
def test_an_observation_decides_the_status_of_a_check(exit_code: int, error_kind: str | None, status: str) -> None:
    seen = Observation("c", "bash", "out", exit_code, error_kind)
    found, reason = judge_check(Check("make test"), seen)
    assert found == status
    assert bool(reason) == (status != "passed")


def test_a_check_that_must_have_failed_before_is_not_passed_by_passing_now() -> None:
    check = Check("pytest", must_fail_before=True)
    status, reason = judge_check(check, Observation("c", "bash", ""))
    assert status == "inconclusive"
    assert "fail before" in reason
    assert judge_check(check, Observation("c", "bash", "", 1, "failed"))[0] == "failed"


def test_a_denied_check_says_why_it_was_skipped() -> None:
    seen = Observation("c", "bash", "Not allowed: the rule bash(*) denies it", 1, "permission_denied")
    status, reason = judge_check(Check("make"), seen)
    assert status == "skipped"
    assert "bash(*)" in reason


@pytest.mark.parametrize(
    ("checks", "names"),
    [
        ([Check("python -m pytest -q"), Check("ruff check .")], ("python-m-pytest-q", "ruff-check")),
        ([Check("make", id="build"), Check("make", id="build")], ("build", "build-2")),
        ([Check("!!"), Check("make"), Check("make")], ("check-1", "make", "make-2")),
        ([Check("x" * 100)], ("x" * 40,)),
        ([], ()),
    ],
)
def test_checks_have_names_of_their_own(checks: list[Check], names: tuple[str, ...]) -> None:
    assert name_checks(checks) == names


async def test_a_check_runs_as_a_call_of_bash() -> None:
    calls: list[ToolCall] = []

    async def execute(call: ToolCall) -> Observation:
        calls.append(call)
        ref = ArtifactRef("a3s://tool-output/bash/1", 9, 3)
        return Observation(call.id, call.name, "2 failed", 1, "failed", artifact=ref)

    report = await run_check(Check("pytest", timeout_ms=5000, required=False), "tests", "check-1-tests", execute)
    assert [(call.id, call.name, call.arguments) for call in calls] == [
        ("check-1-tests", "bash", {"command": "pytest", "timeout": 5000})
    ]
    assert (report.id, report.command, report.status, report.required) == ("tests", "pytest", "failed", False)
    assert (report.exit_code, report.output, report.evidence) == (1, "2 failed", ("a3s://tool-output/bash/1",))
    assert report.reason == "exit 1"
    assert report.duration_ms >= 0


async def test_without_a_limit_of_its_own_the_session_decides() -> None:
    seen: list[ToolCall] = []

    async def execute(call: ToolCall) -> Observation:
        seen.append(call)
        return Observation(call.id, call.name, "")

    await run_check(Check("pytest"), "tests", "c", execute)
    assert seen[0].arguments == {"command": "pytest"}
