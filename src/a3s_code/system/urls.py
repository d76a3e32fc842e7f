"""A URL as strictly as one part reads it, and as widely as any part may.

What is fetched and what is judged must be the same host, so both go by this reading.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

from a3s_code.system.addresses import MAX_HOST, read_addresses

WEB_SCHEMES = {"http": 80, "https": 443}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_AUTHORITY_END = re.compile(r"[/?#]")
_WIDE_AUTHORITY_END = re.compile(r"[/?#\\]")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_PORT = re.compile(r"[0-9]{1,5}")
_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_HIDDEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Cs", "Co"})


@dataclass(frozen=True, slots=True)
class WebUrl:
    """A URL, read.

    `scheme` is in lower case, "" where there is none. `host` is the one host that is meant: ASCII, lower case, without
    a root dot or brackets, an address in its usual spelling; "" where it cannot be told. `plain` says that it is
    spelled like that in the text, but for case, root dot and brackets. `hosts` are all that some reader may take for
    the host. `fault` says why the URL must not go by unseen, "" where nothing is odd. `location` is what to fetch,
    without a fragment; "" unless it is a web URL with a host that can be told.
    """

    scheme: str
    host: str = ""
    port: int | None = None
    hosts: tuple[str, ...] = ()
    plain: bool = False
    fault: str = ""
    location: str = ""

    @property
    def web(self) -> bool:
        """Whether the scheme is http or https."""
        return self.scheme in WEB_SCHEMES

    @property
    def usual_port(self) -> bool:
        """Whether the port is the scheme's own."""
        return self.port is None or self.port == WEB_SCHEMES.get(self.scheme)


@lru_cache(maxsize=1024)
def read_url(text: str) -> WebUrl:
    """Read a URL; never raises."""
    visible = "".join(char for char in text if unicodedata.category(char) not in _HIDDEN)
    fault = "it holds blanks, control or hidden characters" if visible != text else ""
    if "\\" in visible:
        fault = fault or "it holds a backslash, which readers of URLs take for different things"
    found = _SCHEME.match(visible)
    scheme = found[1].lower() if found is not None else ""
    rest = visible if found is None else visible[found.end() :]
    if scheme and scheme not in WEB_SCHEMES:
        return WebUrl(scheme, hosts=_read_hosts(rest), fault=fault)
    if not scheme:
        return WebUrl("", hosts=_read_hosts(rest), fault=fault or "it has no scheme; write https:// before it")
    if not rest.startswith("//") or rest[2:3] in ("", "/", "\\", "?", "#"):
        return WebUrl(scheme, hosts=_read_hosts(rest), fault=fault or "it is not of the form https://host/path")
    return _read_web(scheme, rest, fault)


def fold_host(host: str) -> str:
    """`host` as it is looked up: lower case, ASCII, without brackets, zone and root dot, an address in its usual
    spelling; "" for what can be no host."""
    text = host.translate(_DOTS).lower()
    if not text.isascii():
        text = _fold_name(text)
    text = text.removesuffix(".")
    addresses = read_addresses(text)
    if addresses is not None:
        return str(addresses[0]) if addresses else ""
    return text if len(text) <= MAX_HOST and _NAME.fullmatch(text) else ""


def _read_web(scheme: str, rest: str, fault: str) -> WebUrl:
    authority, tail = _split(rest[2:], _AUTHORITY_END)
    userinfo, at, place = authority.rpartition("@")
    written, port, port_fault = _split_port(place)
    host = fold_host(written)
    plain = written.lower().removesuffix(".").removeprefix("[").removesuffix("]") == host or ":" in host
    if at:
        fault = fault or "it holds a user name or a password"
    if "%" in place:
        fault = fault or "its host holds an escaped character"
    fault = fault or port_fault or ("" if host else "its host is no valid name or address")
    hosts = tuple(dict.fromkeys((*([host] if host else ()), *_read_hosts(rest))))
    # Only what no two readers can disagree about is ever fetched; credentials are no matter of reading.
    told = host and (not fault or fault.startswith("it holds a user name"))
    spelled = f"[{host}]" if ":" in host else host
    location = ""
    if told:
        head = f"{scheme}://{quote(userinfo, safe=_VISIBLE)}{at}{spelled}{'' if port is None else f':{port}'}"
        path = quote(tail.partition("#")[0], safe=_VISIBLE)
        location = f"{head}{'' if path.startswith('/') else '/'}{path}"
    return WebUrl(scheme, host, port, hosts, plain, fault, location)


def _split(text: str, end: re.Pattern[str]) -> tuple[str, str]:
    found = end.search(text)
    return (text, "") if found is None else (text[: found.start()], text[found.start() :])


def _split_port(place: str) -> tuple[str, int | None, str]:
    """Host and port of a place, and what is wrong with the port."""
    head, colon, digits = place.rpartition(":")
    if not colon or (place.startswith("[") and place.endswith("]")):
        return place, None, ""
    if not digits:
        return head, None, ""
    if not _PORT.fullmatch(digits) or not 0 < int(digits) < 65_536:
        return head, None, "its port is no number from 1 to 65535"
    return head, int(digits), ""


def _read_hosts(rest: str) -> tuple[str, ...]:
    """All that some reader may take for the host of what follows a scheme."""
    hosts: dict[str, None] = {}
    bodies = {rest.lstrip("/\\"), unquote(rest).lstrip("/\\")}
    for body in bodies:
        for end in (_AUTHORITY_END, _WIDE_AUTHORITY_END):
            authority = _split(body, end)[0]
            places = {authority.rpartition("@")[2]}
            if authority.count("@") > 1 or "\\" in authority:
                places.add(authority.partition("@")[2])
            for place in places:
                hosts.update(dict.fromkeys(_spell(place)))
    return tuple(hosts)


def _spell(place: str) -> list[str]:
    """The hosts that a place with or without a port may name, each reading of an address among them."""
    written = _split_port(place)[0]
    found: list[str] = []
    bare = [place] if place.count(":") > 1 and "]" not in place else []
    for text in {written, unicodedata.normalize("NFKC", written).casefold(), *bare}:
        lowered = text.translate(_DOTS).lower().removesuffix(".")
        addresses = read_addresses(lowered) or ()
        found += [str(address) for address in addresses] or [fold_host(text)]
    return [host for host in found if host]


def _fold_name(text: str) -> str:
    import idna

    try:
        mapped = idna.uts46_remap(text, std3_rules=False, transitional=False)
        return mapped if mapped.isascii() else idna.encode(mapped).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return ""
