"""Measure, print, and fail when a gating ratio or count misses its target."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Iterator, Sequence

from benchmarks import (
    commands,
    configs,
    crowd,
    decisions,
    events,
    first_answer,
    history,
    imports,
    prompt_size,
    searches,
    sessions,
    store,
    turns,
)
from benchmarks.figures import Figure, as_json, as_markdown, as_text
from benchmarks.server import ScriptedServer
from benchmarks.sizes import FULL, QUICK, Sizes

Line = Callable[[ScriptedServer, Sizes], Iterator[Figure]]
LINES: dict[str, Line] = {
    "turns": turns.measure,
    "crowd": crowd.measure,
    "imports": imports.measure,
    "first-answer": first_answer.measure,
    "prompt": prompt_size.measure,
    "history": history.measure,
    "events": events.measure,
    "decisions": decisions.measure,
    "commands": commands.measure,
    "configs": configs.measure,
    "searches": searches.measure,
    "store": store.measure,
    "sessions": sessions.measure,
}


def measure(names: Sequence[str], sizes: Sizes) -> list[Figure]:
    """Measure these lines, one after the other."""
    figures: list[Figure] = []
    try:
        with ScriptedServer() as server:
            for name in names:
                print(f"measuring {name} ...", file=sys.stderr, flush=True)
                figures += LINES[name](server, sizes)
    finally:
        gc.unfreeze()
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. 1 when a gate fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=LINES, help="measure this line; may be repeated")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--markdown", action="store_const", const=as_markdown, dest="show", default=as_text)
    shape.add_argument("--json", action="store_const", const=as_json, dest="show")
    given = parser.parse_args(arguments)
    figures = measure(given.only or list(LINES), QUICK if given.quick else FULL)
    print(given.show(figures))
    failed = [figure.what for figure in figures if figure.failed]
    if failed:
        print(f"missed: {'; '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
