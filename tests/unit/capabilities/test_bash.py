"""bash"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from a3s_code.capabilities.core_tools import Bash
from a3s_code.errors import ArgumentError
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.tool import SandboxMode, ToolOutput
from a3s_code.system import sandbox
from a3s_code.system.process import KEEP_BYTES
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
    assert output.text == "begun\n[timed out after 200 ms; the command was killed with its children]"
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


async def run_sandboxed(bench: Any, command: str, *effects: Effect, mode: SandboxMode = "auto") -> ToolOutput:
    args = BASH.parse({"command": command})
    decision = Decision("allow", effects=effects)
    return await BASH.invoke(args, replace(bench.context(BASH, args), sandbox=mode, decision=decision))


def engine_or_skip() -> str:
    support = sandbox.probe()
    if support.engine is None:
        pytest.skip(support.detail)
    return support.engine


async def test_a_sandboxed_command_says_what_was_forbidden_and_by_what(bench: Any) -> None:
    engine = engine_or_skip()
    target = bench.outside / "new"
    output = await run_sandboxed(bench, f"echo x > {target}")
    assert output.text.splitlines()[1] == "[exit code 1]"
    assert output.text.splitlines()[2] == (
        f"[sandbox: writing to {target} was forbidden; a command may write in the workspace, in $TMPDIR, and to"
        ' paths it names that a rule such as write(/path) allows; the host can set sandbox = "off"]'
    )
    assert output.metadata["sandbox"] == engine
    assert not target.exists()


@pytest.mark.parametrize("mode", ["auto", "require"])
async def test_a_sandboxed_command_works_where_it_may(bench: Any, mode: SandboxMode) -> None:
    engine_or_skip()
    target = bench.outside / "new"
    script = f"echo a > here && echo b > $TMPDIR/there && echo c > {target} && cat here $TMPDIR/there {target}"
    output = await run_sandboxed(bench, script, Effect("write", str(target)), mode=mode)
    assert (output.text, output.exit_code) == ("a\nb\nc\n", 0)
    assert (await run_sandboxed(bench, "cat $TMPDIR/there", mode=mode)).text == "b\n"


async def test_without_a_sandbox_nothing_is_forbidden(bench: Any) -> None:
    output = await run_sandboxed(bench, f"echo x > {bench.outside}/new", mode="off")
    assert (output.text, output.metadata["sandbox"]) == ("(no output)", "none")


REQUIRED = """
import asyncio, os, sys
sys.frozen = True
from pathlib import Path
from a3s_code.capabilities.core_tools import Bash
from a3s_code.kernel.contracts import Decision
from a3s_code.kernel.tool import ToolContext
from a3s_code.stores.artifacts import MemoryArtifactStore
bash = Bash()
args = bash.parse({"command": "touch made"})
context = ToolContext(
    Path(sys.argv[1]), "s", None, "c", "model", Decision("allow"), bash.effects(args, Path(sys.argv[1])),
    MemoryArtifactStore(), {}, dict(os.environ), lambda text: None, sandbox="require",
)
output = asyncio.run(bash.invoke(args, context))
print(output.error_kind, output.text)
"""


def test_where_a_sandbox_is_required_and_missing_nothing_runs(bench: Any) -> None:
    """A frozen program cannot start a launcher, and without one there is no sandbox."""
    argv = [sys.executable, "-c", REQUIRED, bench.workspace]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert shown.startswith("unsupported nothing was run: a sandbox is required, and ")
    assert not (bench.workspace / "made").exists()


async def test_five_megabytes_are_kept_whole(bench: Any) -> None:
    output = await bench.call(BASH, command="yes 123456789 | head -c 5000000; echo FAILED; exit 1")
    assert output.text == "123456789\n" * 500_000 + "FAILED\n[exit code 1]"
    assert "omitted_bytes" not in output.metadata


async def test_of_fifty_megabytes_both_ends_are_kept(bench: Any) -> None:
    output = await bench.call(BASH, command="yes 123456789 | head -c 50000000; echo FAILED; exit 1")
    assert output.text.startswith("123456789\n")
    assert output.text.endswith("123456789\nFAILED\n[exit code 1]")
    assert output.metadata["omitted_bytes"] == 50_000_007 - KEEP_BYTES
    assert len(output.text) < KEEP_BYTES + 200


ENDLESS = """
import asyncio, os, sys
from pathlib import Path
from a3s_code.capabilities.core_tools import Bash
from a3s_code.kernel.contracts import Decision
from a3s_code.kernel.tool import ToolContext
from a3s_code.stores.artifacts import MemoryArtifactStore
bash, shown = Bash(), []
def peak():
    # The highest so far, of this program alone: what getrusage tells takes in the process that started it.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
async def run(command, timeout):
    args = bash.parse({"command": command, "timeout": timeout})
    effects = bash.effects(args, Path("/"))
    context = ToolContext(Path("/"), "s", None, "c", "model", Decision("allow"), effects, MemoryArtifactStore(), {},
                          dict(os.environ), shown.append)
    return await bash.invoke(args, context)
async def main():
    await run("echo warm", 5000)
    before = peak()
    output = await run("yes", int(sys.argv[1]))
    print(output.error_kind, output.metadata["omitted_bytes"], (peak() - before) // 1024)
asyncio.run(main())
"""


@on_linux
def test_endless_output_takes_little_memory() -> None:
    milliseconds = max(1000, int(5000 * float(os.environ.get("A3S_TEST_SCALE", "0.1"))))
    argv = [sys.executable, "-c", ENDLESS, str(milliseconds)]
    kind, omitted, grown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    print(f"yes for {milliseconds} ms: {int(omitted) >> 20} MB left out, memory grew by {grown} MB")
    assert kind == "timeout"
    assert int(omitted) > 10_000_000
    assert int(grown) < 50


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
