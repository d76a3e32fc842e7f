"""grep"""

from __future__ import annotations

import os
from typing import Any

import pytest

from a3s_code.capabilities.core_tools import Grep
from a3s_code.system.ripgrep import find_ripgrep

needs_ripgrep = pytest.mark.skipif(find_ripgrep() is None, reason="ripgrep is not installed")


@pytest.fixture(params=[pytest.param(True, id="ripgrep", marks=needs_ripgrep), pytest.param(False, id="python")])
def grep(request: Any) -> Grep:
    return Grep() if request.param else Grep(lambda: None)


async def test_lines_are_shown_with_path_and_number(bench: Any, grep: Grep) -> None:
    bench.put("src/a.py", "import os\nvalue = os.name\n")
    bench.put("b.py", "os = 1\n")
    output = await bench.call(grep, pattern=r"\bos\b")
    assert output.text == "b.py:1:os = 1\nsrc/a.py:1:import os\nsrc/a.py:2:value = os.name"
    assert output.value[0] == {"path": "b.py", "line": 1, "text": "os = 1"}
    assert output.metadata["matches"] == 3


async def test_a_folder_or_a_file_can_be_named(bench: Any, grep: Grep) -> None:
    bench.put("src/x/a.py", "needle\n")
    bench.put("b.py", "needle\n")
    assert (await bench.call(grep, pattern="needle", path="src")).text == "src/x/a.py:1:needle"
    assert (await bench.call(grep, pattern="needle", path="src/x/a.py")).text == "src/x/a.py:1:needle"
    assert (await bench.call(grep, pattern="NEEDLE", path="b.py", ignore_case=True)).text == "b.py:1:needle"


async def test_context_is_marked_and_gaps_are_shown(bench: Any, grep: Grep) -> None:
    bench.put("a.txt", "1\n2 hit\n3\n4\n5\n6 hit\n7\n")
    bench.put("b.txt", "hit\n")
    output = await bench.call(grep, pattern="hit", context=1)
    assert output.text.splitlines() == [
        "a.txt-1-1",
        "a.txt:2:2 hit",
        "a.txt-3-3",
        "--",
        "a.txt-5-5",
        "a.txt:6:6 hit",
        "a.txt-7-7",
        "--",
        "b.txt:1:hit",
    ]
    assert len(output.value) == 3


async def test_a_file_pattern_narrows_and_ignored_files_stay_out(bench: Any, grep: Grep) -> None:
    bench.put(".gitignore", "*.log\n")
    bench.put("a.py", "x\n")
    bench.put("a.js", "x\n")
    bench.put("a.log", "x\n")
    assert (await bench.call(grep, pattern="x", glob="*.{py,log}")).text == "a.py:1:x"


async def test_many_matches_are_bounded_with_a_note(bench: Any, grep: Grep) -> None:
    bench.put("a.txt", "x\n" * 1000)
    output = await bench.call(grep, pattern="x")
    assert output.text.endswith("a.txt:200:x\n[200 of 1000 matching lines; narrow the pattern or the path]")
    assert len(output.value) == 200


async def test_no_match_is_no_failure(bench: Any, grep: Grep) -> None:
    bench.put("a.txt", "x\n")
    output = await bench.call(grep, pattern="nothing")
    assert (output.text, output.exit_code, output.value) == ("no matches", 0, [])


@pytest.mark.parametrize("pattern", ["(", "", "x" * 5000, "a\0", r"a\nb"])
async def test_a_bad_pattern_is_told(bench: Any, grep: Grep, pattern: str) -> None:
    bench.put("a.txt", "x\n")
    output = await bench.call(grep, pattern=pattern)
    assert output.error_kind == "invalid_argument"
    assert 10 < len(output.text) < 200


async def test_a_pattern_is_never_an_option_or_a_file(bench: Any, grep: Grep) -> None:
    bench.put("-e", "--version -e\n")
    assert (await bench.call(grep, pattern="--version")).text == "-e:1:--version -e"
    assert (await bench.call(grep, pattern="-e", path="-e", glob="--help")).text == "-e:1:--version -e"


async def test_an_output_is_searched_by_its_uri(bench: Any, grep: Grep) -> None:
    uri = bench.artifacts.put("bash", "fine\nerror: bad é\nfine\n", 0).uri
    output = await bench.call(grep, pattern="error", path=uri, context=1)
    assert output.text == f"{uri}-1-fine\n{uri}:2:error: bad é\n{uri}-3-fine"
    assert output.value == [{"path": uri, "line": 2, "text": "error: bad é"}]
    gone = await bench.call(grep, pattern="x", path="a3s://tool-output/bash/0")
    assert gone.error_kind == "not_found"


async def test_a_missing_path_is_told(bench: Any, grep: Grep) -> None:
    bench.put("source.py")
    output = await bench.call(grep, pattern="x", path="sorce.py")
    assert (output.error_kind, output.text) == ("not_found", "sorce.py does not exist (did you mean source.py?)")


async def test_what_is_no_file_or_folder_is_refused(bench: Any, grep: Grep) -> None:
    os.mkfifo(bench.workspace / "fifo")
    output = await bench.call(grep, pattern="x", path="fifo")
    assert (output.text, output.error_kind) == ("fifo is a FIFO, not a regular file", "unsupported")


async def test_a_bad_pattern_is_told_without_a_place_in_it(bench: Any, grep: Grep) -> None:
    bench.put("a.txt", "a\n")
    for pattern in ("(", "(?<=a+)b", "(?<x>a)(?<x>b)(?=c)"):
        output = await bench.call(grep, pattern=pattern)
        assert output.error_kind == "invalid_argument"
        assert "position" not in output.text
        assert "offset" not in output.text
