"""The scripted model server, in a process of its own so that its work counts for nobody.

    python -m benchmarks.server      prints its port; ends when its standard input closes

It speaks Chat Completions and Messages, plain and streamed, keeps no conversation, and answers from the request alone.
The model's name is the script: `t10-d8` asks for `read` of one file after the other until the request holds nine
results, and answers in eight pieces then. The answer repeats the `ticket-...` of the prompt, so that mixed-up
conversations show. GET /seen tells what has arrived since it was last asked.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

Wire = Literal["openai", "anthropic"]
Call = tuple[str, str] | None
Reply = tuple[dict[str, Any], list[bytes]]

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = re.compile(rb'"model":\s*"(?:[^"]*/)?t(\d+)-d(\d+)"')
STREAMED = re.compile(rb'"stream":\s*true')
TICKET = re.compile(rb"ticket-[0-9a-z]+")
RESULTS: dict[Wire, re.Pattern[bytes]] = {
    "openai": re.compile(rb'"tool_call_id":'),
    "anthropic": re.compile(rb'"tool_use_id":'),
}
TOKENS = 1000
LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)


def model_name(turns: int, pieces: int) -> str:
    """The model that asks for `turns - 1` files, one a turn, and answers with `pieces` pieces of text."""
    return f"t{turns}-d{pieces}"


def file_name(index: int) -> str:
    """The file that the model asks for after `index` results."""
    return f"notes-{index:04d}.txt"


def answer_to(prompt: str) -> str:
    """How the answer to a prompt begins."""
    found = TICKET.search(prompt.encode())
    return f"Done with {found.group().decode() if found else 'it'}."


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server got since it was last asked: requests, bytes of their bodies, the first and the last of them.

    `kept` counts the requests that begin with all bytes of the one before, but for the brackets at its end.
    """

    requests: int
    size: int
    kept: int
    first: dict[str, Any]
    last: dict[str, Any]


class ScriptedServer:
    """The server's process, for as long as the context lasts."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def seen(self) -> Seen:
        """What arrived since the last call."""
        with urllib.request.urlopen(f"{self.url}/seen") as response:
            return Seen(**json.load(response))


class _Log:
    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.bodies = (b"{}", b"{}")
        self.requests = 0
        self.size = 0
        self.kept = 0

    def add(self, body: bytes) -> None:
        first, last = self.bodies
        self.kept += self.requests > 0 and body.startswith(last[:-2])
        self.bodies = (first if self.requests else body, body)
        self.requests += 1
        self.size += len(body)

    def take(self) -> bytes:
        first, last = self.bodies
        told = b'{"requests":%d,"size":%d,"kept":%d,"first":%b,"last":%b}'
        told %= (self.requests, self.size, self.kept, first, last)
        self._forget()
        return told


class _Connection(asyncio.Protocol):
    def __init__(self, log: _Log) -> None:
        self._log = log
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            length = int(found.group(1)) if (found := LENGTH.search(head)) else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            self._transport.write(self._respond(head.split(b" ", 2)[1].decode(), body))

    def _respond(self, path: str, body: bytes) -> bytes:
        if path == "/seen":
            return _plain(self._log.take())
        self._log.add(body)
        wire: Wire = "anthropic" if path.endswith("/messages") else "openai"
        script = SCRIPT.search(body)
        assert script is not None, "the model's name is no script"
        turns, pieces = int(script.group(1)), int(script.group(2))
        results = len(RESULTS[wire].findall(body))
        streamed = STREAMED.search(body) is not None
        if results + 1 < turns:
            return _request_for(wire, streamed, results)
        return _answer(wire, streamed, answer_to(body.decode()), pieces)


@lru_cache(1024)
def _request_for(wire: Wire, streamed: bool, index: int) -> bytes:
    name = file_name(index)
    said = [f"Reading {name}", " for", " what it", " says."]
    return _spelled(wire, streamed, said, (f"call_{index:04d}", name))


@lru_cache(256)
def _answer(wire: Wire, streamed: bool, text: str, pieces: int) -> bytes:
    return _spelled(wire, streamed, [text, *(" word" for _ in range(pieces - 1))], None)


def _spelled(wire: Wire, streamed: bool, said: list[str], call: Call) -> bytes:
    whole, events = (_openai if wire == "openai" else _anthropic)(said, call)
    return _streamed(events) if streamed else _plain(json.dumps(whole).encode())


def _plain(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def _streamed(events: list[bytes]) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events) + b"0\r\n\r\n"


def _openai(said: list[str], call: Call) -> Reply:
    usage = {"prompt_tokens": TOKENS, "completion_tokens": len(said), "total_tokens": TOKENS + len(said)}
    stop = "tool_calls" if call else "stop"
    head = {"id": "chatcmpl-1", "created": 1, "model": "scripted"}
    message: dict[str, Any] = {"role": "assistant", "content": "".join(said)}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in said)]
    if call is not None:
        arguments = json.dumps({"file_path": call[1]})
        function = {"name": "read", "arguments": arguments}
        message["tool_calls"] = [{"id": call[0], "type": "function", "function": function}]
        opening: dict[str, Any] = {
            "index": 0,
            "id": call[0],
            "type": "function",
            "function": {"name": "read", "arguments": ""},
        }
        deltas.append({"tool_calls": [opening]})
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in _halves(arguments)]
    choices: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": stop})
    chunk: dict[str, Any] = {**head, "object": "chat.completion.chunk"}
    chunks = [*({**chunk, "choices": [choice]} for choice in choices), {**chunk, "choices": [], "usage": usage}]
    whole = {"index": 0, "message": message, "finish_reason": stop}
    events = [b"data: %b\n\n" % json.dumps(item).encode() for item in chunks]
    return {**head, "object": "chat.completion", "choices": [whole], "usage": usage}, [*events, b"data: [DONE]\n\n"]


def _anthropic(said: list[str], call: Call) -> Reply:
    usage = {"input_tokens": TOKENS, "output_tokens": len(said)}
    stop = "tool_use" if call else "end_turn"
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted", "stop_sequence": None}
    content: list[dict[str, Any]] = [{"type": "text", "text": "".join(said)}]
    started: dict[str, Any] = {**head, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": started}]
    events += _block(0, {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in said])
    if call is not None:
        block = {"type": "tool_use", "id": call[0], "name": "read"}
        content.append({**block, "input": {"file_path": call[1]}})
        parts = _halves(json.dumps({"file_path": call[1]}))
        events += _block(1, {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": p} for p in parts])
    stopped = {"stop_reason": stop, "stop_sequence": None}
    events += [{"type": "message_delta", "delta": stopped, "usage": usage}, {"type": "message_stop"}]
    lines = [b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in events]
    return {**head, "content": content, "stop_reason": stop, "usage": usage}, lines


def _block(index: int, start: dict[str, Any], deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _halves(text: str) -> tuple[str, str]:
    middle = len(text) // 2
    return text[:middle], text[middle:]


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    log = _Log()
    server = await loop.create_server(lambda: _Connection(log), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
