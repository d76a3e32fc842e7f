"""Files listed and lines found, the same by both engines."""

from __future__ import annotations

import asyncio
import os
import random
import re
import socket
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from a3s_code.system import linescan
from a3s_code.system.globs import GlobError
from a3s_code.system.matches import Found, Line, Query, SearchError
from a3s_code.system.ripgrep import find_ripgrep
from a3s_code.system.search import Finder, list_files, search
from a3s_code.system.walk import walk

ENVIRONMENT = {"PATH": os.environ["PATH"]}
SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
needs_ripgrep = pytest.mark.skipif(find_ripgrep() is None, reason="ripgrep is not installed")


def no_program() -> None:
    return None


ENGINES = [pytest.param(find_ripgrep, id="ripgrep", marks=needs_ripgrep), pytest.param(no_program, id="python")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "root"
    folder.mkdir()
    return folder


def plant(root: Path, **files: str | bytes) -> None:
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


async def listed(root: Path, find: Finder) -> list[str]:
    """The files that are listed, which are also those that a search looks into."""
    files, complete = await list_files(root)
    assert complete
    lines = (await search(Query(root, "^", limit=10_000), ENVIRONMENT, find=find)).lines
    assert list(dict.fromkeys(line.path for line in lines)) == [path for path in files if (root / path).read_bytes()]
    return files


async def found(root: Path, find: Finder, pattern: str, **options: object) -> Found:
    return await search(Query(root, pattern, **options), ENVIRONMENT, find=find)  # type: ignore[arg-type]  # test options


@pytest.mark.parametrize("find", ENGINES)
async def test_files_are_listed_in_the_order_of_a_tree(root: Path, find: Finder) -> None:
    plant(root, **{"b": "", "a__x": "", "a-b": "", "a__b__c": "", ".hidden__h": "", "é": ""})
    assert await listed(root, find) == [".hidden/h", "a/b/c", "a/x", "a-b", "b", "é"]


@pytest.mark.parametrize("find", ENGINES)
async def test_ignored_files_git_and_links_are_left_out(root: Path, find: Finder) -> None:
    plant(root, **{".gitignore": "*.log\n/build/\n!keep.log\n", "a.log": "", "keep.log": "", "build__x": ""})
    plant(root, **{"sub__.gitignore": "!b.log\n*.tmp\n", "sub__b.log": "", "sub__c.tmp": "", "sub__build__y": ""})
    plant(root, **{".git__config": "", "sub__deep__c.tmp": ""})
    (root / "link").symlink_to("keep.log")
    (root / "away").symlink_to("/etc")
    assert await listed(root, find) == [".gitignore", "keep.log", "sub/.gitignore", "sub/b.log", "sub/build/y"]


@pytest.mark.parametrize("find", ENGINES)
async def test_rules_of_the_folders_above_hold_too(root: Path, find: Finder) -> None:
    plant(root, **{".gitignore": "*.log\n/src/gen\n", "src__a.log": "", "src__gen__x": "", "src__b.py": ""})
    assert await listed(root / "src", find) == ["b.py"]
    assert await listed(root / "src" / "gen", find) == ["x"], "a folder that is asked for is searched"


@pytest.mark.parametrize("find", ENGINES)
async def test_a_repository_is_not_ruled_from_outside(root: Path, find: Finder) -> None:
    plant(root, **{".gitignore": "*.log\n", "inner__.git__config": "", "inner__a.log": "", "inner__sub__b.log": ""})
    assert await listed(root / "inner", find) == ["a.log", "sub/b.log"]
    assert await listed(root / "inner" / "sub", find) == ["b.log"]


NAMES = ["a", "b", "build", "x.log", "y.py", "keep.log", "sub", "foo", "a b", "[z]", "foo.txt", "#c", "!n"]
ALL_RULES = (
    "*.log|!keep.log|build/|/build|build/*|build/**|**/foo|foo/**|a/**/b|sub/foo|!sub/|*|!*/|!*.py|[a-b]|[!a]|\\[z\\]|"
    "a\\ b|\\#c|\\!n|#c|foo*|*o*.t?t|/*|!/sub|**|**/|a/|/a/b|f**o|sub/**/|*/foo|**/sub/**|a |!build/x.log|[z]|/|x.*|"
    "?|**/*.log|!**/keep.log"
)
RULES = ALL_RULES.split("|")


def grow(root: Path, rng: random.Random) -> list[Path]:
    """A tree with rules and repositories in it; its folders."""
    folders = [root]
    for _ in range(rng.randint(3, 14)):
        path = rng.choice(folders) / rng.choice(NAMES)
        if path.exists():
            continue
        if rng.random() < 0.5 and len(path.relative_to(root).parts) < 5:
            path.mkdir()
            folders.append(path)
        else:
            path.write_text("x")
    for folder in rng.sample(folders, min(len(folders), rng.randint(1, 3))):
        (folder / ".gitignore").write_text("\n".join(rng.choices(RULES, k=rng.randint(1, 4))) + "\n")
    for _ in range(rng.choice([0, 0, 1, 2, 3])):
        (rng.choice(folders) / ".git").mkdir(exist_ok=True)
    return folders


@needs_ripgrep
async def test_both_engines_see_the_same_files_in_any_tree(root: Path) -> None:
    rng = random.Random(11)
    for number in range(int(400 * SCALE)):
        tree = root / str(number)
        tree.mkdir()
        folders = grow(tree, rng)
        for folder in (tree, rng.choice(folders)):
            assert await listed(folder, find_ripgrep) == await listed(folder, no_program), folder


@pytest.mark.parametrize("find", ENGINES)
async def test_lines_are_found_by_path_and_number(root: Path, find: Finder) -> None:
    plant(root, **{"b.py": "x\nneedle 1\n", "a__c.py": "needle 2\r\nno\r\nneedle 3", "a-b.py": "Needle\n"})
    result = await found(root, find, "needle")
    assert result.lines == (
        Line("a/c.py", 1, "needle 2"),
        Line("a/c.py", 3, "needle 3"),
        Line("b.py", 2, "needle 1"),
    )
    assert (result.total, result.complete, result.skipped) == (3, True, 0)
    assert (await found(root, find, "needle", ignore_case=True)).total == 4


@pytest.mark.parametrize("find", ENGINES)
async def test_encodings_and_binaries(root: Path, find: Finder) -> None:
    plant(root, bom="\ufeffneedle bom\n", latin="needle é\n".encode("latin-1"), early=b"needle\n\0needle\n")
    plant(root, late=b"needle\n" + b"filler\n" * 30_000 + b"\0", utf16="\ufeffneedle ü\n".encode("utf-16-le"))
    result = await found(root, find, "^needle")
    assert [(line.path, line.text) for line in result.lines] == [
        ("bom", "needle bom"),
        ("latin", "needle \\xe9"),
        ("utf16", "needle ü"),
    ]
    for name in ("early", "late"):
        assert (await found(root / name, find, "needle")).total == 0


@pytest.mark.parametrize("find", ENGINES)
async def test_context_and_limit(root: Path, find: Finder) -> None:
    plant(root, a="".join(f"line {number}{' hit' * (number % 4 == 0)}\n" for number in range(1, 13)), b="hit\nhit\n")
    result = await found(root, find, "hit", context=1)
    assert [(line.number, line.matched) for line in result.lines if line.path == "a"] == [
        (3, False), (4, True), (5, False), (7, False), (8, True), (9, False), (11, False), (12, True),
    ]  # fmt: skip
    few = await found(root, find, "hit", limit=2, context=1)
    assert few.total == 5
    assert [(line.number, line.matched) for line in few.lines] == [
        (3, False), (4, True), (5, False), (7, False), (8, True), (9, False),
    ]  # fmt: skip
    near = await found(root / "b", find, "hit", limit=1, context=1)
    assert [(line.number, line.matched) for line in near.lines] == [(1, True), (2, False)]


@pytest.mark.parametrize("find", ENGINES)
@pytest.mark.parametrize(
    ("only", "paths"),
    [
        ("*.py", ["a.py", "src/b.py"]),
        ("src/**", ["src/b.py", "src/c.js"]),
        ("src/*.py", ["src/b.py"]),
        ("*.{py,js}", ["a.py", "src/b.py", "src/c.js"]),
        ("!*.py", ["src/c.js"]),
        ("[a]*", ["a.py"]),
        ("{a,src/b}.py", ["a.py", "src/b.py"]),
        ("*.log", []),
    ],
)
async def test_a_file_pattern_narrows_a_search(root: Path, find: Finder, only: str, paths: list[str]) -> None:
    plant(root, **{"a.py": "x", "src__b.py": "x", "src__c.js": "x", "d.log": "x", ".gitignore": "*.log\n"})
    result = await found(root, find, "x", only=only)
    assert [line.path for line in result.lines] == paths


@pytest.mark.parametrize("find", ENGINES)
async def test_a_file_that_is_named_is_searched_though_ignored(root: Path, find: Finder) -> None:
    plant(root, **{".gitignore": "*.log\n", "[a].log": "x\n", "b.log": "x\n", "sub__[a].log": "x\n"})
    result = await found(root / "[a].log", find, "x", only="*.py")
    assert result.lines == (Line("[a].log", 1, "x"),)


@pytest.mark.parametrize("find", ENGINES)
async def test_a_long_line_is_cut(root: Path, find: Finder) -> None:
    plant(root, a="x" * 10_000)
    (line,) = (await found(root, find, "x")).lines
    assert line.text.startswith("x" * 500)
    assert line.text.endswith("x[line cut at 500 characters]")


@pytest.mark.parametrize("find", ENGINES)
@pytest.mark.parametrize("pattern", ["(", "[", "*", "(?P<a>x)(?P<a>y)", r"a\nb", "a\nb"])
async def test_a_bad_pattern_is_an_error_with_a_reason(root: Path, find: Finder, pattern: str) -> None:
    plant(root, a="a")
    with pytest.raises(SearchError) as caught:
        await found(root, find, pattern)
    assert 5 < len(str(caught.value)) < 200
    with pytest.raises(GlobError):
        await found(root, find, "a", only="")


@pytest.mark.parametrize("find", ENGINES)
@pytest.mark.parametrize(
    "pattern",
    [r"(?<!x)needle", r"needle(?!s)", r"(?<name>nee)dle", "[[:digit:]]needle", r"\bneedle\b", "^$", "e$", r"n[^\n]*s"],
)
async def test_both_engines_take_the_usual_syntax(root: Path, find: Finder, pattern: str) -> None:
    plant(root, a="xneedle\n1needle\nneedles\n\nneedle\n")
    expected = {
        r"(?<!x)needle": [2, 3, 5],
        r"needle(?!s)": [1, 2, 5],
        r"(?<name>nee)dle": [1, 2, 3, 5],
        "[[:digit:]]needle": [2],
        r"\bneedle\b": [5],
        "^$": [4],
        "e$": [1, 2, 5],
        r"n[^\n]*s": [3],
    }
    assert [line.number for line in (await found(root, find, pattern)).lines] == expected[pattern]


USUAL = ["ab", "b", " ", "é", "\n", "\n", "\r\n", "1", "_", "A", "\t", "-"]
ODD = "² e\u0301 K \u212a \u017f ß 中 \u0663 \U0001f600 \u200d \udce9 \udcff \\ \x85 \x0b \x1c".split(" ")
ATOMS = (
    r"a b . \s \w \S \W \D [^a] [^b] \d é ^ $ \b x? (?:ab|1) (a|b) [[:alpha:]] [[:^alpha:]] [a-z&&[^b]] [\w--a] \pM "
    r"\p{L} \PL \p{Lu} (?i)k (?i:s) (?i:[^k]) (?i:ß) (?i:É) \u00e9 \x41 [é-中] [_\s] 中 \A \z {2 \\\\ - [\]-] (?: ) () "
    r"[^\n] (?i:[a-é])"
).split()


@needs_ripgrep
async def test_both_engines_find_the_same_lines_in_any_text(root: Path) -> None:
    rng = random.Random(5)
    for number in range(40):
        text = "".join(rng.choices(USUAL + ODD if number % 2 else USUAL, k=rng.randint(0, 60)))
        (root / str(number)).write_bytes(text.encode("utf-8", "surrogateescape"))
    tried = matching = 0
    wrong: list[str] = []
    for _ in range(max(40, int(1000 * SCALE))):
        count = rng.randint(1, 4)
        pattern = "".join(rng.choice(ATOMS) + rng.choice(["", "", "", "*", "+?", "{1,2}"]) for _ in range(count))
        if re.search(r"\$.*(?:\^|\\A)", pattern):
            continue  # an empty line both ends and starts; ripgrep 13 does not see it, later ones do
        options = {
            "ignore_case": rng.random() < 0.3,
            "context": rng.choice([0, 0, 1, 2]),
            "limit": rng.choice([3, 500]),
        }
        try:
            fast = await found(root, find_ripgrep, pattern, **options)
        except SearchError as refused:
            fast = str(refused)
        try:
            slow = await found(root, no_program, pattern, **options)
        except SearchError as refused:
            slow = str(refused)
        wrong += [] if fast == slow else [pattern]
        tried += 1
        matching += isinstance(fast, Found) and fast.total > 0
    print(f"expressions: {tried} tried, {matching} with matches, {len(wrong)} differ")
    assert not wrong


@pytest.mark.parametrize("find", ENGINES)
async def test_only_regular_files_are_opened_and_no_link_is_followed(root: Path, find: Finder) -> None:
    plant(root, **{"a": "needle\n", "sub__b": "needle\n", "sub__.gitignore": "c\n"})
    os.mkfifo(root / "fifo")
    os.mkfifo(root / "sub" / "fifo")
    for name, target in {"zero": "/dev/zero", "stdin": "/dev/stdin", "loop": "loop", "up": "..", "out": "/etc"}.items():
        (root / name).symlink_to(target)
    (root / "sub" / "self").symlink_to(".")
    (root.parent / "elsewhere").write_text("needle\n")
    (root / "away").symlink_to("../elsewhere")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "s"))
        result = await found(root, find, "needle")
    assert [line.path for line in result.lines] == ["a", "sub/b"]
    assert await listed(root, find) == ["a", "sub/.gitignore", "sub/b"]


