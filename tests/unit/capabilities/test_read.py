"""read"""

from __future__ import annotations

import itertools
import os
import threading
import tracemalloc
from typing import Any

import pytest

from a3s_code.capabilities.core_tools import Read
from a3s_code.errors import ArgumentError
from a3s_code.system.files import digest

READ = Read()
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


async def test_lines_are_numbered_from_one(bench: Any) -> None:
    bench.put("a.txt", "one\n  two\n\nfour")
    output = await bench.call(READ, file_path="a.txt")
    assert output.text == "     1\tone\n     2\t  two\n     3\t\n     4\tfour"
    assert output.value == "one\n  two\n\nfour"


async def test_a_part_is_read_by_offset_and_limit(bench: Any) -> None:
    bench.put("a.txt", "".join(f"line {number}\n" for number in range(1, 11)))
    output = await bench.call(READ, file_path="a.txt", offset=3, limit=2)
    assert output.text == "     4\tline 4\n     5\tline 5\n[lines 4-5 of 10; continue with offset=5]"
    assert output.value == "line 4\nline 5"
    last = await bench.call(READ, file_path="a.txt", offset=8)
    assert last.text.endswith("[lines 9-10 of 10]")


async def test_a_long_file_says_how_to_go_on(bench: Any) -> None:
    bench.put("a.txt", "x\n" * 2500)
    output = await bench.call(READ, file_path="a.txt")
    assert output.text.endswith("  2000\tx\n[lines 1-2000 of 2500; continue with offset=2000]")
    rest = await bench.call(READ, file_path="a.txt", offset=2000)
    assert rest.metadata == {"lines": 500, "total_lines": 2500}


async def test_a_read_stays_within_its_bytes(bench: Any) -> None:
    bench.put("a.txt", ("y" * 999 + "\n") * 300)
    output = await bench.call(READ, file_path="a.txt")
    assert len(output.text) < 103_000
    assert output.text.endswith("[lines 1-101 of 300; continue with offset=101]")


async def test_a_long_line_is_cut_with_a_mark(bench: Any) -> None:
    bench.put("a.txt", "x" * 5000 + "\nshort\n")
    output = await bench.call(READ, file_path="a.txt")
    assert output.text == "     1\t" + "x" * 2000 + "[line cut at 2000 characters]\n     2\tshort"
    assert output.value.startswith("x" * 5000 + "\n")


async def test_the_host_gets_the_whole_file_as_value(bench: Any) -> None:
    bench.put("a.txt", "x\n" * 2500)
    bench.origin = "host"
    assert (await bench.call(READ, file_path="a.txt")).value == "x\n" * 2500
    assert (await bench.call(READ, file_path="a.txt", limit=2)).value == "x\nx"


async def test_an_offset_beyond_the_end_is_an_error(bench: Any) -> None:
    bench.put("a.txt", "one\ntwo\n")
    output = await bench.call(READ, file_path="a.txt", offset=2)
    assert (output.error_kind, output.text) == (
        "invalid_argument",
        "offset 2 is beyond the end: a.txt has 2 lines",
    )


async def test_an_empty_file_is_said_to_be_empty(bench: Any) -> None:
    bench.put("a.txt")
    output = await bench.call(READ, file_path="a.txt")
    assert (output.text, output.exit_code) == ("(a.txt is empty)", 0)


async def test_a_missing_file_names_those_like_it(bench: Any) -> None:
    bench.put("src/parser.py")
    output = await bench.call(READ, file_path="src/parsr.py")
    assert (output.error_kind, output.text) == (
        "not_found",
        "src/parsr.py does not exist (did you mean src/parser.py?)",
    )
    lost = await bench.call(READ, file_path="nowhere/x.py")
    assert lost.text == "nowhere/x.py does not exist (nor does the folder nowhere)"


async def test_a_missing_file_outside_tells_nothing_of_its_folder(bench: Any) -> None:
    (bench.outside / "secret.txt").write_text("")
    output = await bench.call(READ, file_path="../outside/secre.txt")
    assert output.text == "../outside/secre.txt does not exist"


async def test_a_folder_is_refused_with_the_right_tool(bench: Any) -> None:
    output = await bench.call(READ, file_path=".")
    assert (output.error_kind, output.text) == (
        "unsupported",
        ". is a folder, not a regular file; ls shows what is in it",
    )


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"%PDF-1.7\n\0", "PDF"),
        (b"PK\x03\x04\0", "zip archive"),
        (b"\x7fELF\0", "ELF program"),
        (b"a\0b", "unknown kind"),
    ],
)
async def test_a_binary_file_is_refused_kindly(bench: Any, head: bytes, kind: str) -> None:
    bench.put("blob", head + b"\0" * 100)
    output = await bench.call(READ, file_path="blob")
    assert output.error_kind == "unsupported"
    assert output.text.startswith(f"blob is a binary file ({kind}, {len(head) + 100} bytes)")


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 9, "image/jpeg"),
        (b"GIF89a" + b"\0" * 9, "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    ],
)
async def test_an_image_comes_as_an_image(bench: Any, content: bytes, media_type: str) -> None:
    bench.put("picture", content)
    output = await bench.call(READ, file_path="picture")
    (image,) = output.images
    assert (image.media_type, image.data) == (media_type, content)
    assert media_type in output.text


