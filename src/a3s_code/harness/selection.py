"""The tool selector: which tools the model sees."""

from __future__ import annotations

from a3s_code.kernel.contracts import EVERY_GROUP, Intent
from a3s_code.kernel.state import SessionState
from a3s_code.kernel.tool import ToolCatalog, ToolSpec


class CoreSelector:
    """Shows the core tools always and a gated group when the intent names it, in the catalog's order."""

    async def select(self, intent: Intent, catalog: ToolCatalog, state: SessionState) -> tuple[ToolSpec, ...]:
        if EVERY_GROUP in intent.groups or all(spec.group == "core" for spec in catalog.specs):
            return catalog.specs
        return tuple(spec for spec in catalog.specs if spec.group == "core" or spec.group in intent.groups)
