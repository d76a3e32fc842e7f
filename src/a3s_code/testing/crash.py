"""Crashes: kills a run at every event that it has stored, resumes it, and tells what did not survive."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from a3s_code.errors import UsageError
from a3s_code.kernel.attribution import describe
from a3s_code.kernel.events import (
    AgentEvent,
    ConfirmationReceived,
    ConfirmationRequired,
    ConfirmationTimeout,
    ToolEnd,
    ToolStart,
)
from a3s_code.kernel.messages import Piece
from a3s_code.kernel.ports import ChatModel, Prompt
from a3s_code.kernel.trace import RunEventRecord, RunSnapshot
from a3s_code.providers.scripted import ScriptItem
from a3s_code.testing.conversation import ConversationScript
from a3s_code.testing.validation import prompt_violations

LOOK_SECONDS = 0.002
NEXT_CRASHES = (1, 1, 2, 2, 3, 4, 6, 9, 13)
"""After how many further events a run is killed again; its first steps after a crash are where mistakes are made."""


class CrashingSession(Protocol):
    """What is used of the session under test; an AgentSession has it all."""

    @property
    def session_id(self) -> str: ...

    def subscribe(self, callback: Callable[[AgentEvent], None]) -> object: ...

    def send(self, request: Any) -> Any: ...

    def runs(self) -> list[RunSnapshot]: ...

    def run_events(self, run_id: str) -> list[RunEventRecord]: ...

    def resume_run(self, run_id: str) -> Any: ...

    def close(self) -> None: ...


MakeSession = Callable[[ChatModel, Path, "str | None"], CrashingSession]
"""Opens the session under test with that model: a new one, or where an id is given the stored one with that id. Its
store and its workspace belong in the folder, which is another for each run that is killed."""

Look = Callable[[CrashingSession, Path], object]


@dataclass(frozen=True, slots=True)
class CrashReport:
    """What became of the runs that were killed.

    `injected` runs were killed, `survived` of them came to their right end with nothing wrong. `lost` counts events
    that a subscriber had heard of and that were not there afterwards, `repeated` calls that had ended and were made
    again, `unopened` sessions that could not be opened. `problems` says what was wrong, a sentence each.
    """

    injected: int
    survived: int
    lost: int
    repeated: int
    unopened: int
    problems: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        return (
            f"{self.injected} injected, {self.survived} survived, {self.lost} lost, {self.repeated} repeated,"
            f" {self.unopened} unopened"
        )

    def check(self) -> None:
        """Raise AssertionError with all that was wrong, and where no run was killed at all."""
        if not self.injected:
            raise AssertionError("no run was killed")
        if self.problems:
            raise AssertionError("\n".join((str(self), *self.problems)))


def crash_matrix(
    make_session: MakeSession,
    script: Iterable[ScriptItem],
    *,
    request: Any = "Begin.",
    every: int = 1,
    limit: int | None = None,
    crashes: int = 1,
    seconds: float = 60.0,
    look: Look | None = None,
) -> CrashReport:
    """Kill a run at every event that it stored, resume it, and look whether anything was lost, broken or done twice.

    The run is `request` sent to a session of `make_session(model, folder, session_id)`, and the model says what
    `script` tells it to, as a ScriptedModel does. Each process that takes part is a fork of this one, is killed with
    SIGKILL right after its subscriber has heard of the event, and has `seconds`. Then the session has to open, its run
    to be listed as interrupted, to have all events that were heard of, in order, without a gap, and to go on to the
    script's last answer; each request has to be one that providers take; each call that begins ends, and none that has
    ended begins again. `look(session, folder)` may look for more: what it raises is a problem.

    `every` takes each n-th event only, `limit` at most so many of them. With `crashes` above 1 each run is killed that
    often, after a few further events each time. Call it where nothing else of this process is at work. Raises
    UsageError where the run does not complete when nobody kills it.
    """
    if not hasattr(os, "fork"):
        raise UsageError("crash_matrix forks, which this system cannot")
    play = _Play(make_session, list(script), request, seconds, look)
    count, answer = _rehearse(play)
    places = range(0, count, max(every, 1))
    kept = len(places) if limit is None else min(limit, len(places))
    evenly = [places[step * len(places) // kept] for step in range(kept)]
    attempts = [_attempt(play, place, crashes, answer) for place in evenly]
    return CrashReport(
        injected=sum(attempt.killed for attempt in attempts),
        survived=sum(attempt.killed and not attempt.problems for attempt in attempts),
        lost=sum(attempt.counts["lost"] for attempt in attempts),
        repeated=sum(attempt.counts["repeated"] for attempt in attempts),
        unopened=sum(attempt.counts["unopened"] for attempt in attempts),
        problems=tuple(problem for attempt in attempts for problem in attempt.problems),
    )


class _Notes:
    """What a process writes down, a line of JSON each; it outlives the process, which may be killed at any moment."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, kind: str, *values: Any) -> None:
        line = json.dumps([kind, *values], default=str).encode() + b"\n"
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)

    def read(self, kind: str) -> Iterator[list[Any]]:
        text = self._path.read_text() if self._path.exists() else ""
        for line in text.splitlines():
            said, *values = json.loads(line)
            if said == kind:
                yield values


