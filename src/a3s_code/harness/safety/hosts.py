"""What the pattern of a rule says about the hosts of URLs: `domain:h` and `domain:*.h`."""

from __future__ import annotations

from a3s_code.system.addresses import find_kind, find_local_name, read_addresses
from a3s_code.system.urls import WebUrl, fold_host, read_url

PREFIX = "domain:"


class HostPattern:
    """`domain:h` is the host h exactly, `domain:*.h` the hosts below h, `domain:*` every host.

    Case, a root dot and the default port do not matter. A deny or an ask covers every port and every host that some
    reader of the URL may see in it. An allow covers a host that is spelled plainly, on the default port of its scheme;
    a local host that it names, on any port.

    `fault` says why the pattern names no host, "" where it does: then an allow covers nothing, and a deny or an ask
    holds for the host that can be made out.
    """

    __slots__ = ("_host", "_wild", "fault")

    def __init__(self, pattern: str) -> None:
        text = pattern.strip()
        text = text[len(PREFIX) :].strip() if text[: len(PREFIX)].lower() == PREFIX else text
        self._wild = text == "*" or text.startswith("*.")
        body = text.removeprefix("*").removeprefix(".") if self._wild else text
        self._host = fold_host(body)
        below_address = self._wild and bool(body) and read_addresses(self._host) is not None
        self.fault = ""
        if (body and not self._host) or (not body and text != "*") or below_address:
            self.fault = "it names no host; write domain:example.com, or domain:*.example.com for all below it"
            hosts = read_url(body).hosts
            self._host = hosts[0] if hosts else ""

    @property
    def exact(self) -> bool:
        """Whether it names one host."""
        return not self._wild and not self.fault

    def matches_for_deny(self, url: str) -> bool:
        """Whether some reader of `url` may see a host in it that is meant."""
        if self.fault and not self._host:
            return False
        return any(self._covers(host) for host in read_url(url).hosts)

    def matches_for_allow(self, url: str) -> bool:
        """Whether `url` is beyond doubt one of a host that is meant."""
        read = read_url(url)
        if self.fault or read.fault or not read.web or not read.plain or not self._covers(read.host):
            return False
        return read.usual_port or (self.exact and bool(find_spelled(read.host)))

    def names(self, url: str) -> bool:
        """Whether it names the very host of `url`, whatever the port: that lifts the address guard for it."""
        read = read_url(url)
        return self.exact and read.web and read.plain and set(read.hosts) == {self._host}

    def _covers(self, host: str) -> bool:
        if not self._wild:
            return host == self._host
        return not self._host or host.endswith(f".{self._host}")


def find_spelled(host: str) -> str:
    """What the spelling of a host, as a WebUrl gives it, says against its being public: loopback, private, local,
    metadata, ...; "" for a name or an address that may be public."""
    addresses = read_addresses(host)
    if addresses is None:
        return find_local_name(host)
    return next((kind for address in addresses if (kind := find_kind(address))), "")


def find_objection(url: WebUrl) -> tuple[str, str]:
    """The first host that `url` may mean and that is not public, and what it is; two "" where all may be public.

    A name without a dot counts as local only where it is the host for sure.
    """
    for host in url.hosts:
        kind = find_spelled(host)
        if kind and (host == url.host or "." in host or ":" in host or host == "localhost"):
            return host, kind
    return "", ""
