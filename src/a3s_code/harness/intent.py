"""The intent router: what a request asks for."""

from __future__ import annotations

from a3s_code.kernel.contracts import EVERY_GROUP, Intent
from a3s_code.kernel.messages import Request
from a3s_code.kernel.state import SessionState


class PlainRouter:
    """Takes every request as general work that may need every group of tools."""

    async def route(self, request: Request, state: SessionState) -> Intent:
        return Intent(request.prompt, groups=(EVERY_GROUP,))