@pytest.mark.parametrize("find", ENGINES)
async def test_an_ignore_file_that_is_none_is_not_opened(root: Path, find: Finder) -> None:
    plant(root, a="needle\n", sub__b="needle\n", sub__b2="needle\n")
    os.mkfifo(root / ".gitignore")
    (root.parent / "rules").write_text("b\n")
    (root / "sub" / ".gitignore").symlink_to("../../rules")
    result = await found(root, find, "needle")
    assert [line.path for line in result.lines] == ["a", "sub/b", "sub/b2"]


@pytest.mark.parametrize("find", ENGINES)
async def test_any_name_is_searched(root: Path, find: Finder) -> None:
    names = ["a\nb", "bad\udce9", "x" * 250, "-e", "*", "a:1:b", "\x01", " "]
    for name in names:
        (root / name).write_text("needle\n")
    result = await found(root, find, "needle")
    assert sorted(line.path for line in result.lines) == sorted(names)
    for name in names:
        (line,) = (await found(root / name, find, "needle")).lines
        assert line == Line(name, 1, "needle")


@pytest.mark.parametrize("find", ENGINES)
async def test_deep_folders_are_searched_to_the_end(root: Path, find: Finder) -> None:
    deep = root.joinpath(*["d"] * 400)
    deep.mkdir(parents=True)
    (deep / "f").write_text("needle\n")
    (line,) = (await found(root, find, "needle")).lines
    assert line.path == "d/" * 400 + "f"


