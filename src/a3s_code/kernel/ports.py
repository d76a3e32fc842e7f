"""The ports: what the loop asks of the harness and the edges, one verb each, in the order of the loop.

Every port may be implemented by any object with the verb. Unless a docstring says otherwise, a verb runs on the
event loop (so it must not block), may be called for several sessions at once, and may raise: an A3SError ends the run
with it, anything else ends the run as a HarnessError that names the module.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from a3s_code.kernel.contracts import (
    Confirmation,
    Decision,
    Intent,
    Plan,
    Suggestion,
    Verification,
)
from a3s_code.kernel.events import AgentEvent
from a3s_code.kernel.messages import Message, Observation, Piece, Request, ToolCall
from a3s_code.kernel.state import SessionState
from a3s_code.kernel.tool import Action, ToolCatalog, ToolOutput, ToolSpec


@dataclass(frozen=True, slots=True)
class Prompt:
    """One model request: the system text, the conversation, the tools. Only the assembler builds it.

    `calls` False asks for an answer without any call, though the tools are shown as ever.
    """

    system: str
    messages: Sequence[Message]
    tools: tuple[ToolSpec, ...] = ()
    calls: bool = True


class IntentRouter(Protocol):
    """Reads what a request asks for."""

    async def route(self, request: Request, state: SessionState) -> Intent:
        """Must not change the request's words."""
        ...


class Planner(Protocol):
    """Turns an intent into a plan where that helps."""

    async def plan(self, intent: Intent, state: SessionState) -> Plan | None:
        """None: no plan. A failure must degrade to None, not to a guess."""
        ...


class ContextAssembler(Protocol):
    """The one door for prompt text."""

    async def assemble(
        self, intent: Intent, plan: Plan | None, tools: tuple[ToolSpec, ...], state: SessionState
    ) -> Prompt:
        """The messages of the state must appear in order and unchanged; system text and tools should not vary
        from turn to turn, for the provider's cache."""
        ...


class ToolSelector(Protocol):
    """Chooses the tools a model sees."""

    async def select(self, intent: Intent, catalog: ToolCatalog, state: SessionState) -> tuple[ToolSpec, ...]:
        """In a fixed order; what is shown once should stay."""
        ...


class ChatModel(Protocol):
    """A language model."""

    @property
    def name(self) -> str:
        """ "provider/model"."""
        ...

    def stream(self, prompt: Prompt) -> AsyncIterator[Piece]:
        """Deltas as they come, then exactly one Reply, last. A Retry among them takes back all that came before it.

        An iterator that ends without a Reply counts as a cut answer. Raises ModelError (or ConfigError where a
        credential is missing) and nothing else. Closing the iterator closes the connection. Must be usable from several
        event loops, one after the other or at once.
        """
        ...


class SafetyGate(Protocol):
    """Judges a call before it runs."""

    async def decide(self, action: Action) -> Decision:
        """Must be free of effects. An exception counts as deny, and so does an answer after more than 10 seconds."""
        ...


class Policy(Protocol):
    """One source of judgement inside the gate; the strictest of all wins."""

    @property
    def name(self) -> str: ...

    def judge(self, action: Action) -> Decision | None:
        """None: no opinion. An exception counts as deny."""
        ...


