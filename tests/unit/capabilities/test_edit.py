"""edit"""

from __future__ import annotations

import asyncio
import os
import random
import re
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from a3s_code.capabilities.core_tools import Edit, Read
from a3s_code.capabilities.core_tools.edit import find_spans
from a3s_code.system.files import digest
from a3s_code.system.text import line_end

READ, EDIT = Read(), Edit()
SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))


async def test_a_unique_text_is_replaced_and_told(bench: Any) -> None:
    file = bench.put("a.py", "def f():\n    return 1\n")
    file.chmod(0o755)
    output = await bench.call(EDIT, file_path="a.py", old_string="return 1", new_string="return 2")
    assert file.read_text() == "def f():\n    return 2\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert output.text == "Edited a.py"
    assert output.metadata == {
        "file_path": "a.py",
        "replacements": 1,
        "before": digest(b"def f():\n    return 1\n"),
        "after": digest(b"def f():\n    return 2\n"),
        "diff": "--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,3 @@\n def f():\n-    return 1\n+    return 2\n ",
    }


async def test_a_diff_tells_the_lines_of_the_file(bench: Any) -> None:
    bench.put("a.py", "".join(f"{number}\n" for number in range(1, 5001)))
    output = await bench.call(EDIT, file_path="a.py", old_string="\n4000\n", new_string="\nnew\n")
    assert output.metadata["diff"].splitlines()[2:] == ["@@ -3999,3 +3999,3 @@", " 3999", "-4000", "+new", " 4001"]


async def test_all_places_are_replaced_on_demand(bench: Any) -> None:
    file = bench.put("a.py", "x = 1\ny = x\nx += 1\n")
    output = await bench.call(EDIT, file_path="a.py", old_string="x", new_string="z", replace_all=True)
    assert file.read_text() == "z = 1\ny = z\nz += 1\n"
    assert output.text == "Edited a.py in 3 places"


async def test_several_places_are_an_error_with_their_lines(bench: Any) -> None:
    file = bench.put("a.py", "x = 1\ny = x\n\nx += 1\n")
    output = await bench.call(EDIT, file_path="a.py", old_string="x", new_string="z")
    assert output.error_kind == "invalid_argument"
    assert "3 times, at lines 1, 2, 4." in output.text
    assert file.read_text() == "x = 1\ny = x\n\nx += 1\n"


@pytest.mark.parametrize(("old", "reason"), [("", "empty"), ("same", "identical")])
async def test_an_edit_that_means_nothing_is_refused(bench: Any, old: str, reason: str) -> None:
    bench.put("a.py", "same")
    output = await bench.call(EDIT, file_path="a.py", old_string=old, new_string="same")
    assert output.error_kind == "invalid_argument"
    assert reason in output.text


async def test_a_text_that_is_not_there_shows_the_nearest_lines(bench: Any) -> None:
    bench.put("a.py", "import os\n\ndef compute(value):\n    return value * 2\n")
    output = await bench.call(EDIT, file_path="a.py", old_string="def compute(values):", new_string="x")
    assert output.error_kind == "not_found"
    assert output.text == (
        "old_string is not in a.py. Nearest lines:\n     3\tdef compute(value):\n     4\t    return value * 2"
    )


async def test_a_text_with_other_blanks_is_shown_as_such(bench: Any) -> None:
    bench.put("a.py", "class A:\n\tdef f(self):\n\t\tpass\n")
    output = await bench.call(EDIT, file_path="a.py", old_string="    def f(self):\n        pass", new_string="x")
    assert "Only the blanks differ there:\n     2\t\tdef f(self):\n     3\t\t\tpass" in output.text


async def test_a_text_that_lacks_only_a_line_end_is_shown_as_such(bench: Any) -> None:
    bench.put("a.py", "first\nlast")
    output = await bench.call(EDIT, file_path="a.py", old_string="last\n", new_string="x")
    assert output.text == "old_string is not in a.py. These lines are there:\n     2\tlast"
    blank = await bench.call(EDIT, file_path="a.py", old_string="\n\n", new_string="x")
    assert blank.text == "old_string is not in a.py."


async def test_a_text_like_nothing_is_told_briefly(bench: Any) -> None:
    bench.put("a.py", "x\n")
    output = await bench.call(EDIT, file_path="a.py", old_string="completely different", new_string="y")
    assert output.text == "old_string is not in a.py."


