"""Random bash scripts, read by the gate and run by a real bash: no program runs that the reading did not list.

Every program of a script is a stub with a name of its own, which only notes that it ran and with which arguments.
Beside the stubs a script finds a few wrappers and shells, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from a3s_code.harness.safety.shell import Reading, read_command

BASH = shutil.which("bash")
REAL = ("bash", "sh", "env", "timeout", "nice", "nohup", "xargs", "find", "cat", "stdbuf", "ionice")
SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
STUBS = 64
pytestmark = [
    pytest.mark.skipif(BASH is None, reason="bash is not installed"),
    pytest.mark.skipif(os.name != "posix", reason="process groups and resource limits are those of POSIX"),
]

PLAIN_WORDS = [
    "a",
    "b1",
    "-n",
    "--all=x",
    "x.y",
    "a/b",
    "if",
    "done",
    "}",
    "{",
    "in",
    "esac",
    "!",
    "a#b",
    "%",
    "a=b",
    "=",
    "]",
]
QUOTED_WORDS = [
    "'b c'",
    "'; n1'",
    '"a; n2"',
    '"a \\" b"',
    "'it'\\''s'",
    "\\;",
    "\\&\\|",
    "'#'",
    '"`echo`"',
    "$'a\\'b'",
    "$'\\x41\\102\\u0043'",
    '$"hello"',
    "a\\ b",
    "a'b'\"c\"",
    "''",
    '""',
    "'$(n3)'",
    '"\\$(n4)"',
    "'a\nb'",
    '"a\nb"',
    "a\\\nb",
    '"\'"',
    "'\"'",
    "'`'",
    '"\\`"',
    "\\(",
    "\\<\\<",
    "\\#",
    "'<<E'",
]
OPEN_WORDS = [
    "$x",
    "${x}",
    '"$x"',
    "*",
    "?",
    "[a-z]*",
    "{a,b}",
    "{1..3}",
    "~",
    "$?",
    "$#",
    "${#x}",
    "${x:-y}",
    "${x%.y}",
    "$((1+2))",
    "$[3]",
]
JUNK = [
    *" \n;&|<>(){}'\"\\$`#!=*?[]",
    "$(",
    "${",
    "<<",
    "<<E\n",
    "\nE\n",
    "&&",
    "||",
    ";;",
    "then",
    "fi",
    "do ",
    "done",
    "((",
    "))",
    "[[ ",
    " ]]",
    "$'",
    "\\\n",
    "<(",
    " in ",
    "esac",
    "time ",
    "! ",
    "{ ",
    "; }",
]


class Writer:
    """Writes scripts; each program in one has a name of its own."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.count = 0
        self.ends = 0

    def write(self) -> str:
        self.count = self.ends = 0
        return self.script(self.source.choice((1, 2, 2, 3, 3, 4)))

    def name(self) -> str:
        self.count += 1
        return f"n{self.count % STUBS}"

    def pick(self, *choices: Callable[[int], str]) -> Callable[[int], str]:
        return self.source.choice(choices)

    def blank(self) -> str:
        return self.source.choice([" ", " ", " ", "  ", "\t", " \\\n "])

    def script(self, depth: int) -> str:
        text = self.command(depth)
        for _ in range(self.source.randint(0, 2)):
            joint = self.source.choice(
                [";", " ; ", "\n", "\n\n", " && ", " || ", "&&", "||", " | ", "|", " |& ", " & ", " &\n"]
            )
            comment = self.source.choice(["", "", " # it's; n5", " #`"]) if joint.startswith("\n") else ""
            if text.endswith("\n"):
                joint, comment = "", ""
            text += comment + joint + self.command(depth)
        return text

    def one_line(self, depth: int) -> str:
        """A list that neither holds nor awaits a here-document."""
        for _ in range(20):
            text = self.script(depth)
            if "\n" not in text:
                return text
        return self.simple(0)

    def command(self, depth: int) -> str:
        if depth <= 0:
            return self.simple(0)
        kinds = [self.simple] * 6 + [self.group, self.condition, self.loop, self.case, self.function] * 2
        kinds += [self.test, self.document, self.text_run, self.wrapped, self.prefixed, self.assigned] * 2
        return self.source.choice(kinds)(depth)

    def simple(self, depth: int) -> str:
        words = [self.spelled(self.name())]
        words += [self.word(depth) for _ in range(self.source.randint(0, 3))]
        if self.source.random() < 0.15:
            words.insert(0, self.source.choice(["V=1", "V='a b'", "V=$x", "LC_ALL=C", "V+=2", f"V={self.word(depth)}"]))
        if self.source.random() < 0.2:
            words.insert(self.source.randint(0, len(words)), self.redirection(depth))
        if self.source.random() < 0.05:
            words[0] = self.source.choice(["2>&-", "3<&-", ">&-", "3>& -"]) + words[0]
        return self.blank().join(words)

    def spelled(self, name: str) -> str:
        if self.source.random() < 0.75:
            return name
        head, tail = name[:1], name[1:]
        return self.source.choice(
            [
                f"'{name}'",
                f'"{name}"',
                f"{head}''{tail}",
                f"\\{name}",
                f"{head}\\\n{tail}",
                f"$'\\x{ord(head):x}{tail}'",
                f'{head}"{tail}"',
                f"../bin/{name}",
            ]
        )

    def word(self, depth: int) -> str:
        roll = self.source.random()
        if roll < 0.4 or depth <= 0:
            return self.source.choice(PLAIN_WORDS if roll < 0.25 else QUOTED_WORDS)
        if roll < 0.6:
            return self.source.choice(OPEN_WORDS)
        inner = self.one_line(depth - 1) if self.source.random() < 0.8 else self.script(depth - 1)
        return self.substitution(inner)

    def substitution(self, inner: str) -> str:
        end = "\n" if "#" in inner.rsplit("\n", 1)[-1] or "<<" in inner else ""
        forms = [
            f"$({inner}{end})",
            f"$( {inner} {end})",
            f'"$({inner}{end})"',
            f'"a $({inner}{end}) b"',
            f"x$({inner}{end})y",
            f"<({inner}{end})",
            f"${{x:-$({inner}{end})}}",
            f'"${{x:-$({inner}{end})}}"',
            f'${{x:-"$({inner}{end})"}}',
            f"${{x/$({inner}{end})/y}}",
            f'"${{x#"$({inner}{end})"}}"',
        ]
        if self.source.random() < 0.1:
            forms = [f"$((1 + 0$({inner}{end})))", f"${{y[0$({inner}{end})]}}", f"$[1$({inner}{end})]"]
        if "`" not in inner and "\\" not in inner and "$'" not in inner:
            forms += [f"`{inner}{end}`", f"a`{inner}{end}`"]
            if '"' not in inner:
                forms.append(f'"`{inner}{end}`"')
        if "`" in inner and inner.count("`") == 2 and "\\" not in inner and '"' not in inner:
            escaped = inner.replace("`", "\\`")
            forms.append(f"`{escaped}{end}`")
        return self.source.choice(forms)

    def redirection(self, depth: int) -> str:
        simple = [
            ">f",
            "> f",
            ">>f",
            "2>f",
            "2>&1",
            ">|f",
            "&>f",
            "&>>f",
            "</dev/null",
            "0</dev/null",
            "<<<a",
            "<<< 'a b'",
            ">&2",
            "3>&1",
            "2>&-",
            "{v}>f",
            "<>f",
        ]
        if depth <= 0 or self.source.random() < 0.7:
            return self.source.choice(simple)
        inner = self.one_line(depth - 1)
        return self.source.choice(
            [f"< <({inner})", f"> >({inner})", f'<<<"$({inner})"', f'> "$({inner})f"', f"<<<$({inner})"]
        )

    def group(self, depth: int) -> str:
        body = self.body(depth - 1)
        forms = [
            f"{{ {body} }}",
            f"{{\n{body}\n}}",
            f"({body})",
            f"( {body} )",
            f"( ({body}) )",
            f"{{ ({body}) }}",
            f"{{ {body} }} >f 2>&1",
            f"({body}) </dev/null",
        ]
        return self.source.choice(forms)

    def body(self, depth: int) -> str:
        """A list with the end that a keyword needs."""
        text = self.script(depth)
        if text.endswith("\n"):
            return text
        if "#" in text.rsplit("\n", 1)[-1] or "<<" in text:
            return f"{text}\n"
        return text + self.source.choice([";", " ;", "\n", " &"] if not text.endswith("&") else [""])

    def condition(self, depth: int) -> str:
        first, second, third = (self.body(depth - 1) for _ in range(3))
        forms = [
            f"if {first} then {second} fi",
            f"if {first} then {second} else {third} fi",
            f"if ! {first} then {second} elif {third} then {second} fi",
            f"if\n{first}\nthen\n{second}\nfi >f",
            f"if ({first}) then {second} fi",
            f"if {{ {first} }} then ({second}) fi",
        ]
        return self.source.choice(forms)

    def loop(self, depth: int) -> str:
        first, second = (self.body(depth - 1) for _ in range(2))
        word = self.word(depth - 1)
        forms = [
            f"while {first} do {second} break; done",
            f"until ! {first} do {second} break; done",
            f"for i in 1 {word}; do {second} done",
            f"for i in {word} 2\ndo {second} done",
            f"for i do {second} done",
            f"for i; do {second} done",
            f"for i in a b; do {second} done | {self.name()}",
            f"for ((i=0; i<2; i++)); do {second} done",
            f"for ((i=0;i<2;i++)) {{ {second} }}",
            f"select i in a; do {second} break; done <<< 1",
            f"while read -r line; do {second} done <<< a",
            f"for i in; do {second} done; {first}",
        ]
        return self.source.choice(forms)

    def case(self, depth: int) -> str:
        first, second, third = (self.body(depth - 1) for _ in range(3))
        word = self.word(depth - 1)
        end = self.source.choice([";;", ";&", ";;&"])
        forms = [
            f"case a in a) {first} esac",
            f"case a in b) {first} ;; (a|c) {second} ;; esac",
            f"case {word} in\n x | y ) {first}\n;;\n *) {second}\n;;\nesac",
            f"case a in {word}) {first} {end} *) {second} {end} esac",
            f"case a in (if) {first} ;; 'a') {second} ;; (*) {third} esac",
            f"case a in [a-c]) {first} ;; esac >f",
            f'case "a b" in "a b") {first} ;; a*b) {second} ;; esac',
        ]
        return self.source.choice(forms).replace(";  ;", "; ;")

    def function(self, depth: int) -> str:
        body = self.body(depth - 1)
        call = f"g {self.word(depth - 1)}"
        forms = [
            f"g() {{ {body} }}; {call}",
            f"g () {{ {body} }}\n{call}",
            f"function g {{ {body} }}; {call}",
            f"function g() ({body}); {call}",
            f"g() if {body} then {body} fi; {call}",
            f"g()\n{{\n{body}\n}} >f\n{call}",
            f"g() {{ {body} }}; g | {self.name()}",
        ]
        return self.source.choice(forms)

    def test(self, depth: int) -> str:
        word = self.word(depth - 1)
        after = self.simple(depth - 1)
        if "\n" in word:
            word = "a"
        forms = [
            f"[[ -n {word} ]] && {after}",
            f"[[ a == a && ( b < c || -z {word} ) ]] && {after}",
            f"[[ ab =~ ^(a|x)b$ ]] && {after}",
            f"[[ {word} == @(a|b) ]] || {after}",
            f"[[ ! -e {word} ]]; {after}",
            f"[ -n {word} ]; {after}",
            f"[ a = b -o 1 ] && {after}",
            f"((1 < 2)) && {after}",
            f"(( x = 2 > 1 ? 3 : 4 )); {after}",
            f"test a == b || {after}",
            f"let 1+1; {after}",
            f"((({self.name()}); {self.name()})); {after}",
            f"(({self.name()}); {self.name()}); {after}",
            f"[[ a = a ]]&&{after}",
        ]
        return self.source.choice(forms)

    def document(self, depth: int) -> str:
        self.ends += 1
        end = f"E{self.ends}"
        inner = self.one_line(depth - 1)
        lines = f"it's \" $x\n{self.substitution(inner)}\n" if "\n" not in inner else "x\n"
        raw = f"$({self.name()}) `{self.name()}` '\n"
        tail = self.source.choice(
            ["", f" | {self.name()}", f" && {self.name()}", f"; {self.name()}", " >f 2>&1", " a b", " # it's"]
        )
        forms = [
            f"{self.name()} <<{end}{tail}\n{lines}{end}\n",
            f"{self.name()} << {end}{tail}\n{lines}{end}\n",
            f"{self.name()} <<'{end}'{tail}\n{raw}{end}\n",
            f"{self.name()} <<\\{end}{tail}\n{raw}{end}\n",
            f"{self.name()} <<-{end}{tail}\n\t{lines}\t{end}\n",
            f"<<{end} {self.name()}{tail}\n{lines}{end}\n",
            f"{self.name()} <<{end} <<'{end}b'{tail}\n{lines}{end}\n{raw}{end}b\n",
            f"{self.name()} <<'{end}\"'{tail}\n{raw}{end}\"\n",
            f"{{ {self.name()}; }} <<{end}{tail if not tail.endswith('b') else ''}\n{lines}{end}\n",
            f"{self.name()} <<{end}{tail}\nx \\\n{end} y\n{lines}{end}\n",
            f"if {self.name()} <<{end}; then {self.name()}; fi{tail if not tail.endswith('b') else ''}\n{lines}{end}\n",
            f"{self.name()} $({self.name()} <<{end}\n{lines}{end}\n)\n",
            f"bash <<'{end}'\n{inner}\n{end}\n",
            f"cat <<'{end}' | sh\n{self.simple(0)}\n{end}\n",
        ]
        return self.source.choice(forms)

    def text_run(self, depth: int) -> str:
        inner = self.one_line(depth - 1)
        quoted = shlex.quote(inner)
        forms = [
            f"eval {quoted}",
            f"bash -c {quoted}",
            f"bash -c {quoted} a b",
            f"(trap {quoted} EXIT)",
            f"bash -ec {quoted}",
            f"eval {self.simple(0)}",
            f"echo {quoted} | bash",
            f"bash <<< {quoted}",
            f"source <(echo {quoted})",
            f". /dev/stdin <<< {quoted}",
            f'eval "{self.name()} a"',
            f'env -i PATH="$PATH" bash -c {quoted}',
            f"bash -c 'eval \"$1\"' x {quoted}",
            f'x={quoted}; eval "$x"',
            f"alias q={self.name()}; q",
        ]
        return self.source.choice(forms)

    def wrapped(self, depth: int) -> str:
        inner = self.plain_call(depth)
        forms = [
            f"env {inner}",
            f"env A=1 {inner}",
            f"timeout 5 {inner}",
            f"nice {inner}",
            f"nice -n 1 {inner}",
            f"nohup {inner}",
            f"command {inner}",
            f"builtin command {inner}",
            f"(exec {inner})",
            f"echo a | xargs {inner}",
            f"echo a | xargs -n 1 {inner}",
            f"find . -maxdepth 0 -exec {inner} {{}} \\;",
            f"find . -maxdepth 0 -exec {inner} {{}} +",
            f"stdbuf -oL {inner}",
            f"echo a | xargs -I@ {inner} @",
            f"env -u V {inner}",
            f"timeout 5 nice env {inner}",
            f"ionice -c3 {inner}",
            f"env -S '{self.name()} b'",
        ]
        return self.source.choice(forms)

    def plain_call(self, depth: int) -> str:
        return " ".join([self.spelled(self.name()), *(self.word(depth - 1) for _ in range(self.source.randint(0, 2)))])

    def prefixed(self, depth: int) -> str:
        inner = self.command(depth - 1)
        prefix = self.source.choice(
            [
                "! ",
                "time ",
                "time -p ",
                "! ! ",
                "time ! ",
                "coproc ",
                "exec 3>&1; ",
                "set -- a b; ",
                "cd .; ",
                ": ; ",
                "true && ",
            ]
        )
        return prefix + inner

    def assigned(self, depth: int) -> str:
        inner = self.substitution(self.one_line(depth - 1))
        if inner.startswith("<("):
            inner = "b"
        forms = [
            f"V={inner}",
            f"V={inner} W={inner}",
            f"y=(a {inner} 'c d')",
            f"y+=({inner})",
            f"y[0{inner if ' ' not in inner else ''}]=1",
            f"export V={inner}",
            f"declare -a z=(1 {inner})",
            f"local V={inner} 2>f",
            f"readonly R{self.count}={inner}",
            f"y=(\n a # it's\n {inner}\n)",
            f"V={inner} {self.name()}",
            f"unset {self.source.choice(['V', 'y'])}; {self.name()}",
            f"printf -v V %s {inner}",
        ]
        return self.source.choice(forms)


