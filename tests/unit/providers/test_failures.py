from __future__ import annotations

import asyncio
import gzip
import json
import math
import socket
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest

from a3s_code.errors import (
    ConfigError,
    ContextOverflow,
    ModelAuthError,
    ModelError,
    ModelProtocolError,
    ModelRateLimit,
    ModelRequestError,
    ModelTimeout,
    ModelUnavailable,
)
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Message, TextDelta
from a3s_code.kernel.ports import Prompt
from a3s_code.providers import failures
from a3s_code.providers.clients import REPORT_BYTES, read_report
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.registry import create_model
from a3s_code.testing import Canned, LoopbackServer

KEY = "sk-very-secret-key-123"
APIS = pytest.mark.parametrize("api", ["anthropic", "openai"])
TEXT = {
    "anthropic": b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"half"}}\n\n',
    "openai": b'data: {"choices":[{"delta":{"content":"half"}}]}\n\n',
}


async def failing(ask: Any, api: str, answer: Any, **fields: Any) -> tuple[ModelError, int]:
    """The error that `answer` leads to, and how many requests were made."""
    with LoopbackServer([answer, "a second request would find this"]) as server:
        with pytest.raises(ModelError) as caught:
            await ask(server.endpoint(api, api_key=KEY, **fields))
        assert KEY not in str(caught.value) + repr(caught.value)
        assert caught.value.provider == "loopback"
        return caught.value, len(server.requests)


def error(kind: str, message: str, status: int, **headers: str) -> Canned:
    return Canned.json({"type": "error", "error": {"type": kind, "message": message}}, status, **headers)


@APIS
@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, ModelRequestError, False),
        (401, ModelAuthError, False),
        (402, ModelRateLimit, False),
        (403, ModelAuthError, False),
        (404, ModelRequestError, False),
        (408, ModelUnavailable, True),
        (409, ModelUnavailable, True),
        (413, ContextOverflow, False),
        (422, ModelRequestError, False),
        (429, ModelRateLimit, True),
        (500, ModelUnavailable, True),
        (502, ModelUnavailable, True),
        (503, ModelUnavailable, True),
        (529, ModelUnavailable, True),
    ],
)
async def test_each_status_is_an_error_of_ours_after_one_request(
    api: str, status: int, kind: type[ModelError], retryable: bool, ask: Any
) -> None:
    name = "request_id" if api == "anthropic" else "x_request_id"
    failed, requests = await failing(ask, api, error("some_error", "because", status, **{name: "req_7"}))
    assert type(failed) is kind
    assert (failed.status, failed.request_id, failed.retryable) == (status, "req_7", retryable)
    assert "because" in str(failed)
    assert requests == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "LOOPBACK_API_KEY"), (403, "no right"), (404, "model name 'test'"), (413, "compact"), (307, "base_url")],
)
async def test_an_error_says_what_to_do(status: int, words: str, ask: Any) -> None:
    failed, _ = await failing(ask, "openai", error("e", "m", status, location="https://elsewhere/v1"))
    assert words in (failed.hint or "")


async def test_a_redirect_is_not_followed_and_told(ask: Any) -> None:
    failed, requests = await failing(ask, "openai", Canned(status=308, headers={"location": "https://elsewhere/v1"}))
    assert isinstance(failed, ModelRequestError)
    assert "https://elsewhere/v1" in str(failed)
    assert requests == 1


async def test_an_answer_without_an_address_is_no_redirect(ask: Any) -> None:
    failed, _ = await failing(ask, "openai", Canned(status=304))
    assert failed.message.endswith("answered 304")
    assert failed.hint is None


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "This model's maximum context length is 8192 tokens.",
        "the request exceeds the available context size, try increasing it",
        "Input tokens exceed the model's context window",
        "too many images: at most 100",
    ],
)
async def test_a_request_too_long_for_the_model_is_known_as_such(message: str, ask: Any) -> None:
    for status in (400, 413, 422):
        failed, requests = await failing(ask, "openai", error("invalid_request_error", message, status))
        assert type(failed) is ContextOverflow
        assert not failed.retryable
        assert failed.status == status
        assert "compact" in (failed.hint or "")
        assert requests == 1
    other, _ = await failing(ask, "openai", error("invalid_request_error", "unknown field", 400))
    assert type(other) is ModelRequestError


@APIS
async def test_a_request_too_long_is_known_in_a_stream_as_well(api: str, ask: Any) -> None:
    said = {"error": {"type": "invalid_request_error", "code": "context_length_exceeded", "message": "too long"}}
    streamed = Canned.sse(b"event: error\ndata: " + json.dumps(said).encode() + b"\n\n")
    failed, _ = await failing(ask, api, streamed)
    assert type(failed) is ContextOverflow


