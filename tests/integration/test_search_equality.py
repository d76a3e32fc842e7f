"""grep against ripgrep itself, and what is searched against git's own answer, on real code and on random trees."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sysconfig
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from a3s_code.system.matches import LINE_CHARACTERS, Line, Query
from a3s_code.system.ripgrep import find_ripgrep
from a3s_code.system.search import Finder, list_files, search
from a3s_code.system.walk import is_plain

SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
ENVIRONMENT = {"PATH": os.environ["PATH"]}
REPOSITORY = Path(__file__).parents[2]
ALL = 10_000_000
BINARY = re.compile(
    rb"^[^\n\0]*(?:: WARNING: stopped searching binary file|: binary file matches)[^\n\0]*\n", re.MULTILINE
)
ROW = re.compile(rb"([^\0]+)\0(\d+)([:-])([^\n]*)\n")

needs_ripgrep = pytest.mark.skipif(find_ripgrep() is None, reason="ripgrep is not installed")
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def no_program() -> None:
    return None


ENGINES = [pytest.param(find_ripgrep, id="ripgrep", marks=needs_ripgrep), pytest.param(no_program, id="python")]

PLAIN = r"""
def import class\s+\w+ return None self\.\w+\s*= TODO|FIXME|XXX raise\s+\w+Error except.*as\s+\w+: async\s+def
\bint\b \bself\b \Bing\b \B_\B \b[A-Z]\w+\b \w+\(\) \d+ \d{3,4} 0x[0-9a-fA-F]+ [[:upper:]]{5,} [[:^ascii:]]
[^\x00-\x7F]+ ^import ^\s*$ ^$ ^#! :$ \)$ ^class\s.*:$ ^(from|import)\s+re\b \bend$ ^\t \s+$ \t
foo|bar|baz (foo|bar)\w* (?:get|set)_\w+ a.c a..b x*y.z colou?r (ab)+ (a|b)*c (\w)(\w) .*lambda.* [a-c]{2}[^d]
[]\[] [-+*/] [\w.-]+@[\w.-]+ \. \\ \\n \( \[\] "[^"]*" '[^']*' \{\w*\} %[sd] \$ \^ \| \? \* \+ # & ~ - /
@\w+ \S+://\S+ \S{60,} \p{Lu}\p{Ll}+ \P{L}{8} \pN{4} \p{Currency_Symbol} é ü|ß [äöü] \u00e9 \x{e9} \x41 [\u4e00-\u9fff]
\W{12} \D\d\D \S\s\S (?i)error (?i)ÉCOLE|straße (?i:true)|FALSE (?i)[a-c]x (?s)a.b (?x)im\x20port\s
(?P<name>\w)x (?P<other>y)z [a-z&&[^aeiou]]{6} [\w--\d]{9} [a-g~~c-k]zz
""".split()
ALTERED = [
    Query(Path(), "error", ignore_case=True),
    Query(Path(), "ÄÖÜ|ß", ignore_case=True),
    Query(Path(), "K|S", ignore_case=True),
    Query(Path(), "[^k]elvin", ignore_case=True),
    Query(Path(), r"\bTest", ignore_case=True, only="*.py"),
    Query(Path(), "import os", context=1),
    Query(Path(), "def __init__", context=3),
    Query(Path(), "^class", context=10, only="*.py"),
    Query(Path(), "yield", context=2, ignore_case=True),
    Query(Path(), "the", only="*.{txt,md,rst}"),
    Query(Path(), "x", only="*.toml"),
    Query(Path(), "a", only="!*.py"),
    Query(Path(), "json", only="json/*.py"),
    Query(Path(), "import", only="**/test_*.py"),
    Query(Path(), "encode", only="[a-e]*.py"),
    Query(Path(), "not there at all, anywhere but here"[::-1]),
]
QUERIES = [Query(Path(), pattern) for pattern in PLAIN] + ALTERED


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Copies, so that nothing changes while two programs look."""
    place = tmp_path_factory.mktemp("corpora").resolve()
    skip = shutil.ignore_patterns("__pycache__", "site-packages", ".*_cache", ".git", ".venv", "build", "dist")
    shutil.copytree(REPOSITORY, place / "repository", ignore=skip, symlinks=True)
    shutil.copytree(sysconfig.get_paths()["stdlib"], place / "Lib", ignore=skip, symlinks=True)
    return {"repository": place / "repository", "Lib": place / "Lib"}


