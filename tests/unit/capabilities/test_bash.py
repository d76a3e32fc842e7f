"""bash"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from a3s_code.capabilities.core_tools import Bash
from a3s_code.errors import ArgumentError
from a3s_code.kernel.contracts import Effect
from a3s_code.system.proctree import kill_marked, marked

BASH = Bash()
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


async def test_a_command_runs_in_the_workspace(bench: Any) -> None:
    bench.put("a.txt", "hello\n")
    output = await bench.call(BASH, command="pwd; cat a.txt; echo oops >&2")
    assert output.text == f"{bench.workspace}\nhello\noops\n"
    assert (output.exit_code, output.error_kind, output.metadata["exit_code"]) == (0, None, 0)
    assert "".join(bench.progress) == output.text


async def test_a_failure_tells_its_exit_code_in_the_text(bench: Any) -> None:
    output = await bench.call(BASH, command="printf partly; exit 3")
    assert output.text == "partly\n[exit code 3]"
    assert (output.exit_code, output.error_kind, output.metadata["exit_code"]) == (3, "failed", 3)
    killed = await bench.call(BASH, command="kill -KILL $$")
    assert killed.text == "[exit code 137, SIGKILL]"


async def test_silence_is_said_to_be_silence(bench: Any) -> None:
    assert (await bench.call(BASH, command="true")).text == "(no output)"


async def test_a_timeout_keeps_the_output_so_far(bench: Any) -> None:
    started = time.monotonic()
    output = await bench.call(BASH, command="echo begun; sleep 60; echo never", timeout=200)
    assert time.monotonic() - started < 2.2
    assert (
        output.text == "begun\n[timed out after 200 ms; the command was killed, with every child that could be found]"
    )
    assert (output.exit_code, output.error_kind, output.metadata["exit_code"]) == (124, "timeout", None)


async def test_the_sessions_limit_is_the_upper_limit(bench: Any) -> None:
    bench.timeout_ms = 200
    output = await bench.call(BASH, command="sleep 60", timeout=60_000)
    assert "timed out after 200 ms" in output.text


@on_linux
async def test_a_cancelled_command_is_dead_with_its_children(bench: Any) -> None:
    mark = f"MARK={uuid.uuid4().hex}"
    task = asyncio.create_task(bench.call(BASH, command=f"export {mark}; sleep 300 & setsid sleep 300 & sleep 300"))
    while len(marked(mark)) < 3:
        await asyncio.sleep(0.02)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 2
    assert [pid for pid in marked(mark) if Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"] == []


async def test_a_background_process_is_left_and_told(bench: Any) -> None:
    mark = f"MARK={uuid.uuid4().hex}"
    output = await bench.call(BASH, command=f"export {mark}; sleep 60 & echo started")
    assert output.text == "started\n[a background process goes on; what it prints from here on is lost]"
    kill_marked(mark)


async def test_output_that_is_no_utf8_is_readable(bench: Any) -> None:
    output = await bench.call(BASH, command=r"printf 'caf\xe9 \xc3\xa9\n'")
    assert output.text == "caf\\xe9 é\n"
    output.text.encode()


async def test_there_is_no_input_to_wait_for(bench: Any) -> None:
    assert (await bench.call(BASH, command="read line; echo got:$line")).text == "got:\n"


async def test_the_environment_is_the_one_given(bench: Any) -> None:
    os.environ["A3S_TEST_SECRET"] = "hunter2"
    try:
        output = await bench.call(BASH, command="env")
    finally:
        del os.environ["A3S_TEST_SECRET"]
    assert "hunter2" not in output.text
    assert "PATH=" in output.text


async def test_what_cannot_be_run_is_told(bench: Any) -> None:
    assert (await bench.call(BASH, command="a\0b")).error_kind == "invalid_argument"
    with pytest.raises(ArgumentError, match="text without lone surrogates"):
        BASH.parse({"command": "\ud800"})
    assert (await bench.call(BASH, command="x" * 3_000_000)).text.startswith("the command is too long")
    bench.workspace.rmdir()
    assert (await bench.call(BASH, command="true")).error_kind == "failed"


async def test_only_the_command_that_was_judged_runs(bench: Any) -> None:
    args = BASH.parse({"command": "touch made"})
    context = replace(bench.context(BASH, args), effects=(Effect("exec", "touch other"),))
    output = await BASH.invoke(args, context)
    assert output.error_kind == "permission_denied"
    assert not (bench.workspace / "made").exists()


@pytest.mark.parametrize("source", ["/dev/zero", "/dev/urandom"])
async def test_much_binary_output_does_not_hold_up_the_event_loop(bench: Any, source: str) -> None:
    gaps: list[float] = []

    async def beat() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    beating = asyncio.create_task(beat())
    output = await bench.call(BASH, command=f"head -c 30000000 {source}")
    await asyncio.sleep(0.02)
    beating.cancel()
    assert output.exit_code == 0
    assert output.metadata["omitted_bytes"] >= 25_000_000
    assert max(gaps) < 0.3
