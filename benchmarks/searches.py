"""grep over many files, beside ripgrep itself."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from a3s_code import Agent, AgentSession
from a3s_code.system.ripgrep import find_ripgrep
from benchmarks import subject
from benchmarks.figures import Figure
from benchmarks.measure import by_turns
from benchmarks.server import ScriptedServer
from benchmarks.sizes import Sizes

OF_RIPGREP = 1.2
WHOLE = 20_000
FILE_BYTES = 10_000
RARE = 500
WORD = "needle"


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """Wall time of the direct call `session.grep()` for a word that one file of 500 holds; the file cache is warm.

    The floor is `rg --line-number` as a process of its own, its output read. Without ripgrep nothing is measured. Only
    the whole size gates: with fewer files the start of the process is all there is.
    """
    program = find_ripgrep()
    if program is None:
        return
    with tempfile.TemporaryDirectory() as folder, Agent.create(subject.configuration(server.url)) as agent:
        _write(Path(folder), sizes.files)
        with agent.session(folder) as session:
            low, high = by_turns(sizes.searches, partial(_bare, program, folder), partial(_ours, session))
    what = f"grep over {sizes.files:,} files of 10 KB, by ripgrep"
    gates = sizes.files >= WHOLE
    noise = max(low.noise, high.noise)
    yield Figure(what, "ms", high.middle, low.middle, OF_RIPGREP, gates=gates, noise=noise)


def _write(folder: Path, count: int) -> None:
    line = "the quick brown fox jumps over the lazy dog, and nobody looks for it here\n"
    text = line * (FILE_BYTES // len(line))
    for index in range(count):
        place = folder / f"d{index // 100:03d}"
        place.mkdir(exist_ok=True)
        (place / f"f{index:05d}.txt").write_text(text + (f"a {WORD} at last\n" if index % RARE == 0 else ""))


def _bare(program: str, folder: str) -> float:
    started = time.perf_counter()
    subprocess.run([program, "--line-number", WORD, folder], check=True, stdout=subprocess.PIPE)
    return (time.perf_counter() - started) * 1000


def _ours(session: AgentSession) -> float:
    started = time.perf_counter()
    result = session.grep(WORD)
    assert result.ok
    assert WORD in result.output
    return (time.perf_counter() - started) * 1000
