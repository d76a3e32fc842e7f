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
    r"\d.*\b(?:tried|lost|missed|alive|wrong|apart|failed|laxer|stricter|unsafe|right answers|escaped)\b"
)
"""What a test prints of how often it tried something is shown at the end, also where it passed."""

AUDIT = Audit()
sys.addaudithook(AUDIT.hear)


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


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and not AUDIT.balanced:
        open_ones = [key for key, count in AUDIT.unmatched.items() if count]
        print(f"decisions and executions differ: {AUDIT.acted_undecided or open_ones}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
