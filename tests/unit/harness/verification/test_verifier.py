"""The verifier on real commands, and its verdict over all combinations."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import get_args

import pytest

from a3s_code.harness.verification.verifier import CheckVerifier, summary_text, verdict_of
from a3s_code.kernel.contracts import Check, CheckReport, CheckStatus, Verdict, Verification
from a3s_code.kernel.messages import Observation, ToolCall
from a3s_code.kernel.ports import Execute
from a3s_code.kernel.state import SessionState

STATUSES: tuple[CheckStatus, ...] = get_args(CheckStatus)


@pytest.fixture
def state(tmp_path: Path) -> SessionState:
    return SessionState("s-1", tmp_path)


@pytest.fixture
def execute(tmp_path: Path) -> Execute:
    """Runs the command of a call in the folder of the test."""

    async def execute(call: ToolCall) -> Observation:
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", str(call.arguments["command"]), cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        code = process.returncode or 0
        return Observation(call.id, call.name, output.decode(), code, "failed" if code else None)

    return execute


async def test_nothing_changed_is_nothing_to_verify_and_runs_nothing(state: SessionState, execute: Execute) -> None:
    verdict = await CheckVerifier([Check("touch ran")]).verify(state, execute)
    assert verdict == Verification("not_applicable")
    assert not (state.workspace / "ran").exists()


async def test_a_change_without_checks_is_unverified_and_says_so(state: SessionState, execute: Execute) -> None:
    state.changes = 1
    verification = await CheckVerifier().verify(state, execute)
    assert (verification.verdict, verification.reports) == ("unverified", ())
    assert "no check" in verification.residual_risks[0]
    assert (state.verified_changes, verification.feedback) == (0, None)


async def test_checks_that_pass_verify_the_changes_until_the_next_one(state: SessionState, execute: Execute) -> None:
    verifier = CheckVerifier([Check("test -f made"), Check("echo ok")])
    (state.workspace / "made").touch()
    state.changes = 3
    verification = await verifier.verify(state, execute)
    assert (verification.verdict, state.verified_changes) == ("verified", 3)
    assert [report.status for report in verification.reports] == ["passed", "passed"]
    assert verification.reports[1].output == "ok\n"
    assert (await verifier.verify(state, execute)).verdict == "not_applicable"
    (state.workspace / "made").unlink()
    state.changes += 1
    assert (await verifier.verify(state, execute)).verdict == "failed"
    assert state.verified_changes == 3


async def test_checks_run_in_order_and_all_of_them(state: SessionState, execute: Execute) -> None:
    state.changes = 1
    verifier = CheckVerifier([Check("echo 1 >> log; false"), Check("echo 2 >> log"), Check("echo 3 >> log")])
    verification = await verifier.verify(state, execute)
    assert (state.workspace / "log").read_text() == "1\n2\n3\n"
    assert verification.verdict == "failed"


async def test_calls_of_several_rounds_have_ids_of_their_own(state: SessionState) -> None:
    ids: list[str] = []

    async def execute(call: ToolCall) -> Observation:
        ids.append(call.id)
        return Observation(call.id, call.name, "", 1, "failed")

    state.changes = 1
    verifier = CheckVerifier([Check("make"), Check("make")])
    await verifier.verify(state, execute)
    await verifier.verify(state, execute)
    assert len(set(ids)) == 4


async def test_a_program_that_is_missing_proves_nothing(state: SessionState, execute: Execute) -> None:
    state.changes = 1
    verification = await CheckVerifier([Check("a3s-no-such-program 2>/dev/null")]).verify(state, execute)
    assert (verification.verdict, verification.reports[0].status) == ("unverified", "inconclusive")
    assert any("not found" in risk for risk in verification.residual_risks)


async def test_optional_checks_decide_nothing_and_are_named_as_risks(state: SessionState, execute: Execute) -> None:
    state.changes = 1
    verification = await CheckVerifier([Check("true"), Check("exit 3", id="lint", required=False)]).verify(
        state, execute
    )
    assert verification.verdict == "verified"
    assert verification.residual_risks == ("optional check lint (exit 3) failed: exit 3",)


async def test_only_optional_checks_prove_nothing(state: SessionState, execute: Execute) -> None:
    state.changes = 1
    verification = await CheckVerifier([Check("true", required=False)]).verify(state, execute)
    assert (verification.verdict, state.verified_changes) == ("unverified", 0)
    assert verification.residual_risks == ("No check is required, so none has proved the change.",)


def reports(statuses: tuple[tuple[CheckStatus, bool], ...]) -> list[CheckReport]:
    return [CheckReport(f"c{i}", "command", "x", status, required) for i, (status, required) in enumerate(statuses)]


@pytest.mark.parametrize("count", range(4))
def test_the_verdict_over_all_combinations(count: int) -> None:
    kinds = list(itertools.product(STATUSES, (True, False)))
    for statuses in itertools.product(kinds, repeat=count):
        required = [status for status, is_required in statuses if is_required]
        verdict = verdict_of(reports(statuses))
        if "failed" in required:
            assert verdict == "failed"
        elif not required or set(required) != {"passed"}:
            assert verdict == "unverified"
        else:
            assert verdict == "verified"
        optional = tuple(item for item in statuses if not item[1])
        assert verdict_of(reports(tuple(item for item in statuses if item[1]))) == verdict
        assert verdict_of(reports(optional)) == "unverified"


def test_verdicts_in_the_words_of_summaries() -> None:
    expected = {"verified": "passed", "failed": "failed", "not_applicable": "skipped"}
    for verdict in get_args(Verdict):
        assert Verification(verdict).status == expected.get(verdict, "needs_review")


def test_the_summary_is_plain_text() -> None:
    found = (
        CheckReport("tests", "command", "pytest", "failed", exit_code=1, reason="exit 1"),
        CheckReport("types", "command", "mypy", "passed"),
    )
    text = summary_text(Verification("failed", found, ("optional check lint (ruff) skipped: denied",)))
    assert text.splitlines() == [
        "Failed: 1 of 2 required checks passed.",
        "- check tests (pytest) failed: exit 1",
        "- Risk: optional check lint (ruff) skipped: denied",
    ]
    assert summary_text(Verification("not_applicable")) == "Nothing to verify."
