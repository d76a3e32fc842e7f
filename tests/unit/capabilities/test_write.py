"""write"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from typing import Any

import pytest

from a3s_code.capabilities.core_tools import Read, Write
from a3s_code.system.files import digest
from a3s_code.system.paths import PathError

READ, WRITE = Read(), Write()


async def test_a_new_file_is_made_with_its_folders(bench: Any) -> None:
    output = await bench.call(WRITE, file_path="src/new/a.py", content="one\ntwo\n")
    assert (bench.workspace / "src/new/a.py").read_bytes() == b"one\ntwo\n"
    assert output.text == "Created src/new/a.py: 2 lines, 8 bytes"
    assert output.metadata == {
        "file_path": "src/new/a.py",
        "created": True,
        "bytes": 8,
        "lines": 2,
        "before": None,
        "after": digest(b"one\ntwo\n"),
    }


async def test_a_file_is_replaced_and_keeps_its_mode(bench: Any) -> None:
    file = bench.put("run.sh", "old\n")
    file.chmod(0o755)
    output = await bench.call(WRITE, file_path="run.sh", content="new\n")
    assert file.read_text() == "new\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert output.text.startswith("Replaced run.sh")
    assert output.metadata["before"] == digest(b"old\n")


@pytest.mark.parametrize(
    ("before", "content", "after", "note"),
    [
        (b"a\r\nb\r\n", "x\ny\n", b"x\r\ny\r\n", "CRLF"),
        (b"a\r\nb\r\n", "x\r\ny\n", b"x\r\ny\n", ""),
        (b"a\nb\n", "x\ny\n", b"x\ny\n", ""),
        (b"a\rb\r", "x\ny\n", b"x\ry\r", "(CR line ends, as before)"),
        ("plain\r\n".encode("utf-16-be"), "é\n", "é\r\n".encode("utf-16-be"), "CRLF"),
        (b"\xef\xbb\xbfa\n", "é\n", b"\xef\xbb\xbf\xc3\xa9\n", ""),
        (b"\xef\xbb\xbfa\n", "\ufeffé\n", b"\xef\xbb\xbf\xc3\xa9\n", ""),
        ("\ufeffa\r\n".encode("utf-16-le"), "é\n", "\ufeffé\r\n".encode("utf-16-le"), "CRLF"),
        ("ü\n".encode("latin-1"), "é\n", b"\xe9\n", ""),
        ("ü\n".encode("latin-1"), "→\n", "→\n".encode(), "now in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "é\n", "é\n".encode(), ""),
    ],
)
async def test_the_manner_of_the_file_is_kept(bench: Any, before: bytes, content: str, after: bytes, note: str) -> None:
    file = bench.put("a.txt", before)
    output = await bench.call(WRITE, file_path="a.txt", content=content)
    assert file.read_bytes() == after
    assert note in output.text


async def test_a_file_that_changed_since_it_was_read_is_not_replaced(bench: Any) -> None:
    file = bench.put("a.txt", "one\n")
    await bench.call(READ, file_path="a.txt")
    file.write_text("theirs\n")
    output = await bench.call(WRITE, file_path="a.txt", content="ours\n")
    assert output.error_kind == "version_conflict"
    assert "Read it again" in output.text
    assert file.read_text() == "theirs\n"
    await bench.call(READ, file_path="a.txt")
    assert (await bench.call(WRITE, file_path="a.txt", content="ours\n")).exit_code == 0


async def test_a_touched_but_equal_file_is_no_conflict(bench: Any) -> None:
    file = bench.put("a.txt", "one\n")
    await bench.call(READ, file_path="a.txt")
    file.write_text("one\n")
    os.utime(file, (1, 1))
    assert (await bench.call(WRITE, file_path="a.txt", content="two\n")).exit_code == 0


async def test_a_file_can_be_written_again_and_again(bench: Any) -> None:
    for content in ("one", "two", "three"):
        assert (await bench.call(WRITE, file_path="a.txt", content=content)).exit_code == 0
    assert bench.files == {str(bench.workspace / "a.txt"): digest(b"three")}


async def test_a_file_that_was_deleted_since_is_made_anew(bench: Any) -> None:
    file = bench.put("a.txt", "one\n")
    await bench.call(READ, file_path="a.txt")
    file.unlink()
    output = await bench.call(WRITE, file_path="a.txt", content="two\n")
    assert output.metadata["created"]


async def test_a_link_inside_is_written_through_and_stays(bench: Any) -> None:
    bench.put("real.txt", "old")
    (bench.workspace / "link.txt").symlink_to("real.txt")
    output = await bench.call(WRITE, file_path="link.txt", content="new")
    assert output.exit_code == 0
    assert (bench.workspace / "link.txt").is_symlink()
    assert (bench.workspace / "real.txt").read_text() == "new"


async def test_what_cannot_be_written_is_told(bench: Any) -> None:
    bench.put("file", "")
    assert (await bench.call(WRITE, file_path=".", content="")).error_kind == "unsupported"
    assert (await bench.call(WRITE, file_path="file/below", content="")).text == (
        "file/below: Not a directory; nothing was changed"
    )
    lone = await bench.call(WRITE, file_path="a", content="\ud800")
    assert (lone.error_kind, "surrogate" in lone.text) == ("invalid_argument", True)
    assert not (bench.workspace / "a").exists()


async def test_one_line_and_one_byte_are_counted_as_such(bench: Any) -> None:
    assert (await bench.call(WRITE, file_path="a", content="x")).text == "Created a: 1 line, 1 byte"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_a_folder_that_takes_no_files_is_told(bench: Any) -> None:
    output = await bench.call(WRITE, file_path="/proc/self/x", content="x")
    assert output.text == "/proc/self/x cannot be created: nothing can be made in that folder"
    assert output.error_kind == "failed"


async def test_a_hard_link_is_broken_and_told(bench: Any) -> None:
    file = bench.put("a", "old")
    for name in ("b", "c"):
        os.link(file, bench.workspace / name)
    output = await bench.call(WRITE, file_path="a", content="new")
    assert output.text.endswith("1 line, 3 bytes. It had 2 other names by hard link, which kept the old content")
    assert (bench.workspace / "b").read_text() == "old"


@pytest.mark.parametrize("given", ["src\\new.py", "C:\\new.py", "C:/new.py", "src\\..\\..\\new.py"])
async def test_a_path_of_windows_makes_no_odd_file(bench: Any, given: str) -> None:
    bench.put("src/a.py")
    with pytest.raises(PathError, match=r"paths are written with / and without a drive: .*new\.py"):
        await bench.call(WRITE, file_path=given, content="x")
    bench.put("odd\\name", "old")
    assert (await bench.call(WRITE, file_path="odd\\name", content="new")).exit_code == 0
    assert sorted(os.listdir(bench.workspace)) == ["odd\\name", "src"]


async def test_special_files_are_refused_at_once(bench: Any) -> None:
    os.mkfifo(bench.workspace / "fifo")
    async with asyncio.timeout(5):
        for name in ("fifo", "/dev/null", "."):
            output = await bench.call(WRITE, file_path=name, content="x")
            assert (output.error_kind, "not a regular file" in output.text) == ("unsupported", True)


async def test_a_dangling_link_is_written_where_it_leads(bench: Any) -> None:
    (bench.workspace / "link").symlink_to("made/later.txt")
    output = await bench.call(WRITE, file_path="link", content="x")
    assert output.metadata["file_path"] == "made/later.txt"
    assert (bench.workspace / "link").is_symlink()
    assert (bench.workspace / "made" / "later.txt").read_text() == "x"
