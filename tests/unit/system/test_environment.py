"""What children get to know."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from a3s_code.system.environment import child_environment, confined_environment


def test_what_programs_need_is_passed_on() -> None:
    given = {"PATH": "/bin", "HOME": "/h", "LANG": "C", "LC_ALL": "C.UTF-8", "VIRTUAL_ENV": "/v", "TZ": "UTC"}
    assert child_environment(given) == given


@pytest.mark.parametrize(
    "name",
    [
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "SSH_AUTH_SOCK",
        "BASH_ENV",
        "ENV",
        "LD_PRELOAD",
        "PYTHONSTARTUP",
        "RIPGREP_CONFIG_PATH",
        "path",
    ],
)
def test_keys_and_what_runs_code_stay_here(name: str) -> None:
    assert child_environment({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


def test_a_proxy_with_a_password_stays_here() -> None:
    given = {"HTTPS_PROXY": "http://user:secret@proxy:1", "http_proxy": "http://proxy:1", "NO_PROXY": "localhost"}
    assert child_environment(given) == {"http_proxy": "http://proxy:1", "NO_PROXY": "localhost"}


def test_a_host_can_add_names() -> None:
    assert child_environment({"MY_FLAG": "1", "OTHER": "2"}, ["MY_FLAG"]) == {"MY_FLAG": "1"}


def test_temporary_files_of_the_confined_go_to_their_folder(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    given = {"HOME": str(tmp_path), "TMPDIR": "/tmp", "GOMODCACHE": "/mod"}
    assert confined_environment(given, Path("/own")) == {
        "HOME": str(tmp_path),
        "TMPDIR": "/own",
        "TMP": "/own",
        "TEMP": "/own",
        "GOMODCACHE": "/mod",
        "npm_config_cache": "/own/npm",
        "CARGO_HOME": "/own/cargo",
        "GRADLE_USER_HOME": "/own/gradle",
    }


def test_a_tool_that_was_used_before_keeps_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "rust/registry").mkdir(parents=True)
    (tmp_path / ".gradle/caches").mkdir(parents=True)
    given = {"HOME": str(tmp_path), "CARGO_HOME": str(tmp_path / "rust")}
    moved = confined_environment(given, Path("/own"))
    assert moved["CARGO_HOME"] == given["CARGO_HOME"]
    assert "GRADLE_USER_HOME" not in moved


def test_a_shell_runs_with_it() -> None:
    environment = child_environment({**os.environ, "MY_SECRET": "hunter2"})
    shown = subprocess.run(["bash", "-c", "env"], env=environment, capture_output=True, text=True, check=True).stdout
    assert "PATH=" in shown
    assert "hunter2" not in shown
