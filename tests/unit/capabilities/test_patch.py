"""patch"""

from __future__ import annotations

import asyncio
import difflib
import fcntl
import os
import random
import shutil
import stat
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from a3s_code.capabilities.core_tools import Read
from a3s_code.capabilities.core_tools.patch import Patch
from a3s_code.capabilities.core_tools.patching.change import MAX_CHARACTERS, MAX_FILES, MAX_HUNKS, MAX_LINES
from a3s_code.capabilities.core_tools.patching.placement import Misplaced
from a3s_code.capabilities.core_tools.patching.reading import read_patch
from a3s_code.capabilities.core_tools.patching.revision import revise
from a3s_code.capabilities.core_tools.patching.transaction import Step, Unfinished, carry_out
from a3s_code.errors import ArgumentError
from a3s_code.system.files import FileChanged, digest
from a3s_code.system.paths import PathError

READ, PATCH = Read(), Patch()
SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
TEN = "".join(f"line {number}\n" for number in range(1, 11))


def effects_of(bench: Any, diff: str, file_path: str | None = None) -> list[tuple[str, str]]:
    effects = PATCH.effects(PATCH.parse({"diff": diff, "file_path": file_path}), bench.workspace)
    return [(effect.kind, os.path.relpath(effect.target, bench.workspace)) for effect in effects]


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


async def test_a_bare_hunk_changes_the_file_that_is_named(bench: Any) -> None:
    file = bench.put("src/a.py", "import os\n\nx = 1\n")
    file.chmod(0o755)
    output = await bench.call(PATCH, file_path="src/a.py", diff="@@ -1,3 +1,3 @@\n import os\n \n-x = 1\n+x = 2\n")
    assert file.read_text() == "import os\n\nx = 2\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert output.text == "updated src/a.py +1 -1"
    assert output.metadata == {
        "files": [
            {
                "file_path": "src/a.py",
                "change": "updated",
                "before": digest(b"import os\n\nx = 1\n"),
                "after": digest(b"import os\n\nx = 2\n"),
                "hunks": 1,
                "fuzz": [],
                "added": 1,
                "removed": 1,
            }
        ],
        "added": 1,
        "removed": 1,
    }
    assert bench.files == {str(file): digest(file.read_bytes())}


GIT = """diff --git a/a.py b/a.py
index 1111111..2222222 100644
--- a/a.py
+++ b/a.py
@@ -1,2 +1,2 @@ def f():
-old
+new
 same
diff --git a/new/b.py b/new/b.py
new file mode 100755
index 0000000..3333333
--- /dev/null
+++ b/new/b.py
@@ -0,0 +1,2 @@
+one
+two
diff --git a/gone.py b/gone.py
deleted file mode 100644
index 4444444..0000000
--- a/gone.py
+++ /dev/null
@@ -1 +0,0 @@
-bye
diff --git a/from me.py b/to.py
similarity index 50%
rename from from me.py
rename to to.py
--- a/from me.py
+++ b/to.py
@@ -1 +1 @@
-here
+there
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
diff --git a/empty b/empty
new file mode 100644
index 0000000..e69de29
"""
ENVELOPE = """*** Begin Patch
*** Update File: a.py
@@
-old
+new
 same
*** Add File: new/b.py
+one
+two
*** Delete File: gone.py
*** Update File: from me.py
*** Move to: to.py
@@
-here
+there
*** End Patch
"""


@pytest.fixture
def project(bench: Any) -> Any:
    for name, content in {"a.py": "old\nsame\n", "gone.py": "bye\n", "from me.py": "here\n", "run.sh": "x\n"}.items():
        bench.put(name, content)
    (bench.workspace / "from me.py").chmod(0o600)
    return bench


async def test_a_diff_of_git_does_all_it_says(project: Any) -> None:
    output = await project.call(PATCH, diff=GIT)
    assert output.exit_code == 0, output.text
    after = {"a.py": "new\nsame\n", "new/b.py": "one\ntwo\n", "to.py": "there\n", "run.sh": "x\n", "empty": ""}
    assert tree(project.workspace) == after
    modes = {name: stat.S_IMODE((project.workspace / name).stat().st_mode) for name in after}
    assert modes == {"a.py": 0o644, "new/b.py": 0o755, "to.py": 0o600, "run.sh": 0o755, "empty": 0o644}
    assert output.text.splitlines() == [
        "Patched 6 files, +4 -3:",
        "updated a.py +1 -1",
        "added new/b.py +2 -0",
        "deleted gone.py +0 -1",
        "moved from me.py -> to.py +1 -1",
        "updated run.sh +0 -0",
        "added empty +0 -0",
    ]
    changes = [(file["file_path"], file["change"], file.get("moved_to")) for file in output.metadata["files"]]
    assert changes[2:4] == [("gone.py", "deleted", None), ("from me.py", "moved", "to.py")]


async def test_the_other_form_does_the_same(project: Any) -> None:
    output = await project.call(PATCH, diff=ENVELOPE)
    assert output.exit_code == 0, output.text
    assert tree(project.workspace) == {
        "a.py": "new\nsame\n",
        "new/b.py": "one\ntwo\n",
        "to.py": "there\n",
        "run.sh": "x\n",
    }


