"""Both screens show the same text, and nothing that drives a terminal."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

from a3s_code.cli.screen import PlainScreen


def test_control_characters_do_not_reach_the_terminal(plain: Any, terminal: Any) -> None:
    wide = terminal(80)
    for shown in (plain, wide):
        shown.screen.write(("a\x1b]0;title\x07b\x1b[2Jc\x9bd\r\te\n", "strong"))
    assert plain.text == "a]0;titleb[2Jcd\te\n"
    assert "\x07" not in wide.text
    assert "\x1b]" not in wide.text
    assert "\x1b[2J" not in wide.text


def test_a_narrow_encoding_gets_a_question_mark() -> None:
    raw = io.BytesIO()
    screen = PlainScreen(io.TextIOWrapper(raw, encoding="ascii"))
    screen.write(("caf\u00e9\n", "plain"))
    assert raw.getvalue() == b"caf?\n"


def test_plain_signs_are_ascii(plain: Any) -> None:
    signs = plain.screen.signs
    assert "".join(getattr(signs, name) for name in signs.__slots__).isascii()


def test_what_is_waited_for_is_taken_away_again(terminal: Any) -> None:
    shown = terminal(60)
    with shown.screen as screen:
        screen.wait("a command with a very long line " * 4)
        screen.write(("done\n", "plain"))
        screen.wait("another")
    assert shown.text.rstrip().endswith("\x1b[2K") or "done" in shown.text
    assert shown.text.count("\x1b[?25l") == shown.text.count("\x1b[?25h")


def test_standard_output_that_is_no_terminal_gets_plain_lines() -> None:
    script = "from a3s_code.cli.screen import open_screen; print(type(open_screen()).__name__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "PlainScreen\n"
