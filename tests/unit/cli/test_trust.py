"""`a3s-code trust` and `a3s-code policy check`: what is shown, what is asked, the exit codes."""

from __future__ import annotations

import io
import json
import os
import pty
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from a3s_code.api.vouching import is_trusted, survey_workspace
from a3s_code.cli.main import main


@pytest.fixture
def cloned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("A3S_CONFIG", raising=False)
    root = tmp_path / "cloned"
    root.mkdir()
    (root / "agent.acl").write_text('permissions { deny = ["bash(\x1b[2Jrm:*)"] }\n' + "# more\n" * 100)
    monkeypatch.chdir(root)
    return root


class Keyboard:
    """The other end of the terminal that the program reads from."""

    def __init__(self, far: TextIO) -> None:
        self._far = far

    def type(self, text: str) -> None:
        self._far.write(text)
        self._far.flush()

    def type_soon(self, text: str, before: Callable[[], object] = lambda: None) -> None:
        """Type when the question stands there."""

        def work() -> None:
            before()
            self.type(text)

        threading.Timer(0.4, work).start()


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyboard]:
    far, near = pty.openpty()
    with os.fdopen(near) as stdin, os.fdopen(far, "w") as typed:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield Keyboard(typed)


def test_what_is_shown_cannot_forge_the_picture(cloned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trust", "--yes"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[2Jrm" in out
    assert "61 more lines" in out
    assert is_trusted(survey_workspace(cloned))
    assert main(["trust"]) == 0
    assert "is trusted as it is" in capsys.readouterr().out


def test_nobody_at_a_terminal_is_a_no(
    cloned: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main(["trust"]) == 1
    assert "--yes" in capsys.readouterr().err
    assert not is_trusted(survey_workspace(cloned))


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_a_person_is_asked(cloned: Path, keyboard: Keyboard, typed: str, code: int) -> None:
    keyboard.type("y\n")  # too early to be an answer
    keyboard.type_soon(typed)
    assert main(["trust", str(cloned)]) == code
    assert is_trusted(survey_workspace(cloned)) is (code == 0)


def test_what_changes_while_the_person_reads_is_not_trusted(cloned: Path, keyboard: Keyboard) -> None:
    keyboard.type_soon("y\n", before=lambda: (cloned / "agent.acl").write_text("max_tool_rounds = 3\n"))
    assert main(["trust"]) == 0
    assert not is_trusted(survey_workspace(cloned))


def test_odd_files_are_named_and_not_opened(cloned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cloned / ".a3s").mkdir()
    (cloned / ".a3s" / "zero").symlink_to("/dev/zero")
    os.mkfifo(cloned / ".a3s" / "pipe")
    assert main(["trust", "--yes"]) == 0
    out = capsys.readouterr().out
    assert ".a3s/zero -> /dev/zero" in out
    assert out.count("(no file)") == 2


def test_trust_is_taken_back_even_where_the_folder_is_gone(cloned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trust", "--yes"]) == 0
    cloned.rename(cloned.with_name("moved"))
    assert main(["trust", "--revoke", str(cloned)]) == 0
    assert "is not trusted any more" in capsys.readouterr().out
    assert main(["trust", "--revoke", str(cloned)]) == 0
    assert "was not trusted" in capsys.readouterr().out
    assert main(["trust", str(cloned)]) == 1
    assert "cannot be opened" in capsys.readouterr().err


def test_the_exit_code_tells_what_would_be_decided(cloned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["policy", "check", "bash"]
    rules = ["--allow", "bash(git status)", "--deny", "bash(rm:*)"]
    codes = [main([*ask, command, *rules]) for command in ("git status", "git push", "rm x")]
    assert codes == [0, 3, 4]
    assert main(["policy", "check", "read", "--args", "nonsense"]) == 2
    capsys.readouterr()
    assert main(["policy", "check", "read", "--args", '{"file_path": "a"}', "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["outcome"] == "ask"


def test_a_rule_of_a_strangers_file_cannot_move_the_cursor(cloned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "check", "bash", "\x1b[2Jrm x"]) == 4
    assert "\x1b" not in capsys.readouterr().out