def test_the_gate_sees_every_file_of_a_diff(project: Any) -> None:
    assert effects_of(project, GIT) == [
        ("read", "a.py"),
        ("write", "a.py"),
        ("write", "new/b.py"),
        ("read", "gone.py"),
        ("delete", "gone.py"),
        ("read", "from me.py"),
        ("delete", "from me.py"),
        ("write", "to.py"),
        ("read", "run.sh"),
        ("write", "run.sh"),
        ("write", "empty"),
    ]
    assert effects_of(project, ENVELOPE) == [
        ("read", "a.py"),
        ("write", "a.py"),
        ("write", "new/b.py"),
        ("delete", "gone.py"),
        ("read", "from me.py"),
        ("delete", "from me.py"),
        ("write", "to.py"),
    ]
    (project.workspace / "link").symlink_to(project.outside)
    assert effects_of(project, "--- a/link/x\n+++ b/link/x\n@@ -1 +1 @@\n-a\n+b\n") == [
        ("read", "../outside/x"),
        ("write", "../outside/x"),
    ]
    hunk = "@@ -1 +1 @@\n-a\n+b\n"
    assert effects_of(project, hunk, "secrets/a") == [("read", "secrets/a"), ("write", "secrets/a")]
    named = f"--- a/x/secrets/a\n+++ b/x/secrets/a\n{hunk}"
    assert effects_of(project, named, "secrets/a") == [("read", "secrets/a"), ("write", "secrets/a")]


UPDATE = "*** Begin Patch\n*** Update File: a\n"
HUNK = "@@ -1 +1 @@\n-a\n+b\n"


