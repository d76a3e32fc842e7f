"""Where a model is and how it is spoken to: labels, base URLs, keys."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from a3s_code.errors import ConfigError, MissingCredential

Api = Literal["anthropic", "openai"]
Match = Literal["exact", "turn"]

KNOWN: Mapping[str, str] = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com/v1",
    "deepseek": "https://api.deepseek.com",
    "openrouter": "https://openrouter.ai/api/v1",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "xai": "https://api.x.ai/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai",
    "zhipu": "https://open.bigmodel.cn/api/paas/v4",
    "moonshot": "https://api.moonshot.ai/v1",
    "ollama": "http://127.0.0.1:11434/v1",
    "llamacpp": "http://127.0.0.1:8080/v1",
    "vllm": "http://127.0.0.1:8000/v1",
}
LOCAL = frozenset({"ollama", "llamacpp", "vllm"})
OFFLINE = frozenset({"replay", "scripted"})
_CREDENTIAL_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "proxy-authorization", "cookie"})
_ENDS_IN_VERSION = re.compile(r"/v\d+[a-z0-9]*$")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """One model of one provider.

    `api` None takes the label's own: Messages for `anthropic`, Chat Completions for every other; `base_url` None takes
    the label's own, too. `api_key_variable` is named when the key is missing. `stream` False asks for whole replies;
    `tool_calls` False describes the tools in the system text and reads calls from the reply's text. `path`, `match` and
    `workspace` serve the label `replay`, `script` the label `scripted`.
    """

    provider: str
    model: str
    api: Api | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    api_key_variable: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    stream: bool = True
    tool_calls: bool = True
    path: str | Path | None = None
    match: Match = "exact"
    workspace: str | Path | None = None
    script: Sequence[Any] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """ "provider/model"."""
        return f"{self.provider}/{self.model}"

    @property
    def speaks(self) -> Api:
        """The wire format in use."""
        return self.api or _own_api(self.provider)

    @property
    def base(self) -> str:
        """The base URL in use; raises ConfigError where there is none to be known."""
        if self.base_url is not None:
            return self.base_url
        if self.provider not in KNOWN:
            raise ConfigError(
                f'the provider "{self.provider}" has no known base URL',
                key=f"providers.{self.provider}.base_url",
                hint=f'write base_url = "https://HOST/v1" for it, or use one of: {", ".join(KNOWN)}',
            )
        if self.speaks != _own_api(self.provider):
            raise ConfigError(
                f'the provider "{self.provider}" has no known base URL for api = "{self.speaks}"',
                key=f"providers.{self.provider}.base_url",
                hint="write base_url beside api",
            )
        return KNOWN[self.provider]

    @property
    def url(self) -> str:
        """Where requests go: base + `/chat/completions`, or + `/v1/messages` (`/messages` after a version)."""
        parts = urlsplit(self.base)
        path = parts.path.rstrip("/")
        if self.speaks == "openai":
            path += "/chat/completions"
        else:
            path += "/messages" if _ENDS_IN_VERSION.search(path) else "/v1/messages"
        return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))

    @property
    def shown_url(self) -> str:
        """The base URL as an error may show it: without user, password and query."""
        parts = urlsplit(self.base)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    @property
    def loopback(self) -> bool:
        """Whether the base URL points at this machine."""
        host = urlsplit(self.base).hostname or ""
        if host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or address.is_unspecified

    @property
    def prints_calls(self) -> bool:
        """Whether this model may print a call as text: every model but those of the two vendors' own services."""
        return not self.tool_calls or self.base_url is not None or self.provider not in ("anthropic", "openai")

    @property
    def keyless(self) -> bool:
        """Whether requests go out without an API key of ours, because none was given."""
        return not self.api_key

    @property
    def lacks_key(self) -> bool:
        """Whether a key is needed and none is given."""
        if not self.keyless or self.provider in LOCAL or self.loopback:
            return False
        return not any(name.lower() in _CREDENTIAL_HEADERS for name in self.headers)

    def require_key(self) -> None:
        """Raise MissingCredential where a key is needed and none is given."""
        if not self.lacks_key:
            return
        variable = self.variable
        raise MissingCredential(
            f'the provider "{self.provider}" has no API key',
            key=f"providers.{self.provider}.api_key",
            hint=f'set the environment variable {variable} and write api_key = env("{variable}") in its block',
        )

    @property
    def variable(self) -> str:
        """The environment variable that holds the key, by configuration or by custom."""
        return self.api_key_variable or re.sub(r"\W", "_", self.provider).upper() + "_API_KEY"

    def redact(self, text: str) -> str:
        """`text` without this endpoint's key and credential headers."""
        secrets = [
            self.api_key,
            *(value for name, value in self.headers.items() if name.lower() in _CREDENTIAL_HEADERS),
        ]
        for secret in secrets:
            for word in (secret or "").split():
                if len(word) > 7:
                    text = text.replace(word, "***")
        return text

    def check(self) -> None:
        """Raise ConfigError for a URL, key or header that cannot be sent; values are never shown."""
        where = f"providers.{self.provider}"
        if not _is_web_address(self.base):
            raise ConfigError(
                f'the base URL of "{self.provider}" is no http or https URL',
                key=f"{where}.base_url",
                hint='write it like "https://HOST/v1"',
            )
        if self.api_key and not _KEY.fullmatch(self.api_key):
            raise ConfigError(
                f'the API key of "{self.provider}" holds a blank, a line break or a letter outside ASCII',
                key=f"{where}.api_key",
                hint=f"look at the value of {self.variable}",
            )
        for name, value in self.headers.items():
            if not _HEADER_VALUE.fullmatch(value) or not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name, re.ASCII):
                raise ConfigError(f"the header {name!r} cannot be sent as written", key=f"{where}.headers")


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _own_api(provider: str) -> Api:
    return "anthropic" if provider == "anthropic" else "openai"
