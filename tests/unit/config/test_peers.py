"""MCP servers and AHP harnesses."""

from __future__ import annotations

import pytest

from a3s_code.config import AhpConfig, McpServerConfig, Secret
from a3s_code.errors import ConfigError


@pytest.mark.parametrize(
    "text",
    [
        'mcp_servers = [{ name = "f" transport = "stdio" command = "npx" args = ["-y", "x"] }]',
        'mcp_servers "f" { transport = "stdio" command = "npx" args = ["-y", "x"] }',
        'mcp_servers "f" { command = "npx" args = ["-y", "x"] }',
        'mcp_servers "f" { name = "other" command = "npx" args = ["-y", "x"] }',
        'mcp_server { name = "f" command = "npx" args = ["-y", "x"] }',
        'mcp_servers "f" { transport = { type = "stdio", command = "npx", args = ["-y", "x"] } }',
        'mcp_servers "f" { transport { type = "STDIO" command = "npx" args = ["-y" "x"] } }',
        'mcpServers = { f = { command = "npx", args = ["-y", "x"] } }',
    ],
)
def test_all_ways_to_write_a_server_say_the_same(load, text: str, told) -> None:
    config = load(text)
    assert config.mcp_servers == (McpServerConfig("f", "stdio", "npx", ("-y", "x")),)
    assert told(config) == []


@pytest.mark.parametrize(
    ("word", "expected"),
    [("http", "http"), ("streamable-http", "streamable-http"), ("streamable_http", "streamable-http")],
)
def test_http_servers_have_a_url(load, word: str, expected: str) -> None:
    (server,) = load(f'mcp_servers "f" {{ transport = "{word}" url = "https://h" headers {{ A = "b" }} }}').mcp_servers
    assert (server.transport, server.url, server.headers["A"]) == (expected, "https://h", Secret("b"))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("timeout_ms = 5", 5), ("toolTimeoutSecs = 2", 2000), ("timeout_secs = 0.5", 500), ("tool_timeout_ms = 7", 7)],
)
def test_server_timeouts_come_in_both_units(load, setting: str, expected: int) -> None:
    assert load(f'mcp_servers "f" {{ command = "x" {setting} }}').mcp_servers[0].timeout_ms == expected


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('mcp_servers "f" { }', "mcp_servers.f.url"),
        ('mcp_servers "f" { transport = "stdio" }', "mcp_servers.f.command"),
        ('mcp_servers "f" { transport = "stdio" command = "" }', "mcp_servers.f.command"),
        ('mcp_servers "f" { transport = "http" command = "x" }', "mcp_servers.f.url"),
        ('mcp_servers = [{ command = "x" }]', "mcp_servers[0]"),
        ('mcp_servers = [{ name = "a", command = "x" }, 3]', "mcp_servers[1]"),
        ('mcp_servers = [{ name = 3, command = "x" }]', "mcp_servers[0].name"),
        ('mcp_servers { command = "x" }', "mcp_servers"),
        ('mcp_servers "" { command = "x" }', "mcp_servers"),
        ('mcp_servers "a" "b" { command = "x" }', "mcp_servers"),
        ("mcp_servers = 3", "mcp_servers"),
        ("mcp_servers = { f = 3 }", "mcp_servers.f"),
    ],
)
def test_a_server_that_cannot_work_is_refused(load, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.key == key
    assert caught.value.line == 1


@pytest.mark.parametrize(
    ("body", "transport"),
    [
        ('url = "http://h"', "http"),
        ('url = "https://h" transport = "http"', "http"),
        ('url = "ws://h"', "websocket"),
        ('url = "wss://h" transport = "ws"', "websocket"),
        ('command = "p" args = ["-x"]', "stdio"),
        ('path = "/run/h.sock"', "unix_socket"),
        ('transport = "unix" path = "/run/h.sock"', "unix_socket"),
        ('transport = "unix-socket" path = "/run/h.sock"', "unix_socket"),
    ],
)
def test_the_transport_of_a_harness_follows_from_its_address(load, body: str, transport: str) -> None:
    assert load(f"ahp {{ {body} }}").ahp.transport == transport


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ("", "ahp.url"),
        ("enabled = true", "ahp.url"),
        ('transport = "stdio"', "ahp.command"),
        ('transport = "unix_socket"', "ahp.path"),
        ('transport = "websocket" command = "x"', "ahp.url"),
        ('url = "ftp://h"', "ahp.url"),
    ],
)
def test_a_harness_without_an_address_is_refused(load, body: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"ahp {{ {body} }}")
    assert caught.value.key == key


def test_a_harness_that_is_off_needs_no_address(load) -> None:
    assert load("ahp = { enabled = false }").ahp == AhpConfig(enabled=False)


def test_a_null_member_is_left_out(load) -> None:
    config = load('mcp_servers = { a = null, b = { command = "x" } }')
    assert [server.name for server in config.mcp_servers] == ["b"]
