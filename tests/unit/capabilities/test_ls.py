"""ls"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from a3s_code.capabilities.core_tools import Ls

LS = Ls()


async def test_folders_come_first_and_are_marked(bench: Any) -> None:
    bench.put("b.txt")
    bench.put("a.txt")
    bench.put("src/x.py")
    bench.put(".hidden")
    (bench.workspace / "link").symlink_to("../outside")
    output = await bench.call(LS)
    assert output.text == "src/\n.hidden\na.txt\nb.txt\nlink -> ../outside"
    assert output.value == ["src/", ".hidden", "a.txt", "b.txt", "link -> ../outside"]


async def test_what_a_rule_forbids_to_read_is_left_out_and_so_are_links_to_it(bench: Any) -> None:
    bench.put(".env")
    bench.put("a.txt")
    (bench.workspace / "link").symlink_to(".env")
    args = LS.parse({})
    env = str(bench.workspace / ".env")
    output = await LS.invoke(args, replace(bench.context(LS, args), hides=lambda path: path == env))
    assert (output.text, output.value) == ("a.txt\n[2 files left out: a rule forbids reading them]", ["a.txt"])


async def test_an_empty_folder_is_said_to_be_empty(bench: Any) -> None:
    assert (await bench.call(LS)).text == "(. is empty)"


async def test_many_entries_are_bounded_with_a_note(bench: Any) -> None:
    for number in range(1005):
        (bench.workspace / f"{number:04}").touch()
    output = await bench.call(LS, path=".")
    assert output.text.endswith("0999\n[1000 of 1005 entries; glob finds by pattern]")
    assert len(output.value) == 1005


async def test_a_file_and_a_missing_folder_are_told(bench: Any) -> None:
    bench.put("a.txt")
    assert (await bench.call(LS, path="a.txt")).text == "a.txt is not a folder; read shows a file"
    assert (await bench.call(LS, path="none")).error_kind == "not_found"


async def test_a_name_that_is_no_text_is_readable(bench: Any) -> None:
    (bench.workspace / "caf\udce9").touch()
    assert (await bench.call(LS)).text == "caf\\xe9"
