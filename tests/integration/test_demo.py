"""`a3s-code demo`, as somebody who cloned the repository sees it."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from a3s_code.cli.demo import PROJECT, RECORDED, RECORDING, TESTS, Demo, play, run_demo
from a3s_code.cli.screen import PlainScreen
from a3s_code.kernel.messages import ToolCall
from a3s_code.testing import LoopbackServer, ScriptedModel

ROOT = Path(__file__).parents[2]
BUGGY = "Interval(merged[-1].start, interval.end)"
FIXED = "Interval(merged[-1].start, max(merged[-1].end, interval.end))"

needs_python3 = pytest.mark.skipif(shutil.which("python3") is None, reason="there is no python3 on the PATH")
pytestmark = needs_python3


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a fresh account: an empty home and a temporary folder of its own."""
    places = {"HOME": tmp_path / "home", "TMPDIR": tmp_path / "tmp"}
    for place in places.values():
        place.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "PYENV_ROOT", "LANG") if name in os.environ}
    return {**kept, "PYTHONUTF8": "1", **{name: str(place) for name, place in places.items()}}


def start(environment: Mapping[str, str], *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "a3s_code", *arguments]
    return subprocess.run(command, cwd=cwd, env=dict(environment), capture_output=True, text=True, timeout=60)


def show(demo: Demo) -> tuple[int, str]:
    """Run the demo in this process; its exit code and what it wrote."""
    out = io.StringIO()
    return run_demo(demo, PlainScreen(out)), out.getvalue()


def test_the_demo_goes_from_failing_to_passing(environment: dict[str, str], tmp_path: Path) -> None:
    done = start(environment, "demo", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    story = [
        "What the agent may do",
        "edit(rooms/**)",
        "deny     everything else",
        "2 of 10 tests fail",
        "test_a_room_is_taken_until_its_longest_booking_ends",
        "test_the_board_shows_what_is_left_of_each_room",
        "grep   (free_slots|merge|gaps)\\(",
        "read   rooms/availability.py",
        "x bash   python3 -c ",
        "denied: ",
        "That command is not allowed here",
        "edit   rooms/intervals.py",
        "check  python3 -m unittest -q                         exit 0, OK",
        "--- a/rooms/intervals.py",
        f"-            merged[-1] = {BUGGY}",
        f"+            merged[-1] = {FIXED}",
        "before   2 of 10 tests fail",
        "after    10 tests pass",
        "check    tests: passed",
        "denied   1 of 9 calls",
        "verdict  verified",
    ]
    at = 0
    for part in story:
        assert part in done.stdout[at:], part
        at = done.stdout.index(part, at) + len(part)


def test_the_first_line_says_what_is_recorded(environment: dict[str, str], tmp_path: Path) -> None:
    done = start(environment, "demo", cwd=tmp_path)
    assert done.stdout.splitlines()[0] == (
        "The model's replies come from a recording; everything else is real: tools run, files change, tests run."
    )
    assert "live" not in done.stdout


def test_a_pipe_gets_plain_text(environment: dict[str, str], tmp_path: Path) -> None:
    done = start(environment, "demo", cwd=tmp_path)
    assert "\x1b" not in done.stdout
    assert done.stdout.isascii()


def test_the_demo_leaves_nothing_behind(environment: dict[str, str], tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in PROJECT.rglob("*")}
    assert start(environment, "demo", cwd=tmp_path).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in PROJECT.rglob("*")} == before
    assert list(Path(environment["TMPDIR"]).iterdir()) == []
    assert list(Path(environment["HOME"]).iterdir()) == []


@pytest.mark.parametrize("home", ["", None])
def test_the_demo_needs_no_home(environment: dict[str, str], tmp_path: Path, home: str | None) -> None:
    del environment["HOME"]
    if home is not None:
        environment["HOME"] = home
    assert start(environment, "demo", cwd=tmp_path).returncode == 0


def test_a_kept_project_is_there_and_fixed(environment: dict[str, str], tmp_path: Path) -> None:
    done = start(environment, "demo", "--keep", cwd=tmp_path)
    folder = Path(done.stdout.splitlines()[-1].removeprefix("The project is kept in "))
    assert FIXED in (folder / "rooms" / "intervals.py").read_text()
    assert subprocess.run(["python3", "-m", "unittest", "-q"], cwd=folder, stderr=subprocess.DEVNULL).returncode == 0


