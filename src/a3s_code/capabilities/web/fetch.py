"""web_fetch: a page from the web, as text that a model can read."""

from __future__ import annotations

import asyncio
import http
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urljoin

from pydantic import BaseModel, Field

from a3s_code.capabilities.web.content import Kind, read_kind, read_text
from a3s_code.capabilities.web.page import Page, render
from a3s_code.capabilities.web.transport import Answer, TransportFailed, default_trust, get
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.addresses import Resolver, find_kind, read_addresses, resolve
from a3s_code.system.urls import read_url
from a3s_code.toolkit import Tool
from a3s_code.toolkit.threads import run_in_thread

T = TypeVar("T")
MAX_BYTES = 5 * 1024 * 1024
MAX_REDIRECTS = 10
MAX_ERROR_TEXT = 2_000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class WebFetchArgs(BaseModel):
    url: str
    format: Literal["markdown", "text", "html"] = "markdown"
    timeout: int = Field(30, ge=1, le=120, description="s")


class WebFetch(Tool):
    """GETs a URL and shows it: HTML as Markdown, text as it is, anything else refused by type.

    It connects to the addresses that the decision approved and to no others; where the decision names none, as after a
    confirmation, to public ones. Each redirect is a decision of its own. `trust` makes the certificates to trust.
    """

    name = "web_fetch"
    description = "Fetch a URL as Markdown."
    Args = WebFetchArgs
    group = "web"

    def __init__(self, look_up: Resolver = resolve, trust: Callable[[], ssl.SSLContext] = default_trust) -> None:
        self._look_up = look_up
        self._make_trust = trust

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return self._make_trust()

    def effects(self, args: WebFetchArgs, workspace: Path) -> tuple[Effect, ...]:
        return (Effect("net", args.url),)

    async def invoke(self, args: WebFetchArgs, context: ToolContext) -> ToolOutput:
        if Effect("net", args.url) not in context.effects:
            return ToolOutput.failure("the URL is not what this call was judged by", "permission_denied")
        seconds = min(args.timeout, (context.timeout_ms or args.timeout * 1000) / 1000)
        try:
            return await _Fetch(args, context, seconds, self._look_up, self._trust).run()
        except _Failed as failed:
            return ToolOutput.failure(str(failed), failed.kind, url=failed.url)


class _Failed(Exception):
    def __init__(self, text: str, url: str, kind: str = "failed") -> None:
        super().__init__(text)
        self.url = url
        self.kind = kind


_UNTOLD = Kind()


@dataclass(frozen=True, slots=True)
class _Got:
    """What one request gave: where a redirect leads, or else the answer with its body."""

    target: str = ""
    status: int = 0
    reason: str = ""
    kind: Kind = _UNTOLD
    content: bytes = b""


class _Fetch:
    """One call: requests, redirects, one clock over all of them that stops while somebody is asked."""

    def __init__(
        self, args: WebFetchArgs, context: ToolContext, seconds: float, look_up: Resolver, trust: ssl.SSLContext
    ) -> None:
        self._args = args
        self._context = context
        self._seconds = seconds
        self._left = seconds
        self._look_up = look_up
        self._trust = trust

    async def run(self) -> ToolOutput:
        url, decision = self._args.url, self._context.decision
        for _ in range(MAX_REDIRECTS + 1):
            got = await self._within(url, self._request(url, decision))
            if not got.target:
                return await self._show(url, got)
            decision = await self._permit(url, got.target)
            url = got.target
        raise _Failed(f"{self._args.url} was redirected more than {MAX_REDIRECTS} times, last to {url}", url)

    async def _within(self, url: str, work: Coroutine[Any, Any, T]) -> T:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._left):
                return await work
        except TimeoutError:
            raise _Failed(f"{url} took longer than {self._seconds:g} s", url, "timeout") from None
        finally:
            self._left = max(self._left - (loop.time() - started), 0.0)

    async def _permit(self, url: str, target: str) -> Decision:
        arguments = {**self._args.model_dump(exclude_unset=True), "url": target}
        decision = await self._context.permit(arguments)
        if decision.outcome != "allow":
            raise _Failed(f"Not allowed: {url} redirects to {target}: {decision.reason}", target, "permission_denied")
        return decision

    async def _request(self, text: str, decision: Decision) -> _Got:
        url = read_url(text)
        if not url.location:
            raise _Failed(f"{text} cannot be fetched: {url.fault or 'it is no web URL'}", text, "invalid_argument")
        addresses = await self._find_addresses(text, url.host, decision)
        try:
            async with get(url.location, addresses, self._trust) as answer:
                return await self._read(text, answer)
        except TransportFailed as failed:
            raise _Failed(f"{text} could not be fetched: {failed}", text) from failed

    async def _find_addresses(self, text: str, host: str, decision: Decision) -> tuple[str, ...]:
        for effect in decision.effects:
            if effect.kind == "net" and effect.target == text and effect.given:
                return tuple(effect.given.split(","))
        try:
            addresses = (host,) if read_addresses(host) is not None else await self._look_up(host)
        except TimeoutError:
            raise _Failed(f"{host} could not be looked up in time", text, "timeout") from None
        except OSError as error:
            raise _Failed(f"{host} cannot be resolved: {error.strerror or error}", text) from error
        for address in addresses:
            read = read_addresses(address.lower())
            if not read or any(find_kind(found) for found in read):
                reason = f"Not allowed: {host} has the address {address}, which is not public"
                raise _Failed(reason, text, "permission_denied")
        return addresses

    async def _read(self, url: str, answer: Answer) -> _Got:
        location = answer.headers.get("location")
        if answer.status in _REDIRECTS and location is not None:
            return _Got(target=_join(url, location))
        kind = read_kind(answer.headers)
        if not kind.readable and answer.status < 400:
            raise _Failed(_refuse(url, kind), url, "unsupported")
        content = await answer.read(MAX_BYTES)
        return _Got("", answer.status, answer.reason or _phrase(answer.status), kind, content)

    async def _show(self, url: str, got: _Got) -> ToolOutput:
        text = read_text(got.content, got.kind)
        if text is None:
            raise _Failed(_refuse(url, got.kind, len(got.content)), url, "unsupported")
        style = self._args.format
        markup = got.kind.looks_like_html(text)
        page = Page("", text)
        if markup and style != "html":
            page = await self._within(url, run_in_thread(render, markup=text, url=url, style=style))
        moved = f" (redirected from {self._args.url})" if url != self._args.url else ""
        head = [f"{url}{moved}", f"{got.status} {got.reason}, {got.kind.name or 'no type'}, {len(got.content):,} bytes"]
        head += [f"Title: {page.title}"] if page.title else []
        head += [page.note] if page.note else []
        if got.status >= 400:
            cut = page.text[:MAX_ERROR_TEXT] + ("..." if len(page.text) > MAX_ERROR_TEXT else "")
            return ToolOutput.failure("\n".join([*head, "", cut]), status=got.status, url=url)
        metadata = {"url": url, "status": got.status, "type": got.kind.name, "title": page.title}
        return ToolOutput("\n".join([*head, "", page.text or "(no text)"]), metadata=metadata, value=page.text)


def _join(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def _refuse(url: str, kind: Kind, size: int | None = None) -> str:
    size = kind.size if size is None else size
    told = "of unknown size" if size is None else f"{size:,} bytes"
    return f"{url} is no text but {kind.name or 'binary'}, {told}; a command such as curl -o can save it to a file"
