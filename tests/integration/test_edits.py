"""write, edit and patch on real files: formats kept, no update lost between processes, no way out through a link."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from a3s_code.capabilities.core_tools.edit import Edit
from a3s_code.capabilities.core_tools.patch import Patch
from a3s_code.capabilities.core_tools.read import Read
from a3s_code.capabilities.core_tools.write import Write
from a3s_code.kernel.contracts import Decision
from a3s_code.kernel.tool import ToolContext, ToolOutput, ToolPort
from a3s_code.stores.artifacts import MemoryArtifactStore
from a3s_code.system.paths import is_inside

SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
READ, WRITE, EDIT, PATCH = Read(), Write(), Edit(), Patch()


def scaled(full: int, floor: int) -> int:
    return max(floor, int(full * SCALE))


@dataclass
class Desk:
    """A session's side of its tools. Like a gate it turns down what leads out of the workspace."""

    workspace: Path
    files: dict[str, str] = field(default_factory=dict)

    async def call(self, tool: ToolPort, **arguments: Any) -> ToolOutput:
        args = tool.parse(arguments)
        effects = tool.effects(args, self.workspace)
        if not all(is_inside(self.workspace, effect.target) for effect in effects):
            return ToolOutput.failure("outside", "permission_denied")
        context = ToolContext(
            workspace=self.workspace,
            session_id="s",
            run_id=None,
            call_id="c",
            origin="host",
            decision=Decision("allow"),
            effects=effects,
            artifacts=MemoryArtifactStore(),
            files=self.files,
            environment={},
            progress=lambda text: None,
        )
        return await tool.invoke(args, context)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "ws"
    folder.mkdir()
    return folder


FORMATS = {
    "utf-8": ("utf-8", b""),
    "utf-8 with mark": ("utf-8", b"\xef\xbb\xbf"),
    "utf-16-le with mark": ("utf-16-le", b"\xff\xfe"),
    "utf-16-be with mark": ("utf-16-be", b"\xfe\xff"),
    "utf-16-le": ("utf-16-le", b""),
    "utf-16-be": ("utf-16-be", b""),
    "latin-1": ("latin-1", b""),
}
ENDS = {
    "LF": ["\n"] * 5,
    "CRLF": ["\r\n"] * 5,
    "CR": ["\r"] * 5,
    "mixed": ["\n", "\r\n", "\n", "\r\n", "\r\n"],
    "mixed, open": ["\r\n", "\n", "\r\n", "\n", ""],
    "none": None,
}
MODES = (0o644, 0o755, 0o600, 0o664)
WAYS = ("plain", "in a linked folder", "linked file")
LINES = ["grüße", "  two\t ", "the target", "föur ", "last"]


def lay_out(folder: Path, way: str, content: bytes, mode: int) -> tuple[Path, str]:
    """A file with `content`, and the path by which the tools are to reach it."""
    file = folder / "real" / "file.txt"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    file.chmod(mode)
    if way == "in a linked folder":
        (folder / "link").symlink_to("real")
        return file, "link/file.txt"
    if way == "linked file":
        (folder / "link.txt").symlink_to(file)
        return file, "link.txt"
    return file, "real/file.txt"


def spell(lines: list[str], ends: list[str] | None) -> str:
    return "+".join(lines) if ends is None else "".join(map("".join, zip(lines, ends, strict=True)))


CHANGES = {
    "edit": (EDIT, {"old_string": "the target", "new_string": "ä nëw"}),
    "edit over lines": (EDIT, {"old_string": "two\t \nthe target\nföur ", "new_string": "two\t \nä nëw\nföur "}),
    "patch": (PATCH, {"diff": "@@ -2,3 +2,3 @@\n   two\t \n-the target\n+ä nëw\n föur \n"}),
    "patch without numbers": (
        PATCH,
        {"diff": "*** Begin Patch\n*** Update File: {}\n@@ grüße\n-the target\n+ä nëw\n*** End Patch\n"},
    ),
}


