"""The intent router: what a request asks for."""

from __future__ import annotations

from a3s_code.kernel.contracts import Intent
from a3s_code.kernel.ports import Request
from a3s_code.kernel.state import SessionState


class PlainRouter:
    """Takes every request as general work that needs the core tools and no gated group."""

    async def route(self, request: Request, state: SessionState) -> Intent:
        return Intent(request.prompt)
