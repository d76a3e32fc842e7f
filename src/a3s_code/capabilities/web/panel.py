"""Several search engines asked at once, their hits merged, the ill ones left alone for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from a3s_code.capabilities.web.provider import SearchFailed, SearchHit, SearchProvider

RANK_OFFSET = 60
"""What makes the first ranks count little more than those that follow, so that agreement of engines counts more."""

_TRACKING = frozenset({"fbclid", "gclid", "msclkid", "mc_cid", "mc_eid", "ref", "ref_src"})


@dataclass(frozen=True, slots=True)
class Engine:
    """A provider, how much its ranks count, and how many seconds it may take."""

    provider: SearchProvider
    weight: float = 1.0
    timeout: float = 20.0


@dataclass(frozen=True, slots=True)
class Found:
    """A hit, and the engines that gave it."""

    hit: SearchHit
    engines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a search gave: hits, best first; the engines that answered; the others with the reason."""

    hits: tuple[Found, ...]
    answered: tuple[str, ...]
    failed: Mapping[str, str]

    @property
    def status(self) -> Literal["complete", "partial", "failed"]:
        if not self.failed:
            return "complete"
        return "partial" if self.answered else "failed"


@dataclass(slots=True)
class _Health:
    failures: int = 0
    suspended_until: float = 0.0


class SearchPanel:
    """The engines of a configuration. One that fails `max_failures` times in a row is not asked for `suspend_ms`."""

    def __init__(
        self,
        engines: Iterable[Engine],
        *,
        max_failures: int = 3,
        suspend_ms: int = 60_000,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engines = {engine.provider.name: engine for engine in engines}
        self._health = {name: _Health() for name in self._engines}
        self._max_failures = max_failures
        self._suspend_seconds = suspend_ms / 1000
        self._now = now

    @property
    def names(self) -> list[str]:
        return list(self._engines)

    def endpoint(self, name: str) -> str:
        return self._engines[name].provider.endpoint

    async def ask(self, query: str, limit: int, names: Sequence[str]) -> Report:
        """Ask the named engines at the same time; never raises for what an engine does."""
        outcomes = await asyncio.gather(*(self._ask(self._engines[name], query, limit) for name in names))
        answers = {name: found for name, found in zip(names, outcomes, strict=True) if not isinstance(found, str)}
        failed = {name: reason for name, reason in zip(names, outcomes, strict=True) if isinstance(reason, str)}
        weights = {name: engine.weight for name, engine in self._engines.items()}
        return Report(tuple(_merge(answers, weights)[:limit]), tuple(answers), failed)

    async def _ask(self, engine: Engine, query: str, limit: int) -> list[SearchHit] | str:
        """The engine's hits, or why there are none."""
        health = self._health[engine.provider.name]
        wait = health.suspended_until - self._now()
        if wait > 0:
            return f"it failed {self._max_failures} times and is left alone for {wait:.0f} s"
        try:
            async with asyncio.timeout(engine.timeout + 1):
                hits = await engine.provider.search(query, limit, engine.timeout)
        except TimeoutError:
            return self._fail(health, f"no answer within {engine.timeout:g} s")
        except SearchFailed as failed:
            return self._fail(health, str(failed))
        except Exception as error:  # noqa: BLE001 - a host's provider that breaks must not hide the other engines
            return self._fail(health, f"it broke: {type(error).__name__}")
        health.failures = 0
        return hits

    def _fail(self, health: _Health, reason: str) -> str:
        health.failures += 1
        if health.failures >= self._max_failures:
            health.failures = 0
            health.suspended_until = self._now() + self._suspend_seconds
        return reason


def _merge(answers: Mapping[str, Sequence[SearchHit]], weights: Mapping[str, float]) -> list[Found]:
    """The hits of all engines, one for each page, by the sum of their weighted reciprocal ranks."""
    scores: dict[str, float] = {}
    found: dict[str, Found] = {}
    for name, hits in answers.items():
        seen: set[str] = set()
        for rank, hit in enumerate(hits):
            key = identify(hit.url)
            if key in seen:
                continue
            seen.add(key)
            scores[key] = scores.get(key, 0.0) + weights[name] / (RANK_OFFSET + rank)
            before = found.get(key)
            found[key] = Found(hit, (name,)) if before is None else _join(before, hit, name)
    return [found[key] for key in sorted(scores, key=lambda key: -scores[key])]


def _join(before: Found, hit: SearchHit, name: str) -> Found:
    kept = before.hit
    if len(hit.snippet) > len(kept.snippet):
        kept = SearchHit(kept.title, kept.url, hit.snippet)
    return Found(kept, (*before.engines, name))


def identify(url: str) -> str:
    """What two URLs of one page have in common: without scheme, www, fragment, a last slash and marks of campaigns."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    host = (parts.hostname or "").removeprefix("www.").rstrip(".")
    place = host if port in (None, 80, 443) else f"{host}:{port}"
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([(key, value) for key, value in pairs if not _is_tracking(key)])
    return f"{place}{parts.path.rstrip('/')}{'?' if query else ''}{query}"


def _is_tracking(key: str) -> bool:
    return key in _TRACKING or key.startswith("utm_")