@pytest.mark.parametrize("status", [400, 404, 405, 422])
async def test_a_request_that_is_refused_for_another_reason_is_no_overflow(status: int, ask: Any) -> None:
    failed, _ = await failing(ask, "openai", error("invalid_request_error", "no", status))
    assert type(failed) is ModelRequestError
    assert not failed.retryable


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}},
        {"error": {"type": "exceeded_current_quota_error", "message": "suspended"}},
        {"type": "error", "error": {"type": "billing_error", "message": "pay"}},
        {"error": {"message": "Your credit balance is too low"}},
    ],
)
async def test_an_exhausted_quota_is_not_worth_a_retry(body: Any, ask: Any) -> None:
    failed, requests = await failing(ask, "openai", Canned.json(body, 429))
    assert isinstance(failed, ModelRateLimit)
    assert not failed.retryable
    assert "quota" in (failed.hint or "")
    assert requests == 1


@pytest.mark.parametrize(
    "message",
    [
        "Rate limit reached for m on requests per min. Increase it at https://platform.openai.com/account/billing.",
        "You exceeded your current quota, please check your plan and billing details. Please retry in 23.5s.",
    ],
)
async def test_a_limit_that_is_renewed_soon_is_worth_a_retry(message: str, ask: Any) -> None:
    failed, _ = await failing(ask, "openai", Canned.json({"error": {"message": message}}, 429))
    assert isinstance(failed, ModelRateLimit)
    assert failed.retryable


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({}, None),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:30 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 99999999999999999999 07:27:30 GMT"}, None),
        ({"retry-after": "nan"}, 0.0),
        ({"retry-after": "1e999"}, math.inf),
    ],
)
def test_retry_after_is_read_in_each_of_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert failures.retry_after(headers, datetime(2026, 10, 21, 7, 28, tzinfo=UTC)) == seconds


async def test_retry_after_stands_in_the_error(ask: Any) -> None:
    failed, _ = await failing(ask, "anthropic", error("rate_limit_error", "slow down", 429, retry_after="7"))
    assert isinstance(failed, ModelRateLimit)
    assert failed.retry_after == 7.0
    later = format_datetime(datetime.fromtimestamp(time.time() + 60, UTC), usegmt=True)
    dated, _ = await failing(ask, "openai", error("rate_limit_error", "slow down", 429, retry_after=later))
    assert isinstance(dated, ModelRateLimit)
    assert 50 < (dated.retry_after or 0) <= 60


@pytest.mark.parametrize("status", [408, 409, 500, 503, 529])
async def test_retry_after_stands_in_the_error_of_a_provider_in_trouble(status: int, ask: Any) -> None:
    failed, _ = await failing(ask, "anthropic", error("overloaded_error", "busy", status, retry_after="11"))
    assert isinstance(failed, ModelUnavailable)
    assert failed.retry_after == 11.0
    plain, _ = await failing(ask, "openai", error("server_error", "busy", status))
    assert isinstance(plain, ModelUnavailable)
    assert plain.retry_after is None


@APIS
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", ModelUnavailable),
        ("rate_limit_error", ModelRateLimit),
        ("authentication_error", ModelAuthError),
        ("invalid_request_error", ModelRequestError),
        ("api_error", ModelUnavailable),
        ("strange_error", ModelProtocolError),
    ],
)
async def test_an_error_with_status_200_is_an_error(
    api: str, stream: bool, kind: str, expected: type[ModelError], ask: Any
) -> None:
    said = {"type": "error", "error": {"type": kind, "message": "because"}}
    streamed = Canned.sse(TEXT[api], b"event: error\ndata: " + json.dumps(said).encode() + b"\n\n")
    failed, _ = await failing(ask, api, streamed if stream else Canned.json(said))
    assert type(failed) is expected
    assert "because" in str(failed)


