"""Budget: reserved before, settled after, kept by any number of runs and threads."""

from __future__ import annotations

import random
import threading
from decimal import Decimal

import pytest

from a3s_code.errors import InvalidOption, RunLimit, UsageError
from a3s_code.kernel.budget import OUTPUT_FLOOR, Budget, Reservation
from a3s_code.kernel.contracts import Price, Usage

PRICE = Price(Decimal(3), Decimal(15), Decimal("0.3"), Decimal("3.75"))


def test_a_call_that_does_not_fit_is_refused_and_says_why() -> None:
    budget = Budget(max_tokens=10_000, used=Usage(9_000, 100))
    with pytest.raises(RunLimit) as caught:
        budget.reserve(800, 200)
    assert caught.value.limit == "tokens"
    assert str(caught.value) == (
        "the budget of 10,000 tokens is reached: 9,100 are used, the next call needs about 1,000"
    )
    budget.reserve(800, 100)


def test_open_calls_count_as_if_they_had_used_what_they_were_promised() -> None:
    budget = Budget(max_tokens=1_000)
    first = budget.reserve(300, 200)
    budget.reserve(300, 200)
    with pytest.raises(RunLimit, match="1,000 are promised to open calls"):
        budget.reserve(1, 0)
    first.settle(Usage(300, 20))
    budget.reserve(180, 0)
    assert budget.used_tokens == 320


def test_a_call_that_gave_no_answer_gives_back_what_it_was_promised() -> None:
    budget = Budget(max_tokens=1_000)
    budget.reserve(900, 100).release()
    with budget.reserve(900, 100):
        pass
    with budget.reserve(900, 100) as reservation:
        reservation.settle(Usage(10))
    assert budget.used_tokens == 10
    budget.reserve(890, 100)


def test_a_reservation_is_counted_once() -> None:
    budget = Budget(max_tokens=1_000)
    settled, released = budget.reserve(100), budget.reserve(100)
    settled.settle(Usage(50))
    settled.release()
    released.release()
    released.release()
    for reservation in (settled, released):
        with pytest.raises(UsageError, match="ended already"):
            reservation.settle(Usage(50))
    assert budget.used_tokens == 50
    budget.reserve(950, 0)


def test_an_answer_longer_than_promised_counts_whole_and_ends_the_next_call() -> None:
    budget = Budget(max_tokens=1_000)
    budget.reserve(500).settle(Usage(500, 900))
    assert budget.used_tokens == 1_400
    with pytest.raises(RunLimit, match="1,400 are used"):
        budget.reserve(0, 0)


def test_output_that_nobody_limited_is_reserved_at_the_floor() -> None:
    Budget(max_tokens=100 + OUTPUT_FLOOR).reserve(100)
    with pytest.raises(RunLimit):
        Budget(max_tokens=99 + OUTPUT_FLOOR).reserve(100)


def test_cost_is_counted_exactly_and_reserved_from_above() -> None:
    budget = Budget(max_cost=Decimal("0.01"), price=PRICE)
    budget.reserve(1_000, 100).settle(Usage(100, 100, 800, 100))
    assert budget.used_cost == Decimal("0.000300") + Decimal("0.0015") + Decimal("0.00024") + Decimal("0.000375")
    # 0.007585 is left; at the price of writing the cache 2,000 tokens and 5 of output cost 0.007575.
    budget.reserve(2_000, 5).release()
    with pytest.raises(RunLimit, match=r"0\.002415 are used, the next call needs about 0\.00759$") as caught:
        budget.reserve(2_000, 6)
    assert caught.value.limit == "cost"


def test_cached_tokens_of_unknown_price_cost_as_much_as_input() -> None:
    budget = Budget(max_cost=Decimal(1), price=Price(Decimal(2), Decimal(10)))
    assert Price(Decimal(2), Decimal(10)).of(Usage(0, 0, 1, 1)) is None
    budget.reserve(10).settle(Usage(10, 0, 500_000, 100_000))
    assert budget.used_cost == Decimal("1.20002")


def test_a_free_cache_is_no_cache_of_unknown_price() -> None:
    budget = Budget(max_cost=Decimal(1), price=Price(Decimal(2), Decimal(10), Decimal(0), Decimal(0)))
    budget.reserve(10).settle(Usage(0, 0, 500_000, 100_000))
    assert budget.used_cost == 0


def test_another_model_is_counted_at_its_own_price() -> None:
    dear = Price(Decimal(300), Decimal(300))
    budget = Budget(max_cost=Decimal(1), price=PRICE)
    with pytest.raises(RunLimit):
        budget.reserve(3_000, 1_000, dear)
    budget.reserve(1_000, 1_000, dear).settle(Usage(1_000, 1_000))
    assert budget.used_cost == Decimal("0.6")
    budget.reserve(10).settle(Usage(1_000), dear)
    assert budget.used_cost == Decimal("0.9")


