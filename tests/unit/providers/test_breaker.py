"""Circuit breakers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from a3s_code.errors import ModelCircuitOpen
from a3s_code.providers.breaker import MAX_COOLDOWN_MS, Admission, Breakers
from a3s_code.testing import FakeClock

NAME = "acme/m"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(start_ms=0)


def opened(breakers: Breakers, threshold: int, name: str = NAME) -> None:
    for _ in range(threshold):
        breakers.admit(name).failed()


def refusal(breakers: Breakers, name: str = NAME) -> ModelCircuitOpen:
    with pytest.raises(ModelCircuitOpen) as caught:
        breakers.admit(name)
    assert breakers.refuses(name)
    return caught.value


def test_it_opens_after_as_many_failures_in_a_row(clock: FakeClock) -> None:
    breakers = Breakers(3, clock)
    opened(breakers, 2)
    breakers.admit(NAME).answered()
    opened(breakers, 2)
    assert not breakers.refuses(NAME)
    opened(breakers, 1)
    error = refusal(breakers)
    assert error.retry_after == 30
    assert error.provider == "acme"
    assert not error.retryable
    assert "acme/m is not asked for now: 3 turns in a row" in str(error)
    assert "30 s" in (error.hint or "")
    clock.advance(12)
    assert refusal(breakers).retry_after == 18


def test_each_provider_and_model_has_its_own(clock: FakeClock) -> None:
    breakers = Breakers(1, clock)
    opened(breakers, 1)
    refusal(breakers)
    assert not breakers.admit("acme/other").trial
    assert not breakers.admit("other/m").trial
    assert not breakers.refuses("never/asked")


@pytest.mark.parametrize("threshold", [None, 0])
def test_without_a_threshold_it_never_opens(clock: FakeClock, threshold: int | None) -> None:
    breakers = Breakers(threshold, clock)
    opened(breakers, 100)
    assert not breakers.admit(NAME).trial


def test_after_the_cool_down_exactly_one_trial_goes_through(clock: FakeClock) -> None:
    breakers = Breakers(1, clock, cooldown_ms=10_000)
    opened(breakers, 1)
    clock.advance(10)
    assert not breakers.refuses(NAME)
    trial = breakers.admit(NAME)
    assert trial.trial
    error = refusal(breakers)
    assert error.retry_after is None
    assert "trying" in (error.hint or "")
    trial.answered()
    assert not breakers.admit(NAME).trial
    opened(breakers, 1)
    assert refusal(breakers).retry_after == 10


def test_each_failed_trial_lengthens_the_cool_down_up_to_a_bound(clock: FakeClock) -> None:
    breakers = Breakers(1, clock, cooldown_ms=100_000)
    opened(breakers, 1)
    waits = []
    for _ in range(5):
        waits.append(refusal(breakers).retry_after)
        clock.advance(waits[-1] or 0)
        breakers.admit(NAME).failed()
    assert waits == [100, 200, 400, MAX_COOLDOWN_MS / 1000, MAX_COOLDOWN_MS / 1000]
    clock.advance(MAX_COOLDOWN_MS / 1000)
    breakers.admit(NAME).answered()
    opened(breakers, 1)
    assert refusal(breakers).retry_after == 100


def test_a_trial_that_is_broken_off_gives_its_place_back(clock: FakeClock) -> None:
    breakers = Breakers(1, clock)
    opened(breakers, 1)
    clock.advance(30)
    breakers.admit(NAME).release()
    again = breakers.admit(NAME)
    assert again.trial
    refusal(breakers)


def test_a_trial_of_which_nothing_is_heard_does_not_keep_its_place_for_ever(clock: FakeClock) -> None:
    breakers = Breakers(1, clock)
    opened(breakers, 1)
    clock.advance(30)
    lost = breakers.admit(NAME)
    clock.advance(599)
    refusal(breakers)
    clock.advance(1)
    second = breakers.admit(NAME)
    assert second.trial
    lost.release()
    lost.failed()
    assert refusal(breakers).retry_after is None
    second.answered()
    assert not breakers.refuses(NAME)


def test_turns_that_began_before_it_opened_change_little(clock: FakeClock) -> None:
    breakers = Breakers(2, clock)
    early = [breakers.admit(NAME) for _ in range(4)]
    early[0].failed()
    early[1].failed()
    clock.advance(20)
    early[2].failed()
    assert refusal(breakers).retry_after == 10
    early[3].answered()
    assert not breakers.refuses(NAME)


def test_a_turn_that_is_broken_off_counts_for_nothing(clock: FakeClock) -> None:
    breakers = Breakers(2, clock)
    opened(breakers, 1)
    breakers.admit(NAME).release()
    opened(breakers, 1)
    refusal(breakers)


def test_threads_share_it_and_only_one_of_them_gets_the_trial(clock: FakeClock) -> None:
    breakers = Breakers(40, clock)
    let_in: list[Admission] = []

    def together(act: Callable[[], object]) -> None:
        start = threading.Barrier(8)

        def work() -> None:
            start.wait()
            for _ in range(5):
                act()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def attempt() -> None:
        with suppress(ModelCircuitOpen):
            let_in.append(breakers.admit(NAME))

    together(lambda: breakers.admit(NAME).failed())
    refusal(breakers)
    clock.advance(30)
    together(attempt)
    assert [admission.trial for admission in let_in] == [True]
