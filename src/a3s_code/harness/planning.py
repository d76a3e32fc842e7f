"""The planner: whether a request is worked on by a plan."""

from __future__ import annotations

from a3s_code.kernel.contracts import Intent, Plan
from a3s_code.kernel.state import SessionState


class NoPlanner:
    """Plans nothing: the model works on the request as it stands."""

    async def plan(self, intent: Intent, state: SessionState) -> Plan | None:
        return None
