"""Circuit breakers: a model that failed turn after turn is left alone for a while."""

from __future__ import annotations

import threading

from a3s_code.errors import ModelCircuitOpen
from a3s_code.kernel.ports import Clock

MAX_COOLDOWN_MS = 600_000
_TRIAL_MS = 600_000


class Breakers:
    """The circuit breakers of one agent, one for each "provider/model", shared by its sessions and their threads.

    A breaker counts the turns in a row in which the model was given up after failures that were worth a retry. At
    `threshold` it opens: the model is not asked for `cooldown_ms`. Then exactly one turn tries it, with one call. An
    answer closes the breaker; a failure opens it for twice as long as before, up to 10 minutes. A trial of which
    nothing was heard for 10 minutes makes room for another. With a threshold of None or 0 no breaker ever opens.
    """

    def __init__(self, threshold: int | None, clock: Clock, cooldown_ms: int = 30_000) -> None:
        self._threshold = threshold or 0
        self._clock = clock
        self._cooldown_ms = cooldown_ms
        self._circuits: dict[str, _Circuit] = {}

    def admit(self, name: str) -> Admission:
        """Let one turn ask the model `name`; raises ModelCircuitOpen. Whoever is let in says how it went, once."""
        circuit = self._circuits.get(name)
        if circuit is None:
            fresh = _Circuit(name, self._threshold, self._clock, self._cooldown_ms)
            circuit = self._circuits.setdefault(name, fresh)
        return circuit.admit()

    def refuses(self, name: str) -> bool:
        """Whether `name` would not be let in now."""
        circuit = self._circuits.get(name)
        return circuit is not None and circuit.refuses()


class Admission:
    """One turn's leave to ask a model; of a `trial` one call is made, and no other turn is let in meanwhile."""

    __slots__ = ("_circuit", "trial")

    def __init__(self, circuit: _Circuit, *, trial: bool = False) -> None:
        self._circuit = circuit
        self.trial = trial

    def answered(self) -> None:
        """The model replied, or refused the request for good: it is there."""
        self._circuit.close()

    def failed(self) -> None:
        """The turn gave the model up after a failure that was worth a retry."""
        self._circuit.fail(self)

    def release(self) -> None:
        """The turn was broken off and tells nothing of the model."""
        if self.trial:
            self._circuit.release(self)


class _Circuit:
    """One breaker. It is closed while `_until_ms` is None, else open until then and half-open from then on."""

    def __init__(self, name: str, threshold: int, clock: Clock, cooldown_ms: int) -> None:
        self._name = name
        self._threshold = threshold
        self._clock = clock
        self._shortest_ms = self._cooldown_ms = cooldown_ms
        self._failures = 0
        self._until_ms: int | None = None
        self._trial: Admission | None = None
        self._lock = threading.Lock()

    def admit(self) -> Admission:
        with self._lock:
            if self._until_ms is None:
                return Admission(self)
            now = self._clock.now_ms()
            if now < self._until_ms:
                raise self._refusal(self._until_ms - now)
            self._trial = Admission(self, trial=True)
            self._until_ms = now + _TRIAL_MS
            return self._trial

    def refuses(self) -> bool:
        with self._lock:
            return self._until_ms is not None and self._clock.now_ms() < self._until_ms

    def close(self) -> None:
        with self._lock:
            self._failures = 0
            self._until_ms = self._trial = None
            self._cooldown_ms = self._shortest_ms

    def fail(self, admission: Admission) -> None:
        with self._lock:
            if self._until_ms is None:
                self._failures += 1
                if self._threshold and self._failures >= self._threshold:
                    self._until_ms = self._clock.now_ms() + self._cooldown_ms
            elif admission is self._trial:
                self._trial = None
                self._cooldown_ms = max(self._shortest_ms, min(2 * self._cooldown_ms, MAX_COOLDOWN_MS))
                self._until_ms = self._clock.now_ms() + self._cooldown_ms

    def release(self, admission: Admission) -> None:
        with self._lock:
            if admission is self._trial:
                self._trial = None
                self._until_ms = self._clock.now_ms()

    def _refusal(self, left_ms: int) -> ModelCircuitOpen:
        name, turns = self._name, self._failures
        after = None if self._trial else left_ms / 1000
        again = "one call is trying it now" if after is None else f"it is tried again in {after:.3g} s"
        return ModelCircuitOpen(
            f"{name} is not asked for now: {turns} turn{'s' if turns > 1 else ''} in a row got no answer from it",
            provider=name.partition("/")[0],
            retry_after=after,
            hint=f"{again}; fallback_models are asked meanwhile",
        )
