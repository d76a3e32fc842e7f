"""Scripts of sed, programs of awk and the words of tar: what they run, read and write."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from a3s_code.harness.safety.awk import runs_others, writes_files
from a3s_code.harness.safety.outreach import find_contacts
from a3s_code.harness.safety.sed import read_script
from a3s_code.harness.safety.tar import list_archived
from a3s_code.harness.safety.words import Word

SED = shutil.which("sed")
HAS_SANDBOX = SED is not None and "GNU" in subprocess.run([SED, "--version"], capture_output=True, text=True).stdout
PIECES = ["s", "/", "a", "b", "e", "w", "r", "y", "|", "\n", ";", "}", "{", "\\", "\\\n", " ", "1", "$", "2,3", "/x/"]
PIECES += [
    "i\\",
    "a\\\n",
    "p",
    "e id",
    "w out",
    ":a",
    "ba",
    "!",
    "#",
    "[",
    "]",
    "[/]",
    "&",
    "I",
    "M",
    "0~3",
    "+2",
    "/e",
]
PIECES += ["s/a/b/", "s/a/b/e", "s,a,b,w o", "y/a/b/", "=", "N", "v", "\\cxc", "/[/]/", "s/[/]/b/", "a ", "$!"]


@pytest.mark.skipif(not HAS_SANDBOX, reason="no sed that can refuse to run programs is installed")
def test_a_sed_script_taken_for_plain_is_one_that_sed_runs_where_programs_and_files_are_refused() -> None:
    chance = random.Random(7)
    plain = 0
    for _ in range(2000):
        scripts = ["".join(chance.choices(PIECES, k=chance.randint(1, 8))) for _ in range(chance.choice((1, 1, 2)))]
        words = ["sed", *(word for script in scripts for word in ("-e", script))]
        found = read_script([Word(word) for word in words])
        if found.plain and not found.files:
            plain += 1
            told = subprocess.run([*words, "--sandbox", "/dev/null"], capture_output=True, text=True)
            assert "sandbox" not in told.stderr, words
    assert plain > 200


@pytest.mark.parametrize(
    ("program", "runs", "writes"),
    [
        ("$1 > 5 || /a|b/ {print $1}", False, False),
        ('{print "a > b | c", ($1 > 3)}', False, False),
        ('{sub(/#.*/, "system"); print}', False, False),
        ('{print $1 > "out"}', False, True),
        ('{print $1,\n$2 > "out"}', False, True),
        ('{print(1)(2) > "out"}', False, True),
        ('{print | "sh"}', True, False),
        ('{x = /"/; system("id"); y = /"/}', True, False),
        ('{x++ / system("id") / 1}', True, False),
        ('BEGIN{a = "x" # "\nsystem("id")}', True, False),
        ('/[/]"/{system("id")}', True, False),
        ('BEGIN{f = "system"; @f("id")}', True, False),
    ],
)
def test_what_an_awk_program_does_is_told_from_what_it_quotes(program: str, runs: bool, writes: bool) -> None:
    words = [Word("awk"), Word(program), Word("f")]
    assert (runs_others(words), writes_files(words)) == (runs, writes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tar cf - .env", {("read", ".env")}),
        ("tar czf a.tgz src", {("write", "a.tgz"), ("read", "src")}),
        ("tar -c -f a.tar src", {("write", "a.tar"), ("read", "src")}),
        ("tar --create --file a.tar src", {("write", "a.tar"), ("read", "src")}),
        ("tar xfC a.tar out", {("read", "a.tar"), ("write", "out")}),
        ("tar -xf a.tar --dir=out", {("read", "a.tar"), ("write", "out")}),
        ("tar xf a.tar", {("read", "a.tar"), ("write", ".")}),
        ("tar xOf a.tar", {("read", "a.tar")}),
        ("tar tf a.tar", {("read", "a.tar")}),
        ("tar -cf a.tar -T list -C src b", {("write", "a.tar"), ("read", "list"), ("read", "b"), ("read", "src/b")}),
    ],
)
def test_the_files_of_tar_are_found_in_every_spelling(text: str, expected: set[tuple[str, str]]) -> None:
    assert {(use, word.text) for use, word in list_archived([Word(word) for word in text.split()])} == expected


@pytest.mark.parametrize("long", ["-" + "q" * 200_000, "a" * 100_000 + "@" + "b" * 100_000, "a." * 100_000])
def test_a_long_word_is_searched_for_addresses_in_no_time(long: str) -> None:
    start = time.perf_counter()
    assert find_contacts([Word("wget"), Word(long)]) == ["wget"]
    assert time.perf_counter() - start < 1


def test_a_slow_script_is_not_read_at_all(tmp_path: Path) -> None:
    assert not read_script([Word("sed"), Word("s/a/b/;" * 10_000)]).plain
    assert runs_others([Word("awk"), Word("(" * 100_000 + "system")])
