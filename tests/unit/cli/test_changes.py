"""The diff of two folders."""

from __future__ import annotations

from pathlib import Path

from a3s_code.cli.changes import read_folder, unified_diff


def test_a_changed_line_is_shown_with_its_neighbours() -> None:
    before, after = {"a/x.py": b"one\ntwo\nthree\n"}, {"a/x.py": b"one\n2\nthree\n"}
    assert list(unified_diff(before, after)) == [
        "--- a/a/x.py",
        "+++ b/a/x.py",
        "@@ -1,3 +1,3 @@",
        " one",
        "-two",
        "+2",
        " three",
    ]


def test_new_and_removed_files_are_shown_even_when_empty() -> None:
    lines = list(unified_diff({"gone": b"x\n", "was": b""}, {"new": b"y\n", "is": b""}))
    assert [line for line in lines if line.startswith(("---", "+++"))] == [
        *("--- a/gone", "+++ /dev/null"),
        *("--- /dev/null", "+++ b/is"),
        *("--- /dev/null", "+++ b/new"),
        *("--- a/was", "+++ /dev/null"),
    ]
    assert {"-x", "+y"} <= set(lines)


def test_equal_folders_have_no_diff() -> None:
    assert not list(unified_diff({"a": b"x"}, {"a": b"x"}))


def test_a_folder_is_read_without_caches_links_and_version_control(tmp_path: Path) -> None:
    for name in ("b.py", "a/c.bin", "a/__pycache__/c.pyc", ".git/HEAD"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\x00")
    (tmp_path / "link").symlink_to(tmp_path / "b.py")
    assert read_folder(tmp_path) == {"a/c.bin": b"\xff\x00", "b.py": b"\xff\x00"}


def test_bytes_that_are_no_text_do_not_stop_the_diff() -> None:
    assert list(unified_diff({"a": b"\xff\n"}, {"a": b"\xfe\xfe\n"}))