@dataclass(frozen=True, slots=True)
class _Watched:
    """The model under test; whatever is wrong with a request is written down."""

    model: ChatModel
    notes: _Notes

    @property
    def name(self) -> str:
        return self.model.name

    def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
        for fault in prompt_violations(prompt):
            self.notes.add("problem", "", 0, f"a request is not valid: {fault}")
        return self.model.stream(prompt)


@dataclass(frozen=True, slots=True)
class _Play:
    """The run under test, and what its processes do."""

    make_session: MakeSession
    script: Sequence[ScriptItem]
    request: Any
    seconds: float
    look: Look | None

    def begin(self, notes: _Notes, folder: Path, until: int | None) -> None:
        """Send the request; the process is killed once `until` events were heard of."""
        session = self.make_session(self._model(notes), folder, None)
        notes.add("session", session.session_id)
        session.subscribe(_listener(notes, 0, until))
        result = session.send(self.request)
        notes.add("ended", str(result.status), result.text)
        session.close()

    def go_on(self, notes: _Notes, folder: Path, until: int | None, answer: str) -> None:
        """Open the session again, and go on with its run to the end; the process is killed as in `begin`."""
        [[session_id]] = notes.read("session")
        try:
            session = self.make_session(self._model(notes), folder, session_id)
            run = session.runs()[-1]
            stored = session.run_events(run.id)
        except Exception as error:  # noqa: BLE001 - whatever is raised, the session does not open
            notes.add("problem", "unopened", 1, f"the session does not open: {describe(error)}")
            return
        ended = bool(stored) and stored[-1].event.type == "agent_end"
        if run.status != ("completed" if ended else "interrupted"):
            notes.add("problem", "", 0, f"the run is listed as {run.status}")
        _look_for_losses(notes, stored)
        if not ended:
            session.subscribe(_listener(notes, len(stored), until))
            result = session.resume_run(run.id)
            if (result.status, result.text) != ("completed", answer):
                notes.add("problem", "", 0, f"the run ends as {result.status}, with {result.text!r}")
        _judge(notes, session.run_events(run.id), len(stored))
        if self.look is not None:
            self.look(session, folder)
        session.close()

    def _model(self, notes: _Notes) -> ChatModel:
        return _Watched(ConversationScript(self.script), notes)


@dataclass(slots=True)
class _Attempt:
    """One run that was killed, or was to be."""

    killed: bool = False
    problems: list[str] = field(default_factory=list[str])
    counts: Counter[str] = field(default_factory=Counter[str])


def _rehearse(play: _Play) -> tuple[int, str]:
    """How many events the run has when nobody kills it, and its answer."""
    with _stage() as (folder, notes):
        ending = _in_fork(lambda: play.begin(notes, folder, None), notes, play.seconds)
        events = sum(1 for _ in notes.read("event"))
        for status, answer in notes.read("ended"):
            if status == "completed":
                return events, answer
            ending = f"it ended as {status}"
        said = [text for _, _, text in notes.read("problem")]
    raise UsageError(f"the run does not complete without a crash: {'; '.join((ending, *said))}")


