"""Long sessions with a store: the file stays small, opening stays quick, memory stays flat."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks import sessions
from benchmarks.measure import in_child

SCALE = float(os.environ.get("A3S_TEST_SCALE", "0.1"))
TURNS = max(100, int(500 * SCALE))
EVENTS = max(1_000, int(10_000 * SCALE))
FIRST, LAST = max(200, int(1_000 * SCALE)), max(600, int(5_000 * SCALE))


def test_the_file_holds_each_text_about_once(tmp_path: Path) -> None:
    size, unique = in_child("benchmarks.sessions", "file_of", str(tmp_path), TURNS)

    print(f"{TURNS} turns tried, {size:,} bytes stored for {unique:,} of unique content: {size / unique:.2f} times")
    assert unique > 300 * TURNS
    assert size <= sessions.TIMES_UNIQUE * unique


def test_a_long_session_opens_again_within_a_second_with_all_its_events(tmp_path: Path) -> None:
    events = in_child("benchmarks.sessions", "write", str(tmp_path), EVENTS // sessions.EVENTS_A_TURN + 1)
    rounds = [in_child("benchmarks.sessions", "reopen", str(tmp_path)) for _ in range(3)]
    took, lost = min(taken for taken, _ in rounds), max(lost for _, lost in rounds)

    print(f"{events:,} events tried, opened again in {took:.0f} ms, {lost} lost")
    assert events >= EVENTS
    assert lost == 0
    assert took <= sessions.REOPENED_MS


def test_memory_stays_flat_over_a_long_run(tmp_path: Path) -> None:
    grown = in_child("benchmarks.sessions", "growth", str(tmp_path), FIRST, LAST)

    print(f"turns {FIRST:,} to {LAST:,} tried, {grown['mb']:.1f} MB more, {grown['compacted']} times compacted")
    assert grown["compacted"] > 10
    assert grown["mb"] <= sessions.MB_GROWN