@pytest.mark.parametrize(
    ("diff", "reason"),
    [
        ("", "no file and no hunk"),
        ("just words\n", "no file and no hunk"),
        (HUNK, "no file is named"),
        ("--- a/x\n+++ b/x\n", "holds no hunk"),
        ("--- a/x\n+++ b/y\n" + HUNK, "names x and y as one file"),
        ("--- /dev/null\n+++ /dev/null\n" + HUNK, "both names"),
        ("--- \n+++ b/x\n" + HUNK, "name of a file is missing"),
        ("--- a/x\n+++ b/x\n@@ -1,1 +1,1\n-a\n+b\n", "no hunk header"),
        ("--- a/x\n+++ b/x\n@@ -0 +1 @@\n-a\n+b\n", "counted from 1"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n a\n", "no line that starts with"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\nthe rest\n", "neither a space nor"),
        ("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\n+b\nc\n", "line 6: this line of a hunk starts with neither"),
        ("--- a/x\n+++ b/x\n@@ -9 +9 @@\n-a\n+b\n@@ -1 +1 @@\n-c\n+d\n", "in the order of their lines"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n\\ No newline at end of file\n-a\n+b\n", "no line"),
        ("--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n-a\n\\ No newline at end of file\n-b\n+c\n", "followed by another"),
        ("--- /dev/null\n+++ b/x\n@@ -1 +1,2 @@\n a\n+b\n", "all its lines must start with +"),
        ("--- a/x\n+++ /dev/null\n@@ -1,2 +1 @@\n a\n-b\n", "all its lines must start with -"),
        ("diff --git a/x b/x\nGIT binary patch\nliteral 3\n", "binary patch"),
        ("diff --git a/x b/x\nBinary files a/x and b/x differ\n", "binary patch"),
        ("diff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+/etc\n", "mode 120000"),
        ("diff --git a/x b/x\nold mode 100644\nnew mode 104755\n", "mode 104755"),
        ("diff --git a/x b/y\nsimilarity index 100%\ncopy from x\ncopy to y\n", "copies"),
        ("diff --git a/x b/y\nrename from x\n", "a rename needs"),
        ("diff --cc x\n--- a/x\n+++ b/x\n@@@ -1 -1 +1 @@@\n--a\n++b\n", "combined"),
        (UPDATE, "cut off"),
        (UPDATE + "@@\n-a\n+b\n", "cut off"),
        (UPDATE + "@@\n-a\n+b\n*** End Patch\nand more\n", "something follows"),
        (UPDATE + "*** End Patch\n", "holds no lines to change"),
        (UPDATE + "@@\nabc\n*** End Patch\n", "neither a space nor"),
        ("*** Begin Patch\n*** End Patch\n", "names no file"),
        ("*** Begin Patch\n*** Rename File: a\n*** End Patch\n", "expected"),
        ("*** Begin Patch\n*** Add File: a\nx\n*** End Patch\n", "starts with +"),
        ("*** Begin Patch\n*** Add File: a\n\n+x\n*** End Patch\n", "starts with +"),
        ("*** Begin Patch\n*** Delete File:\n*** End Patch\n", "name of a file is missing"),
    ],
)
def test_a_diff_that_cannot_be_read_says_why(bench: Any, diff: str, reason: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        effects_of(bench, diff)
    assert reason in str(caught.value)
    assert str(caught.value).startswith("diff")


@pytest.mark.parametrize(
    ("diff", "file_path", "reason"),
    [
        ("--- a/x\n+++ b/x\n" + HUNK, "y", "it is about x, but file_path says y"),
        (f"--- a/x\n+++ b/x\n{HUNK}--- a/y\n+++ b/y\n{HUNK}", "x", "but file_path says x"),
        (f"--- a/x\n+++ b/x\n{HUNK}--- a/x\n+++ b/x\n{HUNK}", "x", "several files"),
        (f"--- a/x\n+++ b/x\n{HUNK}--- a/x\n+++ b/x\n{HUNK}", None, "twice"),
        ("diff --git a/x b/y\nrename from x\nrename to y\n", "x", "leave file_path out"),
        (UPDATE + "*** Move to: b\n@@\n-a\n+b\n*** End Patch", "a", "leave file_path out"),
        (UPDATE + "@@\n-a\n+b\n*** End Patch", "other", "it is about a"),
    ],
)
def test_names_that_contradict_each_other_are_refused(
    bench: Any, diff: str, file_path: str | None, reason: str
) -> None:
    with pytest.raises(ArgumentError, match=reason):
        effects_of(bench, diff, file_path)


async def test_a_diff_against_a_copy_works_where_the_file_is_named(bench: Any) -> None:
    file = bench.put("src/a.py", "a\n")
    output = await bench.call(PATCH, file_path="src/a.py", diff=f"--- a.py.orig\n+++ a.py\n{HUNK}")
    assert (output.exit_code, file.read_text()) == (0, "b\n")
    assert not (bench.workspace / "a.py.orig").exists()


def test_one_file_under_two_names_is_refused(bench: Any) -> None:
    bench.put("real", "a\n")
    (bench.workspace / "link").symlink_to("real")
    with pytest.raises(ArgumentError, match="as real, too"):
        effects_of(bench, f"--- a/real\n+++ b/real\n{HUNK}--- a/link\n+++ b/link\n{HUNK}")


def test_a_path_that_is_none_is_refused(bench: Any) -> None:
    with pytest.raises(PathError, match="NUL"):
        effects_of(bench, '--- "a/x\\000"\n+++ "b/x\\000"\n' + HUNK)
    with pytest.raises(PathError, match=r"src/a\.py"):
        effects_of(bench, HUNK, "src\\a.py")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("--- a/x.py\n+++ b/x.py\n", "x.py"),
        ("--- x.py\n+++ x.py\n", "x.py"),
        ("--- a/x.py\t2024-01-01 00:00:00.000 +0000\n+++ b/x.py\t2024-01-02\n", "x.py"),
        ("--- i/x.py\n+++ w/x.py\n", "x.py"),
        ("--- a/a/x.py\n+++ b/a/x.py\n", "a/x.py"),
        ("--- a/two words\n+++ b/two words\n", "two words"),
        ('--- "a/gr\\303\\274n \\"x\\""\n+++ "b/gr\\303\\274n \\"x\\""\n', 'grün "x"'),
        ("From 1234\nSubject: words\n---\n x | 2 +-\n\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n", "x"),
        (
            "Index: x.py\n===================================================================\n--- x.py\n+++ x.py\n",
            "x.py",
        ),
    ],
)
def test_names_are_read_as_they_are_written(header: str, name: str) -> None:
    (change,) = read_patch(header + HUNK)
    assert (change.kind, change.path) == ("updated", name)


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("a/two words b/two words", "two words"),
        ("a/x b/x", "x"),
        ('"a/\\303\\274" "b/\\303\\274"', "ü"),
    ],
)
def test_a_mode_alone_takes_its_name_from_the_first_line(header: str, names: str) -> None:
    (change,) = read_patch(f"diff --git {header}\nold mode 100755\nnew mode 100644\n")
    assert (change.path, change.executable) == (names, False)


def test_prefixes_of_git_are_dropped_from_new_files_too() -> None:
    header = "diff --git i/new w/new\nnew file mode 100644\n--- /dev/null\n+++ w/new\n@@ -0,0 +1 @@\n+x\n"
    added, mode, plain = read_patch(f"{header}diff --git a/m b/m\nnew mode 100755\n--- p\n+++ p\n{HUNK}")
    assert [(change.kind, change.path) for change in (added, mode, plain)] == [
        ("added", "new"),
        ("updated", "m"),
        ("updated", "p"),
    ]
    (sloppy,) = read_patch(f"diff --git a/dir/x b/dir/x\n--- dir/x\n+++ dir/x\n{HUNK}")
    assert sloppy.path == "dir/x"


def test_a_mail_is_read_without_its_words(bench: Any) -> None:
    mail = f"From abc\nSubject: [PATCH] x\n\n--- a/x\n+++ b/x\n{HUNK}-- \n2.40.1\n\n"
    (change,) = read_patch(mail)
    assert change.hunks[0].old == ["a"]
    assert not change.hunks[0].miscounted


def test_lines_that_look_like_headers_are_told_by_the_counts() -> None:
    (change,) = read_patch("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- old\n+++ new\n same\n")
    assert (change.hunks[0].old, change.hunks[0].new) == (["-- old", "same"], ["++ new", "same"])