async def test_bytes_beside_a_change_stay_in_every_format(workspace: Path) -> None:
    combinations = list(itertools.product(FORMATS, ENDS, MODES, WAYS))
    random.Random(1).shuffle(combinations)
    combinations = combinations[: scaled(len(combinations), 60)]
    wrong = calls = 0
    for number, (form, ending, mode, way) in enumerate(combinations):
        (encoding, mark), ends = FORMATS[form], ENDS[ending]
        before = mark + spell(LINES, ends).encode(encoding)
        expected = mark + spell([*LINES[:2], "ä nëw", *LINES[3:]], ends).encode(encoding)
        for name, (tool, arguments) in CHANGES.items():
            if ends is None and name != "edit":
                if name != "patch":
                    continue
                whole = "+".join(LINES)
                arguments = {"diff": f"@@ -1 +1 @@\n-{whole}\n+{whole.replace('the target', 'ä nëw')}\n"}
            file, path = lay_out(workspace / f"{number} {name}", way, before, mode)
            path = f"{number} {name}/{path}"
            arguments = {key: value.replace("{}", path) for key, value in arguments.items()}
            output = await Desk(workspace).call(tool, file_path=path, **arguments)
            calls += 1
            good = (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (expected, mode)
            if not good or output.exit_code or (way == "linked file") != (workspace / path).is_symlink():
                wrong += 1
                print(f"{form}, {ending}, {mode:o}, {way}, {name}: {output.text}\n{file.read_bytes()!r}\n{expected!r}")
    print(f"formats: {len(combinations)} combinations, {calls} changes, {wrong} wrong")
    assert not wrong
    assert len(combinations) >= 60


async def test_a_file_that_is_written_anew_keeps_its_format(workspace: Path) -> None:
    combinations = list(itertools.product(FORMATS, ENDS, MODES, WAYS))
    random.Random(2).shuffle(combinations)
    combinations = combinations[: scaled(len(combinations), 60)]
    wrong = 0
    for number, (form, ending, mode, way) in enumerate(combinations):
        (encoding, mark), ends = FORMATS[form], ENDS[ending]
        file, path = lay_out(workspace / str(number), way, mark + spell(LINES, ends).encode(encoding), mode)
        output = await Desk(workspace).call(WRITE, file_path=f"{number}/{path}", content="eïns\nzwei\n")
        end = {"CRLF": "\r\n", "CR": "\r", "mixed": "\r\n"}.get(ending, "\n")
        expected = mark + f"eïns{end}zwei{end}".encode(encoding)
        if (file.read_bytes(), stat.S_IMODE(file.stat().st_mode), output.exit_code) != (expected, mode, 0):
            wrong += 1
            print(f"{form}, {ending}, {mode:o}, {way}: {output.text}\n{file.read_bytes()!r}\n{expected!r}")
    print(f"formats: {len(combinations)} combinations written, {wrong} wrong")
    assert not wrong


RACER = """
import asyncio, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_edits
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(asyncio.run(test_edits.race(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))))
"""


async def race(workspace: Path, name: str, rounds: int) -> dict[str, Any]:
    """Add lines before the last one of a file, by all tools in turn, again after each conflict; counts the answers."""
    desk, told = Desk(workspace), Counter[str]()
    tokens = []
    for number in range(rounds):
        token = f"{name} {number}"
        for _ in range(1000):
            output = await add_line(desk, token, number % 3)
            told[output.error_kind or "done"] += 1
            if not output.exit_code:
                tokens.append(token)
                break
            assert output.error_kind == "version_conflict", output.text
            await desk.call(READ, file_path="list.txt")
    return {"tokens": tokens, "told": dict(told)}


async def add_line(desk: Desk, token: str, way: int) -> ToolOutput:
    if way == 0:
        return await desk.call(EDIT, file_path="list.txt", old_string="the end", new_string=f"{token}\nthe end")
    if way == 1:
        return await desk.call(PATCH, file_path="list.txt", diff=f"@@\n+{token}\n the end\n")
    text = (await desk.call(READ, file_path="list.txt")).value
    assert text.endswith("the end\n")
    return await desk.call(WRITE, file_path="list.txt", content=f"{text[:-8]}{token}\nthe end\n")


def judge_race(workspace: Path, what: str, results: list[dict[str, Any]]) -> None:
    expected = Counter(token for result in results for token in result["tokens"])
    found = Counter((workspace / "list.txt").read_text().splitlines()[:-1])
    told = sum((Counter(result["told"]) for result in results), Counter[str]())
    lost = expected - found
    print(f"{what}: {expected.total()} updates, {lost.total()} lost; {dict(told)}")
    assert expected
    assert not lost
    assert found == expected
    assert os.listdir(workspace) == ["list.txt"]


def test_two_processes_lose_no_update(workspace: Path) -> None:
    (workspace / "list.txt").write_text("the end\n")
    rounds = scaled(1000, 60) // 2
    here = str(Path(__file__).parent)
    children = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, here, str(workspace), name, str(rounds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("left", "right")
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    results = [json.loads(child.communicate()[0]) for child in children]
    judge_race(workspace, "two processes", results)


def test_two_sessions_on_threads_lose_no_update(workspace: Path) -> None:
    (workspace / "list.txt").write_text("the end\n")
    rounds = scaled(1000, 60) // 2
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda name: asyncio.run(race(workspace, name, rounds)), ("left", "right")))
    judge_race(workspace, "two threads", results)


