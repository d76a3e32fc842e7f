from __future__ import annotations

import http.client
import json
import random
import socket
import struct
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import Message, Reply, Text, ToolCall
from a3s_code.testing import Canned, LoopbackRequest, LoopbackServer

PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}


def serving(script: Any = (), **fields: Any) -> LoopbackServer:
    """A server that minds nothing in a request, for these are about its answers."""
    return LoopbackServer(script, strict=False, **fields)


def post(server: LoopbackServer, path: str, body: Any, **headers: str) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.base_url).port, timeout=5)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.headers["content-type"], response.read()
    finally:
        connection.close()


def connected(server: LoopbackServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(server.base_url).port or 0), timeout=5)


def test_the_stream_flag_decides_how_an_answer_is_sent() -> None:
    with serving(["hello", "hello"]) as server:
        status, kind, body = post(server, PATHS["openai"], {"stream": False})
        assert (status, kind) == (200, "application/json")
        assert json.loads(body)["choices"][0]["message"]["content"] == "hello"
        status, kind, body = post(server, PATHS["openai"], {"stream": True})
        assert (status, kind) == (200, "text/event-stream")
        assert body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("path", ["/v1/messages", "/messages", "/some/base/v1/messages?beta=1"])
def test_messages_are_served_under_any_base(path: str) -> None:
    with serving([["text", ToolCall("t", "read", {"path": "a"})]]) as server:
        body = json.loads(post(server, path, {})[2])
        assert server.requests[0].api == "anthropic"
    assert [block["type"] for block in body["content"]] == ["text", "tool_use"]
    assert body["stop_reason"] == "tool_use"
    assert body["content"][1]["input"] == {"path": "a"}


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completions", "/api/paas/v4/chat/completions"])
def test_completions_are_served_under_any_base(path: str) -> None:
    with serving([ToolCall("t", "read", {}, malformed='{"path')]) as server:
        body = json.loads(post(server, path, {})[2])
    (call,) = body["choices"][0]["message"]["tool_calls"]
    assert call["function"]["arguments"] == '{"path'
    assert body["choices"][0]["finish_reason"] == "tool_calls"


def test_a_reply_keeps_its_stop_and_usage() -> None:
    reply = Reply(Message("assistant", (Text("x"),)), "length", Usage(1, 2, 3, 4))
    with serving([reply, reply]) as server:
        message = json.loads(post(server, PATHS["anthropic"], {})[2])
        completion = json.loads(post(server, PATHS["openai"], {})[2])
    assert message["stop_reason"] == "max_tokens"
    assert message["usage"]["cache_read_input_tokens"] == 3
    assert completion["choices"][0]["finish_reason"] == "length"
    assert completion["usage"]["prompt_tokens"] == 8


def test_requests_are_recorded_as_they_came() -> None:
    with serving(["a", "b"]) as server:
        post(server, PATHS["openai"], {"n": 1}, **{"X-Team": "7"})
        post(server, PATHS["openai"], {"n": 2})
        first, second = server.requests
    assert (first.number, first.path, first.headers["x-team"], first.json) == (1, PATHS["openai"], "7", {"n": 1})
    assert (second.number, second.body) == (2, b'{"n": 2}')


def test_a_function_answers_by_the_request() -> None:
    def answer(request: LoopbackRequest) -> str:
        return f"{request.number}: {request.json['n']}"

    with serving(answer) as server:
        bodies = [json.loads(post(server, PATHS["openai"], {"n": n})[2]) for n in (7, 8)]
    assert [body["choices"][0]["message"]["content"] for body in bodies] == ["1: 7", "2: 8"]


def test_a_script_that_is_used_up_or_raises_answers_so() -> None:
    def fail(request: LoopbackRequest) -> str:
        raise ValueError("oh no")

    with serving([fail]) as server:
        status, _, body = post(server, PATHS["openai"], {})
        assert (status, "oh no" in body.decode()) == (400, True)
        status, _, body = post(server, PATHS["openai"], {})
        assert status == 400
        assert "no answer for request 2; it holds 1" in body.decode()