def says_ripgrep(query: Query) -> list[Line]:
    """What the plain command prints, hidden files included; but no word on binary files."""
    program = find_ripgrep()
    assert program is not None
    argv = [program, *"--no-config --hidden --no-require-git --null --no-heading --color=never -n -H".split()]
    argv += ["--no-context-separator", f"--context={query.context}"]
    argv += ["--ignore-case"] if query.ignore_case else []
    argv += [f"--glob={query.only if '/' not in query.only else '/' + query.only}"] if query.only else []
    done = subprocess.run([*argv, "--regexp", query.pattern, "./"], cwd=query.root, stdout=subprocess.PIPE)
    assert done.returncode in (0, 1), query
    lines = []
    for name, number, sign, text in ROW.findall(BINARY.sub(b"", done.stdout)):
        path = os.fsdecode(name.removeprefix(b"./"))
        lines.append(Line(path, int(number), text.decode("utf-8", "backslashreplace"), sign == b":"))
    return lines


def comparable(lines: Iterable[Line], query: Query) -> list[Line]:
    """In one order, cut alike; without words beside bytes that are no text, about which versions of ripgrep differ."""
    lines = list(lines)
    kinds = {path: kind((query.root / path).read_bytes()) for path in {line.path for line in lines}}
    left_out = {"binary", "bytes"} if re.search(r"\\[bB]", query.pattern) else {"binary"}
    kept = [line for line in lines if kinds[line.path] not in left_out]
    shown = [replace(line, text=line.text.removesuffix("\r")[:LINE_CHARACTERS]) for line in kept]
    return sorted(shown, key=lambda line: (line.path, line.number))


