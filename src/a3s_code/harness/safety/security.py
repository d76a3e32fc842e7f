"""DefaultSecurityProvider: covers what looks sensitive, follows it, and notices text that gives orders."""

from __future__ import annotations

import hashlib
import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from a3s_code.harness.hooks import HookEngine
from a3s_code.harness.safety.redaction import CustomPatterns, Redaction, find_values
from a3s_code.harness.safety.sanitize import SanitizerChain, TextSanitizer
from a3s_code.kernel.contracts import Decision
from a3s_code.kernel.hook import Hook, HookConfig
from a3s_code.kernel.messages import Observation, ToolCall
from a3s_code.kernel.ports import StreamSanitizer, TextStream
from a3s_code.kernel.tool import READS, Action

PROMPT_HOOK = "security: prompt"
MOST_TAINTS = 10_000
MOST_FINDINGS = 100
MOST_READ = 262_144

_THE = r"(?:(?:all|any|the|of|your|my|these|those)\s+)*"
_ORDERS = re.compile(
    rf"ignore\s+{_THE}(?:previous|prior|above|earlier)\s+(?:instruction|direction|rule|prompt|message)s?\b"
    rf"|disregard\s+{_THE}(?:previous|prior|above|earlier)\s+(?:context|instruction|direction|rule|prompt)s?\b"
    r"|you\s+are\s+now\s+(?:in\s+)?(?:developer|admin|debug)\s+mode\b"
    r"|forget\s+(?:everything|all)\s+(?:that\s+)?(?:you|we)\s+(?:have\s+)?(?:learned|learnt|discussed)\b"
    r"|\bnew\s+instructions?\s*:"
    r"|system\s+prompt\s+override\b",
    re.IGNORECASE,
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")


class DefaultSecurityProvider:
    """Keys, tokens, cards, numbers and addresses of persons are covered; what they and injected orders lead to is
    asked about.

    It is a sanitizer (clean, stream), a policy of the gate (judge), and watches all observations (note).
    `taint_tracking`: a sensitive value of the prompt, or of an output that was not covered, is remembered by its
    digest, and a call that would carry it anywhere asks. `output_sanitization`: outputs are covered.
    `injection_detection`: after an output that gives orders to the agent, every call that could change something
    or send something out asks, until the next prompt. `custom_patterns` are regular expressions of the host; one that
    cannot be used is left out, with a warning.

    May be used by several sessions at once, which then share what was found. All verbs may be called from any thread.
    """

    name = "security"

    def __init__(
        self,
        taint_tracking: bool = True,
        output_sanitization: bool = True,
        injection_detection: bool = True,
        custom_patterns: Iterable[str | re.Pattern[str]] = (),
    ) -> None:
        self._tracking = taint_tracking
        self._detecting = injection_detection
        self._custom = CustomPatterns(custom_patterns)
        layers: list[StreamSanitizer] = [self._custom] if self._custom else []
        self._sanitizer = SanitizerChain([*layers, Redaction()] if output_sanitization else [])
        self._lock = threading.Lock()
        self._taints: dict[str, str] = {}
        self._findings: list[str] = []
        self._engines: list[HookEngine] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def clean(self, text: str) -> str:
        """The text with what looks sensitive covered; the same object where there is nothing."""
        return self._sanitizer.clean(text)

    def sanitize_output(self, text: str) -> str:
        """The same as clean."""
        return self.clean(text)

    def stream(self) -> TextStream:
        """The same for a text that comes in pieces. With custom patterns whole lines are shown at a time."""
        return self._sanitizer.stream()

    def knowing(self, secrets: Iterable[str]) -> StreamSanitizer:
        """This sanitizer behind one that covers these secrets, whatever they look like."""
        return SanitizerChain([TextSanitizer(secrets), self])

    def begin(self, prompt: str) -> None:
        """A new prompt: what earlier outputs ordered counts no more, and the prompt's own values are remembered.

        Where several sessions share what was found, an order counts as long as there are several: it may be one that
        another of them still works on.
        """
        with self._lock:
            if len(self._engines) < 2:
                self._findings.clear()
        self.taint_input(prompt)

    def taint_input(self, text: str, origin: str = "the prompt") -> None:
        """Remember the sensitive values in a text, by their digests; `origin` says in words where it came from."""
        if not self._tracking:
            return
        with self._lock:
            for taint in self._find_taints(text):
                self._taints.setdefault(taint, origin)
            while len(self._taints) > MOST_TAINTS:
                del self._taints[next(iter(self._taints))]

    def note(self, call: ToolCall, seen: Observation) -> None:
        """Look for sensitive values and for orders in what a call gave, in its first 262,144 characters."""
        origin, output = f"the output of {seen.name} (call {seen.call_id})", seen.output[:MOST_READ]
        self.taint_input(output, origin)
        if self._detecting and (order := _find_order(output)) is not None:
            with self._lock:
                self._findings.append(f'{origin} says "{order}"')
                del self._findings[:-MOST_FINDINGS]

    def judge(self, action: Action) -> Decision | None:
        """Ask where a remembered value would leave the conversation, or where an output may be what gave the order."""
        if not _acts(action):
            return None
        if (taint := self._find_taint(action)) is not None:
            kind, origin = taint
            reason = f"the arguments hold a sensitive value ({kind}) that came with {origin}"
            return Decision("ask", reason, self.name, "taint", action.effects)
        with self._lock:
            finding = self._findings[0] if self._findings else None
        if finding is None:
            return None
        reason = f"{finding}, which reads like an order to the agent; the call may follow it"
        return Decision("ask", reason, self.name, "injection", action.effects)

    def register_hooks(self, engine: HookEngine) -> None:
        """Hear of each prompt of the engine's session, before all hooks of the host."""

        async def begin(message: dict[str, Any]) -> None:
            self.begin(str(message["payload"].get("prompt", "")))

        engine.register(Hook(PROMPT_HOOK, "pre_prompt", begin, config=HookConfig(priority=1)))
        with self._lock:
            self._engines.append(engine)

    def wipe(self) -> None:
        """Forget all values and findings."""
        with self._lock:
            self._taints.clear()
            self._findings.clear()

    def teardown(self, engine: HookEngine | None = None) -> None:
        """Take its hooks out of that engine, or of all; forget everything once it is in none any more."""
        with self._lock:
            gone = [known for known in self._engines if engine is None or known is engine]
            self._engines = [known for known in self._engines if known not in gone]
            last = not self._engines
        for left in gone:
            left.unregister_hook(PROMPT_HOOK)
        if last:
            self.wipe()

    def _find_taints(self, text: str) -> Iterator[str]:
        """The sensitive values of a text as `kind:sha256`."""
        for kind, value in (*find_values(text), *self._custom.find_values(text)):
            yield f"{kind}:{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"

    def _find_taint(self, action: Action) -> tuple[str, str] | None:
        if not self._taints:
            return None
        for text in _texts(action.arguments):
            for taint in self._find_taints(text):
                if (origin := self._taints.get(taint)) is not None:
                    return taint.partition(":")[0], origin
        return None


def _acts(action: Action) -> bool:
    """Whether a call can change something or send something out."""
    return any(effect.kind != "read" and effect.given != READS for effect in action.effects)


def _find_order(text: str) -> str | None:
    """The first phrase that gives an order to an agent, in one line."""
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    found = _ORDERS.search(text)
    return None if found is None else " ".join(found[0].split())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in cast("list[Any]", value):
            yield from _texts(item)
