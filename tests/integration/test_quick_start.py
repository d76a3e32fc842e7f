"""The quick start and the run-tracking snippet as printed, over real HTTP in both wire formats."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code import Agent, AsyncAgent
from a3s_code.kernel.messages import ToolCall
from a3s_code.testing import LoopbackServer

QUICK_START = """\
from a3s_code import Agent
agent = Agent.create("agent.acl")
session = agent.session("/my-project")
result = session.send({
"prompt": "Find where authentication errors are handled and summarize the flow",
})
print(result.text)
"""

RUN_TRACKING = """\
runs = session.runs()
latest = runs[-1] if runs else None
if latest:
    print(session.run_snapshot(latest["id"]))
    print(session.run_events(latest["id"]))
    print(session.active_tools())
    session.cancel_run(latest["id"])
"""

CONFIG = {
    "anthropic": """\
default_model = "anthropic/claude-sonnet-4-20250514"
providers "anthropic" {{
apiKey = env("ANTHROPIC_API_KEY")
baseUrl = "{url}"
}}
""",
    "openai": """\
default_model = "openai/some-model"
providers "openai" {{
apiKey = env("OPENAI_API_KEY")
baseUrl = "{url}"
}}
""",
}

APIS = sorted(CONFIG)


def project(tmp_path: Path) -> Path:
    root = tmp_path / "my-project"
    root.mkdir()
    (root / "auth.py").write_text("class AuthError(Exception):\n    pass\n\n\ndef login():\n    raise AuthError\n")
    return root


def configured(api: str, server: LoopbackServer) -> str:
    """The configuration with a key written in it, so that a test needs no environment."""
    return CONFIG[api].format(url=server.base_url).replace(f'env("{api.upper()}_API_KEY")', '"key-for-the-test-123"')


def grep(call_id: str = "call_1") -> ToolCall:
    return ToolCall(call_id, "grep", {"pattern": "AuthError"})


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
def test_the_quick_start_runs_as_printed(api: str, stream: bool, tmp_path: Path) -> None:
    with LoopbackServer([["Let me look.", grep()], "Errors are raised in auth.py."]) as server:
        acl = CONFIG[api].format(url=server.base_url)
        if not stream:
            acl = acl.replace("}", "stream = false\n}")
        (tmp_path / "agent.acl").write_text(acl)
        script = QUICK_START.replace("/my-project", str(project(tmp_path))) + RUN_TRACKING
        environment = {**os.environ, "HOME": str(tmp_path), f"{api.upper()}_API_KEY": "key-for-the-test-123"}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        requests = server.requests
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "Errors are raised in auth.py."
    assert lines[1].startswith("RunSnapshot(id='run-")
    assert "status='completed'" in lines[1]
    assert "AgentEnd(" in lines[2]
    assert lines[3] == "[]"
    assert [request.api for request in requests] == [api, api]
    assert "auth.py:1:class AuthError" in requests[1].body.decode()
    assert "key-for-the-test-123" not in done.stdout


@pytest.mark.parametrize("api", APIS)
def test_the_config_needs_no_base_url_to_load_and_a_missing_key_is_named_at_the_first_call(
    api: str, tmp_path: Path
) -> None:
    acl = CONFIG[api].replace('baseUrl = "{url}"\n', "").replace("{{", "{").replace("}}", "}")
    script = f"""
        from a3s_code import Agent
        from a3s_code.errors import MissingCredential
        session = Agent.create({acl!r}).session({str(tmp_path)!r})
        assert session.ls().ok
        try:
            session.send("hello")
        except MissingCredential as error:
            print(error)
    """
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert f"{api.upper()}_API_KEY" in done.stdout


@pytest.mark.parametrize("api", APIS)
def test_the_first_request_spends_at_most_5000_bytes_on_system_and_tools(api: str, tmp_path: Path) -> None:
    with LoopbackServer(["hi"]) as server, Agent.create(configured(api, server)) as agent:
        agent.session(tmp_path).send("hello")
        body = server.requests[0].json
    tools = json.dumps(body["tools"], separators=(",", ":"))
    system = body["system"] if api == "anthropic" else body["messages"][0]["content"]
    spent = len(tools.encode()) + len(json.dumps(system, separators=(",", ":")).encode())
    print(f"system + tools, {api}: {spent} bytes")
    assert spent <= 5_000


@pytest.mark.parametrize("api", APIS)
def test_the_prefix_of_a_request_is_byte_stable_over_a_session(api: str, tmp_path: Path) -> None:
    replies = [item for number in range(10) for item in ([grep(f"c{number}")], f"answer {number}")]
    with LoopbackServer(replies) as server, Agent.create(configured(api, server)) as agent:
        session = agent.session(project(tmp_path))
        for number in range(10):
            session.send(f"question {number}")
        bodies = [request.body for request in server.requests]
    assert len(bodies) == 20
    for before, after in itertools.pairwise(bodies):
        closing = before[before.rindex(b'"') + 1 :]
        assert set(closing) <= set(b"]}")
        assert after.startswith(before.removesuffix(closing))


@pytest.mark.parametrize("api", APIS)
async def test_a_hundred_sessions_of_ten_turns_end_with_a_hundred_right_answers(api: str, tmp_path: Path) -> None:
    def answer(request: Any) -> Any:
        text = request.body.decode()
        number = text.split("session number ", 1)[1].split(".", 1)[0]
        done = text.count('"tool_call_id"') + text.count('"tool_use_id"')
        return (
            f"answer of {number}" if done >= 9 else [ToolCall(f"call_{done}", "read", {"file_path": f"{number}.txt"})]
        )

    for number in range(100):
        (tmp_path / f"{number}.txt").write_text(f"content of {number}\n")
    with LoopbackServer(answer) as server:
        async with AsyncAgent.create(configured(api, server)) as agent:

            async def one(number: int) -> tuple[str, int]:
                result = await agent.session(tmp_path, duplicate_tool_call_threshold=None).send(
                    f"You are session number {number}. Read your file."
                )
                return result.text, result.turns

            results = await asyncio.gather(*(one(number) for number in range(100)))
    right = [number for number, result in enumerate(results) if result == (f"answer of {number}", 10)]
    print(f"sessions {len(results)}, right answers {len(right)}, requests {len(server.requests)}")
    assert len(right) == 100
    assert len(server.requests) == 1_000


@pytest.fixture(scope="module")
def long_lived() -> Any:
    """A server whose answer and chunking a test sets, and one agent for each wire format."""

    class Stage:
        text = ""

    stage = Stage()
    stage_lock = threading.Lock()
    servers = {}
    for size in (None, 1, 7, random.Random(7)):
        servers[repr(size)] = LoopbackServer(lambda request: stage.text, chunking=size)
    for server in servers.values():
        server.__enter__()
    agents = [Agent.create(configured(api, server)) for server in servers.values() for api in APIS]
    yield stage, stage_lock, agents
    for agent in agents:
        agent.close()
    for server in servers.values():
        server.__exit__(None, None, None)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300).filter(str.strip))
def test_streamed_text_equals_the_sent_text_byte_for_byte(long_lived: Any, text: str) -> None:
    stage, lock, agents = long_lived
    with lock:
        stage.text = text
        for agent in agents:
            with agent.session(".").stream("say it") as events:
                streamed = "".join(event.text for event in events if event.type == "text_delta")
            assert streamed == text == events.result().text