def test_a_cost_limit_without_a_price_is_refused() -> None:
    with pytest.raises(InvalidOption) as caught:
        Budget(max_cost=Decimal(1))
    assert caught.value.field == "budget"


def test_without_limits_everything_fits_and_nothing_is_crossed() -> None:
    budget = Budget()
    budget.reserve(10**12, 10**12).settle(Usage(10**12))
    assert budget.crossed() == []


def test_what_is_kept_back_is_for_the_last_call_only() -> None:
    budget = Budget(max_tokens=10_000)
    budget.keep_back(2_000, 500)  # a last prompt of 2,000 + 500 + 500 and an answer of 500
    budget.reserve(2_000, 500).settle(Usage(6_000, 500))
    with pytest.raises(RunLimit, match="6,500 are used, 3,500 are kept back"):
        budget.reserve(1, 0)
    last = budget.reserve(3_000, 500, last=True)
    last.settle(Usage(3_000, 400))
    budget.reserve(100, 0)


def test_a_last_call_that_outgrew_what_was_kept_is_refused_too() -> None:
    budget = Budget(max_tokens=10_000, used=Usage(8_000))
    budget.keep_back(500, 100)
    with pytest.raises(RunLimit, match="8,000 are used, the next call needs about 2,100"):
        budget.reserve(2_000, 100, last=True)
    with pytest.raises(RunLimit, match="825 are kept back"):
        budget.reserve(1_500, 0)


def test_failed_attempts_count_and_may_leave_no_room_for_the_next() -> None:
    budget = Budget(max_tokens=1_000)
    with budget.reserve(300, 100) as reservation:
        budget.charge(Usage(300, estimated=True))
        budget.charge(Usage(300, estimated=True))
        with pytest.raises(RunLimit, match="900 are used, 400 are promised"):
            budget.charge(Usage(300, estimated=True))
        assert budget.used_tokens == 900
    assert reservation is not None


def test_each_threshold_is_told_once() -> None:
    budget = Budget(max_tokens=1_000, max_cost=Decimal("0.004"), price=PRICE)
    seen = []
    for _ in range(10):
        budget.charge(Usage(100)) if budget.used_tokens < 1_000 else None
        seen.append([(cross.resource, cross.kind, cross.consumed, cross.limit) for cross in budget.crossed()])
    assert seen[:7] == [[]] * 7
    assert seen[7:] == [[("tokens", "soft", 800, 1_000)], [], [("tokens", "hard", 1_000, 1_000)]]
    budget.reserve(0, 0).settle(Usage(0, 100))
    assert [(cross.kind, cross.message) for cross in budget.crossed()] == [
        ("soft", "80 % or more of the budget of 0.004 (max_cost) is used"),
        ("hard", "100 % or more of the budget of 0.004 (max_cost) is used"),
    ]
    assert budget.crossed() == []


def test_many_threads_share_one_budget_and_never_go_beyond_it() -> None:
    limit, calls = 400_000, 300
    budget = Budget(max_tokens=limit, max_cost=Decimal("1.15"), price=PRICE)
    counted: list[int] = []
    refused: list[str] = []
    over: list[int] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        held: list[tuple[Reservation, int]] = []
        for _ in range(calls):
            prompt, output = rng.randrange(1, 3_000), rng.randrange(1, 300)
            try:
                held.append((budget.reserve(prompt, output), prompt + output))
            except RunLimit as full:
                refused.append(full.limit)
            while held and (rng.random() < 0.6 or len(held) > 4):
                reservation, promised = held.pop(rng.randrange(len(held)))
                if rng.random() < 0.3:
                    reservation.release()
                    continue
                used = rng.randrange(promised + 1)
                reservation.settle(Usage(used))
                counted.append(used)
                if budget.used_tokens > limit:
                    over.append(budget.used_tokens)
        for reservation, _ in held:
            reservation.release()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{8 * calls} calls tried: {len(counted)} counted, {len(refused)} refused, {len(over)} beyond the limit")
    assert not over
    assert len(refused) > 100
    assert budget.used_tokens == sum(counted)
    assert budget.used_cost == sum(counted) * Decimal(3) / 1_000_000
    budget.reserve(0, 0)
    left = int((Decimal("1.15") - budget.used_cost) * 1_000_000 / Decimal("3.75"))
    budget.reserve(min(left, limit - budget.used_tokens), 0)
