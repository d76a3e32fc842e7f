"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """How long, how often and how many; rounds are pairs of floor and ours."""

    short_run: int = 10
    long_run: int = 200
    rounds: int = 40
    long_rounds: int = 7
    sessions: int = 100
    session_turns: int = 10
    crowd_rounds: int = 3
    processes: int = 15
    answers: int = 8
    events: int = 10_000
    event_rounds: int = 7
    task_turns: int = 21
    decisions: int = 200
    configs: int = 5
    files: int = 20_000
    searches: int = 5
    stored_turns: int = 500
    lasting_turns: tuple[int, int] = (1_000, 5_000)


FULL = Sizes()
QUICK = Sizes(
    rounds=15,
    long_rounds=3,
    crowd_rounds=1,
    processes=7,
    answers=3,
    event_rounds=3,
    decisions=50,
    files=2_000,
    lasting_turns=(200, 1_000),
)
