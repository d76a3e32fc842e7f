"""A process dies while a person is asked: the question outlives it, is answered once, and its call is made once."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from a3s_code import Agent, ConfirmationPolicy
from a3s_code.api.session import AgentSession
from a3s_code.harness.safety.confirmation import PendingConfirmation
from a3s_code.kernel.messages import Observation
from a3s_code.kernel.packing import read, write
from a3s_code.kernel.store import BEGINNING, Commit, Stored, seal
from a3s_code.stores.sqlite import FileSessionStore
from a3s_code.testing import ScriptedModel

PRELUDE = """
    import json, os, signal, sys
    from pathlib import Path
    from a3s_code import Agent, ConfirmationPolicy, PermissionPolicy, tool
    from a3s_code.kernel.messages import ToolCall
    from a3s_code.stores.sqlite import FileSessionStore
    from a3s_code.testing import ConversationScript

    folder = Path(sys.argv[1])

    @tool(effects=("write",))
    def count() -> str:
        "Count one up."
        with (folder / "count").open("a") as file:
            file.write("counted\\n")
        return "counted"

    @tool(effects=("spend",))
    def pay(amount: int, to: str) -> str:
        "Pay."
        with (folder / "paid").open("a") as file:
            file.write(json.dumps([amount, to]) + "\\n")
        if (folder / "dies while it pays").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return f"paid {amount}"

    script = [
        ["I count.", ToolCall("1", "count", {})],
        ["I pay.", ToolCall("2", "pay", {"amount": 30, "to": "Ann é"})],
        "It is paid.",
    ]
    given = {
        "model": ConversationScript(script),
        "session_store": FileSessionStore(folder / "store"),
        "tools": [count, pay],
    }

    def die_at(session, kind):
        def hear(event):
            if event.type == kind:
                os.kill(os.getpid(), signal.SIGKILL)
        session.subscribe(hear)
    """
ASK = """
    policy = PermissionPolicy(ask=["pay"], default_decision="allow")
    session = Agent.create("").session(
        folder / "work",
        session_id="s",
        permission_policy=policy,
        confirmation_policy=ConfirmationPolicy(enabled=True, default_timeout_ms=None),
        **given,
    )
    die_at(session, "confirmation_required")
    session.send("Count, then pay.")
    """
RESUME = 'session = Agent.create("").resume_session("s", **given)'
APPROVE = 'session.confirm_tool_use("2", True)'
DENY = 'session.confirm_tool_use("2", False)'
DIE = "os.kill(os.getpid(), signal.SIGKILL)"
GO_ON = "session.resume_run(session.runs()[0].id)"
PAID = [30, "Ann é"]


def play(folder: Path, *work: str) -> None:
    """Do the work in a process of its own, in which it is killed."""
    code = "\n".join(map(textwrap.dedent, (PRELUDE, *work)))
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a process was killed while it asked whether to pay."""
    scene = tmp_path_factory.mktemp("scene")
    scene.joinpath("work").mkdir()
    play(scene, ASK)
    assert lines(scene / "count") == ["counted"]
    assert paid(scene) == []
    return scene


@pytest.fixture
def folder(scene: Path, tmp_path: Path) -> Path:
    """The same, for one test alone."""
    return shutil.copytree(scene, tmp_path / "scene")


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def paid(folder: Path) -> list[Any]:
    return [json.loads(line) for line in lines(folder / "paid")]


def opened(folder: Path, **options: Any) -> AgentSession:
    """The session, opened again in this process."""
    scope: dict[str, Any] = {"__name__": "scene"}
    code = textwrap.dedent(PRELUDE).replace("sys.argv[1]", repr(str(folder)))
    exec(compile(code, "<scene>", "exec"), scope)
    given = {**scope["given"], **options}
    return Agent.create("").resume_session("s", **given)


def pending(session: AgentSession) -> PendingConfirmation:
    [question] = session.pending_confirmations()
    return question


def result_of(session: AgentSession, call_id: str) -> Observation:
    [seen] = [
        part
        for message in session.history()
        for part in message.parts
        if isinstance(part, Observation) and part.call_id == call_id
    ]
    return seen


def test_the_question_is_listed_with_the_exact_call_and_its_digest(folder: Path) -> None:
    with opened(folder) as session:
        question = pending(session)
        assert (question.tool_id, question.tool_name, dict(question.args)) == (
            "2",
            "pay",
            {"amount": 30, "to": "Ann é"},
        )
        assert question.rule == "pay"
        [run] = session.runs()
        [asked] = [r.event for r in session.run_events(run.id) if r.event.type == "confirmation_required"]
        assert question.digest == asked.args_digest
        assert run.status == "interrupted"