def damage(source: random.Random, script: str) -> str:
    """The script with a few characters taken out or put in."""
    text = script
    for _ in range(source.randint(1, 3)):
        at = source.randint(0, len(text))
        text = text[:at] + source.choice([*JUNK, ""]) + text[at + source.randint(0, 1) :]
    return text


@dataclass
class Bench:
    """Runs scripts, each in an empty folder of its own beside the programs and a log of those that ran."""

    root: Path
    programs: Path
    count: int = 0

    def run(self, script: str) -> list[list[str]]:
        """The stubs that ran, each with its arguments."""
        self.count += 1
        place = self.root / str(self.count)
        for name in ("work", "log"):
            (place / name).mkdir(parents=True)
        (place / "bin").symlink_to(self.programs)
        process = subprocess.Popen(
            [str(BASH), "--norc", "--noprofile", "-c", script],
            cwd=place / "work",
            env={"PATH": str(place / "bin"), "FUNCNEST": "4", "HOME": str(place / "work")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_limit,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        with contextlib.suppress(ProcessLookupError):
            # What runs in the background may take a moment longer.
            for _ in range(20):
                os.killpg(process.pid, 0)
                time.sleep(0.002)
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        notes = b"".join(note.read_bytes() for note in (place / "log").iterdir()).decode("utf-8", "replace")
        # A program that is still there, in a group of its own, finds no log any more.
        shutil.rmtree(place, ignore_errors=True)
        return [note.split("\x1f")[:-1] for note in notes.split("\x1e\x1f")[:-1]]


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (4, 4))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    programs = tmp_path / "programs"
    programs.mkdir()
    stub = programs / "stub"
    # A log for each process, for those that run at the same time would mix their lines.
    log = '"${0%/bin/*}/log/$$"'
    note = f"printf '%s\\037' \"${{0##*/}}\" \"$@\" >>{log}\nprintf '\\036\\037' >>{log}"
    stub.write_text(f"#!/bin/sh\n{note}\ncase $0 in *[37]) exit 1;; esac\n")
    stub.chmod(0o755)
    for index in range(STUBS):
        (programs / f"n{index}").symlink_to(stub)
    for name in REAL:
        found = shutil.which(name)
        if found is not None:
            (programs / name).symlink_to(found)
    return Bench(tmp_path / "runs", programs)


def list_programs(reading: Reading) -> dict[str, list[tuple[bool, tuple[str, ...]]]]:
    """Each program that may run, with its arguments and whether they are known."""
    listed: dict[str, list[tuple[bool, tuple[str, ...]]]] = {}
    for words in [candidate.words for candidate in reading.candidates if candidate.words]:
        fixed = all(word.fixed and "~" not in word.text for word in words)
        name = words[0].text.rpartition("/")[2]
        listed.setdefault(name, []).append((fixed, tuple(word.text for word in words[1:])))
    return listed


def is_opaque(reading: Reading) -> bool:
    return bool(reading.command.fault or reading.command.unclear or reading.doubt or reading.endless)


def differ(bench: Bench, scripts: Iterator[str], count: int) -> tuple[int, int, int]:
    """Run the scripts; how many were opaque, how many programs ran, and how many of them were not listed."""
    opaque = ran = missed = 0
    for _ in range(count):
        script = next(scripts)
        if "\0" in script:
            continue
        reading = read_command(script)
        if is_opaque(reading):
            opaque += 1
            continue
        listed = list_programs(reading)
        appends = any(name in listed for name in ("xargs", "find"))
        for name, *arguments in bench.run(script):
            ran += 1
            known = listed.get(name, [])
            exact = appends or any(not fixed or tuple(arguments) == words for fixed, words in known)
            if not known or not exact:
                missed += 1
                print(f"missed {name} {arguments} of {known} in {script!r}")
    return opaque, ran, missed


def test_no_program_runs_that_the_reading_did_not_list(bench: Bench) -> None:
    writer = Writer(random.Random(31))
    count = max(200, int(5000 * SCALE))
    opaque, ran, missed = differ(bench, iter(writer.write, None), count)
    print(f"scripts: {count} read, {count - opaque} exactly, {opaque} opaque; {ran} programs ran, {missed} missed")
    assert missed == 0
    assert opaque < 0.6 * count
    assert ran > 2 * (count - opaque)


def test_damage_makes_a_script_opaque_or_leaves_it_exact(bench: Bench) -> None:
    source = random.Random(32)
    writer = Writer(source)
    count = max(200, int(2500 * SCALE))
    damaged = iter(lambda: damage(source, writer.write()), None)
    opaque, ran, missed = differ(bench, damaged, count)
    exact = count - opaque
    print(f"damaged scripts: {count} read, {exact} exactly, {opaque} opaque; {ran} programs ran, {missed} missed")
    assert missed == 0
    assert opaque < 0.9 * count
    assert ran > count // 10
