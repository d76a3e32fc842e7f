"""What calls are compiled to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from a3s_code.harness.safety.effects import MAX_EFFECTS, compile_effects
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.tool import Action

Judge = Callable[..., Decision]
Act = Callable[[str, str | None], Action]


@pytest.fixture
def effects(workspace: Path, home: Path, act: Act) -> Callable[[str], set[tuple[str, str]]]:
    """The effects of a shell command but the command itself, with paths from the workspace."""

    def effects(command: str) -> set[tuple[str, str]]:
        found = compile_effects(act("bash", command), str(workspace), str(home))
        assert found[0] == Effect("exec", command)
        return {(effect.kind, effect.target.removeprefix(f"{workspace}/")) for effect in found[1:]}

    return effects


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ls", {("read", "WS")}),
        ("echo x > out/a 2>> log", {("write", "out/a"), ("write", "log")}),
        ("cat < in.txt | tee a b", {("read", "in.txt"), ("write", "a"), ("write", "b")}),
        ("cat a > /dev/null 2>&1", {("read", "a")}),
        ("cp a b c", {("read", "a"), ("read", "b"), ("write", "c")}),
        ("cp -t c a", {("read", "a"), ("write", "c")}),
        ("mv a b", {("read", "a"), ("delete", "a"), ("read", "b"), ("write", "b")}),
        ("rm -rf build dist", {("delete", "build"), ("delete", "dist")}),
        ("find src -name '*.o' -delete", {("read", "src"), ("delete", "src")}),
        ("sed -i s/a/b/ f", {("read", "f"), ("write", "f")}),
        ("sort -o sorted -k 2 f", {("read", "sorted"), ("read", "f"), ("write", "sorted")}),
        ("head -n 5 f", {("read", "f")}),
        ("dd if=a of=b", {("read", "a"), ("read", "b"), ("write", "a"), ("write", "b")}),
        ("tar cf a.tar src", {("write", "a.tar"), ("read", "src")}),
        ("tar xf a.tar", {("read", "a.tar"), ("write", "WS")}),
        ("cd src && cat a > ../b", {("read", "src/a"), ("write", "b")}),
        ("(cd src && rm a); rm b", {("delete", "a"), ("delete", "src/a"), ("delete", "b")}),
        ("sudo sh -c 'rm x'", {("delete", "x")}),
        ("find src -exec rm {} +", {("read", "src")}),
        ("cat $F", set()),
        ("curl -o page https://x.test/a", {("write", "page"), ("net", "https://x.test/a")}),
        ("wget -q https://x.test", {("net", "https://x.test")}),
        ("git clone git@x.test:a/b.git", {("net", "git@x.test:a/b.git")}),
        ("git fetch && git status", {("net", "git")}),
        ("pip3.11 install x", {("net", "pip")}),
        ("python -m pip install x", {("net", "pip")}),
        ("npm ci", {("net", "npm")}),
        ("npm run build", set()),
        ("ssh host ls", {("net", "ssh"), ("read", "WS")}),
        ("git push origin main", {("net", "git"), ("release", "git push")}),
        ("git -C sub push", {("net", "git"), ("release", "git push")}),
        ("git commit -m push", set()),
        ("python -m twine upload dist/a.whl", {("net", "twine"), ("release", "twine upload")}),
        ("kubectl -n prod apply -f x", {("net", "kubectl"), ("release", "kubectl apply")}),
        ("sh -c 'npm publish'", {("net", "npm"), ("release", "npm publish")}),
        ("docker buildx build --push .", {("net", "docker"), ("release", "docker --push")}),
        ("'", set()),
    ],
)
def test_a_command_is_compiled_to_what_its_parts_do(
    effects: Callable[[str], set[tuple[str, str]]], workspace: Path, command: str, expected: set[tuple[str, str]]
) -> None:
    (workspace / "src").mkdir()
    assert effects(command) == {(kind, str(workspace) if target == "WS" else target) for kind, target in expected}


def test_paths_are_real_ones(effects: Callable[[str], set[tuple[str, str]]], workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (workspace / "link").symlink_to(tmp_path / "out")
    target = os.path.realpath(tmp_path / "out")
    assert effects("echo x > link/a") == {("write", f"{target}/a")}


def test_a_decision_carries_them(decide: Judge, workspace: Path) -> None:
    decision = decide("bash", "echo x > out", allow=["bash"])
    assert decision.effects == (
        Effect("exec", "echo x > out"),
        Effect("write", str(workspace / "out"), f"{workspace}/out"),
    )
    assert decide("write", "a", allow=["write"]).effects == (Effect("write", str(workspace / "a"), "a"),)


def test_the_list_of_them_is_bounded(workspace: Path, home: Path, act: Act) -> None:
    command = "cat " + " ".join(str(number) for number in range(2 * MAX_EFFECTS))
    assert len(compile_effects(act("bash", command), str(workspace), str(home))) == MAX_EFFECTS


def test_a_tool_that_declares_a_release_is_asked_about_unless_a_rule_names_it(
    decide_action: Callable[..., Decision],
) -> None:
    action = Action("1", "ship", {}, (Effect("release", "v1"),), "model")
    assert decide_action(action, allow=["*"]).outcome == "ask"
    assert decide_action(action, default="allow").source == "release"
    assert decide_action(action, allow=["ship"]).outcome == "allow"
    assert decide_action(action, allow=["ship"], default="deny").outcome == "allow"
    assert decide_action(action, default="deny").outcome == "deny"
