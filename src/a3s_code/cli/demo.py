"""`a3s-code demo`: an agent finds a bug in a small project, fixes it, and proves the fix with the project's tests."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from a3s_code.api.agent import Agent
from a3s_code.api.results import AgentResult
from a3s_code.api.session import AgentSession
from a3s_code.cli.changes import read_folder, unified_diff
from a3s_code.cli.command import Command
from a3s_code.cli.narration import Narration
from a3s_code.cli.scenes import (
    write_diff,
    write_policy,
    write_proof,
    write_row,
    write_sentence,
    write_suite,
    write_title,
)
from a3s_code.cli.screen import Screen, open_screen
from a3s_code.cli.suite import SuiteResult, read_suite
from a3s_code.errors import InvalidOption, ToolError, WorkspaceError
from a3s_code.harness.safety.permissions import PermissionPolicy
from a3s_code.kernel.contracts import Check
from a3s_code.kernel.ports import ChatModel
from a3s_code.providers.replay import ReplayModel

PROJECT = Path(__file__).parent / "demo_project"
RECORDING = Path(__file__).parent / "demo_recording.json"
PACE = 0.025

OFFLINE = 'default_model = "replay/demo"'
RECORDED = "The model's replies come from a recording; everything else is real: tools run, files change, tests run."
LIVE = "A live model answers, and everything is real: tools run, files change, tests run."

TESTS = "python3 -m unittest -q"
CHECK = Check(TESTS, id="tests", description="The project's own tests pass")
POLICY = PermissionPolicy(
    allow=["read", "grep", "glob", "ls", "edit(rooms/**)", "bash(python3 -m unittest *)"],
    default_decision="deny",
)
TASK = (
    "The board shows room Blue as free from 10:30 on, but the workshop there lasts until 12:00. Find the cause and fix"
    f" it in rooms/. Leave the tests as they are; `{TESTS}` runs them."
)
MOST_TURNS = 30
LONGEST_CALL_MS = 60_000


def play(folder: Path, recording: Path = RECORDING) -> ChatModel:
    """The model that answers as the recording did, in the project at `folder`.

    Only the order of the calls must be as recorded: what they show differs a little between versions of Python.
    """
    return ReplayModel(recording, match="turn", workspace=folder)


@dataclass(frozen=True, slots=True)
class Demo:
    """What one demonstration is made of.

    `model` makes the model that answers in a folder; None asks the default model of the configuration. `source` is that
    configuration, as Agent.create() takes it.
    """

    source: str | Path | None = OFFLINE
    model: Callable[[Path], ChatModel] | None = play
    project: Path = PROJECT
    keep: bool = False

    @property
    def live(self) -> bool:
        return self.model is None


def run_demo(demo: Demo, screen: Screen) -> int:
    """Show the demo. 0 if the tests failed before, pass after, and the run is verified; else 1. Raises A3SError."""
    with Agent.create(demo.source) as agent, copied_project(demo) as folder:
        speaker = (agent.config.default_model or "the configured model") if demo.live else "the recording"
        with agent.session(
            folder,
            model=demo.model(folder) if demo.model else None,
            permission_policy=POLICY,
            checks=[CHECK],
            max_tool_rounds=MOST_TURNS,
            tool_timeout_ms=LONGEST_CALL_MS,
        ) as session:
            write_opening(screen, demo, folder)
            original = read_folder(folder)
            before = run_suite(session, screen)
            if before.passed:
                screen.write(("\n", "plain"))
                write_sentence(screen, "There is nothing to fix: the tests pass from the start.", "bad")
                return 1
            write_title(screen, "The agent at work", f"live: {speaker}" if demo.live else "recorded replies")
            result = follow(session, screen, speaker, pace=0.0 if demo.live else PACE)
            write_title(screen, "The change")
            write_diff(screen, unified_diff(original, read_folder(folder)))
            code = write_end(screen, demo, before, result)
            if demo.keep:
                screen.write((f"The project is kept in {folder}\n", "plain"))
            return code


def write_opening(screen: Screen, demo: Demo, folder: Path) -> None:
    """What is real, what the task is, what the agent may do."""
    write_sentence(screen, LIVE if demo.live else RECORDED, "strong")
    write_title(screen, "The task")
    write_row(screen, "project", f"rooms, the bookings of meeting rooms, copied to {folder}")
    write_row(screen, "request", TASK)
    write_title(screen, "What the agent may do")
    write_policy(screen, POLICY, [CHECK])
    write_title(screen, "Before")


def run_suite(session: AgentSession, screen: Screen) -> SuiteResult:
    """Run the project's tests through the session. Raises ToolError where they cannot be run."""
    screen.wait(TESTS)
    result = session.bash(command=TESTS)
    suite = read_suite(result.output, result.exit_code)
    if not suite.passed and not suite.failed:
        said = result.output.strip().splitlines() or ["no output"]
        raise ToolError(
            f"the project's tests could not be run with `{TESTS}`: {said[-1]}",
            result=result,
            hint="the demo needs python3, 3.8 or newer, on the PATH",
        )
    write_suite(screen, "tests", suite, TESTS)
    return suite


def follow(session: AgentSession, screen: Screen, speaker: str, *, pace: float) -> AgentResult:
    """Give the task and tell the run while it happens."""
    narration = Narration(screen, session.workspace, speaker, pace=pace)
    with session.stream(TASK) as stream:
        for event in stream:
            narration.tell(event)
        return stream.result()


def write_end(screen: Screen, demo: Demo, before: SuiteResult, result: AgentResult) -> int:
    """The proof, and the exit code it is worth."""
    report = next((item for item in result.verification.reports if item.id == CHECK.id), None)
    after = read_suite(report.output, report.exit_code) if report else SuiteResult(None, (), None)
    write_title(screen, "The proof")
    write_proof(screen, before, after, result, live=demo.live)
    proved = before.failed and after.passed and result.verdict == "verified"
    screen.write(("\n", "plain"))
    if proved:
        write_sentence(screen, "The tests failed, the agent fixed the cause, and the tests pass.", "strong")
    else:
        why = "the tests still fail" if after.failed else f"the verdict is {result.verdict}"
        write_sentence(screen, f"There is no proof of a fix: {why}.", "bad")
    return 0 if proved else 1


@contextmanager
def copied_project(demo: Demo) -> Iterator[Path]:
    """A copy of the project to work on, removed at the end unless it is to be kept. Raises WorkspaceError."""
    try:
        parent = Path(tempfile.mkdtemp(prefix="a3s-code-demo-")).resolve()
    except OSError as error:
        raise WorkspaceError(
            f"no folder for the demo: {error}", hint="point TMPDIR at a folder you may write to"
        ) from error
    try:
        folder = parent / "rooms"
        for name, content in read_folder(demo.project).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield folder
    finally:
        if not demo.keep:
            shutil.rmtree(parent, ignore_errors=True)


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--live", action="store_true", help="ask the configured model instead of playing the recording")
    parser.add_argument("--config", metavar="PATH", type=Path, help="with --live: the .acl file to use")
    parser.add_argument("--keep", action="store_true", help="keep the project that the agent worked on")
    parser.add_argument("--plain", action="store_true", help="plain lines, as for a pipe")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.config is not None and not arguments.live:
        raise InvalidOption("--config was given without --live", field="config", hint="the recording needs none")
    demo = Demo(arguments.config, None, keep=arguments.keep) if arguments.live else Demo(keep=arguments.keep)
    with open_screen(plain=arguments.plain) as screen:
        return run_demo(demo, screen)


COMMAND = Command("demo", "Watch an agent find a bug, fix it, and prove the fix.", _declare, _run)
