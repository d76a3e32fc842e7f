"""What a line gives: figures, and how they are shown."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("a3s-code", "openai", "anthropic", "httpx", "httpx2", "pydantic")
HEADS = ("what", "floor", "ours", "ratio", "target", "noise", "")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing.

    With a floor that is compared, ours / floor is held against the target, else ours itself. `gates`: a miss fails the
    run; only ratios and counts gate, since times and speeds belong to the machine.
    """

    what: str
    unit: str
    ours: float
    floor: float | None = None
    target: float | None = None
    compared: bool = True
    at_least: bool = False
    gates: bool = False
    noise: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.floor if self.floor and self.compared else None

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        judged = self.ours if self.ratio is None else self.ratio
        return judged >= self.target if self.at_least else judged <= self.target

    @property
    def failed(self) -> bool:
        return self.gates and self.ok is False

    def cells(self) -> tuple[str, ...]:
        """The figure as a row below HEADS."""
        sign = ">=" if self.at_least else "<="
        times = "" if self.ratio is None else "x"
        word = {None: "", True: "ok", False: "MISS" if self.gates else "over" if not self.at_least else "under"}[
            self.ok
        ]
        return (
            f"{self.what}, {self.unit}" if self.unit else self.what,
            "-" if self.floor is None else _number(self.floor),
            _number(self.ours),
            "-" if self.ratio is None else f"{self.ratio:.2f}x",
            "-" if self.target is None else f"{sign} {_number(self.target)}{times}",
            "" if self.noise is None else f"±{self.noise:.0%}",
            word,
        )


def machine() -> dict[str, str]:
    """The facts without which the times mean nothing."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": f"{_processor()}, {len(_usable())} usable{load}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    }


def as_text(figures: Sequence[Figure]) -> str:
    """A table for a terminal."""
    rows = [HEADS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    lines = [
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    lines += ["", *(f"{name}: {fact}" for name, fact in machine().items())]
    notes = [f"{figure.what}: {figure.note}" for figure in figures if figure.note]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def as_markdown(figures: Sequence[Figure]) -> str:
    """The table of docs/reference/performance.md."""
    rows = [HEADS, ("---", *["---:"] * (len(HEADS) - 1)), *(figure.cells() for figure in figures)]
    facts = "; ".join(f"{name}: {fact}" for name, fact in machine().items())
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", facts])


def as_json(figures: Sequence[Figure]) -> str:
    """Everything, for a program."""
    rows: list[dict[str, Any]] = [{**asdict(figure), "ratio": figure.ratio, "ok": figure.ok} for figure in figures]
    return json.dumps({"machine": machine(), "figures": rows}, indent=2)


def _number(value: float) -> str:
    if value == int(value) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _usable() -> Sequence[int]:
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else range(os.cpu_count() or 1)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
