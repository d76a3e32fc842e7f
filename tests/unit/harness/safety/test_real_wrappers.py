"""Random chains of wrappers with random options, judged and then run: what they came to run was never waved through.

`mark` leaves a file, `ok` does nothing; besides them only the wrappers that this machine has are on the PATH.
"""

from __future__ import annotations

import os
import random
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from a3s_code.kernel.contracts import Decision

Judge = Callable[..., Decision]
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="bash is not installed")
CHAINS = max(200, int(4_000 * float(os.environ.get("A3S_TEST_SCALE", "0.1"))))

# For each wrapper the words that may stand before its command; none of them reaches out of the folder.
OPTIONS = {
    name: shlex.split(words)
    for name, words in {
        "timeout": "-k -s --signal=KILL -k1 5 --foreground -v 1 KILL --preserve-status --kill-after 2",
        "nice": "-n 5 -5 --adjustment=3 --adjustment 3 -n5",
        "env": "-i -u A - A=1 -C . -S '-Sok a' --unset=B -0 --chdir=. -v -iS 'mark x' -- -a x --argv0=x",
        "xargs": "-n 1 -I {} -0 -r -t -P2 -L 1 -i -i% --replace -d x -E a -e -l --max-args=1 -a /dev/null -x -s 100",
        "find": ". -maxdepth 0 -exec -execdir -ok ';' + {} -name x -o ! -true -print",
        "setsid": "-c -w --wait",
        "stdbuf": "-o L -oL --output=L -i0 -e 0",
        "nohup": "--",
        "flock": "-n -w 1 lock -c mark -s -x --nonblock -E 3 -o -F --timeout 1",
        "ionice": "-c 3 -c3 -n 2 -t --class idle",
        "bash": "-c -e -x -o pipefail -O extglob --norc +e -s -ec --",
        "sh": "-c -e -ec -- -s",
        "script": "-q -c /dev/null mark -qc --command -e",
        "command": "-p -v -V --",
        "exec": "-a x -c -l",
        "builtin": "command eval exec",
        "eval": "'ok;' ok '&&'",
        "time": "-p --",
        "trap": "EXIT - INT -- -p",
    }.items()
}
BUILTINS = {"command", "exec", "builtin", "eval", "time", "trap"}


def chain(source: random.Random, names: list[str], depth: int) -> str:
    if depth == 0:
        return source.choice(["mark", "mark a", "ok", "'mark a'", '"mark"', "'ok; mark'", "ok mark"])
    name, inner = source.choice(names), chain(source, names, depth - 1)
    words = [shlex.quote(source.choice(OPTIONS[name])) for _ in range(source.randint(0, 3))]
    if name == "find" and source.random() < 0.7:
        return f"find . -maxdepth 0 -exec {inner} {source.choice(['', '{} '])}{source.choice([chr(92) + ';', '+'])}"
    if name in ("bash", "sh", "script", "trap") and source.random() < 0.6:
        inner = f"{shlex.quote(inner)} {source.choice(['', 'EXIT', '/dev/null'])}"
    return " ".join([name, *words, inner])


@pytest.fixture
def ran(tmp_path: Path, workspace: Path) -> Callable[[str], bool]:
    """Whether a command, run by bash, came to run `mark`."""
    folder, flag = tmp_path / "bin", tmp_path / "marked"
    folder.mkdir()
    for name, body in {"mark": f": > '{flag}'", "ok": "exit 0"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    for name in OPTIONS:
        if name not in BUILTINS and (found := shutil.which(name)) is not None:
            (folder / name).symlink_to(found)
    environment = {"PATH": str(folder), "HOME": str(workspace), "SHELL": str(BASH)}

    def ran(command: str) -> bool:
        flag.unlink(missing_ok=True)
        process = subprocess.Popen(
            [str(BASH), "--norc", "--noprofile", "-c", command],
            cwd=workspace,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if "setsid" in command:
            time.sleep(0.05)
        return flag.exists()

    return ran


def test_what_a_chain_of_wrappers_runs_was_never_waved_through(decide: Judge, ran: Callable[[str], bool]) -> None:
    source = random.Random(5)
    names = [name for name in OPTIONS if name in BUILTINS or shutil.which(name)]
    grants = [f"bash({name}:*)" for name in names] + ["bash(ok:*)"]
    missed: list[str] = []
    marked = allowed = 0
    for _ in range(CHAINS):
        command = source.choice(["", "echo a | ", "ok; "]) + chain(source, names, source.randint(1, 3))
        beside_deny = decide("bash", command, allow=["bash"], deny=["bash(mark:*)"]).outcome
        by_grants = decide("bash", command, allow=grants).outcome
        did = ran(command)
        marked += did
        allowed += "allow" in (beside_deny, by_grants)
        if did and "allow" in (beside_deny, by_grants):
            missed.append(command)
    print(f"chains: {CHAINS} tried, {marked} ran the program, {allowed} allowed, {len(missed)} missed")
    assert not missed
    assert marked > CHAINS / 50
    assert allowed > CHAINS / 50