async def test_two_sessions_on_one_loop_lose_no_update(workspace: Path) -> None:
    (workspace / "list.txt").write_text("the end\n")
    rounds = scaled(1000, 60) // 2
    results = await asyncio.gather(*(race(workspace, name, rounds) for name in ("left", "right")))
    judge_race(workspace, "two sessions", list(results))


SWAPPER = """
import os, random, shutil, sys, time
workspace, outside = sys.argv[1:]
os.chdir(workspace)
rng = random.Random(6)
swaps = os.open("../swaps", os.O_WRONLY | os.O_CREAT)
def insist(action, *names):
    while True:
        try:
            return action(*names)
        except OSError:  # a tool made the missing folder anew
            shutil.rmtree("dir", ignore_errors=True)

while not os.path.exists("../stop"):
    os.rename("dir", "aside")
    insist(os.symlink, outside, "dir")
    time.sleep(rng.choice((0, 0, 0.0001)))
    os.unlink("dir")
    insist(os.rename, "aside", "dir")
    time.sleep(rng.choice((0, 0.0003, 0.002)))
    os.write(swaps, b".")
"""


@pytest.fixture
def swapped(workspace: Path) -> Iterator[Path]:
    """A folder outside, for which another process keeps exchanging a folder of the workspace."""
    outside = workspace.parent / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "file.txt").write_text("secret 0\n")
    (outside / "gone.txt").write_text("secret\n")
    (workspace / "dir").mkdir()
    (workspace / "dir" / "file.txt").write_text("inside 0\n")
    child = subprocess.Popen([sys.executable, "-c", SWAPPER, str(workspace), str(outside)])
    yield outside
    (workspace.parent / "stop").touch()
    assert child.wait(10) == 0


def count_swaps(workspace: Path) -> int:
    swaps = workspace.parent / "swaps"
    return swaps.stat().st_size if swaps.exists() else 0


async def test_no_write_leaves_through_a_folder_that_becomes_a_link(workspace: Path, swapped: Path) -> None:
    rounds, tried, outcomes = scaled(1000, 100), 0, Counter[str]()
    deadline = time.monotonic() + 60
    while min(tried, count_swaps(workspace)) < rounds:
        assert time.monotonic() < deadline
        calls: list[tuple[ToolPort, dict[str, str]]] = [
            (WRITE, {"file_path": f"dir/new{tried}/a.txt", "content": "escaped\n"}),
            (WRITE, {"file_path": "dir/file.txt", "content": f"inside {tried}\n"}),
            (EDIT, {"file_path": "dir/file.txt", "old_string": "inside", "new_string": "changed inside"}),
            (PATCH, {"diff": f"--- /dev/null\n+++ b/dir/sub/p{tried}.txt\n@@ -0,0 +1 @@\n+escaped\n"}),
            (PATCH, {"diff": "*** Begin Patch\n*** Delete File: dir/gone.txt\n*** End Patch"}),
        ]
        tool, arguments = calls[tried % len(calls)]
        output = await Desk(workspace).call(tool, **arguments)
        outcomes[output.error_kind or "done"] += 1
        tried += 1
    found = {path.name: path.read_text() for path in swapped.rglob("*") if path.is_file()}
    escaped = {name for name in found if name not in ("file.txt", "gone.txt")}
    print(f"{count_swaps(workspace)} swaps, {tried} writes: {len(escaped)} escaped; {dict(outcomes)}")
    assert found == {"file.txt": "secret 0\n", "gone.txt": "secret\n"}
    assert outcomes["done"]


