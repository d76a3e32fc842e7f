"""Which addresses are public, however they are spelled, and which addresses a name has."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Resolver = Callable[[str], Awaitable[tuple[str, ...]]]
"""Gives the addresses of a name, canonically spelled; raises OSError where there are none."""

MAX_HOST = 253
RESOLVE_SECONDS = 5.0
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_METADATA = frozenset(
    {
        IPv4Address("169.254.169.254"),
        IPv4Address("169.254.170.2"),
        IPv4Address("169.254.170.23"),
        IPv4Address("169.254.0.23"),
        IPv4Address("100.100.100.200"),
        IPv4Address("168.63.129.16"),
        IPv4Address("192.0.0.192"),
        IPv6Address("fd00:ec2::254"),
        IPv6Address("fd00:ec2::23"),
        IPv6Address("fd20:ce::254"),
    }
)
_BLOCKS_4 = tuple(
    (IPv4Network(block), kind)
    for block, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "reserved"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "reserved"),
        ("198.51.100.0/24", "reserved"),
        ("203.0.113.0/24", "reserved"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_BLOCKS_6 = tuple(
    (IPv6Network(block), kind)
    for block, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "reserved"),
        ("3fff::/20", "reserved"),
    )
)
_GLOBAL = IPv6Network("2000::/3")
_TRANSLATED = IPv6Network("64:ff9b::/96")
_EMBEDDING = (
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("::ffff:0:0:0/96"), 0),
    (_TRANSLATED, 0),
    (IPv6Network("::/96"), 0),
    (IPv6Network("2002::/16"), 80),
)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa")
_METADATA_NAMES = ("metadata.goog", "metadata.tencentyun.com", "metadata.packet.net", "metadata.platformequinix.com")
_LOOPBACK_NAMES = frozenset({"ip6-localhost", "ip6-loopback"})


def read_addresses(host: str) -> tuple[Address, ...] | None:
    """The addresses that `host`, lower case and without a root dot, may spell: None for a name, () for what looks like
    an address and is none.

    IPv4 may be short, decimal, octal or hexadecimal (`127.1`, `2130706433`, `0177.0.0.1`); where readers disagree about
    a leading zero, all readings are given, the usual one (octal) first. IPv6 may stand in brackets and have a zone.
    """
    text = host.removeprefix("[").removesuffix("]")
    if ":" in text:
        try:
            return (IPv6Address(text.partition("%")[0]),)
        except ValueError:
            return ()
    if not _NUMERIC_END.fullmatch(text):
        return None
    parts = text.split(".")
    if len(text) > MAX_HOST or len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return ()
    readings = (_join([_read_number(part) for part in parts]), _join([_read_decimal(part) for part in parts]))
    return tuple(dict.fromkeys(reading for reading in readings if reading is not None))


def find_kind(address: Address) -> str:
    """What keeps an address from being public (loopback, private, metadata, ...); "" for a public one.

    An IPv6 address that stands for an IPv4 address is judged by that one.
    """
    if address in _METADATA:
        return "metadata"
    if isinstance(address, IPv4Address):
        return next((kind for block, kind in _BLOCKS_4 if address in block), "")
    kind = next((kind for block, kind in _BLOCKS_6 if address in block), "")
    if kind:
        return kind
    inner = _find_embedded(address)
    if inner is not None and (kind := find_kind(inner)):
        return kind
    if address in _GLOBAL or (inner is not None and address in _EMBEDDING[0][0]) or address in _TRANSLATED:
        return ""
    return "reserved"


def find_local_name(host: str) -> str:
    """What keeps a name, lower case and without a root dot, from being public by its spelling alone; "" else."""
    if host.startswith("metadata.") and host.endswith(".internal"):
        return "metadata"
    if any(host == name or host.endswith(f".{name}") for name in _METADATA_NAMES):
        return "metadata"
    if any(host == name or host.endswith(f".{name}") for name in _LOCAL_NAMES) or host in _LOOPBACK_NAMES:
        return "local"
    return "" if "." in host else "local"


async def resolve(host: str) -> tuple[str, ...]:
    """The addresses of `host` as the operating system has them; raises OSError, TimeoutError among it after 5 s.

    The look-up runs in a thread of its own, since it cannot be interrupted and must hold up nobody's end.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[tuple[str, ...]] = loop.create_future()

    def settle(addresses: tuple[str, ...], problem: OSError | None) -> None:
        if found.done():
            return
        if problem is None:
            found.set_result(addresses)
        else:
            found.set_exception(problem)

    def look_up() -> None:
        addresses: tuple[str, ...] = ()
        problem: OSError | None = None
        try:
            rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(str(row[4][0]) for row in rows))
        except OSError as error:
            problem = error
        except UnicodeError:
            problem = OSError(f"{host} is no name")
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, addresses, problem)

    threading.Thread(target=look_up, name="a3s-code-resolve", daemon=True).start()
    async with asyncio.timeout(RESOLVE_SECONDS):
        return await found


def _read_number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    try:
        return int(part, 8 if part.startswith("0") else 10)
    except ValueError:
        return -1


def _read_decimal(part: str) -> int:
    return _read_number(part) if part.startswith("0x") else int(part)


def _join(numbers: list[int]) -> IPv4Address | None:
    """The address of up to four numbers, of which the last fills what is left."""
    *leading, last = numbers
    if min(numbers) < 0 or any(number > 255 for number in leading) or last >= 256 ** (4 - len(leading)):
        return None
    value = last
    for index, number in enumerate(leading):
        value += number << (24 - 8 * index)
    return IPv4Address(value)


def _find_embedded(address: IPv6Address) -> IPv4Address | None:
    value = int(address)
    for block, shift in _EMBEDDING:
        if address in block:
            return IPv4Address(value >> shift & 0xFFFFFFFF)
    if value >> 32 & 0xFFFFFFFF in _ISATAP:
        return IPv4Address(value & 0xFFFFFFFF)
    return None
