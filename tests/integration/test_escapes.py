"""Children that try to outlive their call: none of them does, whatever ends it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from a3s_code.system import process
from a3s_code.system.child import Command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the launcher is for Linux")

REPEATS = max(1, int(10 * float(os.environ.get("A3S_TEST_SCALE", "0.1"))))
DEADLINE = 2.0
ENVIRONMENT = {"PATH": os.environ["PATH"]}

TRACER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
child = os.fork()
if child == 0:
    os.setsid()
    libc.ptrace(0, 0, 0, 0)
    os.execvp("sleep", ["sleep", sys.argv[1]])
os.waitpid(child, 0)
libc.ptrace(7, child, 0, 0)
os.waitpid(child, 0)
"""
THREAD = """
import os, sys, threading
def work():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve("/bin/sleep", ["sleep", sys.argv[1]], {})
        os._exit(0)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
NESTED = """
import asyncio, os, sys
from pathlib import Path
from a3s_code.system.child import Command
from a3s_code.system.process import run
script = f"env -i setsid -f /bin/sleep {sys.argv[1]}; sleep {sys.argv[1]}"
asyncio.run(run(Command(("bash", "-c", script), Path("/"), dict(os.environ), supervised=True)))
"""


@dataclass(frozen=True)
class Kind:
    """`setup` leaves `count` processes behind, each a `sleep $T`."""

    setup: str
    count: int = 1


KINDS = {
    "own session": Kind("setsid sleep $T &"),
    "double fork": Kind("( ( sleep $T & ) & )"),
    "nohup": Kind("nohup sleep $T >/dev/null 2>&1 &"),
    "disown": Kind("sleep $T & disown -a"),
    "own session, empty environment": Kind("env -i setsid -f /bin/sleep $T"),
    "closed pipes": Kind("env -i setsid -f /bin/sleep $T <&- >&- 2>&-; exec >&- 2>&-"),
    "ignored TERM": Kind("trap '' TERM INT HUP; env -i setsid -f /bin/sleep $T"),
    "stopped": Kind("env -i setsid /bin/sleep $T & sleep 0.1; kill -STOP $!"),
    "traced": Kind('setsid "$PYTHON" -c "$TRACER" $T &'),
    "forked from a thread": Kind('"$PYTHON" -c "$THREAD" $T'),
    "coprocess": Kind("coproc env -i setsid /bin/sleep $T"),
    "nested launcher": Kind('"$PYTHON" -c "$NESTED" $T &', count=2),
}

_numbers = itertools.count(random.SystemRandom().randrange(10**8, 9 * 10**8))


@dataclass(frozen=True)
class Attempt:
    kind: str
    token: str
    stays: bool

    @property
    def command(self) -> Command:
        end = "sleep $T" if self.stays else "true"
        variables = {"T": self.token, "PYTHON": sys.executable, "TRACER": TRACER, "THREAD": THREAD, "NESTED": NESTED}
        return Command(
            ("bash", "-c", f"{KINDS[self.kind].setup}\n{end}"),
            Path("/"),
            {**ENVIRONMENT, **variables},
            supervised=True,
            owner=self.token,
        )

    @property
    def ready(self) -> bool:
        return len(sleeping(self.token)) >= KINDS[self.kind].count + self.stays


def attempts(*, stays: bool) -> list[Attempt]:
    return [Attempt(kind, f"1000.{next(_numbers)}", stays) for kind in KINDS]


def arguments() -> list[list[str]]:
    """What each living process was started with; one that only waits to be reaped is dead."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(folder.joinpath("cmdline").read_bytes().decode("utf-8", "replace").split("\0"))
        except OSError:
            continue
    return found


def sleeping(token: str) -> list[list[str]]:
    return [words for words in arguments() if words[0].endswith("sleep") and token in words]


def alive(tried: Sequence[Attempt]) -> int:
    """How many processes have one of the tokens in their arguments, 2 seconds from now or as soon as none has."""
    deadline = time.monotonic() + DEADLINE
    while True:
        living = arguments()
        count = sum(any(attempt.token in word for word in words) for words in living for attempt in tried)
        if not count or time.monotonic() > deadline:
            return count
        time.sleep(0.05)


def report(name: str, tried: int, left: int) -> None:
    print(f"{name}: {len(KINDS)} kinds, {tried} tried, {left} alive after {DEADLINE:g} s")
    assert left == 0


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.05)