def test_a_configuration_nearby_changes_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "agent.acl").write_text('check "never" { command = "false" }\n')
    environment["A3S_CONFIG"] = str(tmp_path / "agent.acl")
    assert start(environment, "demo", cwd=tmp_path).returncode == 0


def test_replies_that_claim_a_fix_do_not_make_one(tmp_path: Path) -> None:
    spoiled = RECORDING.read_text().replace(BUGGY, "a line that is not there")
    assert "All tests pass" in spoiled
    recording = tmp_path / "recording.json"
    recording.write_text(spoiled)
    code, text = show(Demo(model=lambda folder: play(folder, recording)))
    assert code == 1
    assert "No file was changed." in text
    assert "after    2 of 10 tests fail" in text
    assert "verdict  failed" in text
    assert text.endswith("There is no proof of a fix: the tests still fail.\n")


def test_a_model_that_only_talks_proves_nothing() -> None:
    code, text = show(Demo(model=lambda _: ScriptedModel(["All tests pass now."])))
    assert code == 1
    assert "verdict  verified" not in text


def test_the_tests_of_the_project_cannot_be_edited() -> None:
    edit = {"file_path": "tests/test_board.py", "old_string": "assertEqual", "new_string": "assertNotEqual"}
    model = ScriptedModel([[ToolCall("1", "edit", edit)], "Done."])
    code, text = show(Demo(model=lambda _: model))
    assert code == 1
    assert "x edit   tests/test_board.py" in text
    assert "No file was changed." in text


def test_tests_that_pass_from_the_start_are_no_success(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)
    source = project / "rooms" / "intervals.py"
    source.write_text(source.read_text().replace(BUGGY, FIXED))
    model = ScriptedModel([])
    code, text = show(Demo(model=lambda _: model, project=project))
    assert code == 1
    assert text.endswith("There is nothing to fix: the tests pass from the start.\n")
    assert not model.prompts