def test_other_paths_are_not_found() -> None:
    with serving(["unused"]) as server:
        assert post(server, "/v1/models", {})[0] == 404


def test_a_canned_answer_goes_out_as_it_is() -> None:
    canned = Canned.json({"error": "x"}, 418, retry_after="7")
    with serving([canned]) as server:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.base_url).port)
        connection.request("POST", PATHS["openai"], "{}")
        response = connection.getresponse()
        assert (response.status, response.headers["retry-after"], response.read()) == (418, "7", b'{"error":"x"}')
        connection.close()


def test_a_pause_between_chunks_is_kept() -> None:
    with serving([Canned.sse(b"data: 1\n\n", 0.2, b"data: 2\n\n")]) as server:
        begun = time.monotonic()
        assert post(server, PATHS["openai"], {})[2] == b"data: 1\n\ndata: 2\n\n"
        assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize("canned", [Canned(b"half", cut=True), Canned.sse(b"half", cut=True)])
def test_a_cut_answer_breaks_before_its_end(canned: Canned) -> None:
    with serving([canned]) as server, pytest.raises(http.client.IncompleteRead):
        post(server, PATHS["openai"], {})


def test_no_answer_at_all_closes_the_connection() -> None:
    with serving([Canned(status=None)]) as server, pytest.raises(http.client.RemoteDisconnected):
        post(server, PATHS["openai"], {})


@pytest.mark.parametrize("chunking", [1, 7, [3, 50], random.Random(5)])
def test_chunking_cuts_a_stream_and_keeps_its_bytes(chunking: Any) -> None:
    with serving(["hello ä🙂"]) as whole, serving(["hello ä🙂"], chunking=chunking) as cut:
        expected = post(whole, PATHS["anthropic"], {"stream": True})[2]
        with connected(cut) as raw:
            raw.sendall(b'POST /v1/messages HTTP/1.1\r\ncontent-length: 16\r\n\r\n{"stream": true}')
            received = b""
            while not received.endswith(b"\r\n0\r\n\r\n"):
                received += raw.recv(65536)
    pieces = received.partition(b"\r\n\r\n")[2]
    body, sizes = b"", []
    while pieces:
        size, _, pieces = pieces.partition(b"\r\n")
        sizes.append(int(size, 16))
        body, pieces = body + pieces[: sizes[-1]], pieces[sizes[-1] + 2 :]
    assert body == expected
    assert len(sizes) > 10


def test_requests_sent_together_are_answered_in_order() -> None:
    script = ["one", Canned(delay=0.05, body=b"two"), "three"]
    with serving(script) as server, connected(server) as raw:
        raw.sendall(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}" * 3)
        received = b""
        while b"three" not in received:
            received += raw.recv(65536)
    assert received.index(b"one") < received.index(b"two") < received.index(b"three")


def test_a_client_that_is_gone_gets_no_further_piece(caplog: pytest.LogCaptureFixture) -> None:
    left = threading.Event()

    def answer(request: LoopbackRequest) -> str:
        left.wait(5)
        return "a long answer " * 100

    with serving(answer, chunking=10) as server:
        with connected(server) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.sendall(b'POST /v1/messages HTTP/1.1\r\ncontent-length: 16\r\n\r\n{"stream": true}')
            while not server.requests:
                time.sleep(0.005)
        left.set()
        assert server.requests[0].gone.wait(2)
    assert caplog.messages == []


def test_it_is_fast_enough_for_benchmarks() -> None:
    with serving(lambda request: "ok") as server:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.base_url).port)
        begun = time.perf_counter()
        for _ in range(300):
            connection.request("POST", PATHS["openai"], b"{}")
            connection.getresponse().read()
        assert time.perf_counter() - begun < 3
        connection.close()
