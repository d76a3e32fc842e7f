"""A key that is set is found nowhere afterwards but in the header that has to carry it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from a3s_code import Agent, AgentSession, PermissionPolicy
from a3s_code.kernel.messages import ToolCall
from a3s_code.testing import LoopbackServer

KEY = "sk-test-5f3c9a7e1b2d4c6f8091"
OTHER = "p4ss-f0r-the-d4tabase-9921"


def everything_seen(session: AgentSession, server: LoopbackServer, events: list[Any]) -> str:
    """All that left the library or stayed in it: request bodies, events, records, history, artifacts."""
    runs = session.runs()
    records = [record.to_dict() for run in runs for record in session.run_events(run.id)]
    history = [repr(message) for message in session.history()]
    bodies = [request.body.decode() for request in server.requests]
    traces = [repr(line) for line in session.trace_events()]
    shown = [json.dumps(event.to_dict(), default=repr) for event in events]
    return "\n".join([json.dumps(records, default=repr), repr(runs), *history, *bodies, *traces, *shown])


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("DATABASE_PASSWORD", OTHER)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / ".env").write_text(f"OPENAI_API_KEY={KEY}\nDATABASE_PASSWORD={OTHER}\n")
    (workspace / "big.txt").write_text("line of text\n" * 9000 + KEY)
    return workspace


def test_a_key_that_is_set_leaves_no_trace(keyed: Path) -> None:
    replies: list[Any] = [
        [ToolCall("1", "bash", {"command": "env; cat .env"})],
        [ToolCall("2", "read", {"file_path": ".env"}), ToolCall("3", "grep", {"pattern": "KEY", "path": "."})],
        [ToolCall("4", "bash", {"command": f"echo {KEY}; cat big.txt; ls /{OTHER}"})],
        f"The key is {KEY}, and the password {OTHER}.",
    ]
    with LoopbackServer(replies) as server:
        acl = f"""
        default_model = "openai/m"
        providers "openai" {{ base_url = "{server.base_url}" api_key = env("OPENAI_API_KEY") }}
        """
        policy = PermissionPolicy(allow=["bash", "read", "grep"])
        with Agent.create(acl) as agent, agent.session(keyed, permission_policy=policy) as session:
            events = []
            with session.stream(f"My key is {KEY}; show me the environment") as stream:
                events = list(stream)
            result = stream.result()
            seen = everything_seen(session, server, events) + result.text + repr(result)
            uris = {word for word in seen.replace('"', " ").split() if word.startswith("a3s://")}
            for uri in uris:
                seen += session.tool("read", {"file_path": uri.rstrip(".,;:)]\\"), "limit": 2000}).output
        assert len(server.requests) == 4
    assert KEY not in seen
    assert OTHER not in seen
    assert "[REDACTED]" in seen
    assert "My key is [REDACTED]; show me" in seen


def test_a_command_does_not_get_the_keys(keyed: Path) -> None:
    with Agent.create("") as agent, agent.session(keyed) as session:
        output = session.bash("env | grep -c -e OPENAI -e DATABASE").output
    assert output.splitlines()[0] == "0"


def test_no_file_holds_the_key_but_those_that_did(keyed: Path, tmp_path: Path) -> None:
    with LoopbackServer([[ToolCall("1", "bash", {"command": "env > out.txt; cat out.txt"})], "done"]) as server:
        acl = f'default_model = "openai/m"\nproviders "openai" {{ base_url = "{server.base_url}" api_key = "{KEY}" }}'
        policy = PermissionPolicy(allow=["bash"])
        with Agent.create(acl) as agent, agent.session(keyed, permission_policy=policy) as session:
            session.send("go")
    holding = [path.name for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert sorted(holding) == [".env", "big.txt"]
