"""Reads `mcp_servers` and `ahp`: the programs and addresses that an agent works with besides its models."""

from __future__ import annotations

from typing import get_args

from a3s_code.config.endpoints import (
    AhpConfig,
    AhpTransport,
    FailMode,
    McpServerConfig,
    McpTransport,
    OAuthConfig,
)
from a3s_code.config.labels import labelled
from a3s_code.config.provider_blocks import WEB
from a3s_code.config.section import Section

_MCP_TRANSPORTS: tuple[McpTransport, ...] = get_args(McpTransport)
_AHP_WORDS = ("http", "websocket", "stdio", "unix_socket", "https", "ws", "wss", "unix")
_AHP_TRANSPORTS: dict[str, AhpTransport] = {
    "http": "http",
    "https": "http",
    "websocket": "websocket",
    "ws": "websocket",
    "wss": "websocket",
    "stdio": "stdio",
    "unix_socket": "unix_socket",
    "unix": "unix_socket",
}
_FAIL_MODES: tuple[FailMode, ...] = get_args(FailMode)


def read_mcp_servers(top: Section) -> tuple[McpServerConfig, ...]:
    """The servers in order; of two with one name the later."""
    members = labelled(top, "mcp_servers", "mcp_server", merge=False, unlabelled="named")
    return tuple(_mcp_server(name, section) for name, section in members.items())


def _mcp_server(name: str, section: Section) -> McpServerConfig:
    section.text("name", None)  # the label wins
    enabled = section.flag("enabled", True)
    env = section.secrets("env")
    timeout = section.milliseconds(("timeout_ms", "tool_timeout_ms"), ("tool_timeout_secs", "timeout_secs"), 60_000)
    oauth = _oauth(section.section("oauth"))
    wire = section
    word: McpTransport | None = None
    entry = section.entry("transport")
    if entry is not None and entry.is_body:
        wire = section.section("transport") or section
    else:
        word = section.choice("transport", _MCP_TRANSPORTS, None)
    transport: McpTransport | None = wire.choice("type", _MCP_TRANSPORTS, word)
    command = wire.text("command", None)
    args = wire.texts("args", ())
    url = wire.url("url", WEB)
    headers = wire.secrets("headers")
    if wire is not section:
        wire.finish()
    section.finish()

    if transport is None:
        transport = "stdio" if command is not None else "streamable-http"
    if transport == "stdio" and not command:
        raise section.missing("command", 'write command = "PROGRAM", or transport = "http" with a url')
    if transport != "stdio" and url is None:
        raise section.missing("url", 'write url = "https://...", or command = "PROGRAM" for a local server')
    return McpServerConfig(name, transport, command, args, url, headers, env, enabled, timeout, oauth)


def _oauth(section: Section | None) -> OAuthConfig | None:
    if section is None:
        return None
    found = OAuthConfig(
        auth_url=section.url("auth_url", WEB),
        token_url=section.url("token_url", WEB),
        client_id=section.text("client_id", None),
        client_secret=section.secret("client_secret"),
        scopes=section.texts("scopes", ()),
        redirect_uri=section.text("redirect_uri", None),
        access_token=section.secret("access_token"),
    )
    section.finish()
    return found


def read_ahp(section: Section | None) -> AhpConfig | None:
    """The harness peer. Without a `transport` it follows from what is given: a URL, a command, or a socket's path."""
    if section is None:
        return None
    usual = AhpConfig()
    enabled = section.flag("enabled", usual.enabled)
    word = section.choice("transport", _AHP_WORDS, None, "type")
    url = section.url("url", ("ws", "wss", "http", "https"))
    command = section.text("command", None, "program")
    path = section.path("path", "socket", "socket_path")
    config = AhpConfig(
        enabled=enabled,
        transport=_AHP_TRANSPORTS[word] if word else _implied(url, command, path is not None),
        url=url,
        command=command,
        args=section.texts("args", ()),
        path=path,
        token=section.secret("token", "auth_token"),
        api_key=section.secret("api_key"),
        idle_ms=section.integer("idle_ms", usual.idle_ms, "idle_threshold_ms"),
        heartbeat_ms=section.integer("heartbeat_ms", usual.heartbeat_ms),
        timeout_ms=section.integer("timeout_ms", usual.timeout_ms),
        fail_mode=section.choice("fail_mode", _FAIL_MODES, usual.fail_mode),
    )
    section.finish()
    _require_address(section, config)
    return config


def _implied(url: str | None, command: str | None, has_path: bool) -> AhpTransport:
    if url is not None:
        return "websocket" if url.lower().startswith("ws") else "http"
    if command is not None:
        return "stdio"
    return "unix_socket" if has_path else "http"


def _require_address(section: Section, config: AhpConfig) -> None:
    if not config.enabled:
        return
    if config.transport == "stdio" and not config.command:
        raise section.missing("command", 'write command = "PROGRAM"')
    if config.transport == "unix_socket" and config.path is None:
        raise section.missing("path", 'write path = "/run/harness.sock"')
    if config.transport in ("http", "websocket") and config.url is None:
        raise section.missing("url", 'write url = "http://..."')
