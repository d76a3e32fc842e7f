"""No tool leaves the workspace unjudged: each says where a path leads, and goes nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from a3s_code.capabilities.core_tools import Edit, Glob, Grep, Ls, Read, Write
from a3s_code.capabilities.core_tools.patch import Patch
from a3s_code.kernel.tool import ToolPort
from a3s_code.system.paths import PathError, is_inside

FILE_TOOLS: list[tuple[ToolPort, dict[str, Any]]] = [
    (Read(), {}),
    (Write(), {"content": "changed"}),
    (Edit(), {"old_string": "secret", "new_string": "changed"}),
    (Patch(), {"diff": "@@ -1 +1 @@\n-secret\n+changed\n"}),
]
FOLDER_TOOLS: list[tuple[ToolPort, dict[str, Any]]] = [
    (Ls(), {}),
    (Glob(), {"pattern": "**"}),
    (Grep(), {"pattern": "secret"}),
    (Grep(lambda: None), {"pattern": "secret"}),
]


def with_path(tool: ToolPort, path: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {("file_path" if tool.spec.name in ("read", "write", "edit", "patch") else "path"): path, **arguments}


@pytest.fixture
def lair(bench: Any) -> Any:
    """Links of all kinds out of the workspace, and a secret where they lead."""
    (bench.outside / "secret.txt").write_text("secret")
    bench.put("a/inner.txt", "nothing here")
    (bench.workspace / "away").symlink_to(bench.outside)
    (bench.workspace / "file").symlink_to(bench.outside / "secret.txt")
    (bench.workspace / "dangling").symlink_to(bench.outside / "new.txt")
    (bench.workspace / "a" / "up").symlink_to("../..")
    return bench


PATHS = [
    "away/secret.txt",
    "file",
    "dangling",
    "a/../../outside/secret.txt",
    "a/up/outside/secret.txt",
    "{OUT}/secret.txt",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("tool", "arguments"), FILE_TOOLS + FOLDER_TOOLS)
def test_a_path_out_of_the_workspace_is_declared_as_such(
    lair: Any, tool: ToolPort, arguments: dict[str, Any], path: str
) -> None:
    path = path.replace("{OUT}", str(lair.outside))
    args = tool.parse(with_path(tool, path, arguments))
    effects = tool.effects(args, lair.workspace)
    assert effects
    for effect in effects:
        assert effect.target in (str(lair.outside / "secret.txt"), str(lair.outside / "new.txt"))
        assert not is_inside(lair.workspace, effect.target)
        assert effect.given == path


@pytest.mark.parametrize("path", ["away/secret.txt", "file", "dangling", "away", "a/up/outside/secret.txt"])
@pytest.mark.parametrize(("tool", "arguments"), FILE_TOOLS + FOLDER_TOOLS)
async def test_a_path_that_came_to_lead_out_after_it_was_judged_is_refused(
    lair: Any, tool: ToolPort, arguments: dict[str, Any], path: str
) -> None:
    args = tool.parse(with_path(tool, path, arguments))
    for name in ("away", "file", "dangling", "a/up"):
        (lair.workspace / name).rename(lair.workspace / f"{name}.aside")
    context = lair.context(tool, args)
    for name in ("away", "file", "dangling", "a/up"):
        (lair.workspace / f"{name}.aside").rename(lair.workspace / name)
    output = await tool.invoke(args, context)
    assert output.error_kind == "permission_denied"
    assert "Nothing was done" in output.text
    assert (lair.outside / "secret.txt").read_text() == "secret"
    assert not (lair.outside / "new.txt").exists()


@pytest.mark.parametrize(("tool", "arguments"), FOLDER_TOOLS)
async def test_a_search_follows_no_link(lair: Any, tool: ToolPort, arguments: dict[str, Any]) -> None:
    output = await lair.call(tool, **arguments)
    assert "secret.txt" not in output.text.replace(f"file -> {lair.outside}/secret.txt", "")


@pytest.mark.parametrize(("tool", "arguments"), FILE_TOOLS)
async def test_an_approved_path_outside_works(lair: Any, tool: ToolPort, arguments: dict[str, Any]) -> None:
    output = await lair.call(tool, file_path="file", **arguments)
    assert output.exit_code == 0
    assert (lair.workspace / "file").is_symlink()


@pytest.mark.parametrize(("tool", "arguments"), FILE_TOOLS + FOLDER_TOOLS)
def test_a_loop_of_links_is_told_before_anything_is_judged(
    bench: Any, tool: ToolPort, arguments: dict[str, Any]
) -> None:
    (bench.workspace / "loop").symlink_to("loop")
    with pytest.raises(PathError, match="loop"):
        tool.effects(tool.parse(with_path(tool, "loop/x", arguments)), bench.workspace)
