"""Programs run, streamed, bounded, and dead when given up."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from a3s_code.system import process
from a3s_code.system.bubblewrap import find_bubblewrap
from a3s_code.system.child import Child, Command, Interrupt
from a3s_code.system.proctree import descendants, kill_marked, kill_session, marked

ENVIRONMENT = {"PATH": os.environ["PATH"]}
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


class Shell(Protocol):
    def __call__(self, command: str, *, stdin: bytes = b"", merge: bool = True, **extra: str) -> Command: ...


@pytest.fixture(params=["launched", "direct"])
def shell(request: pytest.FixtureRequest) -> Shell:
    """Makes commands of the shell, for each of the two ways to run one."""
    if request.param == "launched" and sys.platform != "linux":
        pytest.skip("there is a launcher on Linux only")

    def make(command: str, *, stdin: bytes = b"", merge: bool = True, **extra: str) -> Command:
        environment = {**ENVIRONMENT, **extra}
        supervised = request.param == "launched"
        return Command(("bash", "-c", command), Path("/"), environment, stdin, merge, supervised)

    return make


def living(mark: str) -> list[int]:
    return [pid for pid in marked(mark) if Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"]


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.02)


async def test_output_and_errors_come_in_order_with_the_exit_code(shell: Shell) -> None:
    done = await process.run(shell("echo one; echo two >&2; echo three; exit 3"))
    assert done.output.text == "one\ntwo\nthree\n"
    assert (done.exit_code, done.timed_out, done.detached) == (3, False, False)


async def test_errors_can_be_kept_apart(shell: Shell) -> None:
    done = await process.run(shell("echo one; echo two >&2", merge=False))
    assert (done.output.text, done.errors.text) == ("one\n", "two\n")


async def test_a_signal_is_told_as_a_shell_does(shell: Shell) -> None:
    assert (await process.run(shell("kill -9 $$"))).exit_code == 137


async def test_there_is_no_input_unless_given(shell: Shell) -> None:
    assert (await process.run(shell("cat; echo end"))).output.text == "end\n"
    big = b"x" * 1_000_000
    assert (await process.run(shell("wc -c", stdin=big))).output.text.strip() == "1000000"


async def test_output_is_streamed_as_it_comes_and_characters_stay_whole(shell: Shell) -> None:
    pieces: list[tuple[float, str]] = []
    command = r"printf 'a\xc3'; sleep 0.3; printf '\xa9 \xff'"
    done = await process.run(shell(command), on_text=lambda text: pieces.append((time.monotonic(), text)))
    assert "".join(text for _, text in pieces) == done.output.text == "aé \\xff"
    assert pieces[0][1] == "a"
    assert pieces[-1][0] - pieces[0][0] >= 0.15


async def test_a_flood_is_bounded_in_memory_and_in_the_stream(shell: Shell) -> None:
    streamed = 0

    def count(text: str) -> None:
        nonlocal streamed
        streamed += len(text)

    done = await process.run(shell("yes | head -c 30000000; echo last"), on_text=count, keep_bytes=20_000)
    assert streamed == process.STREAM_CHARACTERS
    assert len(done.output.head) + len(done.output.tail) == 20_000
    assert done.output.omitted == 30_000_005 - 20_000
    assert done.output.text.endswith("last\n")


async def test_a_background_process_does_not_hold_up_the_end(shell: Shell) -> None:
    name = f"A3S_TEST={uuid.uuid4().hex}"
    started = time.monotonic()
    done = await process.run(shell(f"export {name}; sleep 30 & echo started"))
    assert time.monotonic() - started < 1.5
    assert done.output.text == "started\n"
    assert done.detached
    kill_marked(name)


async def test_a_background_process_that_prints_on_does_not_hold_up_the_end(shell: Shell) -> None:
    name = f"A3S_TEST={uuid.uuid4().hex}"
    started = time.monotonic()
    done = await process.run(shell(f"export {name}; (while sleep 0.05; do echo tick; done) & echo started"))
    assert time.monotonic() - started < 2
    assert done.detached
    kill_marked(name)


async def test_output_after_closing_the_pipe_early_does_not_end_the_watch(shell: Shell) -> None:
    started = time.monotonic()
    done = await process.run(shell("exec >&- 2>&-; sleep 0.3; exit 4"))
    assert done.exit_code == 4
    assert time.monotonic() - started >= 0.3


TREES = {
    "children": "sleep 300 & sleep 300",
    "deaf": "trap '' TERM INT HUP; sleep 300 & while :; do sleep 0.1; done",
    "own sessions": "setsid sleep 300 & setsid bash -c 'sleep 300 & sleep 300' & sleep 300",
    "orphans": "(setsid bash -c 'sleep 300 & sleep 300' >/dev/null 2>&1 &) ; sleep 300",
    "silent": "exec >&- 2>&-; sleep 300",
    "flood": "yes",
}


@on_linux
@pytest.mark.parametrize("tree", TREES)
async def test_at_the_timeout_the_whole_tree_dies(shell: Shell, tree: str) -> None:
    mark = uuid.uuid4().hex
    started = time.monotonic()
    done = await process.run(shell(f"echo before; {TREES[tree]}", A3S_TEST=mark), timeout_ms=300)
    assert time.monotonic() - started < 2.3
    assert done.timed_out
    assert done.output.text.startswith("before\n")
    assert living(f"A3S_TEST={mark}") == []


@on_linux
@pytest.mark.parametrize("tree", TREES)
async def test_a_cancelled_call_ends_when_the_whole_tree_is_dead(shell: Shell, tree: str) -> None:
    mark = uuid.uuid4().hex
    task = asyncio.create_task(process.run(shell(TREES[tree], A3S_TEST=mark)))
    await until(lambda: len(living(f"A3S_TEST={mark}")) >= (1 if tree in ("silent", "flood") else 2))
    started = time.monotonic()
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 2
    assert living(f"A3S_TEST={mark}") == []


@on_linux
async def test_a_child_that_hides_its_environment_is_found_by_its_parents(shell: Shell) -> None:
    name = f"a3s-{uuid.uuid4().hex[:8]}"
    command = f"env -i setsid bash -c 'exec -a {name} sleep 300' & sleep 300"

    def hidden() -> str:
        return subprocess.run(["pgrep", "-f", f"^{name}"], capture_output=True, text=True).stdout

    task = asyncio.create_task(process.run(shell(command)))
    await until(lambda: bool(hidden()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hidden() == ""


async def test_a_polite_command_may_say_good_bye(shell: Shell) -> None:
    done = await process.run(shell("trap 'echo bye; exit 9' TERM; echo up; sleep 300 & wait"), timeout_ms=300)
    assert done.timed_out
    assert done.output.text == "up\nbye\n"


async def test_nothing_is_left_open_or_undead(shell: Shell) -> None:
    await process.run(shell("true"))
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    threads = threading.active_count()
    for _ in range(10):
        await process.run(shell("echo x; exit 1"))
        await process.run(shell("sleep 9"), timeout_ms=20)
    with pytest.raises(FileNotFoundError):
        await process.run(Command(("no-such-program",), Path("/"), ENVIRONMENT))
    await until(lambda: threading.active_count() <= threads)
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == before
        assert descendants(os.getpid()) == []


async def test_what_cannot_be_started_is_an_error(shell: Shell) -> None:
    with pytest.raises(FileNotFoundError):
        await process.run(Command(("bash", "-c", "true"), Path("/no/such/folder"), ENVIRONMENT))
    with pytest.raises(ValueError, match="null byte"):
        await process.run(shell("a\0b"))
    with pytest.raises(OSError, match="too long"):
        await process.run(shell("x" * 3_000_000))


async def test_many_run_at_once(shell: Shell) -> None:
    started = time.monotonic()
    done = await asyncio.gather(*(process.run(shell(f"sleep 0.3; echo {number}")) for number in range(20)))
    assert [item.output.text for item in done] == [f"{number}\n" for number in range(20)]
    assert time.monotonic() - started < 3


def test_it_works_on_a_loop_in_any_thread(shell: Shell) -> None:
    outputs: list[str] = []

    def work() -> None:
        outputs.append(asyncio.run(process.run(shell("echo here"))).output.text)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert outputs == ["here\n"]


@on_linux
def test_a_loop_that_is_torn_down_takes_its_children_along(shell: Shell) -> None:
    mark = uuid.uuid4().hex

    async def leave() -> None:
        task = asyncio.create_task(process.run(shell("sleep 300 & sleep 300", A3S_TEST=mark)))
        await until(lambda: len(living(f"A3S_TEST={mark}")) >= 2)
        assert not task.done()

    asyncio.run(leave())
    assert living(f"A3S_TEST={mark}") == []


@on_linux
def test_an_interpreter_that_exits_takes_its_children_along(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, sys, threading, time\n"
        "from pathlib import Path\n"
        "from a3s_code.system.process import run\n"
        "from a3s_code.system.child import Command\n"
        "import os\n"
        "command = Command(('bash', '-c', 'setsid sleep 300 & sleep 300'), Path('/'), dict(os.environ))\n"
        "threading.Thread(target=lambda: asyncio.run(run(command)), daemon=True).start()\n"
        "time.sleep(0.5)\n"
    )
    mark = uuid.uuid4().hex
    subprocess.run([sys.executable, script], env={**os.environ, "A3S_TEST": mark}, check=True, timeout=20)
    assert living(f"A3S_TEST={mark}") == []


@pytest.mark.parametrize("pidfd", [True, False])
def test_the_exit_is_seen_with_and_without_a_descriptor_for_it(shell: Shell, pidfd: bool) -> None:
    for command, ending in (("exec >&- 2>&-; sleep 0.2; exit 5", "exited"), ("sleep 300", "timeout")):
        interrupt = Interrupt()
        child = Child(shell(command), bytearray().extend, bytearray().extend, interrupt, pidfd=pidfd)
        try:
            assert child.watch(time.monotonic() + 0.6) == ending
        finally:
            child.close()
            interrupt.close()
        assert child.exit_code == (5 if ending == "exited" else 143)


def test_an_interrupt_may_come_after_the_end() -> None:
    interrupt = Interrupt()
    interrupt.close()
    before = set(os.listdir("/dev/fd"))
    interrupt.set()
    assert set(os.listdir("/dev/fd")) == before


HOSTILE = {
    "kills its launcher": "kill -9 $PPID; sleep 300",
    "kills its launcher beside an empty environment": "env -i /bin/sleep 300 & sleep 0.1; kill -9 $PPID; sleep 300",
    "kills its launcher beside another session": "setsid sleep 300 & sleep 0.1; kill -9 $PPID; sleep 300",
    "stops its launcher": "env -i setsid -f /bin/sleep 300; kill -STOP $PPID; sleep 300",
    "forks without end": "while :; do (setsid sleep 300 &) ; done",
}


@on_linux
@pytest.mark.parametrize("deed", HOSTILE)
async def test_a_command_cannot_get_rid_of_its_launcher(deed: str, tmp_path: Path) -> None:
    """What it starts works in a folder of its own, which tells it from all others whatever its environment."""
    folder = tmp_path.resolve()
    started = time.monotonic()
    command = Command(("bash", "-c", f"echo up; {HOSTILE[deed]}"), folder, ENVIRONMENT, supervised=True)
    done = await process.run(command, timeout_ms=800)
    assert time.monotonic() - started < 0.8 + 2
    assert done.output.text.startswith("up\n")
    assert done.exit_code != 0
    assert working_in(folder) == []


def working_in(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if entry.readlink() == folder:
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


@on_linux
async def test_a_launcher_does_not_heed_signals() -> None:
    script = "kill $PPID; kill -INT $PPID; kill -HUP $PPID; kill -USR1 $PPID; sleep 0.3; echo on"
    command = Command(("bash", "-c", script), Path("/"), ENVIRONMENT, supervised=True)
    assert (await process.run(command)).output.text == "on\n"


@on_linux
async def test_a_silent_background_process_is_told_too() -> None:
    command = Command(
        ("bash", "-c", "sleep 300 >/dev/null 2>&1 &"), Path("/"), ENVIRONMENT, supervised=True, owner="me"
    )
    assert (await process.run(command)).detached
    process.end_all("me")
    command = replace(command, argv=("bash", "-c", "sleep 0.05 >/dev/null 2>&1 &"))
    assert not (await process.run(command)).detached


@on_linux
async def test_a_background_process_that_ends_by_itself_leaves_nothing() -> None:
    command = Command(("bash", "-c", "sleep 0.4 &"), Path("/"), ENVIRONMENT, supervised=True, owner="me")
    await process.run(replace(command, argv=("true",)))
    before = len(os.listdir("/proc/self/fd"))
    assert (await process.run(command)).detached
    await asyncio.sleep(0.5)
    await process.run(replace(command, argv=("true",)))
    assert len(os.listdir("/proc/self/fd")) == before
    assert descendants(os.getpid()) == []


@on_linux
def test_a_copy_of_the_host_does_not_keep_commands_alive(tmp_path: Path) -> None:
    """A fork of the host holds all its descriptors, so the launcher cannot tell by those that the host is gone."""
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, os, sys, time\n"
        "from pathlib import Path\n"
        "from a3s_code.system.process import run\n"
        "from a3s_code.system.child import Command\n"
        "command = Command(('bash', '-c', 'env -i setsid -f /bin/sleep 300; echo up; sleep 300'), Path(sys.argv[1]),\n"
        "                  dict(os.environ), supervised=True)\n"
        "def copy(_):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(6)\n"
        "        os._exit(0)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(run(command, on_text=copy))\n"
    )
    folder = (tmp_path / "folder").resolve()
    folder.mkdir()
    with subprocess.Popen([sys.executable, script, folder], stdout=subprocess.DEVNULL) as host:
        host.wait(20)
    end = time.monotonic() + 2
    while working_in(folder) and time.monotonic() < end:
        time.sleep(0.05)
    assert working_in(folder) == []


ALONE = """
import asyncio, os, signal, sys, threading
from pathlib import Path
from a3s_code.system import process
from a3s_code.system.child import Command

