"""A model server on 127.0.0.1 that answers from a script, over real HTTP, in both wire formats."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import responses
from types import TracebackType
from typing import Any, Self

from a3s_code.kernel.messages import Reply
from a3s_code.providers.endpoint import Api, ModelEndpoint
from a3s_code.providers.scripted import ScriptItem, as_reply
from a3s_code.providers.wire import dumps, loads
from a3s_code.testing import answers
from a3s_code.testing.validation import violations

Chunking = int | Sequence[int] | random.Random | None
SSE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class LoopbackRequest:
    """One request as it arrived, header names in lower case. `gone` is set when its client left before the end."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    gone: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @property
    def json(self) -> Any:
        return loads(self.body)

    @property
    def api(self) -> Api | None:
        path = self.path.partition("?")[0]
        return "openai" if path.endswith("/chat/completions") else "anthropic" if path.endswith("/messages") else None


@dataclass(frozen=True, slots=True)
class Canned:
    """A raw response. `delay` seconds pass before it; a status of None sends nothing at all.

    `body` goes out with its length. `chunks`, where given, go out one by one instead, a number among them being a pause
    in seconds. With `cut` the connection breaks before the end of the body.
    """

    body: bytes = b""
    status: int | None = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    chunks: Sequence[bytes | float] | None = None
    delay: float = 0.0
    cut: bool = False

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Canned:
        """A JSON body; underscores in header names stand for hyphens."""
        return cls(dumps(value), status, headers={name.replace("_", "-"): text for name, text in headers.items()})

    @classmethod
    def sse(cls, *chunks: bytes | float, cut: bool = False) -> Canned:
        """A stream of these raw pieces."""
        return cls(content_type=SSE, chunks=chunks, cut=cut)


@dataclass(frozen=True, slots=True)
class Raw:
    """A response byte by byte, the head of HTTP included; a number among the pieces is a pause in seconds.

    Then the connection closes, with `reset` as that of a process that dies; with `keep` it stays open.
    """

    pieces: Sequence[bytes | float]
    reset: bool = False
    keep: bool = False


Response = Canned | Raw
Answering = Response | ScriptItem
Script = Iterable[Answering] | Callable[[LoopbackRequest], Answering]


