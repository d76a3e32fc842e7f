"""A JSON answer of a search engine's API."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from a3s_code.capabilities.web.provider import SearchFailed, SearchHit

MAX_BYTES = 4 * 1024 * 1024
_MARK = re.compile(r"</?[a-zA-Z][^<>]*>")
_REASONS = {401: "the key was refused", 403: "access was refused", 422: "the key or the query was refused"}


async def fetch_json(
    url: str, params: Mapping[str, str], headers: Mapping[str, str], timeout: float, proxy: str | None
) -> Any:
    """The JSON value that GET `url` gives; raises SearchFailed. The environment's proxies are not used."""
    import httpx

    try:
        async with (
            httpx.AsyncClient(trust_env=False, proxy=proxy, timeout=timeout) as client,
            client.stream("GET", url, params=params, headers=headers) as response,
        ):
            if response.status_code != 200:
                raise SearchFailed(_explain(response.status_code))
            content = bytearray()
            async for chunk in response.aiter_bytes(65_536):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise SearchFailed("its answer is too large")
    except httpx.TimeoutException:
        raise SearchFailed(f"no answer within {timeout:g} s") from None
    except httpx.HTTPError as error:
        # The message of a proxy's error may hold the proxy's password.
        raise SearchFailed("no connection" if proxy else f"no connection: {error}") from None
    except (httpx.InvalidURL, ValueError, ImportError):
        raise SearchFailed("its URL or its proxy cannot be used") from None
    try:
        return json.loads(bytes(content))
    except (ValueError, RecursionError):
        raise SearchFailed("its answer is not JSON") from None


def read_hits(rows: object, snippet: str, limit: int) -> list[SearchHit]:
    """The hits in a list of objects with `title`, `url` and a `snippet` key; raises SearchFailed for another shape."""
    if not isinstance(rows, list):
        raise SearchFailed("its answer has another form than expected")
    return collect_hits(
        ((row.get("title"), row.get("url"), row.get(snippet)) for row in rows if isinstance(row, dict)), limit
    )


def collect_hits(rows: Iterable[tuple[object, object, object]], limit: int) -> list[SearchHit]:
    """Hits of title, URL and snippet, as plain text; rows without a web URL are left out."""
    hits: list[SearchHit] = []
    for title, url, snippet in rows:
        if not isinstance(url, str) or not url.lower().startswith(("http://", "https://")):
            continue
        hits.append(SearchHit(_plain(title) or url, "".join(url.split()), _plain(snippet)))
        if len(hits) == limit:
            break
    return hits


def _plain(text: object) -> str:
    return " ".join(html.unescape(_MARK.sub("", text)).split()) if isinstance(text, str) else ""


def _explain(status: int) -> str:
    if status == 429:
        return "too many requests (429)"
    return f"{_REASONS.get(status, 'it answered with an error')} ({status})"
