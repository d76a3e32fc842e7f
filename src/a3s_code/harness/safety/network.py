"""The address guard: what is fetched is public, or named by a rule, and reached only where that was checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from a3s_code.harness.safety.hosts import find_objection
from a3s_code.kernel.contracts import Decision, Effect
from a3s_code.kernel.tool import Action
from a3s_code.system.addresses import Resolver, find_kind, read_addresses, resolve
from a3s_code.system.urls import WebUrl, read_url

Granted = Callable[[str], bool]
"""Whether an allow rule of the policy names the very host of a URL (HostPattern.names)."""

GUARDED = frozenset({"web_fetch"})
PINNABLE = frozenset({"loopback", "private", "unique local", "shared", "reserved"})
"""What a name may resolve to where a rule names it. All else, such as metadata, has to be named by its address."""

_DESCRIPTIONS = {
    "metadata": "an address of cloud metadata",
    "local": "a local name",
    "unspecified": "an unspecified address",
    "unknown": "no address",
}


class AddressGuard:
    """Judges the URLs of web_fetch.

    Only http and https are fetched. A host that is not public, in whatever spelling, is denied, and so is a name of
    which any address is not public, unless a rule names that very host. A URL that readers may take for
    different things is asked about.
    """

    name = "address guard"

    def __init__(self, look_up: Resolver = resolve) -> None:
        self._look_up = look_up

    async def judge(
        self, action: Action, granted: Granted, *, look_up: bool = True
    ) -> tuple[Decision | None, tuple[Effect, ...]]:
        """The decision, None where there is nothing against the call, and the effects with the addresses approved for
        each URL in `given`, joined by commas: nothing else may be connected to.

        With `look_up` false no name is looked up, which would tell its name servers of a call that nobody has allowed:
        such effects come back without addresses, and whoever acts on them has to check them then. A name that cannot be
        looked up is no reason to deny: there is nothing to connect to.
        """
        if action.tool.lower() not in GUARDED:
            return None, action.effects
        decision: Decision | None = None
        effects: list[Effect] = []
        for effect in action.effects:
            found, pinned = await self._judge_effect(effect, granted, look_up)
            effects.append(pinned)
            if found is not None and (decision is None or found.outcome == "deny"):
                decision = found
            if decision is not None and decision.outcome == "deny":
                return decision, action.effects
        return decision, tuple(effects)

    async def _judge_effect(self, effect: Effect, granted: Granted, look_up: bool) -> tuple[Decision | None, Effect]:
        if effect.kind != "net":
            return None, effect
        url = read_url(effect.target)
        named = granted(effect.target)
        reason = _find_refusal(url, named)
        if reason:
            return self._decide("deny", reason), effect
        doubt = self._decide("ask", f"the URL is odd: {url.fault}") if url.fault else None
        addresses = await self._find_addresses(url, named=named, look_up=look_up)
        for address in addresses:
            kind = _find_kind(address)
            if kind and not (named and (kind in PINNABLE or address == url.host)):
                what = f"{url.host} resolves to {address}, which is {_describe(kind)}"
                return self._decide("deny", f"{what}; only public addresses are fetched"), effect
        return doubt, replace(effect, given=",".join(addresses))

    async def _find_addresses(self, url: WebUrl, *, named: bool, look_up: bool) -> tuple[str, ...]:
        if not url.location:
            return ()
        if read_addresses(url.host) is not None:
            return (url.host,)
        if not (look_up or named):
            return ()
        try:
            return await self._look_up(url.host)
        except OSError:
            return ()

    def _decide(self, outcome: str, reason: str) -> Decision:
        return Decision("deny" if outcome == "deny" else "ask", reason, self.name)


def _find_refusal(url: WebUrl, named: bool) -> str:
    if url.scheme and not url.web:
        return f"only http and https are fetched, not {url.scheme}:"
    if named:
        return ""
    host, kind = find_objection(url)
    if not host:
        return ""
    return f"{host} is {_describe(kind)}, not public; an allow rule web_fetch(domain:{host}) would name it"


def _find_kind(address: str) -> str:
    read = read_addresses(address.lower())
    return next((kind for found in read if (kind := find_kind(found))), "") if read else "unknown"


def _describe(kind: str) -> str:
    return _DESCRIPTIONS.get(kind, f"a {kind} address")