async def test_a_file_that_changed_since_it_was_read_is_not_edited(bench: Any) -> None:
    file = bench.put("a.py", "value = 1\n")
    await bench.call(READ, file_path="a.py")
    file.write_text("value = 10\n")
    output = await bench.call(EDIT, file_path="a.py", old_string="value = 1", new_string="value = 2")
    assert output.error_kind == "version_conflict"
    assert "     1\tvalue = 10" in output.text
    assert file.read_text() == "value = 10\n"


async def test_edits_follow_each_other_without_reading_again(bench: Any) -> None:
    file = bench.put("a.py", "1\n")
    await bench.call(READ, file_path="a.py")
    for number in range(1, 5):
        output = await bench.call(EDIT, file_path="a.py", old_string=f"{number}\n", new_string=f"{number + 1}\n")
        assert output.exit_code == 0
    assert file.read_text() == "5\n"


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        (b"a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\n", b"x\r\ny\r\nc\r\n"),
        (b"a\r\nb", "b", "b\nc", b"a\r\nb\r\nc"),
        (b"a\nb\r\nc\n", "a\nb\nc", "x\ny", b"x\ny\n"),
        (b"a\nb\r\nc\n", "b", "x\ny", b"a\nx\r\ny\r\nc\n"),
        (b"a\r\nb\r\n", "a\r\n", "a\n", b"a\nb\r\n"),
        (b"a\rb\n", "a\rb", "c", b"c\n"),
        (b"a\n", "a", "", b"\n"),
        (b"a\rb\rc", "a\nb", "x\ny\nz", b"x\ry\rz\rc"),
        (b"a\r\nb\nc\r\nd\n", "a\nb\nc\nd", "a\nB\nc\nd", b"a\r\nB\nc\r\nd\n"),
        (b"a\r\nb\nc\r\nd\n", "a\nb\nc\nd", "a\nx\ny\nz\nd", b"a\r\nx\r\ny\r\nz\r\nd\n"),
        (b"a\nb\r\nc\nd\n", "a\nb\nc\nd", "a\nd", b"a\nd\n"),
        ("plain x\r\n".encode("utf-16-le"), "x", "é", "plain é\r\n".encode("utf-16-le")),
        (b"a(b)*", "(b)*", r"\1\n", rb"a\1\n"),
    ],
)
async def test_line_ends_are_matched_and_kept(bench: Any, before: bytes, old: str, new: str, after: bytes) -> None:
    file = bench.put("a.txt", before)
    output = await bench.call(EDIT, file_path="a.txt", old_string=old, new_string=new)
    assert (file.read_bytes(), output.exit_code) == (after, 0)


