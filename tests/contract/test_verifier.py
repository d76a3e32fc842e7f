"""What every Verifier promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from a3s_code.harness.verification.verifier import CheckVerifier
from a3s_code.kernel.contracts import Check, Verdict
from a3s_code.kernel.messages import Observation, ToolCall
from a3s_code.kernel.ports import Verifier
from a3s_code.kernel.state import SessionState

VERIFIERS: dict[str, Callable[[], Verifier]] = {
    "no checks": CheckVerifier,
    "one check": lambda: CheckVerifier([Check("make test")]),
    "several checks": lambda: CheckVerifier(
        [Check("a"), Check("b", required=False), Check("c", must_fail_before=True)]
    ),
}
OUTCOMES = {"passes": (0, None), "fails": (1, "failed"), "denied": (1, "permission_denied"), "hangs": (124, "timeout")}


@pytest.fixture(params=VERIFIERS)
def verifier(request: pytest.FixtureRequest) -> Verifier:
    return VERIFIERS[request.param]()


@pytest.fixture
def state(tmp_path: Path) -> SessionState:
    return SessionState("s", tmp_path)


@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_verified_means_that_required_checks_ran_and_passed(
    verifier: Verifier, state: SessionState, outcome: str
) -> None:
    ran: list[ToolCall] = []

    async def execute(call: ToolCall) -> Observation:
        ran.append(call)
        exit_code, kind = OUTCOMES[outcome]
        return Observation(call.id, call.name, "", exit_code, kind)

    state.changes = 2
    verification = await verifier.verify(state, execute)
    assert verification.verdict in get_args(Verdict)
    assert (verification.verdict == "verified") == (state.verified_changes == 2)
    if verification.verdict == "verified":
        assert outcome == "passes"
        assert ran
    else:
        assert verification.residual_risks or verification.verdict == "failed"
    assert len(verification.reports) == len(ran)
    assert len({call.id for call in ran}) == len(ran)


async def test_nothing_changed_needs_no_check(verifier: Verifier, state: SessionState) -> None:
    async def execute(call: ToolCall) -> Observation:
        raise AssertionError("a check ran")

    assert (await verifier.verify(state, execute)).verdict == "not_applicable"
    state.changes = state.verified_changes = 4
    assert (await verifier.verify(state, execute)).verdict == "not_applicable"


async def test_the_rounds_of_feedback_are_bounded(verifier: Verifier, state: SessionState) -> None:
    async def execute(call: ToolCall) -> Observation:
        return Observation(call.id, call.name, "", 1, "failed")

    state.changes = 1
    rounds = [await verifier.verify(state, execute) for _ in range(50)]
    assert rounds[-1].feedback is None


async def test_what_the_executor_raises_passes_through(state: SessionState) -> None:
    async def execute(call: ToolCall) -> Observation:
        raise KeyboardInterrupt

    state.changes = 1
    with pytest.raises(KeyboardInterrupt):
        await CheckVerifier([Check("x")]).verify(state, execute)
    assert state.verified_changes == 0
