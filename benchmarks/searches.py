"""grep over many files, with ripgrep and without, beside ripgrep itself."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from a3s_code import Agent, AgentSession
from a3s_code.capabilities.core_tools import Grep
from a3s_code.system.ripgrep import find_ripgrep
from benchmarks import subject
from benchmarks.figures import Figure
from benchmarks.measure import by_turns
from benchmarks.server import ScriptedServer
from benchmarks.sizes import Sizes

BY_RIPGREP = 1.2
BY_PYTHON = 5
WHOLE = 20_000
FILE_BYTES = 10_000
RARE = 500
WORD = "needle"
PATTERNS = {"a word": WORD, "a whole word": rf"\b{WORD}\b", "one of two words": f"{WORD}|haystack"}


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """Wall time of the direct call `session.grep()` for what one file of 500 holds; the file cache is warm.

    The floor is `rg --line-number` as a process of its own, its output read. Without ripgrep nothing is measured. Only
    the whole size gates: with fewer files the start of the process is all there is.
    """
    program = find_ripgrep()
    if program is None:
        return
    with tempfile.TemporaryDirectory() as folder, Agent.create(subject.configuration(server.url)) as agent:
        _write(Path(folder), sizes.files)
        with agent.session(folder) as fast, agent.session(folder, tools=[Grep(lambda: None)]) as slow:
            for what, pattern in PATTERNS.items():
                floor = partial(_bare, program, folder, pattern)
                low, high, highest = by_turns(
                    sizes.searches, floor, partial(_ours, fast, pattern), partial(_ours, slow, pattern)
                )
                for engine, ours, target in (("by ripgrep", high, BY_RIPGREP), ("in Python", highest, BY_PYTHON)):
                    yield Figure(
                        f"grep for {what} over {sizes.files:,} files of 10 KB, {engine}",
                        "ms",
                        ours.middle,
                        low.middle,
                        target,
                        gates=sizes.files >= WHOLE and pattern == WORD,
                        noise=max(low.noise, ours.noise),
                    )


def _write(folder: Path, count: int) -> None:
    line = "the quick brown fox jumps over the lazy dog, and nobody looks for it here\n"
    text = line * (FILE_BYTES // len(line))
    for index in range(count):
        place = folder / f"d{index // 100:03d}"
        place.mkdir(exist_ok=True)
        (place / f"f{index:05d}.txt").write_text(text + (f"a {WORD} at last\n" if index % RARE == 0 else ""))


def _bare(program: str, folder: str, pattern: str) -> float:
    started = time.perf_counter()
    subprocess.run([program, "--line-number", pattern, folder], check=True, stdout=subprocess.PIPE)
    return (time.perf_counter() - started) * 1000


def _ours(session: AgentSession, pattern: str) -> float:
    started = time.perf_counter()
    result = session.grep(pattern)
    assert result.ok
    assert WORD in result.output
    return (time.perf_counter() - started) * 1000
