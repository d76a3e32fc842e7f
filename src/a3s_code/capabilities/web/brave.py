"""Brave Search by its API, which takes a key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from a3s_code.capabilities.web.jsonapi import fetch_json, read_hits
from a3s_code.capabilities.web.provider import SearchHit

ENDPOINT = "https://api.search.brave.com/res/v1/web/search"
MAX_COUNT = 20


class Key(Protocol):
    """A secret that does not show itself."""

    def reveal(self) -> str:
        """The secret, for the one place that sends it."""
        ...


@dataclass(frozen=True, slots=True)
class Brave:
    """One search asks for at most 20 hits, which is the most that the API gives at once."""

    key: Key
    name: str = "brave"
    endpoint: str = ENDPOINT
    proxy: str | None = field(default=None, repr=False)

    async def search(self, query: str, limit: int, timeout: float) -> list[SearchHit]:
        params = {"q": query, "count": str(min(limit, MAX_COUNT))}
        headers = {"Accept": "application/json", "X-Subscription-Token": self.key.reveal()}
        answer: Any = await fetch_json(self.endpoint, params, headers, timeout, self.proxy)
        web = answer.get("web") if isinstance(answer, dict) else None
        if isinstance(answer, dict) and web is None:
            return []
        return read_hits(web.get("results") if isinstance(web, dict) else None, "description", limit)
