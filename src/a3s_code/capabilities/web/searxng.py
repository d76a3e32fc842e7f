"""SearXNG: a metasearch server of one's own, asked for JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from a3s_code.capabilities.web.jsonapi import fetch_json, read_hits
from a3s_code.capabilities.web.provider import SearchFailed, SearchHit


@dataclass(frozen=True, slots=True)
class SearXNG:
    """`base_url` is the server's address, as a browser shows its front page; `json` must be among its search formats.

    It may be a local one: whoever writes the configuration may name any. A user name and a password in it are sent, and
    not shown.
    """

    base_url: str = field(repr=False)
    name: str = "searxng"
    proxy: str | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        scheme, _, rest = self._address.partition("://")
        place, slash, path = rest.partition("/")
        return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"

    @property
    def _address(self) -> str:
        return f"{self.base_url.rstrip('/')}/search"

    async def search(self, query: str, limit: int, timeout: float) -> list[SearchHit]:
        params = {"q": query, "format": "json"}
        try:
            answer: Any = await fetch_json(self._address, params, {"Accept": "application/json"}, timeout, self.proxy)
        except SearchFailed as failed:
            if "(403)" in str(failed):
                raise SearchFailed("access was refused (403); its settings may leave out json as a format") from None
            raise
        return read_hits(answer.get("results") if isinstance(answer, dict) else None, "content", limit)