async def test_nothing_outlives_a_cancelled_call() -> None:
    tried = left = 0
    for _ in range(REPEATS):
        batch = attempts(stays=True)
        tasks = [asyncio.create_task(process.run(attempt.command)) for attempt in batch]
        await until(lambda batch=batch: all(attempt.ready for attempt in batch))
        for task in tasks:
            task.cancel()
        left += await asyncio.to_thread(alive, batch)
        ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 1)
        assert all(isinstance(item, asyncio.CancelledError) for item in ended)
        tried += len(batch)
    report("cancelled", tried, left)


async def test_nothing_outlives_a_call_past_its_timeout() -> None:
    tried = left = 0
    for _ in range(REPEATS):
        batch = attempts(stays=True)
        tasks = [asyncio.create_task(process.run(attempt.command, timeout_ms=4000)) for attempt in batch]
        started = time.monotonic()
        await until(lambda batch=batch: all(attempt.ready for attempt in batch), 4)
        await asyncio.sleep(started + 4 - time.monotonic())
        left += await asyncio.to_thread(alive, batch)
        ended = await asyncio.wait_for(asyncio.gather(*tasks), 1)
        assert all(item.timed_out for item in ended)
        tried += len(batch)
    report("timed out", tried, left)


HOST = textwrap.dedent("""
    import asyncio, json, os, sys
    from pathlib import Path
    from a3s_code.system.child import Command
    from a3s_code.system.process import run

    def command(script, environment, owner):
        return Command(("bash", "-c", script), Path("/"), environment, supervised=True, owner=owner)

    async def main():
        calls = [run(command(*item)) for item in json.load(sys.stdin)]
        await asyncio.gather(*calls)
        print("ended", flush=True)
        if sys.argv[1] == "wait":
            await asyncio.sleep(1000)

    asyncio.run(main())
""")


def start_host(batch: Sequence[Attempt], end: str, folder: Path) -> subprocess.Popen[str]:
    script = folder / "host.py"
    script.write_text(HOST)
    request = folder / "request.json"
    # Not in its arguments: there the host itself would be taken for what a command left.
    commands = [(item.command.argv[2], dict(item.command.environment), item.token) for item in batch]
    request.write_text(json.dumps(commands))
    with request.open() as file:
        return subprocess.Popen([sys.executable, str(script), end], stdin=file, stdout=subprocess.PIPE, text=True)


async def test_nothing_outlives_a_host_that_is_killed(tmp_path: Path) -> None:
    tried = left = 0
    for _ in range(REPEATS):
        batch = attempts(stays=True)
        with start_host(batch, "wait", tmp_path) as host:
            await until(lambda batch=batch: all(attempt.ready for attempt in batch))
            host.kill()
            left += await asyncio.to_thread(alive, batch)
        tried += len(batch)
    report("host killed", tried, left)


@pytest.mark.parametrize("end", ["killed", "exited"])
async def test_what_ended_calls_left_does_not_outlive_the_host(end: str, tmp_path: Path) -> None:
    tried = left = 0
    for _ in range(REPEATS):
        batch = attempts(stays=False)
        with start_host(batch, "wait" if end == "killed" else "exit", tmp_path) as host:
            assert host.stdout is not None
            line = await asyncio.to_thread(host.stdout.readline)
            assert line == "ended\n"
            if end == "killed":
                await until(lambda batch=batch: all(attempt.ready for attempt in batch))
                host.kill()
            left += await asyncio.to_thread(alive, batch)
        tried += len(batch)
    report(f"background, host {end}", tried, left)


async def test_what_ended_calls_left_goes_on_until_its_owner_ends() -> None:
    tried = left = 0
    for _ in range(REPEATS):
        batch = attempts(stays=False)
        done = await asyncio.gather(*(process.run(attempt.command) for attempt in batch))
        assert all(item.detached and item.exit_code == 0 for item in done)
        await until(lambda batch=batch: all(attempt.ready for attempt in batch))
        for attempt in batch[1:]:
            await asyncio.to_thread(process.end_all, attempt.token)
        left += alive(batch[1:])
        assert batch[0].ready, "what belongs to another owner goes on"
        process.end_all()
        left += alive(batch)
        tried += len(batch)
    report("background, owner ended", tried, left)
