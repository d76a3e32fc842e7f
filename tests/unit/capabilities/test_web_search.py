"""web_search: engines over real HTTP, merging, health, and what is said of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from a3s_code.capabilities.web import (
    Brave,
    Engine,
    KeylessEngine,
    SearchFailed,
    SearchHit,
    SearchPanel,
    SearXNG,
    WebSearch,
    web_tools,
)
from a3s_code.capabilities.web.panel import identify
from a3s_code.config import SearchConfig, SearchEngineConfig, load_config
from a3s_code.config.secret import Secret
from a3s_code.errors import ArgumentError

KEY = "brave-key-51f0"


@dataclass
class Api:
    """A server that gives one JSON answer, and keeps the requests."""

    port: int = 0
    status: int = 200
    body: bytes = b"{}"
    delay: float = 0.0
    seen: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def give(self, value: Any, status: int = 200) -> None:
        self.body, self.status = json.dumps(value).encode(), status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await asyncio.wait({asyncio.ensure_future(reader.read())}, timeout=self.delay)
            head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + self.body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    api.port = server.sockets[0].getsockname()[1]
    yield api
    server.close()


@dataclass
class Shelf:
    """An engine of the test with fixed hits, or a failure."""

    name: str
    urls: Sequence[str] = ()
    failure: Exception | None = None
    delay: float = 0.0
    asked: int = 0
    endpoint: str = "https://shelf.test/"

    async def search(self, query: str, limit: int, timeout: float) -> list[SearchHit]:
        self.asked += 1
        await asyncio.sleep(self.delay)
        if self.failure is not None:
            raise self.failure
        return [SearchHit(f"{self.name} {url}", url, f"about {url}") for url in self.urls]


def panel(*shelves: Shelf, timeout: float = 5.0, **options: Any) -> SearchPanel:
    return SearchPanel([Engine(shelf, timeout=timeout) for shelf in shelves], **options)


async def test_searxng_is_asked_for_json_and_its_hits_are_plain_text(api: Api) -> None:
    api.give(
        {
            "results": [
                {"title": "A <b>bold</b> &amp; plain", "url": "https://a.test/", "content": "x <i>y</i>\n z"},
                {"title": "no url"},
                {"title": "bad", "url": "javascript:alert(1)"},
                "nonsense",
                {"title": None, "url": "https://b.test/"},
            ]
        }
    )
    engine = SearXNG(f"{api.url}/sx/")
    hits = await engine.search("a b&c", 10, 5)
    assert hits == [
        SearchHit("A bold & plain", "https://a.test/", "x y z"),
        SearchHit("https://b.test/", "https://b.test/", ""),
    ]
    assert api.seen[0].startswith("GET /sx/search?q=a+b%26c&format=json HTTP/1.1")
    assert engine.endpoint == f"{api.url}/sx/search"


async def test_brave_gets_its_key_in_a_header(api: Api) -> None:
    api.give({"web": {"results": [{"title": "t", "url": "https://a.test/", "description": "d"}]}})
    engine = Brave(Secret(KEY), endpoint=api.url)
    assert await engine.search("q", 50, 5) == [SearchHit("t", "https://a.test/", "d")]
    assert f"x-subscription-token: {KEY}".lower() in api.seen[0].lower()
    assert "count=20" in api.seen[0]
    assert KEY not in repr(engine)


async def test_brave_without_web_results_has_none(api: Api) -> None:
    api.give({"type": "search"})
    assert await Brave(Secret(KEY), endpoint=api.url).search("q", 5, 5) == []


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"", "the key was refused"),
        (429, b"", "too many requests"),
        (500, b"", "an error"),
        (200, b"<html>", "not JSON"),
        (200, b"[1]", "another form"),
        (200, b'{"web": 5}', "another form"),
        (200, b'{"web": {"results": 5}}', "another form"),
        (200, b"[" * 100_000, "not JSON"),
        (200, b"x" * 5_000_000, "too large"),
    ],
)
async def test_an_api_that_fails_is_a_typed_failure_without_the_key(
    api: Api, status: int, body: bytes, words: str
) -> None:
    api.status, api.body = status, body
    with pytest.raises(SearchFailed, match=words) as caught:
        await Brave(Secret(KEY), endpoint=api.url).search("q", 5, 5)
    assert KEY not in str(caught.value)


async def test_a_searxng_without_json_says_what_to_change(api: Api) -> None:
    api.status = 403
    with pytest.raises(SearchFailed, match="json as a format"):
        await SearXNG(api.url).search("q", 5, 5)


async def test_a_server_that_is_slow_or_not_there_fails_in_time(api: Api) -> None:
    api.delay = 5
    started = time.perf_counter()
    with pytest.raises(SearchFailed, match=r"within 0\.2 s"):
        await SearXNG(api.url).search("q", 5, 0.2)
    with pytest.raises(SearchFailed, match="no connection"):
        await SearXNG("http://127.0.0.1:1").search("q", 5, 5)
    assert time.perf_counter() - started < 3


async def test_credentials_of_a_server_or_proxy_are_shown_nowhere() -> None:
    engine = SearXNG("http://me:hush@127.0.0.1:1", proxy="http://me:hush@127.0.0.1:1")
    assert engine.endpoint == "http://127.0.0.1:1/search"
    assert "hush" not in repr(engine)
    with pytest.raises(SearchFailed) as caught:
        await engine.search("q", 5, 5)
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(KeylessEngine("duckduckgo", "http://me:hush@127.0.0.1:1"))


async def test_an_engine_of_the_library_without_a_network_fails_typed_and_in_time() -> None:
    started = time.perf_counter()
    with pytest.raises(SearchFailed):
        await KeylessEngine("mojeek", proxy="http://127.0.0.1:1").search("q", 5, 3)
    assert time.perf_counter() - started < 8


async def test_hits_of_several_engines_are_merged_by_rank_and_page() -> None:
    one = Shelf("one", ["https://a.test/", "https://b.test/x?utm_source=1", "https://c.test/"])
    two = Shelf("two", ["http://www.b.test/x/", "https://d.test/#top", "http://www.b.test/x#again"])
    report = await panel(one, two).ask("q", 10, ["one", "two"])
    assert [found.hit.url for found in report.hits] == [
        "https://b.test/x?utm_source=1",
        "https://a.test/",
        "https://d.test/#top",
        "https://c.test/",
    ]
    assert report.hits[0].engines == ("one", "two")
    assert report.status == "complete"


async def test_a_heavier_engine_ranks_first() -> None:
    light, heavy = Shelf("light", ["https://a.test/"]), Shelf("heavy", ["https://b.test/"])
    engines = SearchPanel([Engine(light), Engine(heavy, weight=2.0)])
    report = await engines.ask("q", 1, ["light", "heavy"])
    assert [found.hit.url for found in report.hits] == ["https://b.test/"]


async def test_engines_are_asked_at_the_same_time_and_slow_ones_cut_off() -> None:
    quick, slow = Shelf("quick", ["https://a.test/"], delay=0.2), Shelf("slow", delay=30)
    started = time.perf_counter()
    report = await SearchPanel([Engine(quick, timeout=1), Engine(slow, timeout=0.2)]).ask("q", 5, ["quick", "slow"])
    assert time.perf_counter() - started < 2
    assert report.status == "partial"
    assert report.failed == {"slow": "no answer within 0.2 s"}


async def test_an_engine_that_keeps_failing_is_left_alone_for_a_while() -> None:
    clock = [100.0]
    ill = Shelf("ill", failure=SearchFailed("down"))
    engines = panel(ill, max_failures=2, suspend_ms=60_000, now=lambda: clock[0])
    for _ in range(4):
        report = await engines.ask("q", 5, ["ill"])
    assert ill.asked == 2
    assert report.failed == {"ill": "it failed 2 times and is left alone for 60 s"}
    clock[0] += 61
    ill.failure = None
    assert (await engines.ask("q", 5, ["ill"])).status == "complete"
    assert ill.asked == 3


async def test_only_failures_in_a_row_count() -> None:
    shaky = Shelf("shaky")
    engines = panel(shaky, max_failures=2)
    for failure in (SearchFailed("down"), None, SearchFailed("down"), None):
        shaky.failure = failure
        await engines.ask("q", 5, ["shaky"])
    assert shaky.asked == 4


async def test_a_provider_that_breaks_does_not_hide_the_others() -> None:
    report = await panel(Shelf("one", ["https://a.test/"]), Shelf("two", failure=KeyError("x"))).ask(
        "q", 5, ["one", "two"]
    )
    assert report.status == "partial"
    assert report.failed == {"two": "it broke: KeyError"}


async def test_the_tool_says_complete_partial_or_failed(bench: Any) -> None:
    good, bad = Shelf("good", ["https://a.test/"]), Shelf("bad", failure=SearchFailed("down"))
    output = await bench.call(WebSearch(panel(good)), query="q")
    assert output.text.splitlines()[:3] == [
        "1 result for 'q' (complete: good answered)",
        "1. good https://a.test/",
        "   https://a.test/",
    ]
    assert output.value[0]["engines"] == ["good"]
    output = await bench.call(WebSearch(panel(good, bad)), query="q")
    assert "(partial: good answered; bad: down)" in output.text
    assert output.metadata["status"] == "partial"
    output = await bench.call(WebSearch(panel(bad)), query="q")
    assert output.error_kind == "failed"
    assert output.text == "The search failed: bad: down"
    output = await bench.call(WebSearch(panel(Shelf("empty"))), query="q")
    assert output.text == "No results for 'q' (complete: empty answered)"


async def test_only_known_engines_and_arguments_are_taken(bench: Any) -> None:
    tool = WebSearch(panel(Shelf("duckduckgo", ["https://a.test/"]), Shelf("other")))
    for wrong in ({"query": "q", "page": 2}, {"query": ""}, {"query": "q", "limit": 51}, {}):
        with pytest.raises(ArgumentError):
            tool.parse(wrong)
    with pytest.raises(ValueError, match="no search engine bing; there is duckduckgo, other"):
        tool.effects(tool.parse({"query": "q", "engines": ["bing"]}), Path("/"))
    output = await bench.call(tool, query="q", engines=["DDG"])
    assert output.metadata["answered"] == ["duckduckgo"]


def test_the_effects_are_the_addresses_that_are_asked() -> None:
    _, tool = web_tools()
    effects = tool.effects(tool.parse({"query": "q"}), Path("/"))
    assert [effect.target for effect in effects] == [
        "https://html.duckduckgo.com/html/",
        "https://search.brave.com/search",
        "https://www.mojeek.com/search",
    ]
    assert {effect.kind for effect in effects} == {"net"}


async def test_tools_are_built_from_a_configuration(api: Api) -> None:
    text = f"""
    search {{
      timeout = 7
      engine "ddg" {{ weight = 2 }}
      engine "brave" {{
        api_key = "{KEY}"
        timeout_ms = 1500
      }}
      engine "wiki" {{ enabled = false }}
      engine "{api.url}/sx" {{ }}
    }}
    """
    config = load_config(source=text).search
    assert config is not None
    _, tool = web_tools(config)
    targets = [effect.target for effect in tool.effects(tool.parse({"query": "q"}), Path("/"))]
    assert targets == [
        "https://html.duckduckgo.com/html/",
        "https://api.search.brave.com/res/v1/web/search",
        f"{api.url}/sx/search",
    ]


async def test_an_engine_that_nobody_knows_says_so_in_each_result(bench: Any) -> None:
    _, tool = web_tools(SearchConfig(engines={"sogou": SearchEngineConfig()}))
    output = await bench.call(tool, query="q")
    assert "sogou: there is no such engine; there is duckduckgo" in output.text


def test_with_all_engines_disabled_there_is_no_search() -> None:
    tools = web_tools(SearchConfig(engines={"ddg": SearchEngineConfig(enabled=False)}))
    assert [tool.spec.name for tool in tools] == ["web_fetch"]


def test_the_specs_stay_small() -> None:
    sizes = [len(json.dumps(dict(tool.spec.parameters))) + len(tool.spec.description) for tool in web_tools()]
    assert sum(sizes) < 700


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("http://www.a.test/x/", "https://a.test/x#y", True),
        ("https://a.test/x?b=1&utm_medium=m", "https://a.test/x?b=1", True),
        ("https://a.test:443/", "https://A.test", True),
        ("https://a.test/x", "https://a.test/X", False),
        ("https://a.test/?a=1", "https://a.test/?a=2", False),
        ("https://a.test:8080/", "https://a.test/", False),
        ("https://a.test:x/", "https://a.test:x/", True),
    ],
)
def test_urls_of_one_page_are_known_as_one(one: str, two: str, same: bool) -> None:
    assert (identify(one) == identify(two)) is same
