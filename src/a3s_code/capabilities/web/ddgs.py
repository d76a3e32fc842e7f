"""Engines without a key, by the ddgs library, which reads their result pages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from types import MappingProxyType

from a3s_code.capabilities.web.jsonapi import collect_hits
from a3s_code.capabilities.web.provider import SearchFailed, SearchHit
from a3s_code.toolkit.threads import run_in_thread

ENDPOINTS: Mapping[str, str] = MappingProxyType(
    {
        "duckduckgo": "https://html.duckduckgo.com/html/",
        "brave": "https://search.brave.com/search",
        "mojeek": "https://www.mojeek.com/search",
        "startpage": "https://www.startpage.com/sp/search",
        "yahoo": "https://search.yahoo.com/search",
        "wikipedia": "https://en.wikipedia.org/w/api.php",
    }
)
"""The engines, and what each asks."""

NOT_INSTALLED = "it takes `pip install 'a3s-code[web]'`"


@dataclass(frozen=True, slots=True)
class KeylessEngine:
    """One engine of ENDPOINTS."""

    name: str
    proxy: str | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        return ENDPOINTS[self.name]

    async def search(self, query: str, limit: int, timeout: float) -> list[SearchHit]:
        """As the port says; the library's own requests end at the timeout too, rounded up to whole seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await run_in_thread(
                    _search, engine=self.name, query=query, limit=limit, seconds=ceil(timeout), proxy=self.proxy
                )
        except TimeoutError:
            raise SearchFailed(f"no answer within {timeout:g} s") from None


def _search(engine: str, query: str, limit: int, seconds: int, proxy: str | None) -> list[SearchHit]:
    try:
        from ddgs import DDGS
        from ddgs.exceptions import DDGSException, TimeoutException
    except ImportError:
        raise SearchFailed(NOT_INSTALLED) from None
    try:
        rows = DDGS(proxy=proxy, timeout=seconds).text(query, backend=engine, max_results=limit)
    except TimeoutException:
        raise SearchFailed(f"no answer within {seconds} s") from None
    except DDGSException as error:
        if "No results found" in str(error):
            # The library tells a page without results from a refusal no more than this.
            raise SearchFailed("it gave no results, or refused to answer") from None
        raise SearchFailed("no connection, or an answer that cannot be read") from None
    return collect_hits(((row.get("title"), row.get("href"), row.get("body")) for row in rows), limit)
