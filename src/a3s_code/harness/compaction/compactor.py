"""The compactor: what of the history goes on."""

from __future__ import annotations

from collections.abc import Sequence

from a3s_code.kernel.messages import Message
from a3s_code.kernel.state import SessionState


class WholeHistory:
    """Keeps the history whole; a window that overflows ends the run with the provider's typed error."""

    async def compact(self, state: SessionState) -> Sequence[Message] | None:
        return None
