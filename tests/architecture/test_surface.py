"""The public names, the depth of the stack, and the event page."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import a3s_code
from a3s_code import AsyncAgent, tool
from a3s_code.events import EVENT_TYPES
from a3s_code.kernel.messages import Delta, Reply, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.testing import LoopbackServer, ScriptedModel

ROOT = Path(__file__).parents[2]
PACKAGE = str(Path(a3s_code.__file__).parent)
NAMES = """
A3SError Agent AgentEvent AgentResult AgentSession ArgumentError AsyncAgent AsyncAgentSession Capability Check
ConfigError ConfirmationPolicy DefaultSecurityProvider FileSessionStore Harness HarnessError Hook MemorySessionStore
ModelError PermissionPolicy SessionBusy SessionOptions Tool ToolError ToolResult UsageError tool
""".split()


def test_the_public_names_are_these() -> None:
    assert sorted(a3s_code.__all__) == sorted(NAMES)
    assert all(getattr(a3s_code, name) is not None for name in NAMES)


def test_every_event_stands_on_the_reference_page() -> None:
    page = (ROOT / "docs" / "reference" / "events.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(EVENT_TYPES) - {"unknown"}


def frames_of_ours() -> int:
    """How many frames of the package stand above the caller."""
    count, frame = 0, sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        count += frame.f_code.co_filename.startswith(PACKAGE)
    return count


async def test_at_most_six_frames_stand_above_a_tool_body(tmp_path: Path) -> None:
    depths: list[int] = []

    @tool(effects=())
    async def measure() -> str:
        """Look up."""
        depths.append(frames_of_ours())
        return "ok"

    alone = [ToolCall("1", "measure", {})]
    together = [ToolCall("2", "measure", {}), ToolCall("3", "measure", {})]
    async with AsyncAgent.create("") as agent:
        await agent.session(
            tmp_path,
            model=ScriptedModel([alone, together, "done"]),
            tools=[measure],
            duplicate_tool_call_threshold=None,
        ).send("go")
    assert len(depths) == 3
    assert max(depths) <= 6


async def test_at_most_six_frames_stand_above_a_provider_call(tmp_path: Path) -> None:
    depths: list[int] = []

    class Measuring:
        name = "measuring/model"

        async def stream(self, prompt: Prompt) -> AsyncIterator[Delta | Reply]:
            depths.append(frames_of_ours())
            async for item in ScriptedModel(["done"]).stream(prompt):
                yield item

    async with AsyncAgent.create("") as agent:
        await agent.session(tmp_path, model=Measuring()).send("go")
    assert depths
    assert max(depths) <= 6


async def test_a_session_without_rules_makes_no_connection_but_to_its_model(tmp_path: Path) -> None:
    connections: list[Any] = []
    sys.addaudithook(lambda name, args: connections.append(args[1]) if name == "socket.connect" else None)
    with LoopbackServer([[ToolCall("1", "ls", {})], "done"]) as server:
        acl = f'default_model = "llamacpp/m"\nproviders "llamacpp" {{ base_url = "{server.base_url}" }}'
        async with AsyncAgent.create(acl) as agent:
            await agent.session(tmp_path).send("go")
        port = int(server.base_url.rsplit(":", 1)[1].split("/")[0])
    assert {address for address in connections if isinstance(address, tuple)} == {("127.0.0.1", port)}
