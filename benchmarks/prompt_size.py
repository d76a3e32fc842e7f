"""The size of what is sent before anybody has said a word: system text and tools of a default session."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import Any

from a3s_code import Agent
from benchmarks import subject
from benchmarks.figures import Figure
from benchmarks.server import ScriptedServer
from benchmarks.sizes import Sizes

BYTES = 5_000


def measure(server: ScriptedServer, sizes: Sizes) -> Iterator[Figure]:
    """Bytes of compact JSON in the first request of a session without options, in an empty workspace."""
    with tempfile.TemporaryDirectory() as folder, Agent.create(subject.configuration(server.url)) as agent:
        for wire in subject.WIRES:
            server.seen()
            with agent.session(folder, model=subject.model(wire, 1)) as session:
                session.send(subject.prompt())
            body = server.seen().first
            system, tools = _size(_system(body)), _size(body.get("tools", []))
            note = f"system {system:,}, {len(body.get('tools', []))} tools {tools:,}"
            yield Figure(f"system and tools, {wire}", "bytes", system + tools, target=BYTES, gates=True, note=note)


def _system(body: dict[str, Any]) -> Any:
    return (
        [body["system"]] if "system" in body else [m for m in body["messages"] if m["role"] in ("system", "developer")]
    )


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
