"""Restoring: a session as its facts tell it, after the process that had it ended, however it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from a3s_code.kernel import facts as written
from a3s_code.kernel.contracts import Decision, Usage
from a3s_code.kernel.facts import Fact
from a3s_code.kernel.ledger import RunLedger
from a3s_code.kernel.messages import Message, ToolCall
from a3s_code.kernel.packing import holds_lost
from a3s_code.kernel.pairing import INTERRUPTED
from a3s_code.kernel.pieces import spread
from a3s_code.kernel.state import Refusal, Run, SessionState
from a3s_code.kernel.trace import TraceEvent
from a3s_code.kernel.validity import distinct

WAITED = "Not carried out: it waited for an answer when the process ended."
UNREADABLE = "Not carried out: its arguments cannot be read from the store any more. Make the call again."
COVERED = "Not carried out: its arguments held a secret, which is not stored. Make the call again."


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that waited for a person when the process ended; `answer` is what was said since: (approved, reason)."""

    call: ToolCall
    digest: str
    decision: Decision
    answer: tuple[bool, str] | None = None


@dataclass(slots=True)
class Restoration:
    """Folds the facts of one session into its state and its ledger.

    `asked` are the calls that still wait for a person, `artifacts` the whole outputs by their URI, oldest first.
    """

    state: SessionState
    ledger: RunLedger
    asked: dict[str, Asked] = field(default_factory=dict[str, Asked])
    artifacts: dict[str, str] = field(default_factory=dict[str, str])
    _runs: dict[str, Run] = field(default_factory=dict[str, Run])
    _started: dict[str, str] = field(default_factory=dict[str, str])
    _cut_off: set[str] = field(default_factory=set[str])
    _covered: set[str] = field(default_factory=set[str])

    def restore(self, facts: Sequence[Fact]) -> None:
        """Take in all facts, in order; runs without an end are interrupted."""
        for fact in facts:
            if (take := _TAKERS.get(fact["k"])) is not None:
                take(self, fact)
        for run in self._runs.values():
            if not run.ended:
                self._interrupt(run)
        for run in self._runs.values():
            self.state.usage += run.usage

    def _run(self, fact: Fact) -> None:
        run = self._runs[fact["run"]] = self.ledger.recall(fact["run"], fact["prompt"], fact["at"])
        run.images = written.read_images(fact.get("images", ()))
        if "aside" in fact:
            run.history = [written.read_message(message, {}) for message in fact["aside"]]
        # What an earlier run began is not of this one.
        self._cut_off |= self._started.keys()
        self._started.clear()

    def _events(self, fact: Fact) -> None:
        run = self._runs[fact["run"]]
        for sequence, at, body in spread(fact):
            run.log.restore(sequence + 1)
            run.updated_at_ms = at
            if (happened := _HAPPENED.get(body["type"])) is not None:
                happened(self, run, body)

    def _message(self, fact: Fact) -> None:
        message = written.read_message(fact["message"], self.state.noted)
        self._history(fact["aside"]).append(message)
        self._covered = set(fact.get("covered", ()))
        self.state.noted.clear()
        self._started.clear()
        self._cut_off.clear()
        self.asked.clear()
        if fact["aside"] is None:
            distinct(message, self.state.call_ids)
        run = self._current
        if run is not None and message.role == "assistant":
            run.text = message.text or run.text
            run.stop = fact.get("stop", run.stop)
            run.calls += len(message.calls)
        elif run is not None and message.role == "user":
            run.taken = True

    def _used(self, fact: Fact) -> None:
        self._runs[fact["run"]].use(Usage(**fact["usage"]), fact["model"])

    def _replaced(self, fact: Fact) -> None:
        history = self._history(fact["aside"])
        messages: list[Message] = []
        for item in fact["kept"]:
            if isinstance(item, list):
                messages += history[item[0] : item[1]]
            else:
                messages.append(written.read_message(item, {}))
        history[:] = messages

    def _result(self, fact: Fact) -> None:
        seen = written.read_result(fact["result"])
        self.state.noted[seen.call_id] = seen

    def _call(self, fact: Fact) -> None:
        line = fact["line"]
        for name in ("metadata_keys", "artifact_uris"):
            line[name] = tuple(line[name])
        self.state.trace.append(TraceEvent(**line))
        self.state.files.update(fact["files"])
        self.state.changes = fact["changes"]

    def _asked(self, fact: Fact) -> None:
        call = written.read_call(fact["call"])
        known = self.asked.get(call.id)
        answer = known.answer if known is not None and known.digest == fact["digest"] else None
        self.asked[call.id] = Asked(call, fact["digest"], written.read_decision(fact["decision"]), answer)

    def _answer(self, fact: Fact) -> None:
        waiting = self.asked.get(fact["call"])
        if waiting is not None:
            answer = (fact["approved"], fact["reason"])
            self.asked[fact["call"]] = Asked(waiting.call, waiting.digest, waiting.decision, answer)

    def _artifact(self, fact: Fact) -> None:
        self.artifacts[fact["uri"]] = fact["text"]

    def _dropped(self, fact: Fact) -> None:
        self.artifacts.pop(fact["uri"], None)

    def _state(self, fact: Fact) -> None:
        self.state.plan = written.read_plan(fact["plan"])
        self.state.verified_changes = fact["verified_changes"]

    def _history(self, aside: str | None) -> list[Message]:
        if aside is None:
            return self.state.history
        history = self._runs[aside].history
        assert history is not None, "a run with messages aside brought its own history"
        return history

    @property
    def _current(self) -> Run | None:
        """The run that goes on; one that ended while it waited for another is in between."""
        return next((run for run in reversed(self._runs.values()) if not run.ended), self._latest)

    @property
    def _latest(self) -> Run | None:
        return next(reversed(self._runs.values()), None)

    def _interrupt(self, run: Run) -> None:
        run.status = "interrupted"
        if run is not self._latest:
            return
        run.dangling = {
            call_id: (name, WAITED if call_id in self.asked else INTERRUPTED) for call_id, name in self._started.items()
        }
        for call_id in (self._started.keys() | self._cut_off) - self.state.noted.keys():
            if call_id not in self.asked:
                self.state.unfit[call_id] = INTERRUPTED
        # A call inside of another cannot be made any more, for the one it is inside of was cut off.
        history = self._history(None if run.history is None else run.id)
        calls = {call.id: call for call in history[-1].calls} if history else dict[str, ToolCall]()
        unmakeable = {call_id: UNREADABLE for call_id, call in calls.items() if holds_lost(call.arguments)}
        unmakeable |= dict.fromkeys(self._covered, COVERED)
        for call_id in self.asked.keys() - (calls.keys() - unmakeable.keys()):
            del self.asked[call_id]
        self.state.unfit.update({**unmakeable, **self.state.unfit})

    def _began(self, run: Run, body: Mapping[str, Any]) -> None:
        run.status = "executing"
        run.failure = run.limit = None

    def _turn(self, run: Run, body: Mapping[str, Any]) -> None:
        run.turns = body["turn"]

    def _tool_started(self, run: Run, body: Mapping[str, Any]) -> None:
        self._started[body["id"]] = body["name"]

    def _tool_ended(self, run: Run, body: Mapping[str, Any]) -> None:
        self._started.pop(body["id"], None)
        # Not made again, even where its result is not there.
        self._cut_off.add(body["id"])
        if body["error_kind"] != "interrupted":
            self.asked.pop(body["id"], None)

    def _answered(self, run: Run, body: Mapping[str, Any]) -> None:
        self.asked.pop(body["tool_id"], None)

    def _denied(self, run: Run, body: Mapping[str, Any]) -> None:
        call = ToolCall(body["tool_id"], body["tool_name"], {})
        for message in reversed(self.state.history if run.history is None else run.history):
            call = next((item for item in message.calls if item.id == body["tool_id"]), call)
        run.refused.append(Refusal(call, Decision("deny", body["reason"], body["source"], body["rule"])))

    def _limited(self, run: Run, body: Mapping[str, Any]) -> None:
        run.limit = body["limit"]

    def _ended(self, run: Run, body: Mapping[str, Any]) -> None:
        run.status, run.text = body["status"], body["text"]
        run.usage = Usage(**body["usage"])

    def _failed(self, run: Run, body: Mapping[str, Any]) -> None:
        run.status, run.failure = "failed", body["message"]


_TAKERS: Mapping[str, Callable[[Restoration, Any], None]] = {
    "run": Restoration._run,
    "event": Restoration._events,
    "deltas": Restoration._events,
    "message": Restoration._message,
    "used": Restoration._used,
    "history": Restoration._replaced,
    "result": Restoration._result,
    "call": Restoration._call,
    "asked": Restoration._asked,
    "answer": Restoration._answer,
    "artifact": Restoration._artifact,
    "dropped": Restoration._dropped,
    "state": Restoration._state,
}
_HAPPENED: Mapping[str, Callable[[Restoration, Run, Any], None]] = {
    "agent_start": Restoration._began,
    "run_resumed": Restoration._began,
    "turn_start": Restoration._turn,
    "tool_start": Restoration._tool_started,
    "tool_end": Restoration._tool_ended,
    "confirmation_received": Restoration._answered,
    "confirmation_timeout": Restoration._answered,
    "permission_denied": Restoration._denied,
    "limit_reached": Restoration._limited,
    "agent_end": Restoration._ended,
    "error": Restoration._failed,
}