def test_without_python3_the_demo_says_so(environment: dict[str, str], tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    bash = shutil.which("bash")
    assert bash is not None
    (programs / "bash").symlink_to(bash)
    environment["PATH"] = str(programs)
    done = start(environment, "demo", cwd=tmp_path)
    assert done.returncode == 1
    assert "the project's tests could not be run" in done.stderr
    assert "hint: the demo needs python3" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_recording_is_what_its_author_wrote(tmp_path: Path) -> None:
    fresh = tmp_path / "recording.json"
    script = ROOT / "tools" / "record_demo.py"
    subprocess.run([sys.executable, str(script), str(fresh)], check=True, capture_output=True, timeout=60)
    assert outline(fresh) == outline(RECORDING)


def outline(path: Path) -> list[Any]:
    """What of a recording is the same with every version of Python: the tools offered, and the replies."""
    exchanges = json.loads(path.read_text())["exchanges"]
    return [(item["tools"], item["reply"]["parts"], item["reply"]["stop"]) for item in exchanges]


def test_the_recording_holds_nothing_of_the_machine_it_was_made_on() -> None:
    text = RECORDING.read_text()
    assert not [word for word in ("/root", "/home", "/Users", "/tmp/", str(ROOT)) if word in text]


def test_live_without_a_configuration_says_where_it_was_looked_for(environment: dict[str, str], tmp_path: Path) -> None:
    done = start(environment, "demo", "--live", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "no configuration found" in done.stderr
    assert "agent.acl" in done.stderr
    assert "hint: " in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_live_model_is_asked_and_its_tokens_are_counted(environment: dict[str, str], tmp_path: Path) -> None:
    edit = {"file_path": "rooms/intervals.py", "old_string": BUGGY, "new_string": FIXED}
    replies: list[Any] = [["I see it.", ToolCall("1", "edit", edit)], "Fixed."]
    with LoopbackServer(replies) as server:
        (tmp_path / "my.acl").write_text(
            'default_model = "loopback/small"\nproviders "loopback" {\n  api = "openai"\n  api_key = "k"\n'
            f'  base_url = "{server.base_url}"\n}}\n'
        )
        done = start(environment, "demo", "--live", "--config", "my.acl", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(server.requests) == 2
    assert done.stdout.splitlines()[0] == (
        "A live model answers, and everything is real: tools run, files change, tests run."
    )
    assert RECORDED not in done.stdout
    assert "live: loopback/small" in done.stdout
    assert re.search(r"^  tokens   [\d,]+ in, [\d,]+ out", done.stdout, re.MULTILINE)
    assert "verdict  verified" in done.stdout


def test_a_live_model_that_cannot_be_asked_ends_in_one_message(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "my.acl").write_text(
        'default_model = "anthropic/some-model"\nproviders "anthropic" {\n  api_key = env("A_KEY_NOT_SET")\n}\n'
    )
    done = start(environment, "demo", "--live", "--config", "my.acl", cwd=tmp_path)
    assert done.returncode == 1
    assert "A_KEY_NOT_SET" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(Path(environment["TMPDIR"]).iterdir()) == []


def test_a_terminal_gets_colours_and_lines_that_fit(environment: dict[str, str], tmp_path: Path) -> None:
    widths = (100, 40)
    with ThreadPoolExecutor() as pool:
        variables = {**environment, "TERM": "xterm-256color"}
        shown = list(pool.map(lambda columns: watch(variables, ["demo"], tmp_path, columns), widths))
    for columns, (code, text) in zip(widths, shown, strict=True):
        assert code == 0
        assert "\x1b[32m" in text
        assert text.count("\x1b[?25l") == text.count("\x1b[?25h")
        lines = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", text).splitlines()
        assert " ".join(" ".join(lines[:3]).split()).startswith(RECORDED)
        assert any("verdict" in line and "verified" in line for line in lines)
        told = lines[: next(number for number, line in enumerate(lines) if line.startswith("The change"))]
        # The names of tests are not cut: one may want to copy them.
        assert max(len(line) for line in told if not line.strip().startswith("test_")) <= columns


@pytest.mark.parametrize(("arguments", "variables"), [(["--plain"], {}), ([], {"TERM": "dumb"})])
def test_a_terminal_can_have_plain_lines(
    environment: dict[str, str], tmp_path: Path, arguments: list[str], variables: dict[str, str]
) -> None:
    settings = {**environment, "TERM": "xterm-256color", **variables}
    code, text = watch(settings, ["demo", *arguments], tmp_path, 100)
    assert code == 0
    assert "\x1b" not in text


def watch(environment: dict[str, str], arguments: list[str], cwd: Path, columns: int) -> tuple[int, str]:
    """Run the program on a terminal of its own; its exit code and all that the terminal got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [sys.executable, "-m", "a3s_code", *arguments]
    with subprocess.Popen(command, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        got = bytearray()
        try:
            while piece := os.read(ours, 65536):
                got += piece
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        finally:
            os.close(ours)
    return process.returncode, got.decode()


INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from a3s_code.cli.main import main
sys.exit(main(["demo"]))
"""


@pytest.mark.parametrize("moment", [RECORDED, "The agent at work"])
def test_ctrl_c_stops_the_run_and_cleans_up(environment: dict[str, str], tmp_path: Path, moment: str) -> None:
    command = [sys.executable, "-c", INTERRUPTIBLE]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith(moment):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.strip() == "Interrupted."
    assert list(Path(environment["TMPDIR"]).iterdir()) == []


def test_a_reader_that_leaves_early_is_no_error(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "a3s_code", "demo"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
    assert list(Path(environment["TMPDIR"]).iterdir()) == []


def test_the_project_fails_two_tests_by_one_bug(tmp_path: Path) -> None:
    shutil.copytree(PROJECT, tmp_path / "rooms")
    source = tmp_path / "rooms" / "rooms" / "intervals.py"
    done = subprocess.run(TESTS.split(), cwd=tmp_path / "rooms", capture_output=True, text=True)
    assert "FAILED (failures=2)" in done.stderr
    assert source.read_text().count(BUGGY) == 1
    source.write_text(source.read_text().replace(BUGGY, FIXED))
    assert subprocess.run(TESTS.split(), cwd=tmp_path / "rooms", capture_output=True).returncode == 0


def test_the_project_prints_what_its_readme_shows(tmp_path: Path) -> None:
    shutil.copytree(PROJECT, tmp_path / "rooms")
    source = tmp_path / "rooms" / "rooms" / "intervals.py"
    source.write_text(source.read_text().replace(BUGGY, FIXED))
    command = ["python3", "-m", "rooms", "bookings.txt"]
    done = subprocess.run(command, cwd=tmp_path / "rooms", capture_output=True, text=True, check=True)
    readme = (PROJECT / "README.md").read_text()
    assert all(f"    {line}\n" in readme for line in done.stdout.splitlines())
