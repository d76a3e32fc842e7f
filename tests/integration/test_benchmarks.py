from __future__ import annotations

import json

import pytest
from benchmarks.__main__ import LINES, main, measure
from benchmarks.figures import Figure, as_json, as_markdown, as_text
from benchmarks.sizes import Sizes

TINY = Sizes(
    short_run=2,
    long_run=4,
    rounds=1,
    long_rounds=1,
    sessions=3,
    session_turns=2,
    crowd_rounds=1,
    processes=1,
    answers=1,
    events=200,
    event_rounds=1,
    task_turns=4,
    decisions=10,
    configs=1,
    files=100,
    searches=1,
    stored_turns=30,
    lasting_turns=(10, 30),
)


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    return measure([name for name in LINES if name != "first-answer"], TINY)


def test_every_line_gives_figures(figures: list[Figure]) -> None:
    names = " / ".join(figure.what for figure in figures)

    assert "processor time a turn, 4 turns, anthropic plain" in names
    assert "3 sessions x 2 turns at once, runs" in names
    assert "import a3s_code: processor time" in names
    assert "system and tools, anthropic" in names
    assert "text deltas over HTTP" in names


def test_counts_meet_their_targets(figures: list[Figure]) -> None:
    counts = {figure.what: figure for figure in figures if figure.gates and figure.floor is None}

    assert counts["3 sessions x 2 turns at once, right answers"].ours == 3
    assert [(name, figure.ours, figure.note) for name, figure in counts.items() if not figure.ok] == []


def test_a_gating_ratio_over_its_target_fails_and_a_reported_time_does_not() -> None:
    slow = Figure("a turn", "ms", ours=6, floor=2, target=2.5, gates=True)
    late = Figure("an import", "ms", ours=70, floor=10, target=60, compared=False)
    fast = Figure("runs", "1/s", ours=6, floor=10, target=0.5, at_least=True, gates=True)

    assert [figure.failed for figure in (slow, late, fast)] == [True, False, False]
    assert [figure.cells()[-1] for figure in (slow, late, fast)] == ["MISS", "over", "ok"]


def test_figures_are_shown_as_text_as_markdown_and_as_json() -> None:
    figure = Figure("a turn", "ms", ours=3, floor=2, target=2.5, gates=True, noise=0.125, note="said so")

    assert "a turn, ms      2     3  1.50x  <= 2.5x   ±12%  ok" in as_text([figure])
    assert "a turn: said so" in as_text([figure])
    assert "| a turn, ms | 2 | 3 | 1.50x | <= 2.5x | ±12% | ok |" in as_markdown([figure])
    assert json.loads(as_json([figure]))["figures"][0]["ratio"] == 1.5


def test_the_command_prints_its_table_and_says_that_nothing_was_missed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "prompt", "--quick"]) == 0

    assert "system and tools, openai" in capsys.readouterr().out
