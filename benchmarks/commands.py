"""What a command costs that does nothing: started by the bash tool, beside a bare start."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from statistics import median

from a3s_code import Agent
from benchmarks.figures import Figure
from benchmarks.server import ScriptedServer
from benchmarks.sizes import Sizes

NOTHING = "true"


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """`bash -c true`, in turn bare, and through a session without and with its sandbox."""
    with tempfile.TemporaryDirectory() as folder, Agent.create("") as agent:
        open_session, confined = agent.session(folder, sandbox="off"), agent.session(folder)

        def bare() -> None:
            subprocess.run(["bash", "-c", NOTHING], cwd=folder, stdin=subprocess.DEVNULL, check=True)

        starts: dict[str, Callable[[], object]] = {
            "bare": bare,
            "launched": lambda: open_session.bash(NOTHING),
            "confined": lambda: confined.bash(NOTHING),
        }
        taken: dict[str, list[float]] = {name: [] for name in starts}
        for _ in range(sizes.processes + 1):
            for name, start in starts.items():
                began = time.perf_counter()
                start()
                taken[name].append((time.perf_counter() - began) * 1000)
        engine = confined.bash(NOTHING).metadata["sandbox"]
    floor = median(taken["bare"][1:])
    yield Figure("a command that does nothing", "ms", median(taken["launched"][1:]), floor)
    yield Figure("the same in a sandbox", "ms", median(taken["confined"][1:]), floor, note=engine)