async def test_wrong_counts_are_told_and_do_no_harm(bench: Any) -> None:
    file = bench.put("a", TEN)
    output = await bench.call(PATCH, file_path="a", diff="@@ -3,9 +3,2 @@\n line 3\n-line 4\n+four\n line 5\n\n")
    assert file.read_text() == TEN.replace("line 4", "four")
    assert output.text.endswith("  hunk 1 applied at line 3: the header's line counts are wrong")
    assert output.metadata["files"][0]["fuzz"] == [{"hunk": 1, "line": 3, "offset": 0, "blanks": False, "counts": True}]


async def test_lines_that_moved_are_found_and_told(bench: Any) -> None:
    file = bench.put("a", "new first\n" * 3 + TEN)
    diff = "@@ -2,2 +2,2 @@\n line 2\n-line 3\n+three\n@@ -8,2 +8,2 @@\n-line 8\n+eight\n line 9\n"
    output = await bench.call(PATCH, file_path="a", diff=diff)
    assert file.read_text() == "new first\n" * 3 + TEN.replace("line 3", "three").replace("line 8", "eight")
    assert "hunk 1 applied at line 5: +3 lines from where the diff states it" in output.text
    assert "hunk 2 applied at line 11: +3 lines" in output.text


async def test_blanks_at_line_ends_are_forgiven_and_told(bench: Any) -> None:
    file = bench.put("a", "one  \ntwo\t\nthree\n")
    output = await bench.call(PATCH, file_path="a", diff="@@ -1,3 +1,3 @@\n one\n-two\n+2\n three  \n")
    assert file.read_text() == "one  \n2\nthree\n"
    assert "hunk 1 applied at line 1: blanks at line ends differ" in output.text


REPEATED = "head\nx\ny\nmiddle\nx\ny\ntail\n"


@pytest.mark.parametrize(
    ("hunk", "after"),
    [
        ("@@ -2,2 +2,2 @@\n x\n-y\n+z\n", "head\nx\nz\nmiddle\nx\ny\ntail\n"),
        ("@@ -5,2 +5,2 @@\n x\n-y\n+z\n", "head\nx\ny\nmiddle\nx\nz\ntail\n"),
        ("@@ middle\n x\n-y\n+z\n", "head\nx\ny\nmiddle\nx\nz\ntail\n"),
        ("@@ head\n x\n-y\n+z\n", "head\nx\nz\nmiddle\nx\ny\ntail\n"),
        ("@@ middle @@\n+z\n", "head\nx\ny\nmiddle\nz\nx\ny\ntail\n"),
        ("@@ mid\n middle\n-x\n+z\n", "head\nx\ny\nmiddle\nz\ny\ntail\n"),
        ("@@ -3,2 +3,2 @@\n x\n-y\n+z\n", None),
        ("@@\n x\n-y\n+z\n", None),
        ("@@ x\n+z\n", None),
    ],
)
async def test_of_several_places_the_stated_one_is_taken_or_none(bench: Any, hunk: str, after: str | None) -> None:
    file = bench.put("a", REPEATED)
    output = await bench.call(PATCH, file_path="a", diff=hunk)
    assert file.read_text() == (after or REPEATED)
    if after is None:
        assert output.error_kind == "invalid_argument"
        assert "several places, at lines 2, 5. Give more lines" in output.text


async def test_nested_anchors_lead_to_the_right_section(bench: Any) -> None:
    classes = "class A:\n    def f(self):\n        pass\nclass B:\n    def f(self):\n        pass\n    def g(self):\n"
    file = bench.put("a.py", classes)
    patch = "*** Begin Patch\n*** Update File: a.py\n@@ class B\n@@ def f(self):\n-        pass\n+        return 1\n"
    output = await bench.call(PATCH, diff=patch + "*** End Patch")
    assert output.exit_code == 0, output.text
    assert file.read_text() == classes[:45] + classes[45:].replace("pass", "return 1")


async def test_lines_that_are_not_there_show_the_nearest(bench: Any) -> None:
    bench.put("a.py", "def compute(value):\n    return value * 2\n")
    output = await bench.call(PATCH, file_path="a.py", diff="@@ -1 +1 @@\n-def compute(values):\n+def f():\n")
    assert output.error_kind == "not_found"
    assert output.text == (
        "a.py, the hunk: its lines are not there. Nothing was changed. Nearest lines:\n"
        "     1\tdef compute(value):\n     2\t    return value * 2"
    )


async def test_a_patch_that_was_applied_before_is_told(bench: Any) -> None:
    bench.put("a.py", "one\ntwo\n")
    diff = "@@ -1,2 +1,2 @@\n one\n-three\n+two\n"
    assert "may have been applied before" in (await bench.call(PATCH, file_path="a.py", diff=diff)).text


async def test_hunks_out_of_order_are_told(bench: Any) -> None:
    bench.put("a", TEN)
    diff = "@@\n-line 8\n+eight\n@@\n-line 2\n+two\n"
    output = await bench.call(PATCH, file_path="a", diff=diff)
    assert (output.error_kind, "hunk 2: its lines stand only before" in output.text) == ("not_found", True)