def run(script, supervised, **options):
    command = Command(("bash", "-c", script), Path("/"), dict(os.environ), supervised=supervised)
    return asyncio.run(process.run(command, **options))
"""


def run_alone(script: str, *before: str | Path) -> str:
    """What `script` prints in an interpreter of its own."""
    argv = [*before, sys.executable, "-c", ALONE + script]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout


@on_linux
def test_a_host_that_ignores_how_its_children_end_hears_it_all_the_same() -> None:
    script = (
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "for supervised in (True, False):\n"
        "    done = run('(exit 4); echo $?; exit 3', supervised, timeout_ms=5000)\n"
        "    print(done.exit_code, done.timed_out, done.output.text, end='')\n"
    )
    assert run_alone(script) == "3 False 4\n" * 2


def test_a_host_without_threads_to_spare_is_told_and_can_end() -> None:
    script = (
        "threading.stack_size(1 << 50)\n"
        "try:\n"
        "    run('true', True)\n"
        "except BlockingIOError as error:\n"
        "    print(error)\n"
        "process.end_all()\n"
        "print('ended')\n"
    )
    assert run_alone(script).splitlines()[1:] == ["ended"]


async def test_a_timeout_may_be_longer_than_the_system_can_wait(shell: Shell) -> None:
    assert (await process.run(shell("sleep 0.1; exit 3"), timeout_ms=10**11)).exit_code == 3


def test_all_can_be_ended_while_other_threads_begin_and_end_calls() -> None:
    stopping = threading.Event()
    command = Command(("true",), Path("/"), ENVIRONMENT)
    codes: list[int] = []

    async def many() -> None:
        while not stopping.is_set():
            codes.extend(done.exit_code for done in await asyncio.gather(*(process.run(command) for _ in range(10))))

    thread = threading.Thread(target=asyncio.run, args=(many(),))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            process.end_all("nobody")
    finally:
        stopping.set()
        thread.join(10)
        sys.setswitchinterval(interval)
    assert not thread.is_alive()
    assert codes
    assert set(codes) == {0}


@on_linux
@pytest.mark.parametrize("leading", [True, False])
def test_a_session_is_left_alone_when_its_number_has_passed_on(leading: bool) -> None:
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as other:
        try:
            kill_session(other.pid, leading=leading)
            assert (other.poll() is None) is not leading
        finally:
            other.kill()


@contextlib.contextmanager
def held_back(program: Path) -> Iterator[Callable[[], None]]:
    """A lease on a program: whoever would execute it waits, with its launcher, until it is given up."""
    with program.open("rb+") as file:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGWINCH)  # else the notice would end this process
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield file.close


@on_linux
async def test_a_command_that_is_long_in_starting_ends_at_its_timeout(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nsleep 300\n")
    program.chmod(0o700)
    command = Command((str(program),), tmp_path.resolve(), ENVIRONMENT, supervised=True)
    with held_back(program):
        started = time.monotonic()
        done = await process.run(command, timeout_ms=300)
        assert time.monotonic() - started < 1 + 2
        assert done.timed_out
    assert working_in(tmp_path.resolve()) == []


@on_linux
@pytest.mark.parametrize(("content", "code"), [("#!/bin/sh\nexit 5\n", 5), ("\0 no program", 127)])
async def test_a_late_start_is_heard(content: str, code: int, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(content)
    program.chmod(0o700)
    command = Command((str(program),), Path("/"), ENVIRONMENT, supervised=True)
    with held_back(program) as release:
        task = asyncio.create_task(process.run(command, timeout_ms=20_000))
        await asyncio.sleep(1.5)
        release()
        done = await task
    assert (done.exit_code, done.timed_out) == (code, False)


@on_linux
@pytest.mark.skipif(find_bubblewrap() is None, reason="needs bubblewrap that works")
def test_without_proc_a_command_ends_with_its_group(tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    command = f"cd {folder}; trap true TERM; sleep 300 & while :; do sleep 0.1; done"
    script = f"print(run({command!r}, True, timeout_ms=300).timed_out)"
    assert run_alone(script, str(find_bubblewrap()), "--dev-bind", "/", "/", "--tmpfs", "/proc", "--") == "True\n"
    assert working_in(folder) == []


@on_linux
@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every process")
async def test_a_command_cannot_look_into_its_launcher() -> None:
    command = Command(("bash", "-c", "cat /proc/$PPID/environ"), Path("/"), ENVIRONMENT, supervised=True)
    done = await process.run(command)
    assert done.exit_code == 1
    assert "Permission denied" in done.output.text


@on_linux
@pytest.mark.parametrize("name", ["server", "python3-tool"])
def test_a_launcher_is_a_python_and_nothing_else(name: str) -> None:
    script = f"sys.executable = '/opt/{name}'\nfrom a3s_code.system import launch\nprint(launch.launcher_command())"
    assert run_alone(script).startswith("None" if name == "server" else "('/opt/python3-tool', ")