ENCODINGS = {
    "utf-8": lambda text: text.encode(),
    "utf-8 with mark": lambda text: ("\ufeff" + text).encode(),
    "utf-16-le": lambda text: ("\ufeff" + text).encode("utf-16-le"),
    "utf-16-be": lambda text: ("\ufeff" + text).encode("utf-16-be"),
    "latin-1": lambda text: text.encode("latin-1"),
    "bad byte": lambda text: ("ööö " + text).encode() + b"\xff",
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
async def test_an_edit_changes_no_byte_beside_it(bench: Any, encoding: str, newline: str) -> None:
    rng = random.Random(f"{encoding}{newline}")
    for number in range(max(int(30 * SCALE), 2)):
        lines = ["".join(rng.choices("aé ü\tz", k=rng.randint(0, 9))) for _ in range(rng.randint(1, 9))]
        place = rng.randrange(len(lines) + 1)
        end = newline if rng.random() < 0.7 else ""

        encode = ENCODINGS[encoding]
        before, after = lines[:place], [*lines[place:], "é"]
        file = bench.put(f"{number}.txt", encode(newline.join([*before, "the old ö", "text", *after]) + end))
        output = await bench.call(EDIT, file_path=f"{number}.txt", old_string="old ö\ntext", new_string="new\n\nß")
        assert output.exit_code == 0, output.text
        assert file.read_bytes() == encode(newline.join([*before, "the new", "", "ß", *after]) + end)


async def test_a_character_the_encoding_lacks_is_refused(bench: Any) -> None:
    file = bench.put("a.txt", "grüße\n".encode("latin-1"))
    output = await bench.call(EDIT, file_path="a.txt", old_string="grüße", new_string="→")
    assert (output.error_kind, "cannot hold" in output.text) == ("invalid_argument", True)
    assert file.read_bytes() == "grüße\n".encode("latin-1")


async def test_what_cannot_be_edited_is_told(bench: Any) -> None:
    bench.put("blob", b"\0\1")
    assert (await bench.call(EDIT, file_path="blob", old_string="a", new_string="b")).error_kind == "unsupported"
    assert (await bench.call(EDIT, file_path="none", old_string="a", new_string="b")).error_kind == "not_found"
    assert (await bench.call(EDIT, file_path=".", old_string="a", new_string="b")).error_kind == "unsupported"


async def test_a_link_inside_is_edited_through_and_stays(bench: Any) -> None:
    bench.put("real.txt", "old")
    (bench.workspace / "link.txt").symlink_to("real.txt")
    await bench.call(EDIT, file_path="link.txt", old_string="old", new_string="new")
    assert (bench.workspace / "link.txt").is_symlink()
    assert (bench.workspace / "real.txt").read_text() == "new"


async def test_edits_of_one_file_at_once_all_take_place(bench: Any) -> None:
    file = bench.put("a.py", "".join(f"line {number};\n" for number in range(32)))
    await bench.call(READ, file_path="a.py")

    async def edit(number: int) -> Any:
        return await bench.call(EDIT, file_path="a.py", old_string=f"line {number};", new_string=f"edited {number};")

    outputs = await asyncio.gather(*map(edit, range(32)))
    assert [output.text for output in outputs] == ["Edited a.py"] * 32
    assert file.read_text() == "".join(f"edited {number};\n" for number in range(32))
    assert bench.files[str(file)] == digest(file.read_bytes())


def test_no_edit_is_lost_between_sessions_on_threads(bench: Any) -> None:
    file = bench.put("a.py", "count 0\n" + "".join(f"line {number};\n" for number in range(16)))

    async def edit(number: int) -> list[Any]:
        own = replace(bench, files={})
        line = await own.call(EDIT, file_path="a.py", old_string=f"line {number};", new_string=f"edited {number};")
        count = [await own.call(EDIT, file_path="a.py", old_string="count 0", new_string=f"count by {number}")]
        return [line, *count]

    with ThreadPoolExecutor(16) as pool:
        outputs = list(pool.map(lambda number: asyncio.run(edit(number)), range(16)))
    assert [line.text for line, _ in outputs] == ["Edited a.py"] * 16
    assert file.read_text().splitlines()[1:] == [f"edited {number};" for number in range(16)]
    winners = [number for number, (_, count) in enumerate(outputs) if count.exit_code == 0]
    assert len(winners) == 1
    assert file.read_text().startswith(f"count by {winners[0]}\n")
    assert {count.error_kind for _, count in outputs} <= {None, "not_found", "version_conflict"}


async def test_a_touched_but_equal_file_is_no_conflict(bench: Any) -> None:
    file = bench.put("a.py", "one\n")
    await bench.call(READ, file_path="a.py")
    file.write_text("one\n")
    os.utime(file, (1, 1))
    assert (await bench.call(EDIT, file_path="a.py", old_string="one", new_string="two")).exit_code == 0


async def test_a_hard_link_is_broken_and_told(bench: Any) -> None:
    file = bench.put("a", "old")
    os.link(file, bench.workspace / "b")
    output = await bench.call(EDIT, file_path="a", old_string="old", new_string="new")
    assert output.text == "Edited a. It had another name by hard link, which kept the old content"
    assert (bench.workspace / "b").read_text() == "old"


async def test_many_places_in_one_long_line_take_little_time(bench: Any) -> None:
    file = bench.put("minified.js", "a;" * 500_000)
    started = time.monotonic()
    output = await bench.call(EDIT, file_path="minified.js", old_string="a", new_string="b\nb", replace_all=True)
    assert time.monotonic() - started < 5
    assert output.metadata["replacements"] == 500_000
    assert file.read_text() == "b\nb;" * 500_000


async def test_many_equal_lines_take_little_time(bench: Any) -> None:
    bench.put("same.txt", "a\r\n" * 300_000)
    started = time.monotonic()
    output = await bench.call(EDIT, file_path="same.txt", old_string="a\n" * 3_000 + "b", new_string="c")
    assert time.monotonic() - started < 5
    assert output.error_kind == "not_found"


def test_places_are_those_that_a_pattern_would_find() -> None:
    choice = random.Random(7).choice
    for _ in range(20_000):
        text = "".join(choice(("a", "b", "\n", "\r\n", "\r")) for _ in range(choice(range(12))))
        old = "".join(choice(("a", "\n")) for _ in range(choice((1, 1, 2, 3))))
        end = "\r" if line_end(text) == "\r" else r"\r?\n"
        expected = [found.span() for found in re.finditer(end.join(old.split("\n")), text)]
        assert find_spans(text, old, literal=False) == expected
