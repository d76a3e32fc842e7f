"""The web: web_fetch gets a page, web_search asks search engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from a3s_code.capabilities.web.brave import Brave, Key
from a3s_code.capabilities.web.ddgs import ENDPOINTS, KeylessEngine
from a3s_code.capabilities.web.fetch import WebFetch
from a3s_code.capabilities.web.panel import Engine, SearchPanel
from a3s_code.capabilities.web.provider import SearchFailed, SearchHit, SearchProvider
from a3s_code.capabilities.web.search import ALIASES, WebSearch
from a3s_code.capabilities.web.searxng import SearXNG
from a3s_code.kernel.tool import ToolPort

DEFAULT_ENGINES = ("duckduckgo", "brave", "mojeek")
"""Three indexes that need no key."""


class EngineSettings(Protocol):
    """What a configuration says of one engine."""

    @property
    def enabled(self) -> bool: ...

    @property
    def weight(self) -> float: ...

    @property
    def timeout_ms(self) -> int | None: ...

    @property
    def api_key(self) -> Key | None: ...


class SearchSettings(Protocol):
    """What a configuration says of web search."""

    @property
    def timeout_ms(self) -> int: ...

    @property
    def engines(self) -> Mapping[str, EngineSettings]: ...

    @property
    def max_failures(self) -> int: ...

    @property
    def suspend_ms(self) -> int: ...

    @property
    def proxy(self) -> str | None: ...


class Unknown:
    """An engine that a configuration names and nobody here can ask: each search says so."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.endpoint = "about:blank"

    async def search(self, query: str, limit: int, timeout: float) -> list[SearchHit]:
        raise SearchFailed(f"there is no such engine; there is {', '.join(ENDPOINTS)}, or the URL of a SearXNG server")


def web_tools(settings: SearchSettings | None = None) -> tuple[ToolPort, ...]:
    """web_fetch, and web_search over the engines of `settings`.

    An engine is named as in ENDPOINTS, or by the http(s) URL of a SearXNG server; `brave` with a key is asked by its
    API. Without settings, or where they name no engine, three that need no key are asked. Where all are disabled there
    is no web_search.
    """
    engines = _read_engines(settings)
    if not engines:
        return (WebFetch(),)
    if settings is None:
        return (WebFetch(), WebSearch(SearchPanel(engines)))
    panel = SearchPanel(engines, max_failures=settings.max_failures, suspend_ms=settings.suspend_ms)
    return (WebFetch(), WebSearch(panel))


def _read_engines(settings: SearchSettings | None) -> list[Engine]:
    if settings is None:
        return [Engine(KeylessEngine(name)) for name in DEFAULT_ENGINES]
    usual = settings.timeout_ms / 1000
    if not settings.engines:
        return [Engine(KeylessEngine(name, settings.proxy), timeout=usual) for name in DEFAULT_ENGINES]
    return [
        Engine(
            _make_provider(label, engine, settings.proxy),
            engine.weight,
            usual if engine.timeout_ms is None else engine.timeout_ms / 1000,
        )
        for label, engine in settings.engines.items()
        if engine.enabled
    ]


def _make_provider(label: str, engine: EngineSettings, proxy: str | None) -> SearchProvider:
    name = ALIASES.get(label.lower(), label.lower())
    if name.startswith(("http://", "https://")):
        return SearXNG(label, urlsplit(name).netloc.rpartition("@")[2], proxy)
    if name == "brave" and engine.api_key is not None:
        return Brave(engine.api_key, proxy=proxy)
    return KeylessEngine(name, proxy) if name in ENDPOINTS else Unknown(name)


__all__ = [
    "Brave",
    "Engine",
    "KeylessEngine",
    "SearXNG",
    "SearchFailed",
    "SearchHit",
    "SearchPanel",
    "SearchProvider",
    "WebFetch",
    "WebSearch",
    "web_tools",
]