@APIS
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Canned(b"<html><body>Please log in</body></html>", content_type="text/html"), "Please log in"),
        (Canned(b"ok", content_type="text/plain"), "text/plain"),
        (Canned(b""), "empty body"),
        (Canned(b"{"), "not in the wire format"),
        (Canned(b"[]"), "not in the wire format"),
        (Canned(b"\xff\xfe"), "not in the wire format"),
        (Canned(b"{}"), "sent no"),
        (Canned.json({"content": "text", "choices": "text"}), ""),
        (Canned.json({"content": [7], "choices": [7]}), "not in the wire format"),
        (Canned.json({"content": [{"type": "text", "text": 7}], "choices": [{"message": {"content": 7}}]}), ""),
        (Canned(b'{"content": [', cut=True), "cut"),
        (Canned.sse(), "cut"),
        (Canned.sse(b"data: {\n\n"), "not in the wire format"),
        (Canned.sse(b"data: 7\n\n"), "not in the wire format"),
        (Canned.sse(b'event: content_block_delta\ndata: {"delta": 7, "choices": [7]}\n\n'), "not in the wire format"),
        (Canned.sse(b'data: {"a": "\xff"}\n\n'), "not in the wire format"),
        (Canned.sse(b"<html>busy</html>"), "cut"),
        (Canned.sse(b"data: {", cut=True), "cut"),
    ],
)
async def test_what_is_no_answer_is_never_taken_for_one(api: str, answer: Canned, words: str, ask: Any) -> None:
    failed, requests = await failing(ask, api, answer)
    assert isinstance(failed, ModelProtocolError)
    assert failed.retryable
    assert words in str(failed)
    assert requests == 1


@APIS
@pytest.mark.parametrize("cut", [True, False])
async def test_a_stream_that_breaks_off_is_an_error_after_its_text_was_shown(api: str, cut: bool) -> None:
    with LoopbackServer([Canned.sse(TEXT[api], cut=cut)]) as server:
        stream = create_model(server.endpoint(api), ModelSettings()).stream(Prompt("", [Message.user("hi")]))
        assert await anext(stream) == TextDelta("half")
        with pytest.raises(ModelProtocolError, match="cut its answer off"):
            await anext(stream)


@APIS
@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_is_complete_and_empty_is_a_reply(api: str, stream: bool, ask: Any) -> None:
    with LoopbackServer([[]]) as server:
        heard = await ask(server.endpoint(api, stream=stream))
    assert (heard.reply.message.parts, heard.reply.stop, heard.deltas) == ((), "end", [])


@APIS
async def test_an_empty_answer_that_gives_no_reason_for_its_end_is_an_error(api: str, ask: Any) -> None:
    failed, _ = await failing(ask, api, Canned.json({"content": [], "choices": [{"message": {"content": ""}}]}))
    assert isinstance(failed, ModelProtocolError)
    assert "empty reply" in str(failed)


