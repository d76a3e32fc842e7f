"""The program: its arguments, its messages, its exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from a3s_code import __version__
from a3s_code.cli.main import explain, main
from a3s_code.errors import A3SError, ConfigError


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"a3s-code {__version__}\n"


@pytest.mark.parametrize("argv", [["nonsense"], ["demo", "--nonsense"], ["demo", "extra"]])
def test_arguments_that_do_not_exist_are_misuse(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert "usage: a3s-code" in capsys.readouterr().err


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "demo" in capsys.readouterr().err


def test_an_option_that_needs_another_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--config", "agent.acl"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("a3s-code: --config was given without --live\n  hint: ")


def test_an_error_is_one_line_and_its_hint() -> None:
    assert explain(A3SError("it broke")) == "it broke"
    assert explain(A3SError("it broke", hint="mend it")) == "it broke\n  hint: mend it"
    placed = ConfigError("an odd value", file="a.acl", line=3, column=1, hint="write 1")
    assert explain(placed) == "a.acl:3:1: an odd value\n  hint: write 1"


def test_an_error_in_the_configuration_is_shown_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my.acl"
    file.write_text('default_model = "a/b\n')
    assert main(["demo", "--live", "--config", str(file)]) == 1
    assert "my.acl:1:" in capsys.readouterr().err


def test_the_module_is_the_program() -> None:
    done = subprocess.run([sys.executable, "-m", "a3s_code", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"a3s-code {__version__}\n"


def test_the_program_is_installed() -> None:
    program = Path(sys.executable).with_name("a3s-code")
    if not program.exists():
        pytest.skip("the package is not installed in this environment")
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"a3s-code {__version__}\n"
