"""What every tool owes the kernel, held against each tool of ours.

parse raises ArgumentError and nothing else, effects are pure and complete, invoke fails by its output and leaves
nothing running when it is cancelled.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from a3s_code.capabilities.core_tools import Bash, Edit, Glob, Grep, Ls, Patch, Read, Write
from a3s_code.errors import ArgumentError
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.tool import CHANGING, ToolContext, ToolOutput, ToolPort
from a3s_code.stores.artifacts import MemoryArtifactStore
from a3s_code.system.proctree import marked
from a3s_code.toolkit import FunctionTool, tool


@tool
def shout(text: str, times: int = 1) -> str:
    """Say it loud."""
    return text.upper() * times


@tool(effects=("read",))
async def whisper(text: str, context: ToolContext) -> dict[str, str]:
    """Say it softly."""
    return {"text": text.lower(), "session": context.session_id}


@dataclass(frozen=True)
class Case:
    """A tool, a call of it that works in the workspace below, and one that takes long, if it can."""

    tool: ToolPort
    works: Mapping[str, Any]
    takes_long: Mapping[str, Any] | None = None


SLOW_PATTERN = "(a|aa)+$(?<!x)"
CASES = [
    Case(Read(), {"file_path": "src/a.py", "limit": 2}, {"file_path": "big.txt", "offset": 90_000_000}),
    Case(Write(), {"file_path": "new/b.py", "content": "x\n"}),
    Case(Edit(), {"file_path": "src/a.py", "old_string": "import os", "new_string": "import sys"}),
    Case(Patch(), {"file_path": "src/a.py", "diff": "@@ -1,2 +1,2 @@\n-import os\n+import sys\n \n"}),
    Case(Ls(), {"path": "src"}),
    Case(Glob(), {"pattern": "**/*.py"}),
    Case(Grep(), {"pattern": "import", "context": 1}, {"pattern": SLOW_PATTERN}),
    Case(Grep(lambda: None), {"pattern": "import"}, {"pattern": SLOW_PATTERN}),
    Case(Bash(), {"command": "echo hello; echo x > made"}, {"command": "sleep 300 & setsid sleep 300 & sleep 300"}),
    Case(shout, {"text": "hey", "times": "2"}),
    Case(whisper, {"text": "HEY"}),
]


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.tool.spec.name)


def changes(case: Case) -> bool:
    effects = case.tool.effects(case.tool.parse(case.works), Path("/"))
    return any(effect.kind in CHANGING for effect in effects)


each_case = each(CASES)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "ws"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "a.py").write_text("import os\n\nprint(os)\n")
    for number in range(30):
        (folder / f"slow{number}").write_text("a" * 50 + "!\n")
    return folder


def context_of(tool: ToolPort, args: Any, workspace: Path, **environment: str) -> ToolContext:
    return ToolContext(
        workspace=workspace,
        session_id="session-1",
        run_id="run-1",
        call_id="call-1",
        origin="model",
        decision=Decision("allow"),
        effects=tool.effects(args, workspace),
        artifacts=MemoryArtifactStore(),
        files={},
        environment={"PATH": os.environ["PATH"], **environment},
        progress=lambda _: None,
    )


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path): path.read_bytes() if path.is_file() and path.stat().st_size < 1_000_000 else None
        for path in sorted(folder.rglob("*"))
    }


@each_case
def test_the_spec_is_a_name_a_description_and_a_json_schema(case: Case) -> None:
    spec = case.tool.spec
    Draft202012Validator.check_schema(spec.parameters)
    assert spec.parameters["type"] == "object"
    assert spec.description
    assert Draft202012Validator(spec.parameters).is_valid(json.loads(json.dumps(case.works))) or "times" in case.works
    assert "$ref" not in json.dumps(spec.parameters)
    assert "title" not in json.dumps(spec.parameters)


JUNK: list[Any] = [None, 0, -1, 1.5, True, "", "x", "\0", "\ud800", [], [1], {}, {"a": 1}, 10**30, "9" * 5000]


@each_case
def test_arguments_give_values_or_an_argument_error_and_nothing_else(case: Case) -> None:
    rng = random.Random(case.tool.spec.name)
    names = [*case.tool.spec.parameters["properties"], "other", ""]
    refused: list[ArgumentError] = []
    for _ in range(300):
        arguments = {**case.works, **{rng.choice(names): rng.choice(JUNK) for _ in range(rng.randint(1, 3))}}
        try:
            case.tool.parse(arguments)
        except ArgumentError as error:
            refused.append(error)
    assert len(refused) > 50
    for error in refused:
        assert error.issues
        assert {path.split(".")[0] for path, _, _ in error.issues} <= set(names)
        assert all(path in str(error) for path, _, _ in error.issues)


@each_case
def test_a_missing_argument_is_named(case: Case) -> None:
    for name in case.tool.spec.parameters.get("required", []):
        arguments = {key: value for key, value in case.works.items() if key != name}
        with pytest.raises(ArgumentError) as caught:
            case.tool.parse(arguments)
        assert caught.value.issues[0][0] == name
        assert caught.value.issues[0][2] == "nothing"


@each_case
def test_a_misspelt_argument_is_told_with_the_right_name(case: Case) -> None:
    for name in case.works:
        with pytest.raises(ArgumentError, match=f"did you mean {name}"):
            case.tool.parse({**case.works, name.replace("_", "").upper(): "x"})


@each_case
def test_effects_are_pure_and_the_same_each_time(case: Case, workspace: Path) -> None:
    args = case.tool.parse(case.works)
    before = snapshot(workspace)
    first = case.tool.effects(args, workspace)
    assert case.tool.effects(args, workspace) == first
    assert isinstance(first, tuple)
    assert snapshot(workspace) == before


@each_case
async def test_a_call_works_and_changes_only_what_its_effects_say(case: Case, workspace: Path) -> None:
    args = case.tool.parse(case.works)
    effects = case.tool.effects(args, workspace)
    before = snapshot(workspace)
    output = await case.tool.invoke(args, context_of(case.tool, args, workspace))
    assert (output.exit_code, output.error_kind) == (0, None), output.text
    assert isinstance(output, ToolOutput)
    json.dumps([output.text, output.metadata, output.value])
    after = snapshot(workspace)
    changed = {path for path in before.keys() | after.keys() if before.get(path, b"?") != after.get(path, b"?")}
    if any(effect.kind in ("exec", "spend") for effect in effects):
        return
    targets = {effect.target for effect in effects if effect.kind == "write"}
    assert all(any(target == path or target.startswith(f"{path}/") for target in targets) for path in changed)
    assert bool(changed) == bool(targets)


@each([case for case in CASES if not isinstance(case.tool, FunctionTool)])
async def test_without_its_effects_approved_a_call_does_nothing(case: Case, workspace: Path) -> None:
    args = case.tool.parse(case.works)
    context = context_of(case.tool, args, workspace)
    before = snapshot(workspace)
    elsewhere = tuple(Effect(effect.kind, "/elsewhere", effect.given) for effect in context.effects)
    for effects in ((), elsewhere):
        output = await case.tool.invoke(args, replace(context, effects=effects))
        assert output.error_kind == "permission_denied"
    assert snapshot(workspace) == before


def running(mark: str) -> list[int]:
    return [pid for pid in marked(mark) if Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@each([case for case in CASES if case.takes_long is not None])
async def test_a_cancelled_call_leaves_nothing_running(case: Case, workspace: Path) -> None:
    if case.tool.spec.name == "read":
        (workspace / "big.txt").write_bytes(b"line\n" * 8_000_000)
    mark = uuid.uuid4().hex
    before = set(threading.enumerate())
    args = case.tool.parse(case.takes_long or {})
    context = context_of(case.tool, args, workspace, TZ=mark)
    task = asyncio.create_task(case.tool.invoke(args, context))
    await asyncio.sleep(0.3)
    loop = asyncio.get_running_loop()
    started = loop.time()
    if not task.done():
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert loop.time() - started < 2
    assert running(f"TZ={mark}") == []
    # Of the threads that came up meanwhile the loop keeps its idle workers; those of other tests are not looked at.
    for thread in set(threading.enumerate()) - before:
        if not thread.name.startswith("asyncio_"):
            thread.join(1)
            assert not thread.is_alive(), thread.name
    await asyncio.wait_for(loop.shutdown_default_executor(), 1)


@each([case for case in CASES if not changes(case)])
async def test_calls_of_one_tool_run_at_once(case: Case, workspace: Path) -> None:
    args = case.tool.parse(case.works)
    outputs = await asyncio.gather(*(case.tool.invoke(args, context_of(case.tool, args, workspace)) for _ in range(8)))
    assert {output.text for output in outputs} == {outputs[0].text}
    assert outputs[0].exit_code == 0
