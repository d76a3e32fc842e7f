"""A call that waits for an answer gets the first one."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from a3s_code.errors import InvalidOption
from a3s_code.harness.safety.confirmation import (
    NOBODY,
    SAME_ID,
    ConfirmationPolicy,
    Confirmations,
    OnConfirm,
    PendingConfirmation,
)
from a3s_code.kernel.contracts import Confirmation, Decision, Effect
from a3s_code.kernel.events import AgentEvent
from a3s_code.kernel.ports import Question
from a3s_code.kernel.tool import Action
from a3s_code.system.clock import SystemClock

EFFECTS = (Effect("exec", "make all"),)
WAITING = ConfirmationPolicy(enabled=True, default_timeout_ms=None)
YES = Confirmation(approved=True)


def question(tool_id: str = "c1", tool: str = "bash", **arguments: Any) -> Question:
    given = arguments or {"command": "make all", "list": [{"a": 1}]}
    effects = EFFECTS if tool == "bash" else (Effect("read", "/w/a", "a"),)
    decision = Decision("ask", "it builds", "rules", "bash(make:*)", effects)
    return Question(Action(tool_id, tool, given, effects, "model"), decision, '{"command":"make all"}', "d1g357")


def make(on_confirm: OnConfirm | None = None, policy: ConfirmationPolicy | None = None) -> Confirmations:
    return Confirmations(policy or ConfirmationPolicy(), on_confirm, SystemClock())


async def ask(confirmations: Confirmations, asked: Question | None = None) -> tuple[Confirmation, list[dict[str, Any]]]:
    """The answer, and the events as plain values."""
    events: list[AgentEvent] = []
    answer = await confirmations.confirm(asked or question(), events.append)
    return answer, [event.to_dict() for event in events]


async def until(ready: Callable[[], object]) -> None:
    """Wait until something is so."""
    for _ in range(1_000):
        if ready():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it never came")


async def test_with_nobody_to_ask_the_answer_is_no_at_once_and_nothing_is_told() -> None:
    answer, events = await ask(make())
    assert answer == Confirmation(approved=False, reason=NOBODY)
    assert events == []


async def test_a_question_and_its_answer_are_told() -> None:
    answer, events = await ask(make(lambda pending: (True, "fine")))
    assert answer == Confirmation(approved=True, reason="fine")
    assert events == [
        {
            "type": "confirmation_required",
            "tool_id": "c1",
            "tool_name": "bash",
            "args": '{"command":"make all"}',
            "timeout_ms": 30_000,
            "args_digest": "d1g357",
        },
        {"type": "confirmation_received", "tool_id": "c1", "approved": True, "reason": "fine"},
    ]


async def test_whoever_is_asked_sees_the_whole_call_and_cannot_change_it() -> None:
    seen: list[PendingConfirmation] = []
    asked = question()
    await ask(make(lambda pending: bool(seen.append(pending))), asked)
    (pending,) = seen
    assert (pending.tool_id, pending.tool_name, pending.digest) == ("c1", "bash", "d1g357")
    assert (pending.reason, pending.rule, pending.source, pending.effects) == (
        "it builds",
        "bash(make:*)",
        "rules",
        EFFECTS,
    )
    assert pending.remaining_ms is not None
    assert 29_000 < pending.remaining_ms <= 30_000
    assert pending.args["command"] == "make all"
    arguments: Any = pending.args
    with pytest.raises(TypeError):
        arguments["command"] = "rm -rf /"
    with pytest.raises(TypeError):
        arguments["list"][0]["a"] = 2
    assert asked.action.arguments == {"command": "make all", "list": [{"a": 1}]}


async def says_yes(pending: PendingConfirmation) -> bool:
    await asyncio.sleep(0)
    return True


class SaysYes:
    async def __call__(self, pending: PendingConfirmation) -> Confirmation:
        return YES


def raises(pending: PendingConfirmation) -> bool:
    raise RuntimeError("no screen")


def leaves(pending: PendingConfirmation) -> bool:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("on_confirm", "approved", "reason"),
    [
        (lambda pending: True, True, ""),
        (lambda pending: False, False, ""),
        (lambda pending: (False, "not now"), False, "not now"),
        (lambda pending: (True, None), True, ""),
        (lambda pending: YES, True, ""),
        (says_yes, True, ""),
        (SaysYes(), True, ""),
        (lambda pending: says_yes(pending), True, ""),
        (lambda pending: None, False, "NoneType"),
        (lambda pending: 1, False, "int"),
        (lambda pending: "yes", False, "str"),
        (lambda pending: (1, "x"), False, "tuple"),
        (lambda pending: (True, "x", "y"), False, "tuple"),
        (lambda pending: Confirmation("yes"), False, "tuple"),  # type: ignore[arg-type]  # that is the test
        (raises, False, "no screen"),
        (leaves, False, "SystemExit"),
    ],
)
async def test_only_a_plain_yes_is_a_yes(on_confirm: Any, approved: bool, reason: str) -> None:
    answer, events = await ask(make(on_confirm))
    assert answer.approved is approved
    assert reason in answer.reason
    assert events[-1]["approved"] is approved


async def test_a_plain_function_runs_beside_the_loop_with_the_context_of_its_caller() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("mine")
    here = threading.get_ident()
    answer, _ = await ask(make(lambda pending: (threading.get_ident() != here, variable.get())))
    assert answer == Confirmation(approved=True, reason="mine")


async def test_an_answer_may_come_from_any_thread() -> None:
    confirmations = make(policy=WAITING)
    asking = asyncio.create_task(ask(confirmations))
    await until(confirmations.pending)
    settled: list[bool] = []
    threads = [
        threading.Thread(target=lambda: settled.append(confirmations.settle("c1", approved=True, reason="ok")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    answer, events = await asking
    for thread in threads:
        thread.join()
    assert answer == Confirmation(approved=True, reason="ok")
    assert sorted(settled) == [False] * 7 + [True]
    assert [event["type"] for event in events] == ["confirmation_required", "confirmation_received"]
    assert confirmations.pending() == []
    assert confirmations.settle("c1", approved=False) is False


async def test_what_is_pending_can_be_looked_at() -> None:
    confirmations = make(policy=WAITING)
    tasks = [asyncio.create_task(ask(confirmations, question(f"c{number}"))) for number in range(3)]
    await until(lambda: len(confirmations.pending()) == 3)
    assert [pending.tool_id for pending in confirmations.pending()] == ["c0", "c1", "c2"]
    assert confirmations.pending()[0].remaining_ms is None
    assert confirmations.settle("c1", approved=True)
    assert confirmations.cancel("c0")
    assert confirmations.cancel("c0") is False
    assert confirmations.cancel_all() == 1
    answers = [(await task)[0] for task in tasks]
    assert [answer.approved for answer in answers] == [False, True, False]


@pytest.mark.parametrize(
    ("action", "taken", "approved"), [("reject", "rejected", False), ("auto_approve", "auto_approved", True)]
)
async def test_when_the_time_is_up_the_policy_answers(action: Any, taken: str, approved: bool) -> None:
    policy = ConfirmationPolicy(enabled=True, default_timeout_ms=20, timeout_action=action)
    answer, events = await ask(make(policy=policy))
    assert answer.approved is approved
    assert "0.02 s" in answer.reason
    assert events[0]["timeout_ms"] == 20
    assert events[1:] == [{"type": "confirmation_timeout", "tool_id": "c1", "action_taken": taken}]


async def test_a_late_answer_of_a_function_that_hangs_is_no_answer() -> None:
    release = threading.Event()
    policy = ConfirmationPolicy(default_timeout_ms=30)
    started = time.monotonic()
    answer, events = await ask(make(lambda pending: release.wait(20), policy))
    assert time.monotonic() - started < 5
    release.set()
    assert not answer.approved
    assert events[-1]["action_taken"] == "rejected"


@pytest.mark.parametrize("wait", [None, 0])
async def test_without_a_timeout_a_question_waits_for_ever(wait: int | None) -> None:
    confirmations = make(policy=ConfirmationPolicy(enabled=True, default_timeout_ms=wait))
    asking = asyncio.create_task(ask(confirmations))
    await asyncio.sleep(0.1)
    assert not asking.done()
    assert confirmations.check_timeouts() == []
    confirmations.settle("c1", approved=True)
    assert (await asking)[0].approved


async def test_timeouts_also_go_by_the_session_s_clock() -> None:
    class Clock:
        now = 1_000

        def now_ms(self) -> int:
            return self.now

        def new_id(self, kind: str) -> str:
            return kind

    clock = Clock()
    confirmations = Confirmations(ConfirmationPolicy(enabled=True), None, clock)
    asking = asyncio.create_task(ask(confirmations))
    await until(confirmations.pending)
    assert confirmations.check_timeouts() == []
    clock.now += 30_000
    assert confirmations.pending()[0].remaining_ms == 0
    assert confirmations.check_timeouts() == ["c1"]
    answer, events = await asking
    assert not answer.approved
    assert events[-1]["type"] == "confirmation_timeout"


async def test_answer_and_timeout_at_once_give_one_outcome() -> None:
    policy = ConfirmationPolicy(enabled=True, default_timeout_ms=2)
    confirmations = make(policy=policy)
    outcomes = set()
    for number in range(200):
        asking = asyncio.create_task(ask(confirmations, question(f"c{number}")))
        await asyncio.sleep(0)
        timer = threading.Timer(0.002, confirmations.settle, (f"c{number}", True))
        timer.start()
        answer, events = await asking
        timer.join()
        assert len(events) == 2
        assert answer.approved is (events[1]["type"] == "confirmation_received")
        outcomes.add(events[1]["type"])
    assert confirmations.pending() == []
    assert outcomes <= {"confirmation_received", "confirmation_timeout"}


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    stopped = asyncio.Event()

    async def hangs(pending: PendingConfirmation) -> bool:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return True

    confirmations = make(hangs)
    asking = asyncio.create_task(ask(confirmations))
    await until(confirmations.pending)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert confirmations.pending() == []
    assert confirmations.settle("c1", approved=True) is False
    await asyncio.wait_for(stopped.wait(), 5)


async def test_who_is_still_being_asked_is_told_when_it_is_settled_elsewhere() -> None:
    stopped = asyncio.Event()

    async def hangs(pending: PendingConfirmation) -> bool:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return True

    confirmations = make(hangs)
    asking = asyncio.create_task(ask(confirmations))
    await until(confirmations.pending)
    assert confirmations.settle("c1", approved=False, reason="by the host")
    assert (await asking)[0] == Confirmation(approved=False, reason="by the host")
    await asyncio.wait_for(stopped.wait(), 5)


async def test_two_calls_with_the_same_id_are_both_refused() -> None:
    confirmations = make(policy=WAITING)
    first = asyncio.create_task(ask(confirmations))
    await until(confirmations.pending)
    second, events = await ask(confirmations, question(command="rm -rf /"))
    assert second == Confirmation(approved=False, reason=SAME_ID)
    assert events == []
    answer, _ = await first
    assert answer == Confirmation(approved=False, reason=SAME_ID)
    again = asyncio.create_task(ask(confirmations))
    await until(confirmations.pending)
    assert confirmations.settle("c1", approved=True)
    assert (await again)[0].approved


async def test_a_lane_that_is_confirmed_beforehand_is_not_asked_about() -> None:
    confirmations = make(policy=ConfirmationPolicy(yolo_lanes=("query",)))
    answer, events = await ask(confirmations, question(tool="grep"))
    assert answer.approved
    assert "query" in answer.reason
    assert events == []
    assert not (await ask(confirmations, question(tool="bash")))[0].approved
    both = make(policy=ConfirmationPolicy(yolo_lanes=("query", "execute")))
    assert (await ask(both, question(tool="bash")))[0].approved


async def test_a_tool_named_like_one_that_looks_is_no_such_one_if_it_changes_something() -> None:
    asked = question(tool="search")
    changing = Action("c1", "search", {}, (Effect("unknown", "search"),), "model")
    confirmations = make(policy=ConfirmationPolicy(yolo_lanes=("query",)))
    assert (await ask(confirmations, asked))[0].approved
    refused, _ = await ask(confirmations, Question(changing, asked.decision, "{}", ""))
    assert not refused.approved


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("enabled", 1),
        ("default_timeout_ms", -1),
        ("default_timeout_ms", True),
        ("default_timeout_ms", 1.5),
        ("timeout_action", "approve"),
        ("yolo_lanes", "query"),
        ("yolo_lanes", ["queries"]),
        ("yolo_lanes", 3),
    ],
)
def test_a_policy_that_makes_no_sense_names_its_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidOption) as caught:
        ConfirmationPolicy(**{field: value})
    assert caught.value.field == field


def test_a_policy_takes_lanes_as_any_collection() -> None:
    lanes: Any = {"execute", "query"}
    assert ConfirmationPolicy(yolo_lanes=lanes) == ConfirmationPolicy(yolo_lanes=("query", "execute"))


async def test_an_answer_that_is_neither_yes_nor_no_is_refused_where_it_is_given() -> None:
    confirmations = make(policy=WAITING)
    asking = asyncio.create_task(ask(confirmations))
    await until(confirmations.pending)
    wrong: Any = "yes"
    with pytest.raises(InvalidOption):
        confirmations.settle("c1", wrong)
    assert confirmations.settle("c1", approved=False)
    assert not (await asking)[0].approved