def test_an_approved_call_is_made_once_with_the_same_arguments(folder: Path) -> None:
    with opened(folder) as session:
        assert session.confirm_tool_use("2", True, "go ahead")
        assert session.pending_confirmations() == []
        assert not session.confirm_tool_use("2", False), "it was answered before"
        [run] = session.runs()
        result = session.resume_run(run.id)
        assert result.text == "It is paid."
        assert paid(folder) == [PAID]
        assert lines(folder / "count") == ["counted"], "what came before the question is not done again"
        assert result_of(session, "2").output == "paid 30"


def test_a_denied_call_is_not_made(folder: Path) -> None:
    with opened(folder) as session:
        session.confirm_tool_use("2", False, "too much")
        [run] = session.runs()
        result = session.resume_run(run.id)
        assert result.status == "completed"
        assert paid(folder) == []
        assert "too much" in result.denied[0].reason
        assert result_of(session, "2").error_kind == "permission_denied"


def test_an_approval_survives_a_crash_before_the_run_goes_on(folder: Path) -> None:
    play(folder, RESUME, APPROVE, DIE)
    with opened(folder) as session:
        assert session.pending_confirmations() == []
        session.resume_run(session.runs()[0].id)
    assert paid(folder) == [PAID]


def test_a_denial_survives_a_crash_before_the_run_goes_on(folder: Path) -> None:
    play(folder, RESUME, DENY, DIE)
    with opened(folder) as session:
        session.resume_run(session.runs()[0].id)
    assert paid(folder) == []


DYING = """
    import asyncio
    from a3s_code import Harness

    class Dying:
        async def route(self, request, state):
            await asyncio.sleep(0.2)
            os.kill(os.getpid(), signal.SIGKILL)

    given["harness"] = Harness(router=Dying())
    """


def test_an_approval_survives_crashes_before_its_call_is_reached(folder: Path) -> None:
    play(folder, DYING, RESUME, APPROVE, GO_ON)
    play(folder, DYING, RESUME, GO_ON)
    with opened(folder) as session:
        [run] = session.runs()
        ends = [r.event for r in session.run_events(run.id) if r.event.type == "tool_end"]
        assert [(event.id, event.error_kind) for event in ends] == [("1", None), ("2", "interrupted")]
        assert session.pending_confirmations() == []
        assert not session.confirm_tool_use("2", False)
        session.resume_run(run.id)
    assert paid(folder) == [PAID]
    assert lines(folder / "count") == ["counted"]


def test_a_question_survives_crashes_before_its_call_is_reached(folder: Path) -> None:
    play(folder, DYING, RESUME, GO_ON)
    play(folder, DYING, RESUME, GO_ON)
    with opened(folder) as session:
        assert pending(session).tool_id == "2"
        session.confirm_tool_use("2", True)
        session.resume_run(session.runs()[0].id)
    assert paid(folder) == [PAID]


@pytest.mark.parametrize("kind", ["run_resumed", "intent_resolved", "tool_start", "confirmation_received"])
def test_a_call_that_may_have_begun_is_made_at_most_once(folder: Path, kind: str) -> None:
    play(folder, RESUME, APPROVE, f'die_at(session, "{kind}")', GO_ON)
    assert paid(folder) == []
    with opened(folder) as session:
        assert session.pending_confirmations() == []
        session.resume_run(session.runs()[0].id)
        made = result_of(session, "2").error_kind is None
        assert made or "may have had effects" in result_of(session, "2").output
    assert paid(folder) == [PAID] * made


def test_a_call_that_was_approved_and_begun_is_told_as_interrupted_and_not_made_again(folder: Path) -> None:
    folder.joinpath("dies while it pays").touch()
    play(folder, RESUME, APPROVE, GO_ON)
    assert paid(folder) == [PAID]
    folder.joinpath("dies while it pays").unlink()
    with opened(folder) as session:
        assert session.pending_confirmations() == []
        assert session.resume_run(session.runs()[0].id).text == "It is paid."
        seen = result_of(session, "2")
        assert seen.error_kind == "interrupted"
        assert "may have had effects" in seen.output
    assert paid(folder) == [PAID]


