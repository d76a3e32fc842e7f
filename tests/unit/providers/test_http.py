from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from typing import Any

import pytest

from a3s_code.errors import ModelUnavailable
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Message, Reply, TextDelta
from a3s_code.kernel.ports import Prompt
from a3s_code.providers.clients import close_clients
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.patience import Patience
from a3s_code.providers.registry import create_model
from a3s_code.testing import Canned, LoopbackRequest, LoopbackServer

APIS = pytest.mark.parametrize("api", ["anthropic", "openai"])
PROMPT = Prompt("", [Message.user("hi")])


def echo(request: LoopbackRequest) -> str:
    """Answer with the last words of the prompt."""
    return f"You said {request.json['messages'][-1]['content']}, at some length, in many small pieces."


@APIS
async def test_the_key_goes_out_as_the_vendor_wants_it(api: str, ask: Any) -> None:
    with LoopbackServer(["ok", "ok", "ok"]) as server:
        await ask(server.endpoint(api, api_key="sk-key"))
        await ask(server.endpoint(api))
        await ask(server.endpoint(api, api_key="sk-key", headers={"Authorization": "Basic abc", "X-Team": "7"}))
        keyed, keyless, own = (request.headers for request in server.requests)
    assert keyed["authorization"] == "Bearer sk-key"
    assert keyed.get("x-api-key") == ("sk-key" if api == "anthropic" else None)
    assert not {"authorization", "x-api-key"} & keyless.keys()
    assert (own["authorization"], own["x-team"]) == ("Basic abc", "7")
    assert keyed["content-type"] == "application/json"


async def test_a_message_request_names_its_api_version(ask: Any) -> None:
    with LoopbackServer(["ok"]) as server:
        await ask(server.endpoint("anthropic"))
        assert server.requests[0].headers["anthropic-version"]
        assert server.requests[0].path == "/v1/messages"


