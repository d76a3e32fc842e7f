"""Time and ids."""

from __future__ import annotations

import re
import threading
import time

from a3s_code.system.clock import SystemClock


def test_time_is_now_and_never_goes_back() -> None:
    clock = SystemClock()
    before = time.time_ns() // 1_000_000
    seen = [clock.now_ms() for _ in range(1000)]
    assert seen == sorted(seen)
    assert before <= seen[0] <= seen[-1] <= time.time_ns() // 1_000_000


def test_time_stands_still_while_the_system_is_behind() -> None:
    clock = SystemClock()
    later = clock.now_ms() + 60_000
    clock._last_ms = later  # as if the system had been set back by a minute
    assert clock.now_ms() == later


def test_ids_are_fresh_and_fit_for_file_names() -> None:
    clock = SystemClock()
    ids = {clock.new_id("run") for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"run-[0-9a-f]{32}", item) for item in ids)


def test_threads_share_a_clock() -> None:
    clock = SystemClock()
    seen: list[list[int]] = [[] for _ in range(4)]

    def watch(mine: list[int]) -> None:
        mine.extend(clock.now_ms() for _ in range(500))

    threads = [threading.Thread(target=watch, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in seen)
