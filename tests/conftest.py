"""Over the whole suite: every tool that was invoked in this process had a decision that allowed it, and the reverse."""

from __future__ import annotations

import re
import sys
import threading
from collections import Counter
from typing import Any

import pytest


class Audit:
    """Counts decisions and invocations by call, as the library reports them to sys.audit."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.invoked = 0
        self.unmatched: Counter[tuple[str, str]] = Counter()
        self.acted_undecided: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def hear(self, event: str, details: tuple[Any, ...]) -> None:
        if event == "a3s_code.decision":
            call, tool, outcome = details
            with self._lock:
                self.outcomes[outcome] += 1
                self.unmatched[call, tool] += outcome == "allow"
        elif event == "a3s_code.invocation":
            with self._lock:
                self.invoked += 1
                self.unmatched[details] -= 1
                if self.unmatched[details] < 0:
                    self.acted_undecided.append(details)

    @property
    def balanced(self) -> bool:
        return not self.acted_undecided and not any(self.unmatched.values())


COUNT = re.compile(
    r"\d.*\b(?:tried|lost|missed|alive|wrong|apart|failed|laxer|stricter|unsafe|right answers|escaped"
    r"|injected|survived|hung|refused)\b"
)
"""What a test prints of how often it tried something is shown at the end, also where it passed."""


class Requests:
    """Judges every request that a session makes of its model by the rules of both wire formats."""

    def __init__(self) -> None:
        self.judged = 0
        self.refused: list[str] = []
        self._judging = threading.local()

    def hear(self, event: str, details: tuple[Any, ...]) -> None:
        if event != "a3s_code.model_call" or getattr(self._judging, "now", False):
            return
        self._judging.now = True
        try:
            from a3s_code.testing.validation import prompt_violations

            self.judged += 1
            self.refused += [f"{details[0]}: {flaw}" for flaw in prompt_violations(details[1])]
        finally:
            self._judging.now = False


AUDIT = Audit()
REQUESTS = Requests()
sys.addaudithook(AUDIT.hear)
sys.addaudithook(REQUESTS.hear)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("passed", []):
        for line in report.capstdout.splitlines():
            if COUNT.search(line):
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {line}")
    refused = sum(AUDIT.outcomes.values()) - AUDIT.outcomes["allow"]
    terminalreporter.write_line(
        f"decisions: {sum(AUDIT.outcomes.values())}; refused: {refused}; allowed: {AUDIT.outcomes['allow']};"
        f" tools invoked: {AUDIT.invoked}; invoked without a decision: {len(AUDIT.acted_undecided)}"
    )
    terminalreporter.write_line(
        f"model requests: {REQUESTS.judged} judged by the rules of both wire formats, {len(REQUESTS.refused)} refused"
    )
    for flaw in REQUESTS.refused[:20]:
        terminalreporter.write_line(f"  {flaw}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and not AUDIT.balanced:
        open_ones = [key for key, count in AUDIT.unmatched.items() if count]
        print(f"decisions and executions differ: {AUDIT.acted_undecided or open_ones}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if exitstatus == pytest.ExitCode.OK and REQUESTS.refused:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
