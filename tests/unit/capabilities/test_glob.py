"""glob"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from a3s_code.capabilities.core_tools import Glob

GLOB = Glob()


async def test_files_are_found_sorted_and_named_from_the_workspace(bench: Any) -> None:
    for name in ("src/b.py", "src/a.py", "src/x/c.py", "top.py", "src/d.js", "build/e.py", ".gitignore"):
        bench.put(name, "build/\n")
    assert (await bench.call(GLOB, pattern="**/*.py")).value == ["src/a.py", "src/b.py", "src/x/c.py", "top.py"]
    assert (await bench.call(GLOB, pattern="src/*.{py,js}")).value == ["src/a.py", "src/b.py", "src/d.js"]
    under = await bench.call(GLOB, pattern="*.py", path="src")
    assert under.text == "src/a.py\nsrc/b.py"


async def test_nothing_found_gives_a_hint(bench: Any) -> None:
    bench.put("src/a.py")
    output = await bench.call(GLOB, pattern="*.py")
    assert (output.text, output.value, output.exit_code) == ("no files found; **/*.py looks in all folders", [], 0)
    assert (await bench.call(GLOB, pattern="x/*.py")).text == "no files found"


async def test_what_a_rule_forbids_to_read_is_left_out(bench: Any) -> None:
    for name in (".env", "a.py", "secret/b.py"):
        bench.put(name)
    args = GLOB.parse({"pattern": "**"})
    context = replace(bench.context(GLOB, args), hides=lambda path: path.endswith(".env") or "/secret/" in path)
    output = await GLOB.invoke(args, context)
    assert output.text == "a.py\n[2 files left out: a rule forbids reading them]"
    assert (output.value, output.metadata["count"]) == (["a.py"], 1)


async def test_many_files_are_bounded_with_a_note(bench: Any) -> None:
    for number in range(1003):
        bench.put(f"{number:04}")
    output = await bench.call(GLOB, pattern="*")
    assert output.text.endswith("0999\n[1000 of 1003 files; narrow the pattern]")
    assert len(output.value) == 1003


async def test_a_pattern_may_repeat_the_folder_but_not_leave_it(bench: Any) -> None:
    bench.put("src/a.py")
    assert (await bench.call(GLOB, pattern=f"{bench.workspace}/src/*.py")).value == ["src/a.py"]
    for pattern in ("/etc/*", "../*", "src/../../*", "~/*"):
        output = await bench.call(GLOB, pattern=pattern)
        assert (output.error_kind, "leads out" in output.text) == ("invalid_argument", True)


async def test_a_bad_pattern_or_folder_is_told(bench: Any) -> None:
    bench.put("a.py")
    assert (await bench.call(GLOB, pattern="")).error_kind == "invalid_argument"
    assert (await bench.call(GLOB, pattern="*", path="a.py")).error_kind == "invalid_argument"
    assert (await bench.call(GLOB, pattern="*", path="none")).error_kind == "not_found"
