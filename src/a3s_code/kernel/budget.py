"""Budget: tokens and cost, reserved before a model is asked and settled when it has answered."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Literal, Self

from a3s_code.errors import InvalidOption, RunLimit, UsageError
from a3s_code.kernel.contracts import Price, Usage

OUTPUT_FLOOR = 256
"""The output tokens that are reserved for a call whose output nobody has limited."""

Resource = Literal["tokens", "cost"]
_FREE = Price(Decimal(0), Decimal(0))
_SHARES: tuple[tuple[Literal["soft", "hard"], int], ...] = (("soft", 80), ("hard", 100))


@dataclass(frozen=True, slots=True)
class Crossing:
    """A limit of which 80 % ("soft") or all of it ("hard") is used; the fields are those of budget_threshold_hit."""

    resource: Resource
    kind: Literal["soft", "hard"]
    consumed: float
    limit: float
    message: str


@dataclass(frozen=True, slots=True)
class _Amount:
    tokens: int = 0
    cost: Decimal = Decimal(0)

    def __add__(self, other: _Amount) -> _Amount:
        return _Amount(self.tokens + other.tokens, self.cost + other.cost)

    def __sub__(self, other: _Amount) -> _Amount:
        return _Amount(self.tokens - other.tokens, self.cost - other.cost)


_NOTHING = _Amount()


class Reservation:
    """What one call was promised. It ends once: settled with what the call used, or released when it gave no answer.

    As a context manager it releases itself where it was not settled.
    """

    __slots__ = ("_budget", "_price")

    def __init__(self, budget: Budget, price: Price) -> None:
        self._budget = budget
        self._price = price

    def settle(self, usage: Usage, price: Price | None = None) -> None:
        """Count what the call used, in place of what it was promised; `price` where another model answered.

        It may be more than was promised: then the next call is refused. Raises UsageError where it has ended already.
        """
        if not self._budget.close(self, _amount(usage, price or self._price)):
            raise UsageError("this reservation has ended already, so that its call is not counted twice")

    def release(self) -> None:
        """Give back what was promised, unless the reservation has ended already."""
        self._budget.close(self, _NOTHING)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Budget:
    """What may be spent: `max_tokens` of input and output together, `max_cost` in the currency of `price`.

    What is used, what is promised to open calls and what is kept back never exceed a limit when a call begins, however
    many threads and runs share the budget. A call goes beyond its promise only as far as its prompt was underestimated
    and as it answers with more tokens than were reserved. Costs are counted from above: a prompt is reserved as if
    nothing of it came from a cache, and cached tokens without a price of their own cost as much as any input. All verbs
    are thread-safe. Raises InvalidOption for a `max_cost` without a price.
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        max_cost: Decimal | None = None,
        price: Price | None = None,
        used: Usage | None = None,
    ) -> None:
        if max_cost is not None and price is None:
            raise InvalidOption(
                "max_cost cannot be kept: the price of the model is not known",
                field="budget",
                hint="give the model a cost in the configuration, or limit max_tokens",
            )
        self._lock = threading.Lock()
        self._max_tokens = max_tokens
        self._max_cost = max_cost
        self._price = price or _FREE
        self._used = _NOTHING if used is None else _amount(used, self._price)
        self._promised = _NOTHING
        self._open: dict[Reservation, _Amount] = {}
        self._kept = _NOTHING
        self._told: set[tuple[Resource, str]] = set()

    @property
    def used_tokens(self) -> int:
        return self._used.tokens

    @property
    def used_cost(self) -> Decimal:
        """Unrounded; 0 where no price is known."""
        return self._used.cost

    def reserve(
        self,
        prompt_tokens: int,
        output_tokens: int = OUTPUT_FLOOR,
        price: Price | None = None,
        *,
        last: bool = False,
    ) -> Reservation:
        """Promise a call what it needs; `price` where it asks another model. The `last` one takes what was kept back.

        Raises RunLimit("tokens") or RunLimit("cost") where that does not fit beside what is used, promised and kept
        back; nothing is changed then.
        """
        reservation = Reservation(self, price or self._price)
        needed = _expected(prompt_tokens, output_tokens, price or self._price)
        with self._lock:
            kept = _NOTHING if last else self._kept
            self._refuse(needed, kept)
            self._kept = kept
            self._promised += needed
            self._open[reservation] = needed
        return reservation

    def keep_back(self, prompt_tokens: int, output_tokens: int = OUTPUT_FLOOR) -> None:
        """Keep enough for one last call after the one with these numbers, in place of what was kept before.

        Its prompt is taken to hold this one's answer, and to be a quarter longer for the results of its calls; what
        grows by more than that may leave no room for a last call.
        """
        expected = _expected(prompt_tokens + prompt_tokens // 4 + output_tokens, output_tokens, self._price)
        with self._lock:
            self._kept = expected

    def charge(self, usage: Usage, price: Price | None = None) -> None:
        """Count what a failed attempt used, beside the reservation that its call still holds for the next attempt.

        Raises RunLimit where that next attempt does not fit any more; the usage is counted all the same.
        """
        with self._lock:
            self._used += _amount(usage, price or self._price)
            self._refuse(_NOTHING, self._kept)

    def crossed(self) -> list[Crossing]:
        """The limits of which 80 % or all was used up since the last time it was asked; each comes once."""
        if self._used == _NOTHING:
            return []
        with self._lock:
            used = self._used
            return [
                Crossing(resource, kind, float(amount), float(limit), f"{share} % or more of the {what} is used")
                for resource, amount, limit, what in self._limits(used)
                for kind, share in _SHARES
                if amount * 100 >= limit * share and self._tell(resource, kind)
            ]

    def close(self, reservation: Reservation, used: _Amount) -> bool:
        """End a reservation: what it was promised is free, what its call used is counted. False where it has ended."""
        with self._lock:
            promised = self._open.pop(reservation, None)
            if promised is None:
                return False
            self._promised -= promised
            self._used += used
            return True

    def _tell(self, resource: Resource, kind: str) -> bool:
        new = (resource, kind) not in self._told
        self._told.add((resource, kind))
        return new

    def _limits(self, amount: _Amount) -> list[tuple[Resource, int | Decimal, int | Decimal, str]]:
        """Each limit there is: what of `amount` counts against it, how much it is, and what it is called."""
        found: list[tuple[Resource, int | Decimal, int | Decimal, str]] = []
        if self._max_tokens is not None:
            found.append(("tokens", amount.tokens, self._max_tokens, f"budget of {self._max_tokens:,} tokens"))
        if self._max_cost is not None:
            found.append(("cost", amount.cost, self._max_cost, f"budget of {_money(self._max_cost)} (max_cost)"))
        return found

    def _refuse(self, needed: _Amount, kept: _Amount) -> None:
        """Raise RunLimit where `needed` does not fit beside what is used, promised and `kept`."""
        for resource, total, limit, what in self._limits(self._used + self._promised + kept + needed):
            if total > limit:
                shares = ((self._used, "used"), (self._promised, "promised to open calls"), (kept, "kept back"))
                taken = [f"{_shown(share, resource)} are {state}" for share, state in shares if share != _NOTHING]
                call = f"the next call needs about {_shown(needed, resource)}"
                told = ", ".join([*taken, call] if needed != _NOTHING else taken)
                raise RunLimit(resource, f"the {what} is reached: {told}")


def _expected(prompt_tokens: int, output_tokens: int, price: Price) -> _Amount:
    """What a call takes at most: all of its prompt is new, and goes into the cache where that costs more."""
    dearest = max(price.input, price.cache_write or price.input)
    cost = dearest * prompt_tokens + price.output * output_tokens
    return _Amount(prompt_tokens + output_tokens, cost / 1_000_000)


def _amount(usage: Usage, price: Price) -> _Amount:
    """What was used; cached tokens without a price of their own cost as much as other input."""
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    cost = (
        price.input * usage.input_tokens
        + price.output * usage.output_tokens
        + read * usage.cache_read_tokens
        + write * usage.cache_write_tokens
    )
    return _Amount(usage.total_tokens, cost / 1_000_000)


def _shown(amount: _Amount, resource: Resource) -> str:
    return f"{amount.tokens:,}" if resource == "tokens" else _money(amount.cost)


def _money(cost: Decimal) -> str:
    return f"{cost:.6f}".rstrip("0").rstrip(".")