def kind(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "text"
    if b"\0" in content:
        return "binary"
    try:
        content.decode()
    except UnicodeDecodeError:
        return "bytes"
    return "text"


@needs_ripgrep
@pytest.mark.parametrize("find", ENGINES)
@pytest.mark.parametrize("name", ["repository", "Lib"])
async def test_grep_says_what_ripgrep_says(corpora: dict[str, Path], name: str, find: Finder) -> None:
    assert len(QUERIES) >= 100
    tried = lines = 0
    wrong: list[str] = []
    for query in random.Random(7).sample(QUERIES, min(len(QUERIES), max(10, int(len(QUERIES) * SCALE)))):
        asked = replace(query, root=corpora[name], limit=ALL)
        said = says_ripgrep(asked)
        found = await search(asked, ENVIRONMENT, find=find)
        same = comparable(found.lines, asked) == comparable(said, asked)
        same &= found.total == sum(line.matched for line in found.lines)
        wrong += [] if same and found.complete else [f"{query.pattern} {query.only} {query.context}"]
        tried += 1
        lines += found.total
    print(f"queries over {name}: {tried} tried, {lines} matching lines, {len(wrong)} differ")
    assert not wrong


FANCY = [r"(?<!\.)self\b(?!\.)", r"(\w+) \1", r"(?<=def )test\w+", r"^(?!.*import).*from", r"(?P<q>['\"])x(?P=q)"]


@needs_ripgrep
async def test_what_looks_around_gives_the_same_with_ripgrep_and_without(corpora: dict[str, Path]) -> None:
    for pattern in FANCY:
        asked = Query(corpora["repository"], pattern, limit=ALL)
        with_it = await search(asked, ENVIRONMENT)
        assert with_it == await search(asked, ENVIRONMENT, find=no_program)
        assert with_it.total > 0, pattern


NAMES = (
    "a b c build x.log keep.log sub foo foo.txt #c !n {a,b} [z] a*b é a\\b .env .hidden test.pyc test.pyo Makefile "
    "README node_modules out dist a.b.c ab abc z-1"
).split()
NAMES += ["a b", " a", "a ", "a\tb"]
USUAL = (
    "a b c build x.log *.log keep.log sub foo foo* *.txt ** * ? ?? a?c [a-c] *.py[co] *o *o*o .* .env node_modules "
    "dist out *.* *.b.* [Mm]akefile README b* *b b*c z-[0-9] z-?"
).split()
ODD = (
    "[!a] [^a] [a-]x [[:alpha:]] [[:digit:]-]* []a] [!]a]b [a [a\\]]b \\* a\\*b {a,b} *.{log,txt} é ?? \\a a\\ "
    "\\[z\\] a**b *** . .. a** *a** foo** **b"
).split()


def usual_line(rng: random.Random) -> str:
    text = "/".join(rng.choices(USUAL, k=rng.choice([1, 1, 1, 2, 3])))
    text = rng.choice(["", "", "", "/", "**/", "a/"]) + text + rng.choice(["", "", "", "/", "/**", "/*"])
    return rng.choice(["", "", "", "", "!", "!", "#"]) + text


def odd_line(rng: random.Random) -> str:
    text = "/".join(rng.choices(USUAL + ODD, k=rng.choice([1, 1, 1, 1, 2, 2, 3])))
    text = (
        rng.choice(["", "", "", "/", "**/", "a/"]) + text + rng.choice(["", "", "", "/", "/", "/**", "/*", " ", "\\ "])
    )
    return rng.choice(["", "", "", "!", "\\!", "\\#", " "]) + text + rng.choice(["", "", "", "\r", "  "])


def grow(root: Path, rng: random.Random) -> list[Path]:
    """A tree of files and folders; its folders."""
    folders = [root]
    for _ in range(rng.randint(6, 24)):
        path = rng.choice(folders) / rng.choice(NAMES)
        if path.exists():
            continue
        if rng.random() < 0.45 and len(path.relative_to(root).parts) < 5:
            path.mkdir()
            folders.append(path)
        else:
            path.write_text("needle\n")
    return folders


def rule(root: Path, folders: list[Path], rng: random.Random) -> None:
    """Ignore files, in half of the trees with what programs differ about, and sometimes the repository's own."""
    line = rng.choice([usual_line, odd_line])
    for folder in rng.sample(folders, min(len(folders), rng.randint(1, 4))):
        text = "\n".join(line(rng) for _ in range(rng.randint(1, 6))) + rng.choice(["\n", "\n", ""])
        (folder / ".gitignore").write_text(("\ufeff" if rng.random() < 0.08 else "") + text)
    if rng.random() < 0.3:
        (root / ".git" / "info" / "exclude").write_text("".join(line(rng) + "\n" for _ in range(rng.randint(1, 3))))


def trees(place: Path, count: int) -> Iterator[tuple[Path, random.Random]]:
    """Repositories in which nothing is tracked."""
    model = place / "model"
    subprocess.run(["git", "init", "-q", "--template=", model], check=True)
    for number in range(count):
        rng = random.Random(number)
        root = place / str(number)
        shutil.copytree(model, root)
        (root / ".git" / "info").mkdir(exist_ok=True)
        rule(root, grow(root, rng), rng)
        yield root, rng
        shutil.rmtree(root)


def says_git(root: Path) -> list[str]:
    argv = ["git", "-c", "core.excludesFile=", "ls-files", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(argv, cwd=root, stdout=subprocess.PIPE, check=True)
    return sorted(os.fsdecode(name) for name in done.stdout.split(b"\0") if name)


@needs_git
async def test_glob_and_grep_leave_out_what_git_ignores(tmp_path: Path) -> None:
    tried = files = plain = 0
    wrong: list[str] = []
    engines: list[Finder] = [no_program] if find_ripgrep() is None else [find_ripgrep, no_program]
    for root, _ in trees(tmp_path.resolve(), max(60, int(1000 * SCALE))):
        said = says_git(root)
        listed, complete = await list_files(root)
        wrong += [] if complete and sorted(listed) == said else [f"glob {root.name}"]
        holding = [path for path in said if (root / path).read_bytes() == b"needle\n"]
        for find in engines:
            found = await search(Query(root, "needle", limit=ALL), ENVIRONMENT, find=find)
            ours = sorted({line.path for line in found.lines if not line.path.endswith(".gitignore")})
            wrong += [] if ours == holding else [f"grep {root.name}"]
        tried += 1
        files += len(said)
        plain += is_plain(root, threading.Event(), time.monotonic() + 60)
    print(f"trees with ignore files: {tried} tried, {plain} plain, {files} files kept, {len(wrong)} differ")
    assert not wrong
