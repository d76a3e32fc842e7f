"""A workspace with a session's memory of its files, where tools are called as the executor calls them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from a3s_code.kernel.contracts import Decision, Origin
from a3s_code.kernel.tool import ToolContext, ToolOutput, ToolPort
from a3s_code.stores.artifacts import MemoryArtifactStore
from a3s_code.system.environment import child_environment


@dataclass
class Bench:
    """One workspace. `outside` is a folder beside it; `progress` is what calls showed while they ran."""

    workspace: Path
    outside: Path
    files: dict[str, str] = field(default_factory=dict)
    artifacts: MemoryArtifactStore = field(default_factory=MemoryArtifactStore)
    progress: list[str] = field(default_factory=list)
    timeout_ms: int | None = None
    origin: Origin = "model"

    def context(self, tool: ToolPort, args: Any) -> ToolContext:
        return ToolContext(
            workspace=self.workspace,
            session_id="session-1",
            run_id="run-1",
            call_id="call-1",
            origin=self.origin,
            decision=Decision("allow"),
            effects=tool.effects(args, self.workspace),
            artifacts=self.artifacts,
            files=self.files,
            environment=child_environment(os.environ),
            progress=self.progress.append,
            timeout_ms=self.timeout_ms,
        )

    async def call(self, tool: ToolPort, **arguments: Any) -> ToolOutput:
        args = tool.parse(arguments)
        return await tool.invoke(args, self.context(tool, args))

    def put(self, name: str, content: str | bytes = "") -> Path:
        file = self.workspace / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    real = tmp_path.resolve()
    (real / "ws").mkdir()
    (real / "outside").mkdir()
    return Bench(real / "ws", real / "outside")
