"""What a long run sends: beside the conversation itself, and from one request to the next."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from a3s_code import Agent
from benchmarks import subject
from benchmarks.figures import Figure
from benchmarks.server import ScriptedServer
from benchmarks.sizes import Sizes

OF_THE_HISTORY = 1.45


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """A task of 20 results of 1 KB. The floor is the conversation alone, counted once for each request it stands in.

    A request keeps its prefix when it begins with all bytes of the one before, up to the end of its messages: then the
    provider's cache holds.
    """
    turns = sizes.task_turns
    with tempfile.TemporaryDirectory() as folder, Agent.create(subject.configuration(server.url)) as agent:
        workspace = subject.write_notes(Path(folder), turns)
        for wire in subject.WIRES:
            server.seen()
            with agent.session(workspace, model=subject.model(wire, turns), max_tool_rounds=turns) as session:
                session.send(subject.prompt())
            seen = server.seen()
            alone = _conversation(seen.last, turns)
            what = f"bytes sent in {turns} requests, {wire}"
            yield Figure(f"{what}, by the history alone", "", seen.size, alone, OF_THE_HISTORY, gates=True)
            yield Figure(f"{what}, prefixes kept", "", seen.kept, target=turns - 1, at_least=True, gates=True)


def _conversation(last: dict[str, Any], turns: int) -> int:
    messages = [message for message in last["messages"] if message["role"] not in ("system", "developer")]
    sizes = [len(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()) for message in messages]
    return sum(list(accumulate(sizes))[::2][:turns])
