"""A URL is read in one way for fetching, and in all ways for judging."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.system.urls import fold_host, read_url


def test_a_plain_url_has_one_host_and_no_fault() -> None:
    url = read_url("HTTPS://Example.COM.:8443/a?b=c#d")
    assert (url.scheme, url.host, url.port, url.hosts) == ("https", "example.com", 8443, ("example.com",))
    assert url.plain
    assert url.fault == ""
    assert url.location == "https://example.com:8443/a?b=c"


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("http://a.test", "http://a.test/"),
        ("http://a.test?x", "http://a.test/?x"),
        ("http://a.test:/", "http://a.test/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("http://b\u00fccher.test/\u00e9?\u00fc", "http://xn--bcher-kva.test/%C3%A9?%C3%BC"),
        ("http://a.test/%7e%zz", "http://a.test/%7e%zz"),
        ("http://me:p@a.test/", "http://me:p@a.test/"),
    ],
)
def test_the_location_is_what_was_judged(text: str, location: str) -> None:
    assert read_url(text).location == location


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("https://evil.test\\@github.com/", {"evil.test", "github.com"}),
        ("https://github.com%40evil.test/", {"evil.test"}),
        ("https://a@b@c.test/", {"c.test"}),
        ("https:/one.test/", {"one.test"}),
        ("https:one.test", {"one.test"}),
        ("https:///one.test/", {"one.test"}),
        ("//one.test/a", {"one.test"}),
        ("one.test/a", {"one.test"}),
        ("https://o\u200bne.test/", {"one.test"}),
        ("https://one\u3002test/", {"one.test"}),
        ("https:// one.test/", {"one.test"}),
        ("https://one.test:99999/", {"one.test"}),
        ("http://::1/", {"::1"}),
    ],
)
def test_all_hosts_that_a_reader_may_see_are_told(text: str, hosts: set[str]) -> None:
    assert hosts <= set(read_url(text).hosts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "one.test",
        "//one.test",
        "https:one.test",
        "https:///one.test",
        "https://",
        "https://one.test\\a",
        "https://one.test/a b",
        "https://one.test/\n",
        "https://one\u00a0.test/",
        "https://one.test/\u202e",
        "https://one.test:0/",
        "https://one.test:x/",
        "https://one.test:\uff18\uff10/",
        "https://o%6ee.test/",
        "https://one..test/",
        "https://-one.test/",
        "https://" + "a" * 64 + ".test/",
        "https://256.1.1.1/",
        "https://i\u2764.test/",
    ],
)
def test_an_odd_url_has_a_fault_and_cannot_be_fetched(text: str) -> None:
    url = read_url(text)
    assert url.fault
    assert url.location == ""


def test_credentials_are_a_fault_and_can_be_fetched() -> None:
    url = read_url("https://me:secret@one.test/")
    assert "user name" in url.fault
    assert url.location == "https://me:secret@one.test/"
    assert "secret" not in url.fault


def test_hosts_are_folded_as_they_are_looked_up() -> None:
    assert fold_host("\u2460\u2461\u2466.0.0.1") == "127.0.0.1"
    assert fold_host("\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54") == "localhost"
    assert fold_host("fa\u00df.de") == "xn--fa-hia.de"
    assert fold_host("g\u0456thub.com") != "github.com"


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://", "http:", "//"]))
def test_any_text_is_read_without_an_error(text: str, head: str) -> None:
    url = read_url(head + text)
    assert bool(url.location) <= bool(url.host)
    assert url.location.isascii()
    assert not url.host or url.host in url.hosts