async def test_a_large_image_is_refused(bench: Any) -> None:
    bench.put("picture.png", PNG + b"\0" * 4_000_000)
    output = await bench.call(READ, file_path="picture.png")
    assert output.error_kind == "unsupported"
    assert output.images == ()


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("grüße\n".encode("latin-1"), "grüße"),
        ("\ufeffgrüße\r\n".encode(), "grüße"),
        ("\ufeffgrüße\n".encode("utf-16-le"), "grüße"),
        ("grüße äöü\n".encode() + b"\xe9\n", "grüße äöü\n     2\t\\xe9"),
    ],
)
async def test_any_text_is_readable(bench: Any, content: bytes, shown: str) -> None:
    bench.put("a.txt", content)
    assert (await bench.call(READ, file_path="a.txt")).text == f"     1\t{shown}"


async def test_a_read_file_is_remembered_by_its_digest(bench: Any) -> None:
    file = bench.put("a.txt", "one\ntwo\n")
    await bench.call(READ, file_path="a.txt", limit=1)
    assert bench.files == {str(file): digest(b"one\ntwo\n")}


async def test_a_huge_file_is_read_in_bounded_memory(bench: Any) -> None:
    bench.put("huge.log", "first line é\nsecond\n" + "more\n" * 8_000_000)
    tracemalloc.start()
    output = await bench.call(READ, file_path="huge.log", limit=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40_000_000
    assert output.text == "     1\tfirst line é\n     2\tsecond\n[lines 1-2; continue with offset=2]"
    assert bench.files == {}
    last = await bench.call(READ, file_path="huge.log", offset=8_000_001)
    assert last.text == "8000002\tmore\n[lines 8000002-8000002 of 8000002]"


async def test_a_large_file_of_long_lines_is_cut_line_by_line(bench: Any) -> None:
    bench.put("long.log", (b"a" * 9_000_000 + b"\n") * 2 + b"end\n")
    output = await bench.call(READ, file_path="long.log")
    assert output.text.count("[line cut at 2000 characters]") == 2
    assert output.text.endswith("     3\tend")


async def test_one_line_of_many_megabytes_is_shown_by_its_beginning(bench: Any) -> None:
    with (bench.workspace / "long").open("wb") as file:
        for _ in range(100):
            file.write(b"x" * 1_000_000)
    tracemalloc.start()
    output = await bench.call(READ, file_path="long")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert output.text == "     1\t" + "x" * 2000 + "[line cut at 2000 characters]"
    assert peak < 40_000_000


async def test_a_file_that_is_replaced_while_it_is_read_is_read_as_it_was_or_as_it_is(bench: Any) -> None:
    contents = {letter: (letter * 70 + "\n") * 100_000 for letter in "ab"}
    known = {digest(content.encode()) for content in contents.values()}
    file = bench.put("a.txt", contents["a"])
    done = threading.Event()

    def replace_on() -> None:
        for turn in itertools.count():
            if done.is_set():
                return
            draft = bench.workspace / "draft"
            draft.write_text(contents["ab"[turn % 2]])
            draft.replace(file)

    thread = threading.Thread(target=replace_on)
    thread.start()
    try:
        for _ in range(10):
            output = await bench.call(READ, file_path="a.txt", offset=99_990)
            assert len({row.partition("\t")[2] for row in output.text.splitlines()[:-1]}) == 1
            assert bench.files[str(file)] in known
    finally:
        done.set()
        thread.join()


async def test_a_notebook_is_read_as_the_text_it_is(bench: Any) -> None:
    bench.put("a.ipynb", '{"cells": [{"source": ["x = 1"]}]}\n')
    assert "x = 1" in (await bench.call(READ, file_path="a.ipynb")).text


async def test_what_would_wait_or_act_is_not_opened(bench: Any) -> None:
    os.mkfifo(bench.workspace / "fifo")
    output = await bench.call(READ, file_path="fifo")
    assert (output.error_kind, output.text) == ("unsupported", "fifo is a FIFO, not a regular file")
    assert (await bench.call(READ, file_path="/dev/zero")).error_kind == "unsupported"


async def test_an_output_is_read_back_by_its_uri(bench: Any) -> None:
    uri = bench.artifacts.put("bash", "".join(f"row {number}\n" for number in range(9)), 0).uri
    output = await bench.call(READ, file_path=uri, offset=7)
    assert output.text == "     8\trow 7\n     9\trow 8\n[lines 8-9 of 9]"
    assert READ.effects(READ.parse({"file_path": uri}), bench.workspace) == ()
    gone = await bench.call(READ, file_path="a3s://tool-output/bash/0")
    assert gone.error_kind == "not_found"


@pytest.mark.parametrize("arguments", [{}, {"file_path": ""}, {"file_path": "a\0"}, {"file_path": "a", "limit": 2001}])
def test_bad_arguments_are_told(arguments: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        READ.parse(arguments)
