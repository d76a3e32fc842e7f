"""The port of web search: one engine, asked for hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One result: plain text, but for the URL."""

    title: str
    url: str
    snippet: str = ""


class SearchFailed(Exception):
    """An engine gave no answer; the message says why, without keys or addresses of proxies."""


class SearchProvider(Protocol):
    """One search engine. `endpoint` is the URL that it asks, for rules to judge."""

    @property
    def name(self) -> str: ...

    @property
    def endpoint(self) -> str: ...

    async def search(self, query: str, limit: int, timeout: float) -> list[SearchHit]:
        """Up to `limit` hits, best first, within `timeout` seconds; raises SearchFailed, and nothing else."""
        ...
