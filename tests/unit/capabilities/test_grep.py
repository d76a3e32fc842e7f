"""grep"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from a3s_code.capabilities.core_tools import Grep
from a3s_code.kernel.tool import ToolOutput
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
    assert output.text.endswith("a.txt:200:x\n[200 of 1000 matching lines; narrow the pattern, the glob or the path]")
    assert len(output.value) == 200


async def test_long_lines_are_bounded_by_their_bytes(bench: Any, grep: Grep) -> None:
    bench.put("a.txt", ("x" * 499 + "\n") * 1000)
    output = await bench.call(grep, pattern="xx", context=20)
    assert len(output.text) < 103_000
    assert output.text.endswith("[200 of 1000 matching lines; narrow the pattern, the glob or the path]")
    bench.put("a.txt", ("x" * 700 + "\n") * 1000)
    output = await bench.call(grep, pattern="xx")
    assert len(output.text) < 103_000
    assert output.text.splitlines()[-2].endswith("x[line cut at 500 characters]")
    assert output.text.endswith(
        f"[{len(output.value)} of 1000 matching lines; narrow the pattern, the glob or the path]"
    )


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


async def call_hiding(bench: Any, tool: Any, hides: Callable[[str], bool], **arguments: Any) -> ToolOutput:
    args = tool.parse(arguments)
    return await tool.invoke(args, replace(bench.context(tool, args), hides=hides))


async def test_what_a_rule_forbids_to_read_is_left_out(bench: Any, grep: Grep) -> None:
    bench.put(".env", "KEY=needle\n")
    bench.put("a/secret[1]{a,b}!.txt", "needle\nneedle\n")
    bench.put("a/b.txt", "needle\n")
    asked: list[str] = []

    def hides(path: str) -> bool:
        asked.append(path)
        return "secret" in path or path.endswith(".env")

    output = await call_hiding(bench, grep, hides, pattern="needle", context=1)
    assert output.text == "a/b.txt:1:needle\n[2 files left out: a rule forbids reading them]"
    assert (output.metadata["matches"], len(output.value)) == (1, 1)
    assert sorted(asked) == sorted(str(bench.workspace / name) for name in (".env", "a/b.txt", "a/secret[1]{a,b}!.txt"))
    named = await call_hiding(bench, grep, hides, pattern="needle", path="a")
    assert named.text == "a/b.txt:1:needle\n[1 file left out: a rule forbids reading it]"
    narrow = await call_hiding(bench, grep, hides, pattern="needle", glob="b.*")
    assert narrow.text == "a/b.txt:1:needle"


async def test_what_is_said_of_a_forbidden_file_does_not_depend_on_its_content(bench: Any, grep: Grep) -> None:
    bench.put(".env", "KEY=" + "a" * 5000 + "!\n")
    bench.put("a.txt", "x\n")
    texts = set()
    for pattern in ("KEY=a", "KEY=b", "^KEY=(a|aa)+$", "(?!z)KEY=(a|aa)+$", "nowhere"):
        output = await call_hiding(bench, grep, lambda path: path.endswith(".env"), pattern=pattern)
        texts.add((output.text, output.error_kind))
    assert texts == {("no matches\n[1 file left out: a rule forbids reading it]", None)}


async def test_a_forbidden_file_is_not_even_opened(bench: Any, grep: Grep) -> None:
    hidden = bench.put("secret", "needle\n")
    bench.put("open", "needle\n")
    long_ago = 1_000_000_000
    os.utime(hidden, (long_ago, long_ago))
    os.utime(bench.workspace / "open", (long_ago, long_ago))
    if not (bench.workspace / "open").read_bytes() or (bench.workspace / "open").stat().st_atime == long_ago:
        pytest.skip("this file system keeps no time of last access")
    await call_hiding(bench, grep, lambda path: path.endswith("secret"), pattern="needle")
    assert hidden.stat().st_atime == long_ago


async def test_many_forbidden_files_and_names_that_are_no_text(bench: Any, grep: Grep) -> None:
    for number in range(3000):
        bench.put(f"private/{number:04}-{'x' * 20}", "needle\n")
    bench.put("bad\udce9", "needle\n")
    bench.put("open", "needle\n")
    output = await call_hiding(bench, grep, lambda path: "private" in path or "bad" in path, pattern="needle")
    assert output.text == "open:1:needle\n[3001 files left out: a rule forbids reading them]"


async def test_a_file_that_is_named_was_judged_with_the_call(bench: Any, grep: Grep) -> None:
    bench.put(".env", "needle\n")
    output = await call_hiding(bench, grep, lambda path: True, pattern="needle", path=".env")
    assert output.text == ".env:1:needle"
    uri = bench.artifacts.put("bash", "needle\n", 0).uri
    assert (await call_hiding(bench, grep, lambda path: True, pattern="needle", path=uri)).text == f"{uri}:1:needle"


async def test_a_pattern_that_takes_for_ever_is_told_with_what_was_found(bench: Any) -> None:
    grep = Grep(lambda: None)
    bench.put("bad.txt", "a" * 60 + "!\n")
    bench.put("good.txt", "aaa\n")
    output = await bench.call(grep, pattern="^(a|aa)+$")
    first, note = output.text.splitlines()
    assert first == "good.txt:1:aaa"
    assert note.startswith("[the pattern takes too long on bad.txt: ")
    alone = await bench.call(grep, pattern="^(a|aa)+$", path="bad.txt")
    assert (alone.error_kind, "takes too long on bad.txt" in alone.text) == ("timeout", True)


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
