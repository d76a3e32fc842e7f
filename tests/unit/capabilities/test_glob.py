"""glob"""

from __future__ import annotations

from typing import Any

import pytest

from a3s_code.capabilities.core_tools import Glob
from a3s_code.system.ripgrep import find_ripgrep

needs_ripgrep = pytest.mark.skipif(find_ripgrep() is None, reason="ripgrep is not installed")


@pytest.fixture(params=[pytest.param(True, id="ripgrep", marks=needs_ripgrep), pytest.param(False, id="python")])
def glob(request: Any) -> Glob:
    return Glob() if request.param else Glob(lambda: None)


async def test_files_are_found_sorted_and_named_from_the_workspace(bench: Any, glob: Glob) -> None:
    for name in ("src/b.py", "src/a.py", "src/x/c.py", "top.py", "src/d.js", "build/e.py", ".gitignore"):
        bench.put(name, "build/\n")
    assert (await bench.call(glob, pattern="**/*.py")).value == ["src/a.py", "src/b.py", "src/x/c.py", "top.py"]
    assert (await bench.call(glob, pattern="src/*.{py,js}")).value == ["src/a.py", "src/b.py", "src/d.js"]
    under = await bench.call(glob, pattern="*.py", path="src")
    assert under.text == "src/a.py\nsrc/b.py"


async def test_nothing_found_gives_a_hint(bench: Any, glob: Glob) -> None:
    bench.put("src/a.py")
    output = await bench.call(glob, pattern="*.py")
    assert (output.text, output.value, output.exit_code) == ("no files found; **/*.py looks in all folders", [], 0)
    assert (await bench.call(glob, pattern="x/*.py")).text == "no files found"


async def test_many_files_are_bounded_with_a_note(bench: Any, glob: Glob) -> None:
    for number in range(1003):
        bench.put(f"{number:04}")
    output = await bench.call(glob, pattern="*")
    assert output.text.endswith("0999\n[1000 of 1003 files; narrow the pattern]")
    assert len(output.value) == 1003


async def test_a_pattern_may_repeat_the_folder_but_not_leave_it(bench: Any, glob: Glob) -> None:
    bench.put("src/a.py")
    assert (await bench.call(glob, pattern=f"{bench.workspace}/src/*.py")).value == ["src/a.py"]
    for pattern in ("/etc/*", "../*", "src/../../*", "~/*"):
        output = await bench.call(glob, pattern=pattern)
        assert (output.error_kind, "leads out" in output.text) == ("invalid_argument", True)


async def test_a_bad_pattern_or_folder_is_told(bench: Any, glob: Glob) -> None:
    bench.put("a.py")
    assert (await bench.call(glob, pattern="")).error_kind == "invalid_argument"
    assert (await bench.call(glob, pattern="*", path="a.py")).error_kind == "invalid_argument"
    assert (await bench.call(glob, pattern="*", path="none")).error_kind == "not_found"
