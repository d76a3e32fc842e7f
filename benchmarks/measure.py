"""The clocks: processor time of this process, memory, children, and two contestants taken by turns."""

from __future__ import annotations

import atexit
import gc
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Samples:
    """What several rounds gave. `noise` is half the middle range over the middle.

    Of processor times the least is reported: whatever else uses the machine only adds to them. Of the rest the middle.
    """

    values: tuple[float, ...]

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def middle(self) -> float:
        return statistics.median(self.values)

    @property
    def noise(self) -> float:
        if len(self.values) < 4:
            return (max(self.values) - min(self.values)) / 2 / self.middle
        low, _, high = statistics.quantiles(self.values, n=4)
        return (high - low) / 2 / self.middle

    def joined(self, other: Samples) -> Samples:
        """The rounds of both."""
        return Samples(self.values + other.values)


def processor_ms(work: Callable[[], object]) -> float:
    """Processor milliseconds of `work`, of all threads of this process, system time included.

    What is in memory before, the SDKs above all, is put out of the garbage collector's sight: nobody pays for it.
    """
    gc.collect()
    gc.freeze()
    before = time.process_time()
    work()
    return (time.process_time() - before) * 1000


def by_turns(rounds: int, *contestants: Callable[[], float]) -> list[Samples]:
    """Measure contestants alternately, so that what disturbs the machine disturbs all.

    A first round does not count.
    """
    taken = [[measure() for measure in contestants] for _ in range(1 + rounds)][1:]
    return [Samples(tuple(values)) for values in zip(*taken, strict=True)]


@dataclass(frozen=True, slots=True)
class Child:
    """A process that ran to its end: what it printed, how long it took, its processor time."""

    output: str
    wall_ms: float
    processor_ms: float


def child(*arguments: str, given: str = "", compiled: bool = True) -> Child:
    """Run this Python with `arguments` in the project's root, `given` on its standard input.

    With `compiled` the child finds its modules compiled, from its second run on, as it would if they were installed.
    Raises CalledProcessError when it fails.
    """
    before, started = _children_ms(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=_environment() if compiled else None,
        check=True,
        input=given,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Child(done.stdout, (time.perf_counter() - started) * 1000, _children_ms() - before)


def in_child(module: str, function: str, *arguments: Any) -> Any:
    """What `module.function(*arguments)` returns in a fresh process; both sides plain JSON values."""
    code = f"import json, sys; from {module} import {function} as f; print(json.dumps(f(*json.load(sys.stdin))))"
    return json.loads(child("-c", code, given=json.dumps(arguments), compiled=False).output.splitlines()[-1])


@cache
def _environment() -> dict[str, str]:
    """One in which compiled modules are kept, also where this process was told not to write them."""
    environment = dict(os.environ)
    if environment.pop("PYTHONDONTWRITEBYTECODE", None):
        folder = tempfile.mkdtemp(prefix="a3s-benchmarks-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        environment["PYTHONPYCACHEPREFIX"] = folder
    return environment


def _children_ms() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000
