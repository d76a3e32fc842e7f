"""One HTTP request over a connection to addresses that were checked, and to no others."""

from __future__ import annotations

import asyncio
import base64
import ssl
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import httpcore

CONNECT_SECONDS = 10.0
USER_AGENT = "Mozilla/5.0 (compatible; a3s-code)"
ACCEPT = "text/html,application/xhtml+xml,text/*;q=0.9,application/json;q=0.9,application/xml;q=0.9,*/*;q=0.5"


class TransportFailed(Exception):
    """No usable answer; the message says why, for a model to read."""


class BodyTooLarge(TransportFailed):
    """The body, as sent or unpacked, is larger than the limit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status line and headers of an answer; names are in lower case, of headers sent twice the first counts."""

    status: int
    reason: str
    headers: dict[str, str]
    body: AsyncIterator[bytes]

    async def read(self, limit: int) -> bytes:
        """The unpacked body; raises BodyTooLarge beyond `limit` bytes, TransportFailed for one that is broken."""
        unpack = _find_unpacker(self.headers.get("content-encoding", ""))
        content = bytearray()
        async for chunk in self.body:
            content += chunk if unpack is None else unpack.feed(chunk, limit + 1 - len(content))
            if len(content) > limit:
                raise BodyTooLarge(f"it is larger than {limit:,} bytes")
        if unpack is not None:
            unpack.finish()
        return bytes(content)


@asynccontextmanager
async def get(location: str, addresses: Sequence[str], trust: ssl.SSLContext) -> AsyncIterator[Answer]:
    """GET `location`, an http or https URL, from the first of `addresses` that can be connected to.

    The name in the URL is what the Host header says and what the certificate must be for. Nothing is followed, no
    cookie is kept and no proxy is used. The answer ends with the context. Raises TransportFailed.
    """
    import httpcore

    request, authorization = _split_credentials(location)
    headers: dict[bytes | str, bytes | str] = {
        "Host": urlsplit(request).netloc,
        "User-Agent": USER_AGENT,
        "Accept": ACCEPT,
        "Accept-Encoding": "gzip, deflate",
        **authorization,
    }
    backend = cast("httpcore.AsyncNetworkBackend", _Pinned(addresses))  # it has all the verbs; the class loads late
    try:
        async with (
            httpcore.AsyncConnectionPool(ssl_context=trust, network_backend=backend, retries=0) as pool,
            pool.stream("GET", request, headers=headers) as response,
        ):
            reason = response.extensions.get("reason_phrase", b"").decode("latin-1")
            yield Answer(response.status, reason, _read_headers(response.headers), response.aiter_stream())
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        raise TransportFailed(_explain(error)) from error
    except (httpcore.UnsupportedProtocol, ssl.SSLError, UnicodeError) as error:
        raise TransportFailed(f"the request could not be made: {error}") from error


def default_trust() -> ssl.SSLContext:
    """The certificates to trust: those that SSL_CERT_FILE or SSL_CERT_DIR name, else the usual ones."""
    import httpx

    return httpx.create_ssl_context()


class _Pinned:
    """A network backend of httpcore that connects to given addresses, whatever name it is asked for."""

    def __init__(self, addresses: Sequence[str]) -> None:
        import httpcore

        self._addresses = tuple(addresses)
        self._network: Any = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        import httpcore

        problem: Exception = httpcore.ConnectError(f"no address of {host} was checked")
        for address in self._addresses:
            try:
                stream: httpcore.AsyncNetworkStream = await self._network.connect_tcp(
                    address, port, CONNECT_SECONDS, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return stream
        raise problem

    async def connect_unix_socket(self, path: str, **options: Any) -> httpcore.AsyncNetworkStream:
        import httpcore

        raise httpcore.ConnectError("only addresses are connected to")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Unpacker:
    """Unpacks gzip or deflate, and never more than is asked for."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._inner = zlib.decompressobj(window)
        self._begun = False

    def feed(self, chunk: bytes, most: int) -> bytes:
        """What `chunk` unpacks to, cut after `most` bytes, which is more than the caller wants."""
        out = bytearray()
        while chunk and len(out) < most:
            piece = self._inflate(chunk, most - len(out))
            out += piece
            chunk = self._inner.unused_data or self._inner.unconsumed_tail
            if self._inner.eof:
                if self._window != zlib.MAX_WBITS | 16 or not chunk.startswith(b"\x1f\x8b"):
                    break
                self._inner = zlib.decompressobj(self._window)
        return bytes(out)

    def finish(self) -> None:
        if self._begun and not self._inner.eof:
            raise TransportFailed("its compressed body is cut off")

    def _inflate(self, chunk: bytes, most: int) -> bytes:
        begun, self._begun = self._begun, True
        try:
            return self._inner.decompress(chunk, most)
        except zlib.error:
            if begun or self._window != zlib.MAX_WBITS:
                raise TransportFailed("its compressed body is broken") from None
            # What some servers call deflate has no header.
            self._window = -zlib.MAX_WBITS
            self._inner = zlib.decompressobj(self._window)
            return self._inflate(chunk, most)


def _find_unpacker(encoding: str) -> _Unpacker | None:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _Unpacker(zlib.MAX_WBITS | 16)
        case "deflate":
            return _Unpacker(zlib.MAX_WBITS)
        case other:
            raise TransportFailed(f"its body is packed as {other[:40]!r}, which was not asked for")


def _split_credentials(location: str) -> tuple[str, dict[bytes | str, bytes | str]]:
    """The URL without user name and password, and the header that says them, if there are any."""
    userinfo, at, _ = urlsplit(location).netloc.rpartition("@")
    if not at:
        return location, {}
    name, _, password = userinfo.partition(":")
    pair = f"{unquote(name)}:{unquote(password)}".encode()
    return location.replace(f"{userinfo}@", "", 1), {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _read_headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:
        headers.setdefault(name.decode("latin-1").lower(), _read_value(value))
    return headers


def _read_value(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _explain(error: Exception) -> str:
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    return str(error) or type(error).__name__
