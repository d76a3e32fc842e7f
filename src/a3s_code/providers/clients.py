"""The clients, one for each event loop and endpoint: the only file that imports anthropic and openai.

A client belongs to the loop that opened its connections. It is made at the first call there, shared by everything that
talks to the same endpoint with the same key, and closed when the loop shuts down its asynchronous generators, as
asyncio.run() does. The SDKs are imported at the first call, in a thread, for that takes up to two seconds.

The SDK writes a client's request once: where it goes, with which credentials and which headers. Each call sends a copy
of that draft with its own body; writing it anew would cost a quarter of a whole turn.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from a3s_code.errors import ConfigError
from a3s_code.providers.endpoint import Api, ModelEndpoint
from a3s_code.providers.wire import loads
from a3s_code.system.garbage import uncollected

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 20.0
# Longer than most tools run, so that the next turn finds its connection open.
KEEPALIVE_SECONDS = 30.0
REPORT_BYTES = 64 * 1024
_KEPT_CONNECTIONS = 100
_Post = Callable[..., Awaitable[Any]]
_Key = tuple[Api, str, str | None, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Client:
    """An open HTTP client and the request that goes out over it, without its body."""

    http: httpx2.AsyncClient
    draft: httpx2.Request

    def request(self, body: bytes, seconds: float) -> httpx2.Request:
        """The request that brings `body`; to connect and to write may take `seconds` each."""
        import httpx2

        _retire_spoiled(self.http)
        draft = self.draft
        # Reading has no limit here: the answer's own patience bounds it.
        limits = {"connect": min(seconds, CONNECT_SECONDS), "read": None, "write": seconds, "pool": None}
        return httpx2.Request(
            draft.method,
            draft.url,
            headers=[*draft.headers.raw, (b"Content-Length", b"%d" % len(body))],
            stream=httpx2.ByteStream(body),
            cookies=self.http.cookies,
            extensions={**draft.extensions, "timeout": limits},
        )

    async def close(self) -> None:
        await self.http.aclose()


@dataclass(slots=True)
class _LoopClients:
    """The clients of one event loop; `keeper` is suspended until that loop shuts down, and then closes them."""

    clients: dict[_Key, Client]
    keeper: AsyncGenerator[None]


# A plain dict: every step on it is atomic, so loops in several threads need no lock, not even after a fork.
_LOOPS: dict[asyncio.AbstractEventLoop, _LoopClients] = {}
_WARMING: set[Api] = set()


def warm(api: Api) -> None:
    """Begin to import the SDK of `api` in the background; later calls do nothing."""
    if api not in _WARMING:
        _WARMING.add(api)
        threading.Thread(target=_load, args=(api,), name=f"a3s-import-{api}", daemon=True).start()


async def borrow(endpoint: ModelEndpoint) -> Client:
    """The running loop's client for `endpoint`."""
    loop = asyncio.get_running_loop()
    key = _key(endpoint)
    here = _LOOPS.get(loop)
    if here is not None and (client := here.clients.get(key)) is not None:
        return client
    await asyncio.to_thread(_load, endpoint.speaks)
    draft = await _draft(endpoint)
    here = _LOOPS.get(loop) or await _settle(loop)
    client = here.clients.get(key)
    if client is None:
        client = here.clients[key] = Client(_connect(endpoint), draft)
    return client


async def close_clients() -> None:
    """Close the running loop's clients; later calls open new ones."""
    here = _LOOPS.get(asyncio.get_running_loop())
    if here is not None:
        await here.keeper.aclose()


async def read_report(response: httpx2.Response, seconds: float) -> Any:
    """What an error's body says: its JSON value or its text, as much of it as comes in `seconds` and REPORT_BYTES."""
    import httpx2

    body = bytearray()
    with suppress(TimeoutError, httpx2.HTTPError, httpx2.StreamError):
        async with asyncio.timeout(seconds), aclosing(response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) >= REPORT_BYTES:
                    break
    del body[REPORT_BYTES:]
    try:
        text = body.decode(response.charset_encoding or "utf-8", "replace")
    except LookupError:
        text = body.decode("utf-8", "replace")
    try:
        return loads(text)
    except ValueError:
        return text


def transport_failure(error: Exception) -> tuple[str, str] | None:
    """The kind ("timeout", "garbage" or "network") and the words of an error of the HTTP client; None for any other."""
    import httpx2

    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return "timeout", ""
    if isinstance(error, httpx2.LocalProtocolError):
        return "garbage", "the request could not be written"
    if isinstance(error, httpx2.DecodingError):
        return "garbage", "its content encoding is broken"
    if isinstance(error, httpx2.RemoteProtocolError):
        text = str(error)
        gone = "disconnected" in text or "peer closed" in text
        return ("network" if gone else "garbage"), text
    if isinstance(error, httpx2.HTTPError | httpx2.StreamError | OSError | EOFError):
        return "network", _words(error)
    return None


def _retire_spoiled(http: httpx2.AsyncClient) -> None:
    """Let no connection be used again that holds more than its answers: the rest would be taken for the next one.

    The HTTP client looks for such bytes at the socket, but not among those it has read, and nothing public shows them.
    """
    for transport in (http._transport, *http._mounts.values()):
        for connection in getattr(getattr(transport, "_pool", None), "connections", ()):
            inner: Any = connection
            while inner is not None and not hasattr(inner, "_h11_state"):
                inner = getattr(inner, "_connection", None)
            if inner is not None and inner.is_idle() and inner._h11_state.trailing_data[0]:
                inner._expire_at = 0.0