Emit = Callable[[AgentEvent], None]


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked: the call as it will run, and the decision that asks.

    `shown` is the call's arguments as cleaned and shortened JSON text, `digest` the SHA-256 of all of them as they are.
    """

    action: Action
    decision: Decision
    shown: str
    digest: str


class Confirmer(Protocol):
    """Asks a person."""

    async def confirm(self, question: Question, emit: Emit) -> Confirmation:
        """May wait as long as the person does, and tells of it by confirmation events. An exception counts as no."""
        ...

    def objects(self, call_id: str) -> bool:
        """Whether a person has said no to the call already: then it is asked about even where the rules allow it."""
        ...


class Sanitizer(Protocol):
    """Cleans text on its way to the model, the events and the artifacts."""

    def clean(self, text: str) -> str:
        """Same input, same output; may be called from any thread."""
        ...


class TextStream(Protocol):
    """Cleans a text that comes in pieces: what comes out, joined, is the whole text cleaned."""

    def feed(self, text: str) -> str:
        """What can be shown by now; the end is held back as long as it may be the beginning of a secret."""
        ...

    def finish(self) -> str:
        """What was held back."""
        ...


class StreamSanitizer(Sanitizer, Protocol):
    """A sanitizer that also cleans what comes in pieces."""

    def stream(self) -> TextStream: ...


class Guard(Protocol):
    """Watches the calls of one run for a model that goes in circles."""

    def check(self, call: ToolCall) -> ToolOutput | None:
        """The output in place of the call, or None to go on; raises RunLimit where the run has to end."""
        ...

    def note(self, call: ToolCall, seen: Observation, changed: bool) -> None:
        """Called for each call that was carried out; `changed`: it was one that may have changed something."""
        ...


class Watcher(Protocol):
    """Sees every observation before the next call is judged."""

    def note(self, call: ToolCall, seen: Observation) -> None:
        """Must return at once; an exception withholds the observation from the model."""
        ...


class Hooks(Protocol):
    """Calls what the host hooked in. All verbs may be called on any event loop."""

    def listens(self, name: str) -> bool:
        """Whether any hook wants to hear of `name`; cheap."""
        ...

    async def consult(self, name: str, payload: Mapping[str, Any], emit: Emit) -> Suggestion:
        """Ask the gating hooks, in order; never raises: one that fails blocks, and an event says so."""
        ...

    def observe(self, name: str, payload: Mapping[str, Any], emit: Emit) -> None:
        """Tell the hooks that only observe; returns at once."""
        ...


Execute = Callable[[ToolCall], Awaitable[Observation]]


class Verifier(Protocol):
    """Says whether the work is proved."""

    async def verify(self, state: SessionState, execute: Execute) -> Verification:
        """Called when the model has ended its work. `execute` runs a call with origin "check" through the executor.
        With `feedback` in the answer the loop goes on, so give it a bounded number of times."""
        ...


class Compactor(Protocol):
    """Keeps the history inside the model's window."""

    async def compact(self, state: SessionState) -> Sequence[Message] | None:
        """The history to go on with, or None to leave it. Every tool call in it must keep its result.

        Called after each turn, and with `state.overflows` above 0 when the model has refused the history as too long:
        then it must get shorter.
        """
        ...


class Clock(Protocol):
    """Time and ids, so that a run can be made deterministic."""

    async def sleep(self, seconds: float) -> None:
        """Return when that much time has passed on this clock."""
        ...

    def now_ms(self) -> int:
        """Milliseconds since 1970, never going backwards."""
        ...

    def new_id(self, kind: str) -> str:
        """A fresh id that starts with `kind-`; safe in a file name."""
        ...


@dataclass(frozen=True, slots=True)
class Harness:
    """A host's own modules, each in place of the default one; None keeps the default.

    A gate given here is asked besides the workspace boundary and the rules, never instead of them: the strictest wins.
    """

    router: IntentRouter | None = None
    planner: Planner | None = None
    assembler: ContextAssembler | None = None
    selector: ToolSelector | None = None
    gate: SafetyGate | None = None
    sanitizer: Sanitizer | None = None
    verifier: Verifier | None = None
    compactor: Compactor | None = None


@dataclass(frozen=True, slots=True)
class Modules:
    """The complete set a loop runs with."""

    router: IntentRouter
    planner: Planner
    assembler: ContextAssembler
    selector: ToolSelector
    gate: SafetyGate
    sanitizer: StreamSanitizer
    verifier: Verifier
    compactor: Compactor
    hooks: Hooks
    guard: Callable[[], Guard]


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends or cuts off work, in the units of the names.

    `max_output_tokens` is what a reply may hold at most, where the host said so; with `last_turn` the model is asked
    once more, without tools, when a limit other than time is reached.
    """

    max_tool_rounds: int = 50
    tool_timeout_ms: int = 600_000
    observation_bytes: int = 16_384
    host_output_bytes: int = 1_048_576
    max_execution_time_ms: int | None = None
    max_tokens: int | None = None
    max_cost: Decimal | None = None
    max_output_tokens: int | None = None
    max_context_tokens: int = 200_000
    last_turn: bool = False
    continuation_turns: int = 3
    parse_retries: int = 2
