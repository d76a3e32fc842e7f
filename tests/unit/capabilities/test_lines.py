from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.capabilities.core_tools.lines import LINE_CHARACTERS, SHOWN_BYTES, Window, number_lines

SETTINGS = settings(max_examples=300, derandomize=True, deadline=None)
LINES = st.lists(
    st.one_of(
        st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=30),
        st.sampled_from(["", "plain", "dos\r", "in\rside", "tab\there", "grün", "\udce9"]),
        st.integers(LINE_CHARACTERS - 2, LINE_CHARACTERS + 2).map(lambda size: "x" * size),
    ),
    max_size=80,
)


def spelled(line: str) -> str:
    line = line.removesuffix("\r").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    long = len(line) > LINE_CHARACTERS
    return f"{line[:LINE_CHARACTERS]}[line cut at {LINE_CHARACTERS} characters]" if long else line


def numbered(window: Window) -> list[str]:
    shown: list[str] = []
    size = 0
    for number, line in enumerate(window.lines, window.offset + 1):
        row = f"{number:>6}\t{spelled(line)}"
        size += len(row.encode()) + 1
        if size > SHOWN_BYTES and shown:
            break
        shown.append(row)
    return shown


@SETTINGS
@given(lines=LINES, offset=st.sampled_from([0, 7, 999_990]))
def test_lines_are_shown_as_spelled_one_by_one(lines: list[str], offset: int) -> None:
    window = Window(lines, offset, None)
    shown = number_lines(window).split("\n")
    assert shown[:-1] == numbered(window)
    assert shown[-1].startswith(f"[lines {offset + 1}-{offset + len(shown) - 1};")


@SETTINGS
@given(spare=st.integers(-3, 3), long=st.booleans(), offset=st.sampled_from([0, 999_900]))
def test_at_the_border_of_what_is_shown_not_a_line_too_many(spare: int, long: bool, offset: int) -> None:
    width = 1000 if long else 57
    lines = ["y" * width] * (SHOWN_BYTES // width)
    beside = len(f"{offset + 1:>6}\t\n")
    fitting = SHOWN_BYTES // (width + beside)
    lines = [*lines[: fitting - 1], "z" * (SHOWN_BYTES - (fitting - 1) * (width + beside) - beside + spare)]
    window = Window(lines, offset, None)
    assert number_lines(window).split("\n")[:-1] == numbered(window)
