"""batch"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from a3s_code.capabilities.core_tools import Read, Write
from a3s_code.capabilities.core_tools.batch import Batch
from a3s_code.errors import ArgumentError
from a3s_code.kernel.messages import Observation
from a3s_code.kernel.tool import ToolOutput

TOOL = Batch()


@dataclass
class Desk:
    """Makes the calls of a batch with real tools, and notes when each begins and ends."""

    bench: Any
    delay: float = 0.0
    begun: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0
    beside_change: bool = False

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Observation:
        self.begun.append(name)
        self.running += 1
        self.most = max(self.most, self.running)
        self.beside_change |= self.changes(name, arguments) and self.running > 1
        try:
            await asyncio.sleep(self.delay)
            output = await self._output(name, arguments)
        finally:
            self.running -= 1
        budget = arguments.get("limit", 0)
        reference = self.bench.artifacts.put(name, output.text, 10) if budget else None
        return Observation(
            "id", name, output.text, output.exit_code, output.error_kind, {}, (), reference, output.value
        )

    async def _output(self, name: str, arguments: Mapping[str, Any]) -> ToolOutput:
        tools = {"read": Read(), "write": Write()}
        if name not in tools:
            return ToolOutput.failure(f"there is no tool {name}", "unknown_tool")
        output: ToolOutput = await self.bench.call(tools[name], **arguments)
        return output

    def changes(self, name: str, arguments: Mapping[str, Any]) -> bool:
        return name == "write"

    async def make(self, *calls: tuple[str, dict[str, Any]], **more: Any) -> ToolOutput:
        args = TOOL.parse({"calls": [{"tool": name, "args": arguments} for name, arguments in calls]})
        context = replace(self.bench.context(TOOL, args), call=self.call, changes=self.changes, **more)
        return await TOOL.invoke(args, context)


@pytest.fixture
def desk(bench: Any) -> Desk:
    bench.put("a.txt", "alpha\n")
    bench.put("b.txt", "beta\n")
    return Desk(bench)


def read(name: str) -> tuple[str, dict[str, Any]]:
    return "read", {"file_path": name}


def write(name: str, content: str) -> tuple[str, dict[str, Any]]:
    return "write", {"file_path": name, "content": content}


async def test_results_come_in_the_order_of_the_calls(desk: Desk) -> None:
    output = await desk.make(read("a.txt"), read("b.txt"))
    assert output.text == "[1/2] read a.txt: ok\n     1\talpha\n\n[2/2] read b.txt: ok\n     1\tbeta"
    assert (output.exit_code, output.error_kind) == (0, None)
    rows = [{"tool": "read", "exit_code": 0, "error_kind": None}] * 2
    assert output.metadata == {"calls": rows, "failed": 0}


async def test_reads_run_together_and_writes_alone_in_order(desk: Desk) -> None:
    desk.delay = 0.02
    output = await desk.make(
        read("a.txt"), read("b.txt"), write("a.txt", "new\n"), read("a.txt"), write("b.txt", "newer\n"), read("b.txt")
    )
    assert desk.most == 2
    assert not desk.beside_change
    assert "     1\tnew\n" in output.text
    assert output.text.endswith("     1\tnewer")


async def test_no_more_than_a_few_run_at_once(desk: Desk) -> None:
    desk.delay = 0.01
    await desk.make(*[read("a.txt")] * 32)
    assert (desk.most, len(desk.begun)) == (8, 32)


async def test_a_call_that_fails_is_told_and_stops_no_other(desk: Desk) -> None:
    output = await desk.make(read("no.txt"), ("nothing", {}), read("b.txt"))
    assert (output.exit_code, output.error_kind) == (1, "failed")
    assert "[1/3] read no.txt: failed (not_found)\nno.txt does not exist" in output.text
    assert "[2/3] nothing: failed (unknown_tool)" in output.text
    assert "[3/3] read b.txt: ok" in output.text
    assert output.text.endswith("[2 of 3 calls failed]")
    assert output.metadata["failed"] == 2
    assert [row["error_kind"] for row in output.metadata["calls"]] == ["not_found", "unknown_tool", None]


async def test_a_batch_in_a_batch_is_refused_and_the_rest_is_done(desk: Desk) -> None:
    inner = {"calls": [{"tool": "write", "args": {"file_path": "x.txt", "content": "x"}}]}
    output = await desk.make(("batch", inner), ("Batch ", inner), read("a.txt"))
    assert output.text.count("failed (invalid_argument)\na batch cannot hold a batch") == 2
    assert desk.begun == ["read"]
    assert not (desk.bench.workspace / "x.txt").exists()


async def test_a_cancelled_batch_ends_its_calls(desk: Desk) -> None:
    desk.delay = 30
    task = asyncio.create_task(desk.make(read("a.txt"), read("b.txt"), write("a.txt", "late")))
    while desk.running < 2:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert desk.running == 0
    assert desk.begun == ["read", "read"]


async def test_long_outputs_share_the_room_and_can_be_read_whole(desk: Desk) -> None:
    long = "".join(f"line {number}\n" for number in range(1500))
    for name in ("a.txt", "b.txt"):
        desk.bench.put(name, long)
    desk.bench.put("c.txt", "short\n")
    output = await desk.make(read("a.txt"), read("c.txt"), read("b.txt"))
    assert len(output.text.encode()) < 16_000
    assert "[2/3] read c.txt: ok\n     1\tshort\n" in output.text
    assert output.text.count("bytes left out; the whole output can be read at a3s://") == 2
    assert "[3/3] read b.txt: ok\n     1\tline 0\n" in output.text
    uri = output.text[output.text.index("a3s://") :].split()[0]
    assert "line 1499" in (desk.bench.artifacts.get(uri) or "")


async def test_the_host_gets_all_of_it_and_the_values(desk: Desk) -> None:
    desk.bench.put("a.txt", "x" * 1000 + "\n" + "line\n" * 1900)
    desk.bench.put("b.txt", "line\n" * 1900)
    desk.bench.origin = "host"
    output = await desk.make(read("a.txt"), read("b.txt"))
    assert "left out" not in output.text
    assert output.value[1] == "line\n" * 1900


def test_the_calls_are_told_beforehand_nested_ones_too() -> None:
    inner = {"invocations": [{"name": "bash", "arguments": {"command": "ls"}}, {"tool": 3}, "x"]}
    args = TOOL.parse({"calls": [{"tool": "read", "args": {"file_path": "a"}}, {"tool": "batch", "args": inner}]})
    assert TOOL.calls(args) == (
        ("read", {"file_path": "a"}),
        ("batch", inner),
        ("bash", {"command": "ls"}),
    )
    deep: dict[str, Any] = {"tool": "bash", "args": {"command": "ls"}}
    for _ in range(200):
        deep = {"tool": "batch", "args": {"calls": [deep]}}
    assert TOOL.calls(TOOL.parse({"calls": [deep]}))[-1] == ("bash", {"command": "ls"})
    assert TOOL.effects(args, None) == ()  # type: ignore[arg-type]  # it has none wherever it is


def test_other_spellings_are_taken() -> None:
    args = TOOL.parse({"invocations": [{"name": "ls"}, {"tool": "ls", "input": {"path": "x"}}]})
    assert [(call.tool, call.args) for call in args.calls] == [("ls", {}), ("ls", {"path": "x"})]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "calls"),
        ({"calls": []}, "at least 1"),
        ({"calls": [{"tool": "ls"}] * 33}, "at most 32"),
        ({"calls": [{"args": {}}]}, "calls.0.tool"),
        ({"calls": [{"tool": ""}]}, "calls.0.tool"),
        ({"calls": [{"tool": "ls", "args": "x"}]}, "calls.0.args"),
        ({"calls": "ls"}, "calls: expected array"),
    ],
)
def test_what_is_no_list_of_calls_is_named(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        TOOL.parse(arguments)