async def test_very_many_files_are_searched(root: Path) -> None:
    count = max(2000, int(100_000 * SCALE))
    for folder in ("flat", *(f"d{number}" for number in range(count // 100))):
        (root / folder).mkdir()
    for number in range(count):
        (root / "flat" / f"{number:06}").write_text("x\n")
        (root / f"d{number // 100}" / f"{number:06}").touch()
    (root / "flat" / "last").write_text("needle\n")
    for find in (find_ripgrep, no_program):
        started = time.monotonic()
        result = await found(root, find, "needle")
        files, complete = await list_files(root)
        seconds = time.monotonic() - started
        print(f"files: {len(files)} listed and searched in {seconds:.2f} s")
        assert (len(result.lines), len(files), complete) == (1, 2 * count + 1, True)
        assert seconds < 30


@pytest.mark.parametrize("find", ENGINES)
async def test_one_line_of_many_megabytes_is_shown_by_its_beginning(root: Path, find: Finder) -> None:
    with (root / "long").open("wb") as file:
        file.write(b"needle")
        for _ in range(100):
            file.write(b"x" * 1_000_000)
    tracemalloc.start()
    result = await found(root, find, "n[e]*dle.*x$")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (line,) = result.lines
    assert line.text == "needle" + "x" * 494 + "[line cut at 500 characters]"
    assert peak < 10_000_000


async def test_a_file_that_is_too_large_for_the_search_in_python_is_told(root: Path) -> None:
    plant(root, a="needle\n")
    with (root / "large").open("wb") as file:
        file.truncate(linescan.MAX_BYTES + 1)
    result = await found(root, no_program, "needle")
    assert (result.total, result.skipped) == (1, 1)


@pytest.mark.parametrize("find", ENGINES)
async def test_a_file_that_grows_while_it_is_read_does_not_hold_the_search(root: Path, find: Finder) -> None:
    plant(root, a="needle\n" * 1000)
    done = threading.Event()

    def grow_on() -> None:
        with (root / "a").open("a") as file:
            while not done.is_set():
                file.write("more\n" * 1000)

    thread = threading.Thread(target=grow_on)
    thread.start()
    try:
        result = await found(root, find, "needle")
    finally:
        done.set()
        thread.join()
    assert result.total == 1000


@pytest.mark.parametrize("find", ENGINES)
async def test_what_may_not_be_read_is_passed_over(root: Path, find: Finder) -> None:
    plant(root, a="needle\n", b="needle\n", sub__c="needle\n")
    (root / "b").chmod(0)
    (root / "sub").chmod(0)
    try:
        expected = ["a", "b", "sub/c"] if os.geteuid() == 0 else ["a"]
        assert [line.path for line in (await found(root, find, "needle")).lines] == expected
    finally:
        (root / "sub").chmod(0o755)


@pytest.mark.parametrize("find", ENGINES)
async def test_an_empty_folder_has_no_lines(root: Path, find: Finder) -> None:
    assert await found(root, find, "x") == Found()


@pytest.mark.parametrize("find", ENGINES)
async def test_when_the_time_is_up_it_is_said(root: Path, find: Finder) -> None:
    plant(root, **{f"d{number}__f": "needle\n" for number in range(300)})
    result = await search(Query(root, "needle"), ENVIRONMENT, timeout_ms=1, find=find)
    assert not result.complete
    files, complete = await list_files(root, timeout_ms=0)
    assert (files, complete) == ([], False)


async def test_an_expression_that_takes_for_ever_is_stopped(root: Path) -> None:
    plant(root, a="quick\n", b="a" * 60 + "!", c="quick\n")
    started = time.monotonic()
    query = Query(root, "quick|(a|aa)+$")
    result = await search(query, ENVIRONMENT, timeout_ms=500, find=no_program)
    assert time.monotonic() - started < 2.5
    assert (result.complete, result.total) == (False, 1)
    patient = await search(query, ENVIRONMENT, find=no_program)
    assert (patient.complete, patient.total, patient.slow) == (True, 2, ("b",))


@pytest.mark.parametrize("find", ENGINES)
async def test_a_cancelled_search_ends_at_once(root: Path, find: Finder) -> None:
    plant(root, **{f"f{number}": "a" * 40 + "!" for number in range(50)})
    task = asyncio.create_task(search(Query(root, "(a|aa)+$(?<!x)"), ENVIRONMENT, find=find))
    await asyncio.sleep(0.2)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 2


def test_a_walk_heeds_stop_and_deadline(root: Path) -> None:
    plant(root, **{f"d{number}__f": "" for number in range(5)})
    stop = threading.Event()
    steps = walk(root, stop, time.monotonic() + 60)
    next(steps)
    stop.set()
    assert list(steps) == []
    assert list(walk(root, threading.Event(), time.monotonic() - 1)) == []


def test_a_program_is_looked_for_in_absolute_places_only(root: Path) -> None:
    program = find_ripgrep()
    assert program is None or Path(program).is_absolute()
