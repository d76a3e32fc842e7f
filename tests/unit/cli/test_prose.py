"""Streamed text is wrapped as it comes, and loses nothing."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.cli.prose import Prose
from a3s_code.cli.screen import PlainScreen

TEXT = "The `merge` function keeps the end of the later interval, so a short meeting cuts a long one off.\n\nFixed."


def said(shown: Any, pieces: list[str]) -> str:
    prose = Prose(shown.screen)
    for piece in pieces:
        prose.feed(piece)
    prose.end()
    return str(shown.text)


def test_text_is_wrapped_at_the_width_of_the_screen(terminal: Any) -> None:
    shown = terminal(40)
    said(shown, [TEXT])
    assert max(len(line) for line in shown.lines) <= 40
    assert all(not line or line.startswith("  ") for line in shown.lines)


def test_where_the_stream_is_cut_makes_no_difference(plain: Any, terminal: Any) -> None:
    whole, letters = terminal(50), terminal(50)
    assert said(whole, [TEXT]) == said(letters, list(TEXT))


def test_a_word_is_written_only_when_it_is_whole(plain: Any) -> None:
    prose = Prose(plain.screen)
    prose.feed("half a wo")
    assert plain.text == "  half a"
    prose.feed("rd ")
    assert plain.text == "  half a word"


def test_lines_of_the_text_stay_lines(plain: Any) -> None:
    assert said(plain, ["one\n  two\n\nthree"]) == "  one\n    two\n\n  three\n"


def test_backticks_stay_in_plain_text_and_turn_to_colour_on_a_terminal(plain: Any, terminal: Any) -> None:
    shown = terminal(60)
    assert said(plain, ["see `a` and `b`"]) == "  see `a` and `b`\n"
    assert said(shown, ["see `a` and `b`"]) == "  see a and b\n"


def test_a_word_wider_than_the_screen_is_kept_whole(terminal: Any) -> None:
    shown = terminal(20)
    assert "x" * 60 in said(shown, ["see " + "x" * 60 + " there"])


def test_ending_twice_adds_nothing(plain: Any) -> None:
    prose = Prose(plain.screen)
    prose.feed("done")
    prose.end()
    prose.end()
    assert plain.text == "  done\n"


@settings(derandomize=True, max_examples=150)
@given(st.lists(st.text(alphabet="ab` \n\té漢", max_size=12), max_size=12))
def test_no_word_is_lost_or_changed(pieces: list[str]) -> None:
    out = io.StringIO()
    prose = Prose(PlainScreen(out))
    for piece in pieces:
        prose.feed(piece)
    prose.end()
    assert out.getvalue().split() == "".join(pieces).split()
