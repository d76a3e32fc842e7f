"""Random commands, judged and then run by a real bash: what ran is never what the gate took for something else.

The programs are two scripts of the test: `ok` does nothing, `mark` leaves a file. Nothing else is on the PATH but a few
wrappers.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from a3s_code.kernel.contracts import Decision

Judge = Callable[..., Decision]
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="bash is not installed")

SPELLINGS = ["mark", "m'ar'k", '"mark"', "m\\ark", "$'mark'", "$'\\x6dark'", '$"mark"', "../bin/mark", "m\\\nark"]
ARGUMENTS = [
    "a",
    "'b c'",
    "$x",
    "${x}",
    "*",
    "-n",
    "'; mark'",
    "#x",
    "x#",
    "'#'",
    "\\;",
    '"a \\" b"',
    "{a,b}",
    "'it'\\''s'",
]
JUNK = [
    "ok ",
    "mark",
    "mark ",
    "'",
    '"',
    "\\",
    "$",
    "`",
    "(",
    ")",
    "{ ",
    "; }",
    ";",
    "&",
    "|",
    "&&",
    "<",
    ">",
    "\n",
    " ",
    " #",
]
JUNK += [
    "<<E\n",
    "<<'E'\n",
    "\nE\n",
    "<<<",
    "$(",
    "${x:-",
    "}",
    "if ok; then ",
    "; fi",
    "for x in a; do ",
    "; done",
    "((",
    "))",
]
JUNK += [
    "case x in x) ",
    ";; esac",
    "[[ ",
    " ]]",
    "! ",
    "A=1 ",
    "a=(",
    "$'",
    "m''ark",
    "g() ",
    "eval ",
    "exec ",
    "env ",
    "sh -c '",
]
FRAMES = [
    "ok; @",
    "ok && @",
    "ok | @",
    "ok & @",
    "ok\n@",
    "@ ; ok",
    "(@)",
    "{ @; }",
    "ok $(@)",
    'ok "a $(@) b"',
    "ok `@`",
    "! @",
    "if ok; then @; fi",
    "if @; then ok; fi",
    "for i in 1; do @; done",
    "for i in $(@); do ok; done",
    "while @; do break; done",
    "case a in a) @;; esac",
    "case a in (b|a) @;; esac",
    "g() { @; }; g",
    "function g { @; }; g",
    "time -p @",
    "x=$(@)",
    "x=1 @",
    "ok <(@)",
    "cat <<E\n$(@)\nE\n",
    "cat <<'E F'\nx 'y\nE F\n@",
    'ok <<-E\n\tx "\n\tE\n@',
    "bash <<'E'\n@\nE\n",
    "[[ -n $(@) ]]",
    "cat <<'E' | sh\n@\nE\n",
    "ok ${x:-$(@)}",
    "ok $(( $(@) + 1 ))",
    "env A=1 @",
    "timeout 5 @",
    "command @",
    "exec @",
    "> f @",
    "coproc @; wait",
    "ok | xargs @",
    "eval @",
    "ok # '\n@",
    "ok 'a\nb'\n@",
    "@ >f 2>&1",
    "for i in 1\ndo @\ndone",
    "ok \\\n && @",
    "do_it() { ok; }; @",
    "find . -maxdepth 0 -exec @ \\;",
    "set -- a; @",
    "builtin command @",
    "for ((;;)); do @; break; done",
]


def nest(source: random.Random, depth: int) -> str:
    if depth == 0:
        return f"{source.choice(SPELLINGS)} {source.choice(['', 'a', '$x'])}"
    inner = nest(source, depth - 1)
    filled = source.choice(FRAMES).replace("@", inner if "`" not in inner else "mark")
    return filled.replace("ok", f"ok {source.choice(ARGUMENTS)}", 1) if source.random() < 0.3 else filled


def scramble(source: random.Random) -> str:
    return "ok " + "".join(source.choice(JUNK) for _ in range(source.randint(1, 8))) + source.choice(["", "mark"])


@pytest.fixture
def ran(tmp_path: Path, workspace: Path) -> Callable[[str], bool]:
    """Whether a command, run by bash, came to run `mark`."""
    folder, flag = tmp_path / "bin", tmp_path / "marked"
    folder.mkdir()
    for name, body in {"mark": f": > '{flag}'", "ok": "exit 0"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    for name in ("env", "timeout", "xargs", "find", "sh", "bash", "cat"):
        found = shutil.which(name)
        if found is not None:
            (folder / name).symlink_to(found)
    environment = {"PATH": str(folder), "FUNCNEST": "3"}

    def ran(command: str) -> bool:
        flag.unlink(missing_ok=True)
        process = subprocess.Popen(
            [str(BASH), "--norc", "--noprofile", "-c", command],
            cwd=workspace,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        return flag.exists()

    return ran


@pytest.mark.parametrize(
    "make", [lambda source: nest(source, source.randint(1, 3)), scramble], ids=["nested", "scrambled"]
)
def test_what_bash_runs_is_never_what_was_not_allowed(
    decide: Judge, ran: Callable[[str], bool], make: Callable[[random.Random], str]
) -> None:
    source = random.Random(20)
    marked = 0
    for _ in range(2500):
        command = make(source)
        allowed = [
            decide("bash", command, allow=["bash"], deny=["bash(mark:*)"]).outcome == "allow",
            decide("bash", command, allow=["bash(ok:*)"]).outcome == "allow",
        ]
        if any(allowed) and "ark" in command:
            assert not ran(command), command
            marked += 1
    assert marked > 5


def test_the_marker_is_seen_where_it_runs(ran: Callable[[str], bool]) -> None:
    source = random.Random(21)
    commands = [nest(source, 1) for _ in range(60)]
    assert ran("mark")
    assert not ran("ok mark")
    assert sum(ran(command) for command in commands) > 40