def test_a_call_that_was_begun_is_not_made_after_further_crashes_either(folder: Path) -> None:
    folder.joinpath("dies while it pays").touch()
    play(folder, RESUME, APPROVE, GO_ON)
    play(folder, DYING, RESUME, GO_ON)
    play(folder, DYING, RESUME, GO_ON)
    folder.joinpath("dies while it pays").unlink()
    with opened(folder, on_confirm=lambda question: True) as session:
        [run] = session.runs()
        ends = [r.event for r in session.run_events(run.id) if r.event.type == "tool_end"]
        told = [("1", None), ("2", "interrupted"), ("2", "interrupted")]
        assert [(event.id, event.error_kind) for event in ends] == told
        assert session.resume_run(run.id).text == "It is paid."
        assert "may have had effects" in result_of(session, "2").output
    assert paid(folder) == [PAID]


def test_without_an_answer_the_question_is_asked_anew(folder: Path) -> None:
    asked: list[PendingConfirmation] = []

    def agree(question: PendingConfirmation) -> bool:
        asked.append(question)
        return True

    with opened(folder, on_confirm=agree) as session:
        before = pending(session)
        session.resume_run(session.runs()[0].id)
        assert session.pending_confirmations() == []
    assert [(question.tool_id, question.digest) for question in asked] == [("2", before.digest)]
    assert paid(folder) == [PAID]


def test_where_nobody_can_be_asked_any_more_the_answer_is_no(folder: Path) -> None:
    with opened(folder, confirmation_policy=ConfirmationPolicy()) as session:
        session.resume_run(session.runs()[0].id)
        assert result_of(session, "2").error_kind == "permission_denied"
        assert session.pending_confirmations() == []
    assert paid(folder) == []


def test_a_question_that_nobody_answers_is_gone_with_the_next_request(folder: Path) -> None:
    with opened(folder) as session:
        assert session.send("Leave it.").text == "It is paid."
        assert result_of(session, "2").error_kind == "cancelled"
        assert session.pending_confirmations() == []
        assert not session.confirm_tool_use("2", True)
    with opened(folder) as session:
        assert session.pending_confirmations() == []
    assert paid(folder) == []


class Rewriting(FileSessionStore):
    """A store in which somebody has changed the arguments of the question, and made the seals right again."""

    async def load(self, session_id: str, after: int = -1) -> Stored:
        stored = await super().load(session_id)
        entries, previous = [], BEGINNING
        for entry in stored.entries:
            facts = read(entry.body)
            for fact in facts:
                if fact["k"] == self.changed:
                    self.change(fact)
            entries.append(seal(previous, entry.number, write(facts)))
            previous = entries[-1].digest
        return Stored(entries[after + 1 :], b"")

    async def append(self, commit: Commit) -> None:
        """What is stored after the change is of no interest."""

    changed = "asked"

    def change(self, fact: dict[str, Any]) -> None:
        fact["call"]["arguments"]["amount"] = 3000
        fact["digest"] = hashlib.sha256(b"another").hexdigest()


class RewritingTheCall(Rewriting):
    changed = "message"

    def change(self, fact: dict[str, Any]) -> None:
        for part in fact["message"]["parts"]:
            if part.get("call") == "2":
                part["arguments"]["amount"] = 3000


@pytest.mark.parametrize("store", [Rewriting, RewritingTheCall])
def test_a_call_whose_arguments_are_not_those_that_were_confirmed_is_refused(
    folder: Path, store: type[Rewriting]
) -> None:
    with opened(folder, session_store=store(folder / "store")) as session:
        session.confirm_tool_use("2", True)
        session.resume_run(session.runs()[0].id)
        assert "not those that were confirmed" in result_of(session, "2").output
    assert paid(folder) == []


NESTED = """
    calls = [{"tool": "count", "args": {}}, {"tool": "pay", "args": {"amount": 30, "to": "Ann"}}]
    given["model"] = ConversationScript([[ToolCall("b", "batch", {"calls": calls})], "It is paid."])
    """


def test_a_question_from_inside_a_batch_is_gone_with_the_batch(tmp_path: Path) -> None:
    tmp_path.joinpath("work").mkdir()
    play(tmp_path, NESTED, ASK)
    assert lines(tmp_path / "count") == ["counted"]
    with opened(tmp_path, model=ScriptedModel(["It is paid."])) as session:
        assert session.pending_confirmations() == []
        session.resume_run(session.runs()[0].id)
        assert result_of(session, "b").error_kind == "interrupted"
        assert session.pending_confirmations() == []
    with opened(tmp_path) as session:
        assert session.pending_confirmations() == []
    assert lines(tmp_path / "count") == ["counted"]
    assert paid(tmp_path) == []