def _words(error: BaseException) -> str:
    """The innermost reason a chain of errors gives: what the system said, not the layers above it."""
    inner: BaseException = error
    while (below := inner.__cause__ or inner.__context__) is not None:
        if isinstance(below, LookupError):
            break  # an empty queue of the layer below, no reason
        inner = below
    if isinstance(inner, OSError) and inner.errno:
        return os.strerror(inner.errno) if inner.errno > 0 else str(inner.strerror)
    return str(inner) or str(error) or type(error).__name__


def _key(endpoint: ModelEndpoint) -> _Key:
    return endpoint.speaks, endpoint.base, endpoint.api_key, tuple(sorted(endpoint.headers.items()))


@cache
def _tls() -> ssl.SSLContext:
    import httpx2

    return httpx2.create_ssl_context()


def _load(api: Api) -> None:
    with uncollected():
        if api == "anthropic":
            import anthropic  # noqa: F401
        else:
            import openai  # noqa: F401


async def _settle(loop: asyncio.AbstractEventLoop) -> _LoopClients:
    for other in list(_LOOPS):
        if other.is_closed():
            _LOOPS.pop(other, None)
    clients: dict[_Key, Client] = {}
    here = _LOOPS[loop] = _LoopClients(clients, _keep(loop, clients))
    await anext(here.keeper)
    return here


async def _keep(loop: asyncio.AbstractEventLoop, clients: dict[_Key, Client]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        _LOOPS.pop(loop, None)
        for client in clients.values():
            await client.close()


def _connect(endpoint: ModelEndpoint) -> httpx2.AsyncClient:
    import httpx2

    return httpx2.AsyncClient(
        # A server on this machine without TLS, and no proxy on the way: nothing to verify, and 30 ms saved.
        verify=not (endpoint.loopback and endpoint.base.startswith("http:")) and _tls(),
        trust_env=not endpoint.loopback,
        follow_redirects=False,
        limits=httpx2.Limits(
            max_connections=None,
            max_keepalive_connections=_KEPT_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_SECONDS,
        ),
    )


async def _draft(endpoint: ModelEndpoint) -> httpx2.Request:
    """The request that the SDK writes for `endpoint`, taken from it before it leaves the process."""
    import httpx2

    drafts: list[httpx2.Request] = []

    def keep(request: httpx2.Request) -> httpx2.Response:
        drafts.append(request)
        raise httpx2.ConnectError("a draft is not sent", request=request)

    try:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(keep), trust_env=False) as http:
            post, options = _anthropic(endpoint, http) if endpoint.speaks == "anthropic" else _openai(endpoint, http)
            await post(endpoint.url, cast_to=httpx2.Response, content=b"", options=options, stream=True)
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise ConfigError(
            endpoint.redact(f"the base URL of {endpoint.provider} is no address: {error}"),
            key=f"providers.{endpoint.provider}.base_url",
        ) from error
    except Exception:
        # The SDK's own error for a request that did not get through.
        if not drafts:
            raise
    draft = drafts[-1]
    # Each copy says its own length, and in one way.
    for name in ("Content-Length", "Transfer-Encoding"):
        draft.headers.pop(name, None)
    return draft


def _anthropic(endpoint: ModelEndpoint, http: httpx2.AsyncClient) -> tuple[_Post, Mapping[str, Any]]:
    import anthropic

    headers = dict(endpoint.headers)
    if endpoint.base_url is not None and endpoint.api_key:
        # Servers that copy this API know the key by its older header too, some by that one only.
        headers = {"X-Api-Key": endpoint.api_key, **headers}
    sdk = anthropic.AsyncAnthropic(
        api_key=endpoint.api_key or "",
        base_url=endpoint.base,
        webhook_key="",
        max_retries=0,
        http_client=http,
        open_telemetry=False,
    )
    # Set here because the constructor would add those of ANTHROPIC_CUSTOM_HEADERS.
    sdk._custom_headers = headers
    omitted = {"Authorization": anthropic.Omit()} if endpoint.keyless and not _authorizes(headers) else {}
    return sdk.post, {"headers": omitted, "timeout": None}


def _openai(endpoint: ModelEndpoint, http: httpx2.AsyncClient) -> tuple[_Post, Mapping[str, Any]]:
    import openai

    headers = dict(endpoint.headers)
    sdk = openai.AsyncOpenAI(
        api_key=endpoint.api_key or "none",
        admin_api_key="",
        webhook_secret="",
        base_url=endpoint.base,
        max_retries=0,
        http_client=http,
    )
    # Set here because the constructor takes them from OPENAI_CUSTOM_HEADERS, OPENAI_ORG_ID and OPENAI_PROJECT_ID.
    sdk._custom_headers = headers
    sdk.organization = sdk.project = sdk.admin_api_key = None
    omitted = {"Authorization": openai.Omit()} if endpoint.keyless and not _authorizes(headers) else {}
    return sdk.post, {"headers": omitted, "timeout": None, "security": {"bearer_auth": True}}


def _authorizes(headers: Mapping[str, str]) -> bool:
    return any(name.lower() == "authorization" and value for name, value in headers.items())
