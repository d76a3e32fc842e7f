"""web_search: several engines at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from a3s_code.capabilities.web.panel import Report, SearchPanel
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.toolkit import Tool

DEFAULT_LIMIT = 10
MAX_SNIPPET = 400


class WebSearchArgs(BaseModel):
    query: str = Field(min_length=1, max_length=2000)
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=50)
    engines: list[str] | None = None


class WebSearch(Tool):
    """Asks the engines of a panel, and says whether all of them, some or none answered.

    The value is a list of objects with title, url, snippet and engines.
    """

    name = "web_search"
    description = "Search the web."
    Args = WebSearchArgs
    group = "web"

    def __init__(self, panel: SearchPanel) -> None:
        self._panel = panel

    def effects(self, args: WebSearchArgs, workspace: Path) -> tuple[Effect, ...]:
        return tuple(Effect("net", self._panel.endpoint(name)) for name in self._choose(args))

    async def invoke(self, args: WebSearchArgs, context: ToolContext) -> ToolOutput:
        names = self._choose(args)
        allowed = {effect.target for effect in context.effects if effect.kind == "net"}
        if not allowed.issuperset(self._panel.endpoint(name) for name in names):
            return ToolOutput.failure("the engines are not what this call was judged by", "permission_denied")
        async with asyncio.timeout(None if context.timeout_ms is None else context.timeout_ms / 1000):
            report = await self._panel.ask(args.query, args.limit, names)
        return _show(args.query, report)

    def _choose(self, args: WebSearchArgs) -> Sequence[str]:
        """The engines to ask; raises ValueError for one that is not there."""
        known = self._panel.names
        if not args.engines:
            return known
        wanted = list(dict.fromkeys(ALIASES.get(name.lower(), name.lower()) for name in args.engines))
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise ValueError(f"there is no search engine {', '.join(unknown)}; there is {', '.join(known)}")
        return wanted


ALIASES = {"ddg": "duckduckgo", "wiki": "wikipedia"}


def _show(query: str, report: Report) -> ToolOutput:
    failures = "; ".join(f"{name}: {reason}" for name, reason in report.failed.items())
    metadata: dict[str, Any] = {
        "status": report.status,
        "answered": list(report.answered),
        "failed": dict(report.failed),
    }
    if report.status == "failed":
        return ToolOutput.failure(f"The search failed: {failures}", **metadata)
    answered = ", ".join(report.answered)
    told = f"complete: {answered} answered" if not failures else f"partial: {answered} answered; {failures}"
    count = len(report.hits)
    lines = [f"{count or 'No'} result{'' if count == 1 else 's'} for {query!r} ({told})"]
    for index, found in enumerate(report.hits, 1):
        snippet = found.hit.snippet
        cut = f"{snippet[:MAX_SNIPPET]}..." if len(snippet) > MAX_SNIPPET else snippet
        lines += [f"{index}. {found.hit.title}", f"   {found.hit.url}", *([f"   {cut}"] if cut else [])]
    value = [
        {
            "title": found.hit.title,
            "url": found.hit.url,
            "snippet": found.hit.snippet,
            "engines": list(found.engines),
        }
        for found in report.hits
    ]
    return ToolOutput("\n".join(lines), metadata=metadata, value=value)