def _attempt(play: _Play, place: int, crashes: int, answer: str) -> _Attempt:
    """Kill one run after its event number `place`, and look at what comes of it."""
    attempt = _Attempt()
    chance = random.Random(place)  # noqa: S311 - the same places each time
    with _stage() as (folder, notes):
        ending = _in_fork(lambda: play.begin(notes, folder, place + 1), notes, play.seconds)
        if ending == "ended":
            return attempt  # this time it had fewer events
        attempt.killed = ending == "killed"
        for crash in range(crashes if attempt.killed else 0):
            until = None if crash == crashes - 1 else chance.choice(NEXT_CRASHES)
            ending = _in_fork(partial(play.go_on, notes, folder, until, answer), notes, play.seconds)
            if ending != "killed":
                break
        if ending != "ended":
            notes.add("problem", "", 0, "a process " + ending)
        kinds = [event["type"] for _, event in notes.read("event")]
        where = f"killed after event {place} ({kinds[place] if place < len(kinds) else 'none'})"
        for kind, count, text in notes.read("problem"):
            attempt.counts[kind] += count
            attempt.problems.append(f"{where}: {text}")
    return attempt


@contextmanager
def _stage() -> Iterator[tuple[Path, _Notes]]:
    """A folder for a run, and the notes on it; gone at the end, though what a killed process started may write on."""
    with tempfile.TemporaryDirectory(prefix="a3s-crash-", ignore_cleanup_errors=True) as root:
        folder = Path(root, "run")
        folder.mkdir()
        yield folder, _Notes(Path(root, "notes"))


def _listener(notes: _Notes, first: int, until: int | None) -> Callable[[AgentEvent], None]:
    """Writes down each event, and kills the process after `until` of them."""
    heard = 0

    def hear(event: AgentEvent) -> None:
        nonlocal heard
        notes.add("event", first + heard, event.to_dict())
        heard += 1
        if heard == until:
            os.kill(os.getpid(), signal.SIGKILL)

    return hear


def _look_for_losses(notes: _Notes, stored: Sequence[RunEventRecord]) -> None:
    """Note the events that were heard of and are not there as they were."""
    there = {record.sequence: _plain(record.event.to_dict()) for record in stored}
    for sequence, event in notes.read("event"):
        if sequence not in there:
            notes.add("problem", "lost", 1, f"event {sequence} ({event['type']}) is lost")
        elif there[sequence] != _plain(event):
            notes.add("problem", "lost", 1, f"event {sequence} ({event['type']}) is not what it was")


def _judge(notes: _Notes, records: Sequence[RunEventRecord], resumed_at: int) -> None:
    """Note what the events of the ended run, resumed last at its event `resumed_at`, tell of mistakes."""
    if [record.sequence for record in records] != list(range(len(records))):
        notes.add("problem", "", 0, "the sequence of the events has a gap")
    begun: Counter[str] = Counter()
    finished: Counter[str] = Counter()
    over: set[str] = set()
    asked: set[str] = set()
    for record in records:
        match record.event:
            case ToolStart(id=call_id, name=name, origin="model"):
                begun[call_id] += 1
                if call_id in over:
                    notes.add("problem", "repeated", 1, f"{name} {call_id} is made again")
            case ToolEnd(id=call_id, error_kind=kind) if call_id in begun:
                finished[call_id] += 1
                # What waited for a person when the process died has not been made, and so may be.
                if kind != "interrupted" or call_id not in asked:
                    over.add(call_id)
            case ConfirmationRequired(tool_id=call_id):
                asked.add(call_id)
            case ConfirmationReceived(tool_id=call_id) | ConfirmationTimeout(tool_id=call_id):
                asked.discard(call_id)
            case _:
                pass
    for call_id in begun.keys() | finished.keys():
        if begun[call_id] != finished[call_id]:
            notes.add("problem", "", 0, f"{call_id} begins {begun[call_id]} times and ends {finished[call_id]} times")


def _plain(event: Mapping[str, Any]) -> str:
    return json.dumps(event, sort_keys=True, default=str)


def _in_fork(work: Callable[[], None], notes: _Notes, seconds: float) -> str:
    """Do the work in a forked process; gives how that came to its end, "killed" and "ended" being what is wanted."""
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Threads of this process may hold locks that nobody frees in the fork; the library begins its own anew there.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - a fork must not go on with the work of the process it is of
            notes.add("problem", "", 0, describe(error))
        finally:
            os._exit(1)
    return _watch(pid, seconds)


def _watch(pid: int, seconds: float) -> str:
    """Wait for the process, but not longer than `seconds`."""
    end = time.monotonic() + seconds
    over = status = 0
    try:
        while not over and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
            over, status = os.waitpid(pid, os.WNOHANG)
    finally:
        if not over:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if not over:
        return f"did not come to its end within {seconds:g} s"
    return {0: "ended", -signal.SIGKILL: "killed"}.get(code, f"ended with {code}")