@pytest.mark.parametrize(
    ("before", "hunk", "after"),
    [
        ("", "@@ -0,0 +1 @@\n+x\n", "x\n"),
        ("a\nb\n", "@@ -0,0 +1 @@\n+x\n", "x\na\nb\n"),
        ("a\nb\n", "@@ -2,0 +3 @@\n+x\n", "a\nb\nx\n"),
        ("a\nb\n", "@@ -1,0 +2 @@\n+x\n", None),
        ("a\nb\n", "@@\n+x\n", None),
    ],
)
async def test_lines_are_only_added_where_their_place_is_sure(
    bench: Any, before: str, hunk: str, after: str | None
) -> None:
    file = bench.put("a", before)
    output = await bench.call(PATCH, file_path="a", diff=hunk)
    assert file.read_text() == (before if after is None else after)
    assert (output.error_kind == "invalid_argument") == (after is None)


OPEN = "\\ No newline at end of file\n"


@pytest.mark.parametrize(
    ("before", "hunk", "after"),
    [
        ("a\nb", f"@@ -1,2 +1,2 @@\n a\n-b\n{OPEN}+c\n{OPEN}", "a\nc"),
        ("a\nb", f"@@ -1,2 +1,2 @@\n a\n-b\n{OPEN}+c\n", "a\nc\n"),
        ("a\nb\n", f"@@ -1,2 +1,2 @@\n a\n-b\n+c\n{OPEN}", "a\nc"),
        ("a\nb", f"@@ -1,2 +1,3 @@\n+x\n a\n b\n{OPEN}", "x\na\nb"),
        ("a\nb", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n", "a\nc"),
        ("a\nb", "@@ -1,2 +1,3 @@\n a\n b\n+c\n", "a\nb\nc"),
        ("a\nb", "@@ -1,2 +1 @@\n a\n-b\n", "a\n"),
        ("a\r\nb", "@@ -1,2 +1,3 @@\n a\n b\n+c\n", "a\r\nb\r\nc"),
        ("b", "@@ -1 +1,2 @@\n+a\n b\n", "a\nb"),
        ("a\nb\nb\n", f"@@ -1,2 +1,2 @@\n a\n-b\n+c\n{OPEN}", None),
        ("a", "@@ -1 +0,0 @@\n-a\n", ""),
    ],
)
async def test_the_end_of_a_file_is_kept_or_as_the_diff_says(
    bench: Any, before: str, hunk: str, after: str | None
) -> None:
    file = bench.put("a", before)
    output = await bench.call(PATCH, file_path="a", diff=hunk)
    assert (file.read_bytes(), output.error_kind) == (
        (before if after is None else after).encode(),
        "not_found" if after is None else None,
    )


async def test_the_end_of_a_file_can_be_asked_for(bench: Any) -> None:
    file = bench.put("a", "x\ny\nx\ny\n")
    patch = "*** Begin Patch\n*** Update File: a\n@@\n x\n-y\n+z\n*** End of File\n*** End Patch\n"
    assert (await bench.call(PATCH, diff=patch)).exit_code == 0
    assert file.read_text() == "x\ny\nx\nz\n"
    added = patch.replace(" x\n-y\n+z\n", "+end\n")
    assert (await bench.call(PATCH, diff=added)).exit_code == 0
    assert file.read_text() == "x\ny\nx\nz\nend\n"


@pytest.mark.parametrize(
    ("before", "hunk", "after"),
    [
        (b"a\r\nb\r\n", "@@\n a\n-b\n+c\n+d\n", b"a\r\nc\r\nd\r\n"),
        (b"a\nb\r\nc\n", "@@\n a\n-b\n+x\n c\n", b"a\nx\r\nc\n"),
        (b"a\nb\r\nc\n", "@@\n a\n b\n+x\n c\n", b"a\nb\r\nx\r\nc\n"),
        (b"a\r\nb\r\n", "@@\n a\r\n-b\r\n+c\r\n", b"a\r\nc\r\n"),
        (b"a\r\nb\r\n", "@@\n a\r\n-b\r\n+b\n", b"a\r\nb\n"),
        (b"a\nb\n", "@@\r\n a\r\n-b\r\n+c\r\n", b"a\nc\n"),
        (b"a\rb\rc", "@@\n-b\n+x\n+y\n", b"a\rx\ry\rc"),
        (b"a\rb\rc", "@@\n-a\rb\rc\n\\ No newline at end of file\n+x\ry\n", b"x\ry\n"),
        (b"\xef\xbb\xbfa\n", "@@\n-a\n+b\n", b"\xef\xbb\xbfb\n"),
        ("\ufeffa\r\n".encode("utf-16-le"), "@@\n-a\n+é\n", "\ufeffé\r\n".encode("utf-16-le")),
        (b"\xe9\nb\n", "@@\n-b\n+\xe8\n", b"\xe9\n\xe8\n"),
        (b"a\x0bb\x0cc\x85d\nx\n", "@@\n-x\n+y\n", b"a\x0bb\x0cc\x85d\ny\n"),
    ],
)
async def test_line_ends_and_encodings_stay(bench: Any, before: bytes, hunk: str, after: bytes) -> None:
    file = bench.put("a", before)
    output = await bench.call(PATCH, file_path="a", diff=hunk)
    assert (file.read_bytes(), output.exit_code) == (after, 0), output.text


async def test_one_bad_file_stops_all_of_a_patch(project: Any) -> None:
    before = tree(project.workspace)
    for bad in ("missing.py", "new/b.py/below"):
        output = await project.call(PATCH, diff=f"{GIT}--- a/{bad}\n+++ b/{bad}\n{HUNK}")
        assert output.exit_code == 1
        assert tree(project.workspace) == before
        assert not (project.workspace / "new").exists()


@pytest.mark.parametrize(
    ("name", "diff", "reason", "kind"),
    [
        ("a", "--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+x\n", "a exists already", "invalid_argument"),
        ("a", "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch", "a exists already", "invalid_argument"),
        ("b", "diff --git a/a b/b\nrename from a\nrename to b\n", "b exists already", "invalid_argument"),
        ("b", "*** Begin Patch\n*** Delete File: missing\n*** End Patch", "missing does not exist", "not_found"),
        ("a", "--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n", "has lines that the patch does not", "invalid_argument"),
        ("a", "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-one\n+one\n", "changes nothing in a", "invalid_argument"),
        ("a", "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-one\n+\ud800\n", "cannot hold", "invalid_argument"),
        ("a", "--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+\ud800\n", "surrogate", "invalid_argument"),
        ("blob", "--- a/blob\n+++ b/blob\n@@ -1 +1 @@\n-one\n+two\n", "binary", "unsupported"),
        ("folder/x", "--- a/folder\n+++ b/folder\n@@ -1 +1 @@\n-one\n+two\n", "a folder, not", "unsupported"),
    ],
)
async def test_what_cannot_be_done_is_told_before_anything_is(
    bench: Any, name: str, diff: str, reason: str, kind: str
) -> None:
    bench.put("a", "one\ntwo\n")
    bench.put(name, b"\0\1" if name == "blob" else "one\ntwo\n")
    before = {path: path.read_bytes() for path in bench.workspace.rglob("*") if path.is_file()}
    output = await bench.call(PATCH, diff=diff)
    assert (output.error_kind, reason in output.text) == (kind, True), output.text
    assert {path: path.read_bytes() for path in bench.workspace.rglob("*") if path.is_file()} == before


async def test_special_files_are_refused_at_once(bench: Any) -> None:
    os.mkfifo(bench.workspace / "fifo")
    async with asyncio.timeout(5):
        for diff in (
            f"--- a/fifo\n+++ b/fifo\n{HUNK}",
            "*** Begin Patch\n*** Delete File: fifo\n*** End Patch",
            "--- /dev/null\n+++ b/fifo\n@@ -0,0 +1 @@\n+x\n",
            "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n".replace("a/x", "/dev/tty").replace("b/x", "/dev/tty"),
        ):
            output = await bench.call(PATCH, diff=diff)
            assert output.exit_code == 1
            assert "nothing was changed" in output.text.lower() or "FIFO" in output.text or "device" in output.text


async def test_a_file_that_changed_since_it_was_read_is_not_patched(bench: Any) -> None:
    bench.put("b.py", "b\n")
    file = bench.put("a.py", "value = 1\n")
    await bench.call(READ, file_path="a.py")
    file.write_text("value = 10\n")
    diff = "--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-b\n+c\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-value = 1\n+value = 2\n"
    output = await bench.call(PATCH, diff=diff)
    assert output.error_kind == "version_conflict"
    assert "     1\tvalue = 10" in output.text
    assert (file.read_text(), (bench.workspace / "b.py").read_text()) == ("value = 10\n", "b\n")
    removal = await bench.call(PATCH, diff="*** Begin Patch\n*** Delete File: a.py\n*** End Patch")
    assert removal.error_kind == "version_conflict"
    os.utime(file, (1, 1))
    await bench.call(READ, file_path="a.py")
    os.utime(file, (2, 2))
    assert (await bench.call(PATCH, diff=diff.replace("value = 1\n", "value = 10\n"))).exit_code == 0


async def test_what_a_session_knows_follows_the_patch(project: Any) -> None:
    for name in ("a.py", "gone.py", "from me.py"):
        await project.call(READ, file_path=name)
    await project.call(PATCH, diff=ENVELOPE)
    known = {os.path.relpath(path, project.workspace): seen for path, seen in project.files.items()}
    assert known == {
        "a.py": digest(b"new\nsame\n"),
        "new/b.py": digest(b"one\ntwo\n"),
        "to.py": digest(b"there\n"),
    }


async def test_a_hard_link_is_broken_and_told(bench: Any) -> None:
    file = bench.put("a", "a\n")
    os.link(file, bench.workspace / "other")
    output = await bench.call(PATCH, file_path="a", diff=HUNK)
    assert output.text == "updated a +1 -1. It had another name by hard link, which kept the old content"
    assert (bench.workspace / "other").read_text() == "a\n"


async def test_a_path_that_came_to_lead_out_after_it_was_judged_is_refused(bench: Any) -> None:
    (bench.outside / "x").write_text("a\n")
    bench.put("dir/x", "a\n")
    args = PATCH.parse({"diff": f"--- a/dir/x\n+++ b/dir/x\n{HUNK}"})
    context = bench.context(PATCH, args)
    shutil.rmtree(bench.workspace / "dir")
    (bench.workspace / "dir").symlink_to(bench.outside)
    output = await PATCH.invoke(args, context)
    assert output.error_kind == "permission_denied"
    assert (bench.outside / "x").read_text() == "a\n"


def test_a_failure_in_the_middle_takes_all_back(bench: Any) -> None:
    one, two = bench.put("one", "1\n"), bench.put("two", "2\n")
    one.chmod(0o640)
    new, gone = bench.workspace / "new" / "deep" / "file", bench.put("gone", "g\n")
    steps = [
        Step(one, "one", b"1\n", b"one\n", 0o755, 0o640),
        Step(new, "new", None, b"new\n"),
        Step(gone, "gone", b"g\n", None, old_mode=0o644),
        Step(two, "two", b"no longer\n", None, old_mode=0o644),
    ]
    with pytest.raises(Unfinished) as caught:
        carry_out(steps)
    assert isinstance(caught.value.cause, FileChanged)
    assert (caught.value.restored, caught.value.lost) == (["gone", "new", "one"], [])
    assert str(caught.value) == "Nothing is changed: gone, new, one had been, and was restored."
    assert tree(bench.workspace) == {"one": "1\n", "two": "2\n", "gone": "g\n"}
    assert stat.S_IMODE(one.stat().st_mode) == 0o640
    assert not (bench.workspace / "new").exists()


def test_what_could_not_be_taken_back_is_told(bench: Any) -> None:
    """Somebody writes the first file again, and the second too, while the patch is held up at the second."""
    one, two = bench.put("one/file", "1\n"), bench.put("two/file", "2\n")
    folder = os.open(two.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)

    def meddle() -> None:
        while one.read_text() != "one\n":
            time.sleep(0.001)
        one.write_text("theirs\n")
        two.write_text("theirs\n")
        os.close(folder)

    thread = threading.Thread(target=meddle)
    thread.start()
    with pytest.raises(Unfinished) as caught:
        carry_out([Step(one, "one", b"1\n", b"one\n"), Step(two, "two", b"2\n", b"two\n")])
    thread.join()
    assert caught.value.step.name == "two"
    assert caught.value.restored == []
    assert str(caught.value).startswith("Not all could be taken back. one has the change and could not be restored:")
    assert (one.read_text(), two.read_text()) == ("theirs\n", "theirs\n")


async def test_a_file_that_somebody_writes_meanwhile_is_patched_anew(bench: Any) -> None:
    one, two = bench.put("one/file", "1\n"), bench.put("two/file", "2\n3\n")
    folder = os.open(two.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)

    def meddle() -> None:
        while one.read_text() != "one\n":
            time.sleep(0.001)
        two.write_text("2\ntheirs\n")
        os.close(folder)

    thread = threading.Thread(target=meddle)
    thread.start()
    diff = "--- one/file\n+++ one/file\n@@ -1 +1 @@\n-1\n+one\n--- two/file\n+++ two/file\n@@ -1 +1 @@\n-2\n+two\n"
    output = await bench.call(PATCH, diff=diff)
    thread.join()
    assert output.exit_code == 0, output.text
    assert (one.read_text(), two.read_text()) == ("one\n", "two\ntheirs\n")


def test_too_large_a_patch_is_refused_soon(bench: Any) -> None:
    hunks = "--- a/x\n+++ b/x\n" + "".join(f"@@ -{n} +{n} @@\n-a\n+b\n" for n in range(1, 100_001))
    many = "".join(f"--- a/{n}\n+++ b/{n}\n@@ -1 +1 @@\n-a\n+b\n" for n in range(MAX_FILES + 1))
    deep = "--- a/x\n+++ b/x\n" + "@@ -1 +1 @@\n-a\n+b\n" * (MAX_HUNKS + 1)
    for diff, reason in (
        ("+" * 10_000_000, f"more than {MAX_CHARACTERS:,}"),
        (hunks, "more than"),
        (deep, f"more than {MAX_HUNKS} hunks"),
        (many, f"more than {MAX_FILES}"),
        ("\n" * MAX_LINES, "no file and no hunk"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n" + "\n" * 90_000 + "x", "neither a space"),
        ("*** Begin Patch\n*** Add File: x\n" + "\n" * 90_000 + "x\n*** End Patch", "starts with"),
    ):
        started = time.perf_counter()
        with pytest.raises(ArgumentError, match=reason):
            effects_of(bench, diff)
        assert time.perf_counter() - started < 2


async def test_a_file_of_equal_lines_ends_soon(bench: Any) -> None:
    bench.put("a", ("x\n" * 999 + "y\n") * 400)
    diff = "".join(f"@@ -{n} +{n} @@\n" + "-x\n" * 1000 + "+z\n" for n in range(1, 90))
    started = time.perf_counter()
    output = await bench.call(PATCH, file_path="a", diff=diff)
    assert output.exit_code == 1
    anchors = "".join("@@ nowhere\n-x\n+z\n" for _ in range(MAX_HUNKS))
    assert (await bench.call(PATCH, file_path="a", diff=anchors)).exit_code == 1
    assert time.perf_counter() - started < 10


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_any_diff_of_git_gives_what_git_compared(tmp_path: Path) -> None:
    rng = random.Random(11)
    tried = max(60, int(1000 * SCALE))
    for _ in range(tried):
        before, after = make_pair(rng)
        (tmp_path / "old").write_bytes(before.encode())
        (tmp_path / "new").write_bytes(after.encode())
        command = ["git", "-c", "core.pager=cat", "diff", "--no-index", f"-U{rng.randint(1, 4)}", "old", "new"]
        diff = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stdout.decode()
        if diff:
            (change,) = read_patch(diff.replace("b/new", "b/old"))
            assert revise(before, change.hunks).text == after, diff
    print(f"diffs of git: {tried} tried, 0 wrong")


def test_a_diff_of_one_text_never_damages_another() -> None:
    """Applied to a text that changed elsewhere, the lines of the diff change and no others, or it is refused."""
    rng = random.Random(12)
    tried, applied = max(200, int(3000 * SCALE)), 0
    for _ in range(tried):
        lines = [f"{rng.choice('abcdef')}{rng.choice('xyz')}" for _ in range(rng.randint(8, 30))]
        place = rng.randrange(len(lines))
        changed = [*lines[:place], "CHANGED", *lines[place + 1 :]]
        diff = "\n".join(difflib.unified_diff(lines, changed, "x", "x", n=rng.randint(0, 3), lineterm=""))
        other = list(lines)
        for _ in range(rng.randint(0, 4)):
            other.insert(rng.randrange(len(other) + 1), rng.choice(("NEW", *lines)))
        text = "".join(f"{line}\n" for line in other)
        (change,) = read_patch(diff)
        try:
            result = revise(text, change.hunks).text.splitlines()
        except Misplaced:
            continue
        applied += 1
        where = result.index("CHANGED")
        assert [*result[:where], lines[place], *result[where + 1 :]] == other
    print(f"diffs of other texts: {tried} tried, {applied} applied")
    assert applied


PIECES = """diff --git a/x b/x|diff --git "a/x|new file mode 100644|deleted file mode 100644|rename from x|rename to y
old mode 1|--- a/x|+++ b/x|--- /dev/null|+++ /dev/null|@@ -1 +1 @@|@@ -1,2 +1,2 @@|@@ -0,0 +1 @@|@@|@@ x|@@@ -1 @@@
+|-|+a|-a| a| b||\\ No newline|*** Begin Patch|*** End Patch|*** Add File: z|*** Update File: x|*** Delete File: x
*** Move to: w|*** End of File|-- |a|index 1..2
Binary files a and b differ|\r|-a\r|+++|---|+++ |--- |"q\\303""".replace("\n", "|").split("|")


async def test_any_text_is_applied_or_refused_and_nothing_else(bench: Any) -> None:
    rng = random.Random(13)
    tried, told = max(2000, int(20_000 * SCALE)), Counter[str]()
    for _ in range(tried):
        begin = rng.choice(("", "", "*** Begin Patch\n", "--- a/x\n+++ b/x\n@@ -1 +1 @@\n"))
        diff = begin + "\n".join(rng.choices(PIECES, k=rng.randint(1, 8)))
        file_path = rng.choice((None, None, "x"))
        file = bench.put("x", rng.choice(("", "a\n", "a", "a\nb\n", "b\na\nb\n")))
        try:
            output = await bench.call(PATCH, diff=diff, file_path=file_path)
        except ArgumentError:
            told["unreadable"] += 1
        else:
            told[output.error_kind or "done"] += 1
            assert output.error_kind in (None, "not_found", "invalid_argument", "version_conflict"), output.text
            file.unlink(missing_ok=True)
        for name in set(os.listdir(bench.workspace)) - {"x"}:
            (bench.workspace / name).unlink()
        bench.files.clear()
    print(f"texts as patches: {tried} tried; {dict(told)}")
    assert told["done"]


def make_pair(rng: random.Random) -> tuple[str, str]:
    ends = rng.choice((("\n",), ("\r\n",), ("\n", "\r\n"), ("\n", "\n", "\r\n", "\r")))

    def line() -> str:
        return "".join(rng.choices("ab -+@\té", k=rng.randint(0, 3))) + rng.choice(ends)

    before = [line() for _ in range(rng.randint(0, 30))]
    if before and rng.random() < 0.3:
        before[-1] = before[-1].rstrip("\r\n") + "x"
    after = list(before)
    for _ in range(rng.randint(1, 5)):
        place = rng.randrange(len(after) + 1)
        match rng.choice(("insert", "remove", "replace")):
            case "insert":
                after.insert(place, line())
            case "remove":
                del after[place : place + 1]
            case _:
                after[place : place + 1] = [line()]
    return "".join(before), "".join(after)
