"""The address guard, with rules around it as in a gate: the strictest over all hops of a fetch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from a3s_code.capabilities.web import WebFetch
from a3s_code.harness.safety.hosts import HostPattern
from a3s_code.harness.safety.network import AddressGuard
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.rules import parse_rule
from a3s_code.kernel.tool import Action

RANK = ("allow", "ask", "deny")
PUBLIC = "93.184.216.34"
ANY = ("web_fetch(*)",)
GITHUB = ("web_fetch(domain:github.com)",)
BELOW = ("web_fetch(domain:*.example.com)",)
NO_EVIL = ("web_fetch(domain:evil.test)",)


@dataclass
class Names:
    """A resolver of the test: names it does not know are public; of several answers each is given once."""

    known: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def look_up(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        answers = self.known.get(host, [[PUBLIC]])
        if not answers:
            raise OSError("no such name")
        return tuple(answers[min(self.asked.count(host), len(answers)) - 1])


def action(url: str, tool: str = "web_fetch") -> Action:
    return Action("1", tool, {"url": url}, (Effect("net", url),), "model")


def patterns(rules: Sequence[str]) -> list[HostPattern]:
    return [HostPattern(parse_rule(rule).pattern or "domain:*") for rule in rules]


async def fate(
    url: str,
    allow: Sequence[str] = ANY,
    deny: Sequence[str] = (),
    names: Names | None = None,
    moves: Mapping[str, str] | None = None,
) -> str:
    """What becomes of a fetch: the strictest decision over its redirects."""
    tool, worst = WebFetch(), 0
    guard = AddressGuard((names or Names()).look_up)
    while True:
        args = tool.parse({"url": url})
        call = Action("1", "web_fetch", {"url": url}, tool.effects(args, Path("/")), "model")
        worst = max(worst, RANK.index(rules_say(url, allow, deny)))
        found, _ = await guard.judge(call, lambda target: any(host.names(target) for host in patterns(allow)))
        worst = max(worst, 0 if found is None else RANK.index(found.outcome))
        if moves is None or url not in moves:
            return RANK[worst]
        url = moves[url]


def rules_say(url: str, allow: Sequence[str], deny: Sequence[str]) -> str:
    if any(host.matches_for_deny(url) for host in patterns(deny)):
        return "deny"
    wholesale = any(parse_rule(rule).pattern is None for rule in allow)
    return "allow" if wholesale or any(host.matches_for_allow(url) for host in patterns(allow)) else "ask"


@pytest.mark.parametrize(
    ("expected", "url", "allow"),
    [
        ("allow", "https://GitHub.COM/a", GITHUB),
        ("ask", "https://github.com:8443/a", GITHUB),
        ("ask", "https://evilgithub.com/", GITHUB),
        ("ask", "https://evil.test/?x=https://github.com", GITHUB),
        ("ask", "https://github.com@evil.test/", GITHUB),
        ("ask", "https://github.com%40evil.test/", GITHUB),
        ("ask", "https://evil.test\\@github.com/", GITHUB),
        ("ask", "https://user:pw@github.com/", GITHUB),
        ("ask", "https://g\u0456thub.com/", GITHUB),
        ("ask", "https://xn--gthub-n4a.com/", GITHUB),
        ("ask", "https://gist.github.com/", GITHUB),
        ("allow", "http://github.com/", GITHUB),
        ("ask", "//github.com/a", GITHUB),
        ("ask", "https:// github.com/", GITHUB),
        ("ask", "https://github\u3002com/", GITHUB),
        ("allow", "https://a.example.com/", BELOW),
        ("allow", "https://a.b.example.com/", BELOW),
        ("ask", "https://example.com/", BELOW),
        ("ask", "https://notexample.com/", BELOW),
        ("allow", "http://127.0.0.1/", ("web_fetch(domain:127.0.0.1)",)),
        ("allow", "http://localhost:3000/", ("web_fetch(domain:localhost)",)),
        ("ask", "http://me@localhost/", ("web_fetch(domain:localhost)",)),
        ("deny", "http://127.0.0.1/", ("web_fetch(domain:localhost)",)),
        ("allow", "https://ok.test/", ANY),
        ("allow", "https://8.8.8.8/", ANY),
        ("allow", "https://[2606:4700::1111]/", ANY),
        ("allow", "https://b\u00fccher.test/", ANY),
        ("ask", "https://user:pw@ok.test/", ANY),
        ("ask", "https://ok.test/a b", ANY),
        ("ask", "ok.test/a", ANY),
        ("ask", "", ANY),
    ],
)
async def test_a_url_is_allowed_or_asked_about(expected: str, url: str, allow: Sequence[str]) -> None:
    assert await fate(url, allow) == expected


@pytest.mark.parametrize(
    ("expected", "url", "deny"),
    [
        ("deny", "https://evil.test/", NO_EVIL),
        ("deny", "http://a@evil.test/", NO_EVIL),
        ("deny", "https://evil.test:8080/", NO_EVIL),
        ("deny", "https://evil\u3002test", NO_EVIL),
        ("allow", "https://ok.test/", NO_EVIL),
        ("deny", "https://a.evil.test/", ("web_fetch(domain:*.evil.test)",)),
    ],
)
async def test_a_denied_host_is_denied_in_every_spelling(expected: str, url: str, deny: Sequence[str]) -> None:
    assert await fate(url, ANY, deny) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://0/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[fe80::1%25eth0]/",
        "http://[2002:7f00:1::]/",
        "http://[64:ff9b::169.254.169.254]/",
        "http://localhost/",
        "http://LOCALHOST:3000/",
        "http://localhost./",
        "http://a.localhost/",
        "http://[::ffff:169.254.169.254]/",
        "http://metadata.google.internal/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:10.0.0.5]/",
        "http://\u2460\u2461\u2466.0.0.1/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://\uff4cocalhost/",
        "http://127.0.0.1.:80/",
        "http://127.0.0.1:99999/",
        "http://ok.test\\@127.0.0.1/",
        "http://127.0.0.1\\@ok.test/",
        "http://me@127.0.0.1/",
        "http:127.0.0.1",
        "//127.0.0.1/",
        "http://intranet/",
        "file:///etc/passwd",
        " FILE:///etc/passwd",
        "fi\nle:///etc/passwd",
        "ftp://x.test/a",
        "data:text/html,hi",
        "jar:http://x.test!/",
        "view-source:file:///etc/passwd",
        "javascript:alert(1)",
        "localhost:3000",
    ],
)
async def test_what_is_not_public_or_not_the_web_is_denied(url: str) -> None:
    assert await fate(url) == "deny"


async def test_every_redirect_is_decided_anew() -> None:
    assert await fate("https://github.com/r", GITHUB, moves={"https://github.com/r": "https://evil.test/"}) == "ask"
    assert await fate("https://ok.test/r", moves={"https://ok.test/r": "file:///etc/passwd"}) == "deny"
    assert await fate("https://ok.test/r", ANY, NO_EVIL, moves={"https://ok.test/r": "https://evil.test/"}) == "deny"
    assert await fate("https://ok.test/r", moves={"https://ok.test/r": "http://169.254.169.254/"}) == "deny"


@pytest.mark.parametrize(
    "answer", [["10.0.0.1"], [PUBLIC, "127.0.0.1"], ["::1"], ["fe80::1%eth0"], ["169.254.169.254"], ["nonsense"]]
)
async def test_a_name_is_denied_where_any_of_its_addresses_is_not_public(answer: list[str]) -> None:
    assert await fate("https://a.test/", names=Names({"a.test": [answer]})) == "deny"
    assert await fate("https://a.test/", BELOW, names=Names({"a.test": [answer]})) == "deny"


async def test_a_rule_that_names_a_host_lets_it_be_private_but_no_metadata() -> None:
    allow = ("web_fetch(domain:wiki.test)",)
    assert await fate("https://wiki.test/", allow, names=Names({"wiki.test": [["10.0.0.1", "fd00::1"]]})) == "allow"
    assert await fate("https://wiki.test/", allow, names=Names({"wiki.test": [["169.254.169.254"]]})) == "deny"


async def test_a_name_that_changes_its_address_is_denied_at_the_hop_where_it_does() -> None:
    names = Names({"a.test": [[PUBLIC], ["127.0.0.1"]]})
    assert await fate("http://a.test/", names=names) == "allow"
    names = Names({"a.test": [[PUBLIC], ["127.0.0.1"]]})
    assert await fate("http://a.test/", names=names, moves={"http://a.test/": "http://a.test/2"}) == "deny"


async def test_the_approved_addresses_travel_with_the_effect() -> None:
    guard = AddressGuard(Names({"a.test": [[PUBLIC, "2606:4700::1111"]]}).look_up)
    found, effects = await guard.judge(action("https://a.test/x"), lambda _: False)
    assert found is None
    assert effects == (Effect("net", "https://a.test/x", f"{PUBLIC},2606:4700::1111"),)
    _, effects = await guard.judge(action("https://8.8.8.8/"), lambda _: False)
    assert effects == (Effect("net", "https://8.8.8.8/", "8.8.8.8"),)


async def test_a_name_is_not_looked_up_before_the_call_is_allowed() -> None:
    names = Names({"a.test": [["10.0.0.1"]]})
    guard = AddressGuard(names.look_up)
    found, effects = await guard.judge(action("https://a.test/"), lambda _: False, look_up=False)
    assert (found, effects, names.asked) == (None, (Effect("net", "https://a.test/"),), [])
    found, _ = await guard.judge(action("http://127.1/"), lambda _: False, look_up=False)
    assert found is not None
    assert found.outcome == "deny"


async def test_a_name_without_addresses_is_no_reason_to_deny() -> None:
    found, effects = await AddressGuard(Names({"a.test": []}).look_up).judge(action("https://a.test/"), lambda _: False)
    assert (found, effects) == (None, (Effect("net", "https://a.test/"),))


async def test_addresses_that_a_tool_claims_for_itself_do_not_count() -> None:
    call = Action("1", "Web_Fetch", {}, (Effect("net", "https://a.test/", "10.0.0.1"),), "model")
    _, effects = await AddressGuard(Names().look_up).judge(call, lambda _: False)
    assert effects == (Effect("net", "https://a.test/", PUBLIC),)


async def test_other_tools_and_other_effects_are_not_its_business() -> None:
    guard = AddressGuard(Names().look_up)
    call = action("http://localhost:8888/search", "web_search")
    assert await guard.judge(call, lambda _: False) == (None, call.effects)
    call = Action("1", "web_fetch", {}, (Effect("read", "/a"),), "model")
    assert await guard.judge(call, lambda _: False) == (None, call.effects)


async def test_a_refusal_says_which_host_and_which_rule_would_name_it() -> None:
    found, _ = await AddressGuard(Names().look_up).judge(action("http://127.1/"), lambda _: False)
    assert found is not None
    assert found.source == "address guard"
    assert "127.0.0.1 is a loopback address" in found.reason
    assert "web_fetch(domain:127.0.0.1)" in found.reason