async def test_no_read_leaves_through_a_folder_that_becomes_a_link(workspace: Path, swapped: Path) -> None:
    rounds, tried, outcomes = scaled(1000, 100), 0, Counter[str]()
    deadline = time.monotonic() + 60
    while min(tried, count_swaps(workspace)) < rounds:
        assert time.monotonic() < deadline
        output = await Desk(workspace).call(READ, file_path="dir/file.txt")
        outcomes["escaped" if "secret" in output.text else output.error_kind or "done"] += 1
        tried += 1
    print(f"{count_swaps(workspace)} swaps, {tried} reads: {outcomes['escaped']} escaped; {dict(outcomes)}")
    assert not outcomes["escaped"]
    assert outcomes["done"]


DOER = """
import resource, signal, sys
from pathlib import Path
from a3s_code.system.files import write_atomic
limit, target = int(sys.argv[1]), Path(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print("ready", flush=True)
number = 0
while True:
    number += 1
    write_atomic(target, f"{number % 10}".encode() * 200_000)
"""


def test_a_write_that_hits_a_limit_leaves_the_old_file_alone(workspace: Path) -> None:
    (workspace / "a").write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", DOER, "100000", str(workspace / "a")], capture_output=True, text=True, check=False
    )
    assert "File too large" in done.stderr
    assert (workspace / "a").read_bytes() == b"old"
    assert os.listdir(workspace) == ["a"]


def test_a_killed_writer_leaves_a_whole_file_and_no_lock(workspace: Path) -> None:
    file, rng, left = workspace / "a", random.Random(4), 0
    file.write_bytes(b"0" * 200_000)
    kills = scaled(50, 5)
    for _ in range(kills):
        child = subprocess.Popen([sys.executable, "-c", DOER, "0", str(file)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.005, 0.05))
        child.kill()
        child.communicate()
        content = file.read_bytes()
        assert len(content) == 200_000
        assert len(set(content)) == 1
        for name in set(os.listdir(workspace)) - {"a"}:
            left += 1
            (workspace / name).unlink()
        started = time.monotonic()
        output = asyncio.run(Desk(workspace).call(WRITE, file_path="a", content="0" * 200_000))
        assert output.exit_code == 0
        assert time.monotonic() - started < 5
    print(f"killed writers: {kills}, {left} temporary files left")
    assert left <= kills // 4


@pytest.fixture
def small_disk(workspace: Path) -> Iterator[Path]:
    """A file system of 64 KB in the workspace."""
    folder = workspace / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_changes_nothing(workspace: Path, small_disk: Path) -> None:
    (workspace / "a.txt").write_text("one\n")
    (small_disk / "b.txt").write_text("two\n")
    desk = Desk(workspace)
    written = await desk.call(WRITE, file_path="small/b.txt", content="x" * 100_000)
    created = await desk.call(WRITE, file_path="small/new/c.txt", content="x" * 100_000)
    edited = await desk.call(EDIT, file_path="small/b.txt", old_string="two", new_string="x" * 100_000)
    long = "\n".join(["+" + "x" * 1000] * 100)
    patched = await desk.call(
        PATCH,
        diff=f"--- a.txt\n+++ a.txt\n@@ -1 +1 @@\n-one\n+1\n--- small/b.txt\n+++ small/b.txt\n@@\n two\n{long}\n",
    )
    assert written.text == "small/b.txt: No space left on device; nothing was changed"
    assert "No space left" in created.text
    assert "No space left" in edited.text
    assert patched.text == "small/b.txt: No space left on device. Nothing is changed."
    assert (workspace / "a.txt").read_text() == "one\n"
    assert (small_disk / "b.txt").read_text() == "two\n"
    assert os.listdir(small_disk) == ["b.txt"]
    assert sorted(os.listdir(workspace)) == ["a.txt", "small"]


def test_a_writer_without_locks_is_noticed_up_to_the_rename(workspace: Path) -> None:
    """A program that knows no lock writes while patches of two files run: its content is never replaced unseen."""
    file, stop = workspace / "theirs.txt", threading.Event()
    file.write_text("value 0\n")
    rounds, outcomes = scaled(500, 50), Counter[str]()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            draft = workspace.parent / "draft"
            draft.write_text(f"value {number}\n")
            draft.rename(file)
            time.sleep(0.002)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(rounds):
            desk = Desk(workspace)
            seen = asyncio.run(desk.call(READ, file_path="theirs.txt")).value
            output = asyncio.run(desk.call(WRITE, file_path="theirs.txt", content=f"ours {number}, was {seen}"))
            outcomes[output.error_kind or "done"] += 1
    finally:
        stop.set()
        thread.join()
    print(f"writers without locks: {rounds} rounds; {dict(outcomes)}")
    assert set(outcomes) <= {"done", "version_conflict"}
