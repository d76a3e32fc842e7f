"""Paths resolved as the kernel does."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from a3s_code.system.paths import PathError, is_inside, posix_form, relative, resolve


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "ws"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "a.py").write_text("a")
    return folder


@pytest.mark.parametrize(
    ("given", "leads_to"),
    [
        ("src/a.py", "src/a.py"),
        ("./src//a.py", "src/a.py"),
        ("src/../src/a.py", "src/a.py"),
        ("src/a.py/", "src/a.py"),
        (".", ""),
        ("missing/new.txt", "missing/new.txt"),
        ("missing/../src", "src"),
        ("$HOME/x", "$HOME/x"),
        ("~x", "~x"),
    ],
)
def test_a_path_inside_leads_where_it_says(workspace: Path, given: str, leads_to: str) -> None:
    place = resolve(workspace, given)
    assert place.real == workspace / leads_to
    assert place.inside
    assert place.given == given
    assert place.exists == place.real.exists()


@pytest.mark.parametrize("given", ["..", "../x", "src/../../x", "/etc/passwd", "//etc/passwd", "~/x", "~", "/"])
def test_a_path_outside_is_known_as_such(workspace: Path, given: str) -> None:
    assert not resolve(workspace, given).inside


def test_a_sibling_with_the_same_beginning_is_outside(workspace: Path) -> None:
    assert not resolve(workspace, f"{workspace}-evil/a.txt").inside


def test_the_absolute_spelling_of_a_file_inside_is_inside(workspace: Path) -> None:
    assert resolve(workspace, f"{workspace}/src/a.py").inside


def test_everything_is_inside_the_root_folder() -> None:
    assert is_inside(Path("/"), "/etc/passwd")
    assert relative(Path("/"), Path("/etc/passwd")) == "etc/passwd"


def test_a_link_leads_to_its_target(workspace: Path, tmp_path: Path) -> None:
    outside = tmp_path.resolve() / "outside"
    outside.mkdir()
    (workspace / "away").symlink_to(outside)
    (workspace / "near").symlink_to("src/a.py")
    assert resolve(workspace, "away/x").real == outside / "x"
    assert not resolve(workspace, "away/x").inside
    assert resolve(workspace, "near").real == workspace / "src/a.py"


def test_dots_after_a_link_leave_its_target_not_its_place(workspace: Path, tmp_path: Path) -> None:
    deep = tmp_path.resolve() / "p" / "q"
    deep.mkdir(parents=True)
    (workspace / "link").symlink_to(deep)
    assert resolve(workspace, "link/../../x.txt").real == tmp_path.resolve() / "x.txt"


def test_a_dangling_link_leads_to_what_is_not_there(workspace: Path, tmp_path: Path) -> None:
    (workspace / "dangling").symlink_to(tmp_path.resolve() / "nowhere" / "file")
    place = resolve(workspace, "dangling")
    assert place.real == tmp_path.resolve() / "nowhere" / "file"
    assert not place.inside
    assert not place.exists


def test_the_answer_is_the_kernels(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (workspace / "one").symlink_to("two")
    (workspace / "two").symlink_to(f"{workspace}/src/../src")
    (workspace / "src" / "up").symlink_to("../..")
    for given in ("one", "one/a.py", "src/up", "src/up/out", "one/up/ws/two/a.py", "two/../one"):
        assert str(resolve(workspace, given).real) == os.path.realpath(workspace / given), given


def test_a_loop_of_links_is_an_error(workspace: Path) -> None:
    (workspace / "a").symlink_to("b")
    (workspace / "b").symlink_to("a")
    with pytest.raises(PathError, match="loop"):
        resolve(workspace, "a/x")


@pytest.mark.parametrize("given", ["", "a\0b", "\ud800", "x" * 5000])
def test_what_no_file_can_be_called_is_an_error(workspace: Path, given: str) -> None:
    with pytest.raises(PathError):
        resolve(workspace, given)


def test_relative_is_the_short_spelling_inside_and_the_long_one_outside(workspace: Path) -> None:
    assert relative(workspace, workspace / "src" / "a.py") == "src/a.py"
    assert relative(workspace, workspace) == "."
    assert relative(workspace, Path("/etc/passwd")) == "/etc/passwd"


def test_a_very_long_path_is_not_told_whole(workspace: Path) -> None:
    with pytest.raises(PathError, match="too long") as caught:
        resolve(workspace, "x" * 5000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("src\\a.py", "src/a.py"),
        ("src\\sub/a.py", "src/sub/a.py"),
        (".\\a.py", "./a.py"),
        ("..\\..\\a.py", "../../a.py"),
        ("C:\\work\\a.py", "/work/a.py"),
        ("C:/work/a.py", "/work/a.py"),
        ("c:a\\b", "a/b"),
        ("\\\\server\\share\\x\\a.py", "/x/a.py"),
        ("\\\\?\\C:\\x", "/x"),
        ("src/a.py", None),
        ("/etc/passwd", None),
        ("C:a.py", None),
        ("a:b/c", None),
        ("http://x/y", None),
        ("~/x", None),
        ("", None),
    ],
)
def test_a_path_in_the_manner_of_windows_is_known_and_spelt_anew(given: str, plain: str | None) -> None:
    assert posix_form(given) == plain


def test_a_backslash_is_no_separator(workspace: Path) -> None:
    (workspace / "odd\\name").write_text("x")
    assert resolve(workspace, "odd\\name").real == workspace / "odd\\name"
    assert resolve(workspace, "odd\\name").exists
    assert not resolve(workspace, "src\\a.py").exists


def test_links_that_come_and_go_are_no_error(workspace: Path) -> None:
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (workspace / "src").rename(workspace / "aside")
            (workspace / "src").symlink_to(workspace.parent)
            (workspace / "src").unlink()
            (workspace / "aside").rename(workspace / "src")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        found = {resolve(workspace, "src/a.py").real for _ in range(2000)}
    finally:
        stop.set()
        thread.join()
    assert found <= {workspace / "src" / "a.py", workspace.parent / "a.py"}
