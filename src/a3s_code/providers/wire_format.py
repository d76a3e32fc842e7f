"""What a wire format is: requests to bytes, answers to deltas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from a3s_code.kernel.messages import Delta
from a3s_code.kernel.ports import Prompt
from a3s_code.providers.assembly import Assembly


class WireReader(Protocol):
    """Reads one answer of a wire format into an Assembly. Both verbs may raise ModelError.

    `complete` says that the answer's own end was seen, `ended` that nothing more can follow it: what breaks afterwards
    does no harm.
    """

    complete: bool
    ended: bool

    def event(self, name: str, payload: dict[str, Any]) -> Sequence[Delta]:
        """One event of a stream."""
        ...

    def whole(self, payload: dict[str, Any]) -> Sequence[Delta]:
        """An answer that came in one piece."""
        ...

    def done(self) -> None:
        """The mark `[DONE]` in a stream."""
        ...


class WireFormat(Protocol):
    """One wire format, both ways. Usable from several threads at once."""

    def request(self, prompt: Prompt) -> bytes:
        """The request body; what it says of earlier messages never changes."""
        ...

    def reader(self, assembly: Assembly) -> WireReader: ...