class LoopbackServer:
    """Serves a script from a thread of its own while the `with` block lasts.

    The script is a list of answers, one a request, or a function that gives one for each request. An answer is what
    ScriptedModel takes, sent whole or streamed as the request asks, or a Canned response. `chunking` cuts streamed
    bodies: into pieces of one size, of these sizes in turn, or of sizes that a seeded random.Random draws.

    A request that a real provider would refuse is refused with status 400, kept in `violations`, and uses up no answer,
    unless `strict` is False.
    """

    def __init__(self, script: Script = (), *, chunking: Chunking = None, strict: bool = True) -> None:
        self._answer: Callable[[LoopbackRequest], Answering] = script if callable(script) else _in_order(list(script))
        self._chunking = chunking
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="a3s-loopback", daemon=True)
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._strict = strict
        self.requests: list[LoopbackRequest] = []
        self.violations: list[str] = []
        self.root_url = ""

    @property
    def base_url(self) -> str:
        """The base URL for both wire formats."""
        return f"{self.root_url}/v1"

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def drop_connections(self) -> None:
        """Close every connection, as a server does that restarts."""
        self._loop.call_soon_threadsafe(self._drop)

    def endpoint(self, api: Api = "openai", **fields: Any) -> ModelEndpoint:
        """An endpoint that points here; `fields` are those of ModelEndpoint."""
        return ModelEndpoint(
            **{"provider": "loopback", "model": "test", "api": api, "base_url": self.base_url, **fields}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        self.root_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        sending = [connection.sending for connection in self._connections if connection.sending is not None]
        self._drop()
        # A dropped connection cancels what it is sending, in the next turn of the loop.
        await asyncio.sleep(0)
        await asyncio.gather(*sending, return_exceptions=True)

    def _drop(self) -> None:
        for connection in list(self._connections):
            connection.drop()

    def respond(self, request: LoopbackRequest) -> Response:
        """The response to `request`, which is recorded."""
        self.requests.append(request)
        if request.api is None or request.method != "POST":
            return _refusal(404, f"nothing is served at {request.method} {request.path}")
        if self._strict and (found := violations(request.api, request.body)):
            self.violations += (f"request {request.number}: {fault}" for fault in found)
            return _refusal(400, "; ".join(found))
        answer: Any = self._answer(request)
        while callable(answer):
            answer = answer(request)
        if isinstance(answer, Canned | Raw):
            return answer
        return self.answer(request, as_reply(answer, request, len(request.body), "loopback/test"))

    def answer(self, request: LoopbackRequest, reply: Reply) -> Response:
        """`reply` as a response to `request`, whole or streamed as it asks."""
        assert request.api is not None
        if not request.json.get("stream"):
            return Canned(answers.whole(reply, request.api, request.number))
        body = answers.streamed(reply, request.api, request.number)
        return Canned(content_type=SSE, chunks=_cut(body, self._chunking))


class _Connection(asyncio.Protocol):
    """One connection, kept alive; requests on it are answered one after the other."""

    def __init__(self, server: LoopbackServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport
        self._waiting: deque[tuple[str, str, Mapping[str, str], bytes]] = deque()
        self.sending: asyncio.Task[None] | None = None
        self._current: LoopbackRequest | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._connections.discard(self)
        if self.sending is not None:
            self.sending.cancel()
        if self._current is not None:
            self._current.gone.set()

    def drop(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._next()) is not None:
            self._waiting.append(request)
        self._answer_next()

    def _next(self) -> tuple[str, str, Mapping[str, str], bytes] | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0"))
        if len(self._buffer) < end + 4 + size:
            return None
        method, path, _ = first.split(" ", 2)
        body = bytes(self._buffer[end + 4 : end + 4 + size])
        del self._buffer[: end + 4 + size]
        return method, path, headers, body

    def _answer_next(self) -> None:
        while self._waiting and self.sending is None:
            self._current = request = LoopbackRequest(len(self._server.requests) + 1, *self._waiting.popleft())
            try:
                response = self._server.respond(request)
            except Exception as error:  # noqa: BLE001 - a script's own exception must reach the test, as an answer
                response = _refusal(400, f"the script raised {type(error).__name__}: {error}")
            if _is_slow(response):
                self.sending = asyncio.get_running_loop().create_task(self._send_slowly(response))
                return
            for piece in _pieces(response):
                assert isinstance(piece, bytes)
                if self._transport.is_closing():
                    return
                self._transport.write(piece)
            self._sent(response)

    async def _send_slowly(self, response: Response) -> None:
        await asyncio.sleep(response.delay if isinstance(response, Canned) else 0)
        for piece in _pieces(response):
            if self._transport.is_closing():
                return
            if isinstance(piece, bytes):
                self._transport.write(piece)
            else:
                await asyncio.sleep(piece)
        self.sending = None
        self._sent(response)
        self._answer_next()

    def _sent(self, response: Response) -> None:
        self._current = None
        if isinstance(response, Canned):
            if response.cut or response.status is None:
                self._transport.close()
        elif response.reset:
            connected: socket.socket = self._transport.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        elif not response.keep:
            self._transport.close()


def _is_slow(response: Response) -> bool:
    if isinstance(response, Canned) and response.delay:
        return True
    pieces = (response.chunks or ()) if isinstance(response, Canned) else response.pieces
    return any(isinstance(piece, float | int) for piece in pieces)


def _pieces(response: Response) -> Iterator[bytes | float]:
    if isinstance(response, Raw):
        yield from response.pieces
        return
    if response.status is None:
        return
    head = [f"HTTP/1.1 {response.status} {responses.get(response.status, 'Unknown')}"]
    if response.content_type:
        head.append(f"content-type: {response.content_type}")
    head += [f"{name}: {value}" for name, value in response.headers.items()]
    if response.chunks is None:
        head.append(f"content-length: {len(response.body) + (1 if response.cut else 0)}")
        yield "\r\n".join((*head, "", "")).encode("latin-1") + response.body
        return
    head.append("transfer-encoding: chunked")
    yield "\r\n".join((*head, "", "")).encode("latin-1")
    for chunk in response.chunks:
        yield b"%x\r\n%s\r\n" % (len(chunk), chunk) if isinstance(chunk, bytes) else chunk
    if not response.cut:
        yield b"0\r\n\r\n"


def _cut(body: bytes, chunking: Chunking) -> Sequence[bytes]:
    if chunking is None:
        return [body]
    pieces: list[bytes] = []
    at = turn = 0
    while at < len(body):
        if isinstance(chunking, int):
            size = chunking
        elif isinstance(chunking, random.Random):
            size = chunking.randint(1, 40)
        else:
            size = chunking[turn % len(chunking)]
        pieces.append(body[at : at + size])
        at += size
        turn += 1
    return pieces


def _in_order(items: list[Answering]) -> Callable[[LoopbackRequest], Answering]:
    rest = iter(items)

    def answer(request: LoopbackRequest) -> Answering:
        for item in rest:
            return item
        return _refusal(400, f"the script has no answer for request {request.number}; it holds {len(items)}")

    return answer


def _refusal(status: int, message: str) -> Canned:
    return Canned.json({"type": "error", "error": {"type": "invalid_request_error", "message": message}}, status)
