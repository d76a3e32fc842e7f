"""Public or not: every block, every spelling, every address inside another."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from a3s_code.system.addresses import find_kind, find_local_name, read_addresses, resolve


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.0.0.5", "private"),
        ("100.64.0.1", "shared"),
        ("100.100.100.200", "metadata"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("168.63.129.16", "metadata"),
        ("169.254.1.1", "link-local"),
        ("169.254.169.254", "metadata"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.8", "reserved"),
        ("192.0.2.1", "reserved"),
        ("192.168.0.1", "private"),
        ("198.18.0.1", "reserved"),
        ("203.0.113.9", "reserved"),
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::7f00:1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "metadata"),
        ("::ffff:0:10.0.0.1", "private"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b:1::1", "reserved"),
        ("100::1", "reserved"),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", "reserved"),
        ("2001:db8::1", "reserved"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a9fe:a9fe::", "metadata"),
        ("2606:4700::5efe:127.0.0.1", "loopback"),
        ("3fff::1", "reserved"),
        ("fc00::1", "unique local"),
        ("fd00:ec2::254", "metadata"),
        ("fe80::1", "link-local"),
        ("fec0::1", "private"),
        ("ff02::1", "multicast"),
    ],
)
def test_what_is_not_public_is_called_by_its_kind(address: str, kind: str) -> None:
    assert find_kind(ip_address(address)) == kind


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "93.184.216.34",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::5",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_a_public_address_has_no_kind(address: str) -> None:
    assert find_kind(ip_address(address)) == ""


@pytest.mark.parametrize(
    ("spelling", "addresses"),
    [
        ("127.0.0.1", ("127.0.0.1",)),
        ("127.1", ("127.0.0.1",)),
        ("127.0.1", ("127.0.0.1",)),
        ("2130706433", ("127.0.0.1",)),
        ("0x7f000001", ("127.0.0.1",)),
        ("0x7f.0.0.1", ("127.0.0.1",)),
        ("017700000001", ("127.0.0.1",)),
        ("0177.0.0.1", ("127.0.0.1", "177.0.0.1")),
        ("010.8.8.8", ("8.8.8.8", "10.8.8.8")),
        ("08.8.8.8", ("8.8.8.8",)),
        ("0", ("0.0.0.0",)),
        ("0x", ("0.0.0.0",)),
        ("192.168.257", ("192.168.1.1",)),
        ("4294967295", ("255.255.255.255",)),
        ("[::1]", ("::1",)),
        ("0:0:0:0:0:0:0:1", ("::1",)),
        ("fe80::1%25eth0", ("fe80::1",)),
        ("::ffff:7f00:1", ("::ffff:7f00:1",)),
    ],
)
def test_every_spelling_of_an_address_is_read(spelling: str, addresses: tuple[str, ...]) -> None:
    assert read_addresses(spelling) == tuple(map(ip_address, addresses))


@pytest.mark.parametrize(
    "spelling",
    [
        "256.0.0.1",
        "4294967296",
        "1.2.3.4.5",
        "1..2",
        "a.b.1",
        "1.2.3.0x100",
        ":::",
        "[::1",
        "1" * 5000,
        "0x" + "f" * 99,
    ],
)
def test_what_looks_like_an_address_and_is_none_is_no_name_either(spelling: str) -> None:
    found = read_addresses(spelling)
    assert found is not None
    assert all(find_kind(address) for address in found)


@pytest.mark.parametrize("name", ["example.com", "a1.test", "1.example.com", "0x7f.test", "deadbeef", ""])
def test_a_name_is_no_address(name: str) -> None:
    assert read_addresses(name) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("localhost", "local"),
        ("a.localhost", "local"),
        ("printer.local", "local"),
        ("x.internal", "local"),
        ("localhost.localdomain", "local"),
        ("nas.home.arpa", "local"),
        ("router", "local"),
        ("metadata.google.internal", "metadata"),
        ("metadata.goog", "metadata"),
        ("example.com", ""),
        ("mylocalhost.com", ""),
        ("local.example.com", ""),
    ],
)
def test_a_local_name_is_known_by_its_spelling(name: str, kind: str) -> None:
    assert find_local_name(name) == kind


async def test_an_address_resolves_to_itself_and_localhost_to_loopback() -> None:
    assert await resolve("127.0.0.1") == ("127.0.0.1",)
    assert all(find_kind(ip_address(address)) == "loopback" for address in await resolve("localhost"))


async def test_a_name_that_does_not_exist_and_one_that_cannot_are_typed() -> None:
    for name in ("no-such-host.invalid", "a" * 300 + ".test"):
        with pytest.raises(OSError):
            await resolve(name)


def test_what_the_system_reads_as_an_address_is_read_the_same() -> None:
    """Whatever inet_aton takes is an address here too, and among the readings is the system's own."""
    spellings = ["127.1", "0177.1", "0x7f.1", "1.2.3", "0xffffffff", "00", "010", "1.0x10.3", "7.0377.0xff.01"]
    for spelling in spellings:
        own = str(ip_address(socket.inet_aton(spelling)))
        assert own in [str(found) for found in read_addresses(spelling) or ()]
