"""What the log says of a configuration."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = """default_model = "a/b"
defualt_model = "hunter2"
memory_dir = "hunter2"
verify = auto
verify = auto
providers "a" { apiKey = env("NOT_SET_KEY") baseUrl = env("NOT_SET_A") }
providers "other" { baseUrl = env("NOT_SET_OTHER") apiKye = "hunter2" }
"""


def test_each_warning_is_logged_once_and_missing_variables_quietly(load, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "a3s_code.config"):
        config = load(TEXT)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO" if ("NOT_SET_OTHER" in str(warning) or "NOT_SET_KEY" in str(warning)) else "WARNING", str(warning))
        for warning in config.warnings
    ]
    assert [warning.kind for warning in config.warnings] == [
        "unknown",
        "without_effect",
        "repeated",
        "unset",
        "unset",
        "unset",
        "unknown",
    ]
    assert "<text>:2:1: defualt_model is not a known setting" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_name_cannot_write_lines_of_its_own_into_the_log(load, caplog: pytest.LogCaptureFixture) -> None:
    load('"x\\nWARNING all is well" = 1')
    assert len(caplog.records) == 1
    assert "\n" not in caplog.records[0].getMessage()


def test_a_script_that_sets_up_no_logging_reads_the_warnings_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "agent.acl").write_text(TEXT)
    program = "from a3s_code.config import load_config\nload_config('agent.acl')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = done.stderr.splitlines()
    assert len(lines) == 5
    assert lines[0].endswith(
        "agent.acl:2:1: defualt_model is not a known setting and is ignored (did you mean default_model?)"
    )
    assert "NOT_SET_OTHER" not in done.stderr
    assert "NOT_SET_KEY" not in done.stderr
    assert done.stdout == ""
