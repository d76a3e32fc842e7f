"""What the host patterns of rules cover."""

from __future__ import annotations

import pytest

from a3s_code.harness.safety.hosts import HostPattern, find_objection
from a3s_code.system.urls import read_url


@pytest.mark.parametrize(
    ("pattern", "url", "expected"),
    [
        ("domain:github.com", "https://GitHub.COM/a", True),
        ("domain:GITHUB.com.", "https://github.com./a", True),
        ("domain:github.com", "http://github.com/", True),
        ("domain:github.com", "https://github.com:443/", True),
        ("domain:github.com", "https://github.com:/", True),
        ("domain:github.com", "http://github.com:443/", False),
        ("domain:github.com", "https://github.com:8443/", False),
        ("domain:github.com", "https://gist.github.com/", False),
        ("domain:github.com", "https://evilgithub.com/", False),
        ("domain:github.com", "https://evil.test/?https://github.com", False),
        ("domain:github.com", "https://user@github.com/", False),
        ("domain:github.com", "https://github.com@evil.test/", False),
        ("domain:github.com", "https://evil.test\\@github.com/", False),
        ("domain:github.com", "https://github\u3002com/", False),
        ("domain:github.com", "https://g\u0456thub.com/", False),
        ("domain:github.com", "//github.com/", False),
        ("domain:github.com", "ftp://github.com/", False),
        ("domain:*.example.com", "https://a.b.example.com/", True),
        ("domain:*.example.com", "https://example.com/", False),
        ("domain:*.example.com", "https://notexample.com/", False),
        ("domain:*", "https://any.test/", True),
        ("domain:*", "https://any.test:81/", False),
        ("domain:localhost", "http://localhost:3000/", True),
        ("domain:127.0.0.1", "http://127.0.0.1:8080/", True),
        ("domain:127.0.0.1", "http://127.1/", False),
        ("domain:[::1]", "http://[0:0:0:0:0:0:0:1]:9/", True),
        ("domain:::1", "http://[::1]/", True),
        ("domain:b\u00fccher.test", "https://xn--bcher-kva.test/", True),
        ("domain:https://github.com", "https://github.com/", False),
        ("domain:git*.com", "https://github.com/", False),
    ],
)
def test_an_allow_covers_what_is_beyond_doubt(pattern: str, url: str, expected: bool) -> None:
    assert HostPattern(pattern).matches_for_allow(url) is expected


@pytest.mark.parametrize(
    ("pattern", "url", "expected"),
    [
        ("domain:evil.test", "https://EVIL.test:8080/a", True),
        ("domain:evil.test", "http://a@evil.test/", True),
        ("domain:evil.test", "https://evil.test./", True),
        ("domain:evil.test", "https://evil.test\\@ok.test/", True),
        ("domain:evil.test", "https://ok.test\\@evil.test/", True),
        ("domain:evil.test", "https://evil\uff0etest/", True),
        ("domain:evil.test", "https://evi%6c.test/", True),
        ("domain:evil.test", "evil.test/a", True),
        ("domain:evil.test", "ftp://evil.test/", True),
        ("domain:evil.test", "https://a.evil.test/", False),
        ("domain:evil.test", "https://ok.test/?evil.test", False),
        ("domain:evil.test", "https://ok.test\\@fine.test/", False),
        ("domain:*.evil.test", "https://a.evil.test/", True),
        ("domain:*.evil.test", "https://evil.test/", False),
        ("domain:*", "https://any.test:81/", True),
        ("domain:127.0.0.1", "http://2130706433/", True),
        ("domain:https://evil.test/x", "https://evil.test/", True),
    ],
)
def test_a_deny_covers_every_host_that_may_be_meant(pattern: str, url: str, expected: bool) -> None:
    assert HostPattern(pattern).matches_for_deny(url) is expected


@pytest.mark.parametrize(
    ("pattern", "url", "expected"),
    [
        ("domain:localhost", "http://localhost:3000/", True),
        ("domain:localhost", "http://me@localhost/", True),
        ("domain:localhost", "http://evil.test\\@localhost/", False),
        ("domain:127.0.0.1", "http://localhost/", False),
        ("domain:127.0.0.1", "http://127.1/", False),
        ("domain:*", "http://localhost/", False),
        ("domain:*.localhost", "http://a.localhost/", False),
    ],
)
def test_only_a_rule_that_says_the_host_names_it(pattern: str, url: str, expected: bool) -> None:
    assert HostPattern(pattern).names(url) is expected


@pytest.mark.parametrize("pattern", ["domain:", "domain:*.", "domain:a b", "domain:a.test/x", "domain:a.test:80", "*."])
def test_a_pattern_that_names_no_host_says_so_and_allows_nothing(pattern: str) -> None:
    host = HostPattern(pattern)
    assert "names no host" in host.fault
    assert not host.matches_for_allow("https://a.test/")


def test_a_name_without_a_dot_is_local_where_it_is_the_host() -> None:
    assert find_objection(read_url("http://intranet/")) == ("intranet", "local")
    assert find_objection(read_url("https://user:p%2Fw@github.com/")) == ("", "")