async def test_a_server_that_is_not_there_is_named_with_its_address(ask: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        endpoint = ModelEndpoint("acme", "m", base_url=f"http://user:{KEY}@127.0.0.1:{port}/v1?key={KEY}", api_key=KEY)
        with pytest.raises(ModelUnavailable) as caught:
            await ask(endpoint)
    assert f"http://127.0.0.1:{port}/v1" in str(caught.value)
    assert "refused" in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.retryable


async def test_a_name_that_does_not_resolve_is_unavailable(ask: Any) -> None:
    endpoint = ModelEndpoint("acme", "m", base_url="http://no-such-host.invalid/v1", api_key=KEY)
    with pytest.raises(ModelUnavailable, match="no-such-host"):
        await ask(endpoint)


async def test_a_server_that_hangs_up_is_unavailable(ask: Any) -> None:
    failed, _ = await failing(ask, "openai", Canned(status=None))
    assert isinstance(failed, ModelUnavailable)


async def test_a_server_that_does_not_speak_http_is_a_protocol_error(ask: Any) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        endpoint = ModelEndpoint("acme", "m", base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(ModelProtocolError, match="does not answer in HTTP"):
            await ask(endpoint)


@APIS
@pytest.mark.parametrize(
    "answer",
    [
        Canned(delay=30),
        Canned.sse(30),
        Canned.sse(b": waiting\n\n", *[0.05, b": waiting\n\n"] * 100),
        Canned.sse(*[0.05, b'event: ping\ndata: {"type": "ping"}\n\n'] * 100),
        Canned(chunks=[30]),
    ],
    ids=["no response", "no event", "comments only", "pings only", "no body"],
)
async def test_no_first_token_in_time_is_a_timeout(api: str, answer: Canned, ask: Any) -> None:
    with LoopbackServer([answer]) as server:
        begun = time.monotonic()
        with pytest.raises(ModelTimeout, match=r"no first token for 0\.3 s") as caught:
            await ask(server.endpoint(api), settings=ModelSettings(timeout_ms=300))
        assert 0.25 < time.monotonic() - begun < 2
        assert caught.value.retryable
        assert server.base_url in str(caught.value)
        await asyncio.to_thread(server.requests[0].gone.wait, 2)
        assert server.requests[0].gone.is_set()


@APIS
async def test_silence_in_a_stream_is_a_timeout_however_long_it_went_before(api: str, ask: Any) -> None:
    slow = Canned.sse(*[TEXT[api], 0.15] * 5, 30)
    with LoopbackServer([slow]) as server:
        begun = time.monotonic()
        with pytest.raises(ModelTimeout, match="fell silent"):
            await ask(server.endpoint(api), settings=ModelSettings(timeout_ms=300))
        assert 0.8 < time.monotonic() - begun < 3


@pytest.mark.parametrize(
    "body",
    [Canned(b'{"error": "ov', status=529, cut=True), Canned(status=529, chunks=[b'{"error": "ov', 30])],
    ids=["cut", "never ending"],
)
async def test_an_error_whose_body_does_not_end_is_still_that_error(body: Canned, ask: Any) -> None:
    with LoopbackServer([body]) as server:
        begun = time.monotonic()
        with pytest.raises(ModelUnavailable, match="answered 529") as caught:
            await ask(server.endpoint(), settings=ModelSettings(timeout_ms=300))
        assert caught.value.status == 529
        assert time.monotonic() - begun < 2


async def test_of_an_endless_error_body_only_the_beginning_is_read(ask: Any) -> None:
    body = Canned(status=500, content_type="text/plain", chunks=[*[b"trouble and more trouble " * 4000] * 4, 30])
    with LoopbackServer([body]) as server:
        begun = time.monotonic()
        with pytest.raises(ModelUnavailable, match="trouble and more") as caught:
            await ask(server.endpoint())
        assert time.monotonic() - begun < 2
        assert len(str(caught.value)) < 1000
        assert await asyncio.to_thread(server.requests[0].gone.wait, 2)


async def test_a_report_is_cut_to_the_byte() -> None:
    whole = httpx2.Response(500, content=b"x" * 3 * REPORT_BYTES)
    assert await read_report(whole, 1) == "x" * REPORT_BYTES


def test_markup_without_end_costs_no_time() -> None:
    begun = time.process_time()
    for text in ("<script " * 8000, "<" * 64_000):
        failed = failures.from_status(ModelEndpoint("acme", "m"), 500, {}, text)
        assert failed.status == 500
    assert time.process_time() - begun < 0.5


async def test_a_small_error_body_that_unpacks_to_much_costs_no_time(ask: Any) -> None:
    packed = gzip.compress(gzip.compress(b"<script " * 5_000_000))
    bomb = Canned(packed, 500, "text/html", {"content-encoding": "gzip, gzip"})
    assert len(packed) < 1000
    begun = time.process_time()
    failed, _ = await failing(ask, "openai", bomb)
    assert failed.status == 500
    assert time.process_time() - begun < 2


async def test_an_error_in_another_encoding_is_understood(ask: Any) -> None:
    body = '{"error": {"code": "1113", "message": "余额不足"}}'.encode("gbk")
    failed, _ = await failing(ask, "openai", Canned(body, 429, "application/json; charset=gbk"))
    assert "余额不足" in str(failed)
    assert not failed.retryable
    unknown = Canned(b'{"error": {"message": "plain words"}}', 400, "application/json; charset=unheard-of")
    failed, _ = await failing(ask, "openai", unknown)
    assert failed.message.endswith("400: plain words")


@APIS
async def test_a_base_url_that_is_no_address_is_a_config_error(api: str, ask: Any) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        await ask(ModelEndpoint("acme", "m", api=api, base_url="http://\u2603.invalid", api_key="k"))


async def test_an_error_body_without_json_is_quoted_without_markup(ask: Any) -> None:
    page = Canned(b"<html><style>p{}</style><h1>502</h1>Bad gateway</html>", status=502, content_type="text/html")
    failed, _ = await failing(ask, "openai", page)
    assert failed.message.endswith("502: 502 Bad gateway")


async def test_a_key_that_a_server_repeats_is_covered(ask: Any) -> None:
    said = error("authentication_error", f"Incorrect API key provided: {KEY}.", 401)
    failed, _ = await failing(ask, "openai", said)
    assert "***" in str(failed)
    headers = {"Authorization": "Bearer other-secret-456"}
    other, _ = await failing(ask, "openai", error("e", "you sent Bearer other-secret-456", 401), headers=headers)
    assert "other-secret" not in str(other)


@APIS
async def test_a_slow_consumer_is_not_taken_for_a_silent_server(api: str) -> None:
    end = {
        "anthropic": b'data: {"type":"message_stop"}\n\n',
        "openai": b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
    }
    answer = Canned.sse(TEXT[api], 0.3, TEXT[api], 0.05, end[api])
    with LoopbackServer([answer]) as server:
        stream = create_model(server.endpoint(api), ModelSettings(timeout_ms=200)).stream(
            Prompt("", [Message.user("hi")])
        )
        heard = []
        async for piece in stream:
            heard.append(piece)
            await asyncio.sleep(0.35)
    assert [piece for piece in heard if isinstance(piece, TextDelta)] == [TextDelta("half")] * 2