@APIS
async def test_the_environment_of_the_sdks_has_no_effect(
    api: str, ask: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for vendor in ("ANTHROPIC", "OPENAI"):
        monkeypatch.setenv(f"{vendor}_API_KEY", "from-environment")
        monkeypatch.setenv(f"{vendor}_AUTH_TOKEN", "from-environment")
        monkeypatch.setenv(f"{vendor}_ADMIN_KEY", "from-environment")
        monkeypatch.setenv(f"{vendor}_BASE_URL", "http://from-environment.invalid")
        monkeypatch.setenv(f"{vendor}_CUSTOM_HEADERS", "X-Strange: from-environment\nAuthorization: from-environment")
        monkeypatch.setenv(f"{vendor}_ORG_ID", "from-environment")
        monkeypatch.setenv(f"{vendor}_PROJECT_ID", "from-environment")
        monkeypatch.setenv(f"{vendor}_PROFILE", "from-environment")
    monkeypatch.setenv("HTTP_PROXY", "http://from-environment.invalid:1")
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    with LoopbackServer(["ok", "ok"]) as server:
        await ask(server.endpoint(api, api_key="sk-key"))
        await ask(server.endpoint(api))
        for request in server.requests:
            assert "from-environment" not in str(dict(request.headers))
        assert "authorization" not in server.requests[1].headers


@APIS
async def test_each_request_has_the_same_headers_but_for_its_length(api: str, ask: Any) -> None:
    with LoopbackServer(echo) as server:
        await ask(server.endpoint(api, api_key="sk-key"), "short")
        await ask(server.endpoint(api, api_key="sk-key"), "rather longer")
        await ask(server.endpoint(api, api_key="sk-other"), "short")
    first, second, other = (dict(request.headers) for request in server.requests)
    lengths = [int(headers.pop("content-length")) for headers in (first, second, other)]
    assert lengths == [len(request.body) for request in server.requests]
    assert first == second
    assert {name for name in first if first[name] != other[name]} <= {"authorization", "x-api-key"}
    assert first["user-agent"].startswith("Async")
    assert first["host"] == server.base_url.split("/")[2]


@APIS
async def test_the_query_of_a_base_url_goes_along(api: str, ask: Any) -> None:
    with LoopbackServer(["ok"]) as server:
        await ask(ModelEndpoint("acme", "m", api=api, base_url=f"{server.base_url}?version=2%2B1", api_key="k"))
        assert server.requests[0].path.endswith("?version=2%2B1")


@APIS
@pytest.mark.parametrize("header", [{"Transfer-Encoding": "chunked"}, {"Content-Length": "7"}], ids=str)
async def test_a_header_of_the_user_cannot_spoil_the_length(api: str, header: dict[str, str], ask: Any) -> None:
    with LoopbackServer(["ok"]) as server:
        assert (await ask(server.endpoint(api, headers=header))).text == "ok"
        (request,) = server.requests
    assert request.headers["content-length"] == str(len(request.body))
    assert "transfer-encoding" not in request.headers


@APIS
async def test_an_empty_authorization_is_none(api: str, ask: Any) -> None:
    with LoopbackServer(["ok"]) as server:
        await ask(server.endpoint(api, headers={"Authorization": ""}))
        assert not server.requests[0].headers.get("authorization")


@APIS
async def test_the_http_client_logs_what_is_sent_and_nothing_else(
    api: str, ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with LoopbackServer(["ok"]) as server:
        await ask(server.endpoint(api))
        with pytest.raises(ModelUnavailable):
            await ask(ModelEndpoint("acme", "m", api=api, base_url="http://127.0.0.1:1/v1"))
        logged = [record.getMessage() for record in caplog.records if record.name == "httpx2"]
        assert len(logged) == 1
        assert server.base_url in logged[0]


async def test_a_call_that_is_over_leaves_no_timer(ask: Any) -> None:
    with LoopbackServer(["ok", "ok", Canned(status=500)]) as server:
        await ask(server.endpoint())
        await ask(server.endpoint(stream=False))
        with pytest.raises(ModelUnavailable):
            await ask(server.endpoint())
    gc.collect()
    assert [item for item in gc.get_objects() if isinstance(item, Patience)] == []


@APIS
async def test_a_cookie_that_a_server_gives_comes_back_to_it(api: str, ask: Any) -> None:
    given = Canned.json({"error": {"message": "once more"}}, 503, set_cookie="place=7; Path=/")
    with LoopbackServer([given, "ok"]) as server:
        with pytest.raises(ModelUnavailable, match="once more"):
            await ask(server.endpoint(api))
        await ask(server.endpoint(api))
        assert [request.headers.get("cookie") for request in server.requests] == [None, "place=7"]


@APIS
async def test_models_of_one_endpoint_share_a_connection(api: str, ask: Any) -> None:
    with LoopbackServer(echo) as server:
        for _ in range(5):
            await ask(server.endpoint(api, model="a"))
            await ask(server.endpoint(api, model="b", stream=False))
        assert server.open_connections == 1


@APIS
async def test_many_streams_at_once_do_not_mix(api: str, ask: Any) -> None:
    with LoopbackServer(echo, chunking=7) as server:
        model = create_model(server.endpoint(api), ModelSettings())
        heard = await asyncio.gather(*(ask(model, f"number {number}") for number in range(30)))
    for number, one in enumerate(heard):
        assert f"number {number}," in one.text
        assert one.text == one.reply.message.text


@APIS
def test_one_model_serves_loops_one_after_the_other_and_at_once(api: str, ask: Any) -> None:
    texts: list[str] = []
    with LoopbackServer(echo) as server:
        model = create_model(server.endpoint(api), ModelSettings())

        async def several(name: str) -> None:
            for number in range(5):
                texts.append((await ask(model, f"{name}{number}")).text)

        asyncio.run(several("first"))
        threads = [threading.Thread(target=lambda n=name: asyncio.run(several(n))) for name in ("second", "third")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(texts) == 15
        # A loop that has ended leaves no connection behind.
        asyncio.run(asyncio.sleep(0.05))
        assert server.open_connections == 0
    gc.collect()


async def test_clients_can_be_closed_and_open_again(ask: Any) -> None:
    with LoopbackServer(echo) as server:
        await ask(server.endpoint())
        await close_clients()
        await close_clients()
        await asyncio.sleep(0.05)
        assert server.open_connections == 0
        await ask(server.endpoint())
        assert server.open_connections == 1


@APIS
async def test_leaving_a_stream_closes_its_connection_at_once(api: str) -> None:
    endless = Canned.sse(*[piece(api, "word "), 0.01] * 3000)
    before = asyncio.all_tasks()
    with LoopbackServer([endless]) as server:
        stream = create_model(server.endpoint(api), ModelSettings()).stream(PROMPT)
        assert await anext(stream) == TextDelta("word ")
        await stream.aclose()
        assert await asyncio.to_thread(server.requests[0].gone.wait, 2)
        assert asyncio.all_tasks() == before


@APIS
@pytest.mark.parametrize("answer", ["streaming", "thinking"])
async def test_cancelling_a_call_closes_its_connection_at_once(api: str, answer: str, ask: Any) -> None:
    endless = Canned.sse(*[piece(api, "word "), 0.01] * 3000) if answer == "streaming" else Canned(delay=30)
    with LoopbackServer([endless]) as server:
        task = asyncio.ensure_future(ask(server.endpoint(api)))
        while not server.requests:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.requests[0].gone.wait, 2)


async def test_a_connection_that_the_server_closed_is_not_used_again(ask: Any) -> None:
    closing = Canned.json({"choices": [{"message": {"content": "bye"}, "finish_reason": "stop"}]})
    with LoopbackServer([closing, "hello again"]) as server:
        await ask(server.endpoint())
        server.drop_connections()
        await asyncio.sleep(0.05)
        assert (await ask(server.endpoint())).text == "hello again"


async def test_a_server_that_keeps_the_line_open_does_not_delay_the_reply(ask: Any) -> None:
    done = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    with LoopbackServer([Canned.sse(done, 30)]) as server:
        async with asyncio.timeout(2):
            assert (await ask(server.endpoint())).text == "x"


async def test_a_compressed_answer_is_read(ask: Any) -> None:
    import gzip

    body = b'{"choices":[{"message":{"content":"small"},"finish_reason":"stop"}]}'
    with LoopbackServer([Canned(gzip.compress(body), headers={"content-encoding": "gzip"})]) as server:
        assert (await ask(server.endpoint())).text == "small"


@APIS
async def test_one_frame_of_ours_stands_above_the_http_client(api: str, ask: Any) -> None:
    endpoint = ModelEndpoint("acme", "m", api=api, base_url="http://127.0.0.1:1/v1")
    with pytest.raises(ModelUnavailable) as caught:
        await ask(endpoint)
    cause = caught.value.__cause__
    assert cause is not None
    files = []
    frame = cause.__traceback__
    while frame is not None:
        files.append(frame.tb_frame.f_code.co_filename)
        frame = frame.tb_next
    ours = [file for file in files if "/a3s_code/" in file]
    assert len(ours) == 1
    assert ours[0].endswith("providers/model.py")


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.strip()


def test_no_sdk_is_imported_before_a_model_is_asked_or_warmed() -> None:
    script = """
import sys
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.registry import create_model, warm
create_model(ModelEndpoint("openai", "m", api_key="k"), ModelSettings())
create_model(ModelEndpoint("scripted", "m"), ModelSettings())
print({"openai", "anthropic", "httpx2", "pydantic"} & set(sys.modules))
"""
    assert run(script) == "set()"


def test_warming_imports_in_one_background_thread() -> None:
    script = """
import sys, threading
from a3s_code.providers.registry import warm
warm("openai"); warm("openai")
(thread,) = [t for t in threading.enumerate() if t.name.startswith("a3s-import")]
assert thread.daemon
thread.join()
warm("openai")
print("openai" in sys.modules, "anthropic" in sys.modules, threading.active_count())
"""
    assert run(script) == "True False 1"


def test_the_loop_goes_on_while_the_sdk_is_imported() -> None:
    script = """
import asyncio
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Message
from a3s_code.kernel.ports import Prompt
from a3s_code.providers.registry import create_model
from a3s_code.testing import LoopbackServer

async def main(server):
    ticks = 0
    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1
    ticking = asyncio.ensure_future(tick())
    pieces = [p async for p in create_model(server.endpoint(), ModelSettings()).stream(Prompt("", [Message.user("x")]))]
    ticking.cancel()
    print(ticks > 3, pieces[-1].message.text)

with LoopbackServer(["hello"]) as server:
    asyncio.run(main(server))
"""
    assert run(script) == "True hello"


def test_a_loop_that_ends_in_the_middle_of_a_stream_leaves_no_warning() -> None:
    script = """
import asyncio, gc
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Message
from a3s_code.kernel.ports import Prompt
from a3s_code.providers.registry import create_model
from a3s_code.testing import LoopbackServer

async def begin(server):
    stream = create_model(server.endpoint(), ModelSettings()).stream(Prompt("", [Message.user("x")]))
    print((await anext(stream)).text)

with LoopbackServer(["a long answer " * 1000], chunking=100) as server:
    asyncio.run(begin(server))
    gc.collect()
"""
    assert run(script) == "a long answer a"


def piece(api: str, text: str) -> bytes:
    if api == "openai":
        return b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % text.encode()
    return (
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"%s"}}\n\n'
        % text.encode()
    )


def test_replies_are_the_last_piece(ask: Any) -> None:
    async def main(server: LoopbackServer) -> list[Any]:
        return [piece async for piece in create_model(server.endpoint(), ModelSettings()).stream(PROMPT)]

    with LoopbackServer(echo) as server:
        pieces = asyncio.run(main(server))
    assert [isinstance(piece, Reply) for piece in pieces].count(True) == 1
    assert isinstance(pieces[-1], Reply)
