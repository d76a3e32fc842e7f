"""web_fetch over real sockets: guard, redirects, pinned connections, TLS, and servers that misbehave."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import ipaddress
import os
import ssl
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from a3s_code.capabilities.web import WebFetch
from a3s_code.capabilities.web.transport import default_trust
from a3s_code.harness.safety.hosts import HostPattern
from a3s_code.harness.safety.network import AddressGuard
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.tool import Action, ToolContext, ToolOutput
from a3s_code.stores.artifacts import MemoryArtifactStore

Route = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes, kind: str = "text/plain", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"Content-Type: {kind}"] if kind else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def move(target: str, status: str = "302 Found") -> bytes:
    return answer(b"moved", status=status, Location=target)


@dataclass
class Site:
    """A server with fixed answers; `seen` holds what was asked, as it came."""

    port: int = 0
    routes: dict[str, Route] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.seen.append(request)
            route = self.routes.get(request.split()[1], answer(b"nothing here", status="404 Not Found"))
            if isinstance(route, bytes):
                writer.write(route)
                await writer.drain()
            else:
                await route(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(site: Site, host: str = "127.0.0.1", trust: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    server = await asyncio.start_server(site.serve, host, site.port, ssl=trust)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving(Site()) as running:
        yield running


class Names:
    """Answers for names, one after the other; the last stays."""

    def __init__(self, known: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._known = {name: list(answers) for name, answers in known.items()}
        self.asked: list[str] = []

    async def look_up(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        answers = self._known.get(host)
        if not answers:
            raise OSError(f"{host} is not known")
        return tuple(answers.pop(0) if len(answers) > 1 else answers[0])


class World:
    """A gate of allow rules and the guard, and a context whose redirects go through it."""

    def __init__(self, *allowed: str, names: Names | None = None, trust: ssl.SSLContext | None = None) -> None:
        self._hosts = [HostPattern(f"domain:{host}") for host in allowed]
        self._names = names or Names({})
        self._guard = AddressGuard(self._names.look_up)
        self._tool = WebFetch(self._names.look_up, trust=default_trust if trust is None else lambda: trust)
        self.decided: list[tuple[str, str]] = []
        self.pins = True

    async def judge(self, arguments: Mapping[str, Any]) -> Decision:
        url = str(arguments["url"])
        action = Action("1", "web_fetch", arguments, (Effect("net", url),), "model")
        found, effects = await self._guard.judge(action, lambda target: any(host.names(target) for host in self._hosts))
        allowed = any(host.matches_for_allow(url) for host in self._hosts)
        decision = found or Decision("allow" if allowed else "deny", "no rule allows it")
        self.decided.append((url, decision.outcome))
        return Decision(decision.outcome, decision.reason, effects=effects if self.pins else action.effects)

    async def fetch(self, url: str, **arguments: Any) -> ToolOutput:
        arguments = {"url": url, **arguments}
        decision = await self.judge(arguments)
        if decision.outcome != "allow":
            return ToolOutput.failure(decision.reason, "permission_denied")
        args = self._tool.parse(arguments)
        workspace = Path("/")
        context = ToolContext(
            workspace=workspace,
            session_id="s",
            run_id=None,
            call_id="1",
            origin="model",
            decision=decision,
            effects=self._tool.effects(args, workspace),
            artifacts=MemoryArtifactStore(),
            files={},
            environment={},
            progress=lambda text: None,
            permit=self.judge,
        )
        return await self._tool.invoke(args, context)


async def test_a_page_comes_as_markdown_without_its_scripts(site: Site) -> None:
    site.routes["/p"] = answer(
        b"<html><head><title>A  page</title><style>x{}</style></head><body><h1>Top</h1>"
        b"<script>alert(1)</script><!-- note --><p hidden>unseen</p><p>See <a href='/q'>this</a>.</p></body></html>",
        "text/html; charset=utf-8",
    )
    output = await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/p")
    assert output.error_kind is None
    assert output.value == f"# Top\n\nSee [this](http://127.0.0.1:{site.port}/q)."
    head = output.text.split("\n\n")[0]
    assert head.startswith(f"http://127.0.0.1:{site.port}/p\n200 OK, text/html, ")
    assert head.endswith("Title: A page")
    for hidden in ("alert", "note", "unseen", "x{}"):
        assert hidden not in output.text


async def test_the_request_is_a_plain_get_without_cookies(site: Site) -> None:
    site.routes["/"] = answer(b"hi", Set_Cookie="a=b")
    world = World("127.0.0.1")
    for _ in range(2):
        assert (await world.fetch(f"http://127.0.0.1:{site.port}")).value == "hi"
    request = site.seen[-1]
    assert request.startswith("GET / HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{site.port}\r\n" in request
    assert "cookie" not in request.lower()
    assert "Accept-Encoding: gzip, deflate\r\n" in request


async def test_loopback_is_refused_unless_a_rule_names_it(site: Site) -> None:
    site.routes["/"] = answer(b"secret")
    output = await World("*").fetch(f"http://127.0.0.1:{site.port}/")
    assert output.error_kind == "permission_denied"
    assert "loopback" in output.text
    assert site.connections == 0


async def test_redirects_are_followed_and_each_is_decided(site: Site) -> None:
    site.routes |= {
        "/a": move("/b"),
        "/b": move(f"http://127.0.0.1:{site.port}/c?x=1#y", "308 P"),
        "/c?x=1": answer(b"end"),
    }
    world = World("127.0.0.1")
    output = await world.fetch(f"http://127.0.0.1:{site.port}/a")
    assert output.value == "end"
    assert f"(redirected from http://127.0.0.1:{site.port}/a)" in output.text
    assert [outcome for _, outcome in world.decided] == ["allow"] * 3


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "http://169.254.169.254/",
        "http://2130706433/",
        "//other.test/",
        "http:\\\\localhost",
        "http://[::1",
    ],
)
async def test_a_redirect_to_what_is_not_allowed_is_refused_and_named(site: Site, target: str) -> None:
    site.routes["/a"] = move(target)
    output = await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/a")
    assert output.error_kind == "permission_denied"
    assert f"http://127.0.0.1:{site.port}/a redirects to " in output.text
    assert site.connections == 1


async def test_a_loop_of_redirects_ends(site: Site) -> None:
    site.routes["/a"] = move("/a")
    output = await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/a")
    assert output.error_kind == "failed"
    assert "more than 10 times" in output.text
    assert site.connections == 11


async def test_only_the_checked_address_is_ever_connected_to() -> None:
    right, wrong = Site(routes={"/": answer(b"right")}), Site(routes={"/": answer(b"wrong")})
    async with serving(right, "127.0.0.2"):
        wrong.port = right.port
        async with serving(wrong, "127.0.0.1"):
            names = Names({"a.localhost": [["127.0.0.2"], ["127.0.0.1"]]})
            output = await World("a.localhost", names=names).fetch(f"http://a.localhost:{right.port}/")
    assert output.value == "right"
    assert names.asked == ["a.localhost"]
    assert (right.connections, wrong.connections) == (1, 0)
    assert f"Host: a.localhost:{right.port}\r\n" in right.seen[0]


async def test_a_name_that_turns_private_after_the_check_is_not_reached(site: Site) -> None:
    """The decision approved an address of a block for documentation; the name then leads to this machine."""
    site.routes["/"] = answer(b"secret")
    names = Names({"a.localhost": [["192.0.2.1"], ["127.0.0.1"]]})
    output = await World("a.localhost", names=names).fetch(f"http://a.localhost:{site.port}/", timeout=1)
    assert output.error_kind in ("failed", "timeout")
    assert site.connections == 0


async def test_without_approved_addresses_only_public_ones_are_used(site: Site) -> None:
    site.routes["/"] = answer(b"secret")
    world = World("a.localhost", "127.0.0.1", names=Names({"a.localhost": [["127.0.0.1"]]}))
    world.pins = False
    for host in ("a.localhost", "127.0.0.1"):
        output = await world.fetch(f"http://{host}:{site.port}/")
        assert output.error_kind == "permission_denied"
        assert "not public" in output.text
    assert site.connections == 0


async def test_a_name_without_an_address_fails_in_words() -> None:
    output = await World("gone.test").fetch("http://gone.test/")
    assert output.error_kind == "failed"
    assert "gone.test cannot be resolved" in output.text


async def test_a_closed_port_fails_in_words() -> None:
    output = await World("127.0.0.1").fetch("http://127.0.0.1:1/")
    assert output.error_kind == "failed"
    assert "could not be fetched" in output.text


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate"])
async def test_packed_bodies_are_unpacked(site: Site, encoding: str) -> None:
    text = b"hello " * 10_000
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = {
        "gzip": gzip.compress(text[:300]) + gzip.compress(text[300:]),
        "deflate": zlib.compress(text),
        "raw deflate": squeeze.compress(text) + squeeze.flush(),
    }[encoding]
    site.routes["/"] = answer(packed, Content_Encoding=encoding.split()[-1])
    output = await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/")
    assert output.value == text.decode()


async def test_a_bomb_is_refused_at_the_limit(site: Site) -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, 9)
    site.routes["/"] = answer(bomb, Content_Encoding="gzip")
    world = World("127.0.0.1")
    tracemalloc.start()
    try:
        output = await world.fetch(f"http://127.0.0.1:{site.port}/")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert output.error_kind == "failed"
    assert "larger than 5,242,880 bytes" in output.text
    assert peak < 30_000_000


async def test_an_endless_body_is_refused_at_the_limit(site: Site) -> None:
    async def pour(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    site.routes["/"] = pour
    output = await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/")
    assert "larger than 5,242,880 bytes" in output.text


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"])
async def test_a_server_that_drips_is_left_at_the_timeout(site: Site, head: bytes) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    site.routes["/"] = drip
    started = time.perf_counter()
    output = await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/", timeout=1)
    assert output.error_kind == "timeout"
    assert "longer than 1 s" in output.text
    assert 0.9 < time.perf_counter() - started < 3


async def test_the_clock_runs_over_all_redirects(site: Site) -> None:
    async def dawdle(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(move("/"))
        await writer.drain()

    site.routes["/"] = dawdle
    started = time.perf_counter()
    output = await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/", timeout=1)
    assert output.error_kind == "timeout"
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "could not be fetched"),
        (b"garbage\r\n\r\n", "could not be fetched"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "could not be fetched"),
        (answer(b"not gzip", Content_Encoding="gzip"), "compressed body is broken"),
        (answer(gzip.compress(os.urandom(5_000))[:900], Content_Encoding="gzip"), "cut off"),
        (answer(b"x", Content_Encoding="br"), "packed as 'br'"),
    ],
)
async def test_a_broken_answer_fails_in_words(site: Site, raw: bytes, words: str) -> None:
    site.routes["/"] = raw
    output = await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/")
    assert output.error_kind == "failed"
    assert words in output.text


async def test_what_is_no_text_is_refused_by_type_and_size(site: Site) -> None:
    site.routes["/a"] = answer(b"\x89PNG" + bytes(500), "image/png")
    site.routes["/b"] = answer(bytes(range(256)) * 4, "application/octet-stream")
    output = await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/a")
    assert output.error_kind == "unsupported"
    assert "image/png, 504 bytes" in output.text
    output = await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/b")
    assert output.error_kind == "unsupported"
    assert "1,024 bytes" in output.text


async def test_an_error_status_fails_and_shows_the_beginning_of_what_it_said(site: Site) -> None:
    site.routes["/"] = answer(b"no such thing " * 1000, status="404 Not Found")
    output = await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/")
    assert output.error_kind == "failed"
    assert output.metadata["status"] == 404
    assert "404 Not Found" in output.text
    assert "no such thing" in output.text
    assert len(output.text) < 2_500


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("gr\u00fc\u00df".encode(), "text/plain; charset=utf-8"),
        ("gr\u00fc\u00df".encode("latin-1"), "text/plain; charset=ISO-8859-1"),
        ("gr\u00fc\u00df".encode("latin-1"), "text/plain; charset=utf-8"),
        ("gr\u00fc\u00df".encode("latin-1"), "text/plain; charset=no-such-charset"),
        ("gr\u00fc\u00df".encode("utf-16"), "text/plain"),
        ("\ufeffgr\u00fc\u00df".encode(), ""),
    ],
)
async def test_text_is_read_whatever_its_encoding_is_said_to_be(site: Site, body: bytes, kind: str) -> None:
    site.routes["/"] = answer(body, kind)
    assert (await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/")).value == "gr\u00fc\u00df"


async def test_formats_are_text_and_html_as_well(site: Site) -> None:
    page = "<title>T</title><p>one<p>two <b>three</b>"
    site.routes["/"] = answer(page.encode(), "text/html")
    url = f"http://127.0.0.1:{site.port}/"
    assert (await World("127.0.0.1").fetch(url, format="html")).value == page
    assert (await World("127.0.0.1").fetch(url, format="text")).value == "one\n\ntwo three"


async def test_a_big_page_is_converted_in_time(site: Site) -> None:
    rows = "".join(f"<tr><td>{n}</td><td><a href='/{n}'>link {n}</a></td></tr>" for n in range(5_000))
    site.routes["/"] = answer(f"<html><body><table>{rows}</table></body></html>".encode(), "text/html")
    output = await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/")
    assert output.error_kind is None
    assert "[link 4999]" in output.value


async def test_credentials_of_an_approved_url_go_to_its_host_alone(site: Site) -> None:
    site.routes |= {"/a": move("/b"), "/b": answer(b"end")}
    tool = WebFetch()
    url = f"http://me:pa%20ss@127.0.0.1:{site.port}/a"

    async def allow(arguments: Mapping[str, Any]) -> Decision:
        return Decision("allow", effects=(Effect("net", str(arguments["url"]), "127.0.0.1"),))

    args = tool.parse({"url": url})
    effects = tool.effects(args, Path("/"))
    decision = await allow({"url": url})
    store = MemoryArtifactStore()
    context = ToolContext(
        Path("/"), "s", None, "1", "model", decision, effects, store, {}, {}, lambda text: None, permit=allow
    )
    assert (await tool.invoke(args, context)).value == "end"
    assert "Authorization: Basic bWU6cGEgc3M=\r\n" in site.seen[0]


def certificate(name: str, folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for a name and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    alternative: x509.GeneralName = x509.DNSName(name)
    if name[0].isdigit():
        alternative = x509.IPAddress(ipaddress.ip_address(name))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


async def test_a_certificate_must_be_trusted_and_for_the_name_in_the_url(tmp_path: Path) -> None:
    cert_file, key_file = certificate("site.localhost", tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert_file, key_file)
    asked: list[str | None] = []
    server.sni_callback = lambda connection, name, context: asked.append(name)
    trusting = ssl.create_default_context(cafile=str(cert_file))
    names = Names({"site.localhost": [["127.0.0.1"]], "other.localhost": [["127.0.0.1"]]})
    async with serving(Site(routes={"/": answer(b"sealed")}), trust=server) as site:
        url = f"https://site.localhost:{site.port}/"
        distrusted = await World("site.localhost", names=names).fetch(url)
        assert distrusted.error_kind == "failed"
        assert "certificate is not trusted" in distrusted.text
        assert (await World("site.localhost", names=names, trust=trusting).fetch(url)).value == "sealed"
        misnamed = await World("other.localhost", names=names, trust=trusting).fetch(
            f"https://other.localhost:{site.port}/"
        )
        assert "certificate is not trusted" in misnamed.text
    assert asked == ["site.localhost", "site.localhost", "other.localhost"]
    assert len(site.seen) == 1


async def test_proxies_of_the_environment_are_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    site.routes["/"] = answer(b"direct")
    assert (await World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/")).value == "direct"


async def test_a_cancelled_fetch_closes_its_connection(site: Site) -> None:
    closed = asyncio.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            closed.set()

    site.routes["/"] = hang
    task = asyncio.create_task(World("127.0.0.1").fetch(f"http://127.0.0.1:{site.port}/"))
    while not site.seen:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(closed.wait(), 5)
