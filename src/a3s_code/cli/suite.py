"""What a run of a unittest suite showed, read from its output."""

from __future__ import annotations

import re
from dataclasses import dataclass

_COUNT = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)
_FAULT = re.compile(r"^(?:FAIL|ERROR): ([\w.]+) \(([\w.]+)\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FailingTest:
    """A test that failed or raised: its name, and the dotted path it was found at."""

    name: str
    place: str


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """How many tests ran, and which did not pass. `ran` is None where the output is that of no suite."""

    ran: int | None
    failing: tuple[FailingTest, ...]
    exit_code: int | None

    @property
    def passed(self) -> bool:
        return self.exit_code == 0 and bool(self.ran) and not self.failing

    @property
    def failed(self) -> bool:
        """Whether tests ran and some of them failed; false too for a suite that could not be run."""
        return self.exit_code != 0 and bool(self.ran) and bool(self.failing)

    def __str__(self) -> str:
        if self.ran is None:
            return "the tests did not run"
        if self.failing:
            return f"{len(self.failing)} of {self.ran} tests fail"
        return f"{self.ran} tests pass" if self.passed else f"{self.ran} tests ran, exit code {self.exit_code}"


def read_suite(output: str, exit_code: int | None) -> SuiteResult:
    """The result of `python3 -m unittest` by its output and exit code."""
    count = _COUNT.search(output)
    failing = {FailingTest(name, _module(place, name)): None for name, place in _FAULT.findall(output)}
    return SuiteResult(int(count[1]) if count else None, tuple(failing), exit_code)


def _module(place: str, name: str) -> str:
    """`place` without the test's name, which newer versions of unittest append."""
    return place.removesuffix(f".{name}")
