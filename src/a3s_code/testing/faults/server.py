"""A model server that answers as its script says, and spoils the answers it is told to."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType

from a3s_code.errors import UsageError
from a3s_code.kernel.messages import Reply
from a3s_code.testing.faults.breaks import BREAKS
from a3s_code.testing.faults.distortions import DISTORTIONS
from a3s_code.testing.faults.fault import Fault, Truth
from a3s_code.testing.faults.oddities import ODDITIES
from a3s_code.testing.faults.statuses import STATUSES
from a3s_code.testing.server import Answering, Chunking, LoopbackRequest, LoopbackServer, Response, Script

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {fault.name: fault for fault in (*BREAKS, *STATUSES, *DISTORTIONS, *ODDITIES)}
)
"""Every fault by its name."""

Faults = Mapping[int, str] | Callable[[LoopbackRequest], str | None] | Iterable[str | None]


class FaultServer(LoopbackServer):
    """A LoopbackServer that spoils the answers that `faults` names, and counts in `injected` how often it did.

    `faults` gives the name of a fault, or None for a true answer: by the number of the request, counted from 1; in the
    order of the requests; or as a function of the request. An answer that a fault kept from its client is given again
    to the next request, as a server does that is asked once more; a script that is a function decides that itself.
    """

    def __init__(
        self, script: Script = (), faults: Faults = (), *, chunking: Chunking = None, strict: bool = True
    ) -> None:
        self._fault_of = _chooser(faults)
        super().__init__(script, chunking=chunking, strict=strict)
        self.injected: Counter[str] = Counter()
        self._owed: deque[Reply] = deque()
        self._repeats = not callable(script)
        self._scripted = self._answer
        self._answer = self._owed_or_scripted

    def answer(self, request: LoopbackRequest, reply: Reply) -> Response:
        name = self._fault_of(request)
        if name is None:
            return super().answer(request, reply)
        assert request.api is not None
        fault = _named(name)
        truth = Truth(reply, request.api, request.number, streamed=bool(request.json.get("stream")))
        if not fault.fits(truth):
            return super().answer(request, reply)
        self.injected[name] += 1
        if self._repeats and fault.outcome != "answer":
            self._owed.append(reply)
        return fault.spoil(truth)

    def _owed_or_scripted(self, request: LoopbackRequest) -> Answering:
        return self._owed.popleft() if self._owed else self._scripted(request)


def _chooser(faults: Faults) -> Callable[[LoopbackRequest], str | None]:
    if callable(faults):
        return faults
    if isinstance(faults, Mapping):
        named = {number: _named(name).name for number, name in faults.items()}
        return lambda request: named.get(request.number)
    rest: Iterator[str | None] = iter([None if name is None else _named(name).name for name in faults])
    return lambda request: next(rest, None)


def _named(name: str) -> Fault:
    if name not in FAULTS:
        near = get_close_matches(name, FAULTS, 3)
        raise UsageError(f"there is no fault {name!r}", hint=f"near to it: {', '.join(near)}" if near else None)
    return FAULTS[name]
