"""What `import a3s_code` takes beyond a Python that imports nothing."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.measure import by_turns, child
from benchmarks.server import ScriptedServer
from benchmarks.sizes import Sizes

HEAVY = ("anthropic", "openai", "mcp", "httpx", "httpx2", "lark", "jsonschema", "yaml", "pydantic")
PACKAGE = "import a3s_code"
NAMES = "from a3s_code import Agent, AsyncAgent, SessionOptions"
MS, MB = 60, 10
TELL = "import sys; names = list(sys.modules); from benchmarks.memory import resident_mb as mb; print(mb(), *names)"


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """Fresh processes by turns with a warm file cache; processor time and memory are the library's minus bare Python's.

    The package loads its names when they are first used, so both are measured: the package, and the names one begins
    with.
    """
    for statement in (PACKAGE, NAMES):
        yield from _figures(statement, sizes.processes)


def _figures(statement: str, processes: int) -> Iterator[Figure]:
    low, high = by_turns(processes, lambda: child("-c", "").processor_ms, lambda: child("-c", statement).processor_ms)
    more = high.least - low.least
    yield Figure(f"{statement}: processor time", "ms", more, low.least, MS, compared=False, noise=high.noise)
    bare_mb, _ = _after("pass")
    mb, modules = _after(statement)
    yield Figure(f"{statement}: memory", "MB", mb - bare_mb, bare_mb, MB, compared=False)
    heavy = sorted(modules.intersection(HEAVY))
    note = f"loaded: {', '.join(heavy)}" if heavy else ""
    gates = statement == PACKAGE
    yield Figure(f"{statement}: heavy modules", "", len(heavy), target=0, gates=gates, note=note)


def _after(statement: str) -> tuple[float, set[str]]:
    mb, *modules = child("-c", f"{statement}\n{TELL}").output.split()
    return float(mb), set(modules)
