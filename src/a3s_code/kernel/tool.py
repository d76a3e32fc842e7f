"""What a tool is to the kernel: a spec for the model, effects for the gate, one verb for the executor."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from a3s_code.kernel.contracts import Decision, Effect, Origin
from a3s_code.kernel.messages import ArtifactRef, Image, Observation

CHANGING = frozenset({"write", "delete", "exec", "spend", "release"})
HARMLESS = frozenset({"read", "net"})
READS = "reads"
"""The `given` of an exec effect whose command is known to change nothing."""

SandboxMode = Literal["auto", "off", "require"]


@dataclass(frozen=True, slots=True, eq=False)
class ToolSpec:
    """How a tool is shown to a model: name, one or two lines of description, a JSON Schema of its arguments.

    `group` is "core" for tools that are always shown, else the gated group the selector chooses by.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    group: str = "core"


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool gives back, before it is cleaned and shortened. Fields as in Observation."""

    text: str
    exit_code: int = 0
    error_kind: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    images: tuple[Image, ...] = ()
    value: Any = None

    @classmethod
    def failure(cls, text: str, kind: str = "failed", **metadata: Any) -> ToolOutput:
        """A failed output: the text says what was wrong and what to do instead."""
        return cls(text, exit_code=1, error_kind=kind, metadata=metadata)


class ArtifactStore(Protocol):
    """Keeps whole outputs. Both verbs may be called from any thread and return without waiting for a network."""

    def put(self, tool: str, content: str, shown_bytes: int) -> ArtifactRef:
        """Keep `content`; the same content gives the same URI."""
        ...

    def get(self, uri: str) -> str | None:
        """The content behind an `a3s://` URI, None when it is unknown or was dropped."""
        ...


async def _make_no_calls(name: str, arguments: Mapping[str, Any]) -> Observation:
    raise LookupError(f"{name} cannot be called from here")


async def _permit_nothing(arguments: Mapping[str, Any]) -> Decision:
    return Decision("deny", "nobody can be asked from here", "executor")


def _change(name: str, arguments: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of the call it serves, and the doors it may go through.

    `effects` are those the tool declared and the gate approved: a tool acts on their targets and on nothing else;
    `decision.effects` are the same as the gate compiled them, finer where it read a command. `files` maps the real path
    of each file this session has read or written to the digest of what it saw. `progress` shows output while the
    tool runs. `environment` is what a child process gets, `sandbox` how it is to be confined.

    `call` makes a call of another tool, judged like any other; `changes` tells whether such a call is declared to
    change something. `permit` has this very call judged with other arguments, and confirmed where it must be: the
    outcome is allow or deny. `hides` tells whether a rule keeps the file at a real path from being read
    without a word; it is None where no rule keeps any.
    """

    workspace: Path
    session_id: str
    run_id: str | None
    call_id: str
    origin: Origin
    decision: Decision
    effects: tuple[Effect, ...]
    artifacts: ArtifactStore
    files: MutableMapping[str, str]
    environment: Mapping[str, str]
    progress: Callable[[str], None]
    timeout_ms: int | None = None
    sandbox: SandboxMode = "off"
    call: Callable[[str, Mapping[str, Any]], Awaitable[Observation]] = _make_no_calls
    changes: Callable[[str, Mapping[str, Any]], bool] = _change
    permit: Callable[[Mapping[str, Any]], Awaitable[Decision]] = _permit_nothing
    hides: Callable[[str], bool] | None = None


class ToolPort(Protocol):
    """A tool. `toolkit.Tool` implements all but `invoke`.

    parse may raise ArgumentError and nothing else. effects must be cheap, pure, and complete: what it does not list,
    invoke must not do. It raises ValueError for a path that cannot be one. invoke may be called concurrently, may raise
    (the model sees the message), and must end when cancelled with nothing of it left running.

    A tool that makes calls it knows beforehand may have a method `calls(args)` that gives them as (name, arguments)
    pairs, for whoever asks what would be decided.
    """

    @property
    def spec(self) -> ToolSpec: ...

    def parse(self, arguments: Mapping[str, Any]) -> Any:
        """The validated arguments; raises ArgumentError naming path, expected and got."""
        ...

    def effects(self, args: Any, workspace: Path) -> tuple[Effect, ...]:
        """All the call would do, with real paths; an empty tuple where it does nothing of its own."""
        ...

    async def invoke(self, args: Any, context: ToolContext) -> ToolOutput:
        """Do it."""
        ...


@dataclass(frozen=True, slots=True)
class Action:
    """One call as the gate judges it: `arguments` as given, `effects` as the tool declares them.

    `grants` are the allow rules of the skill that is active. `calls` are the calls it would make, known beforehand:
    they count when somebody asks what would be decided, and are judged one by one when they are made.
    """

    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    effects: tuple[Effect, ...]
    origin: Origin
    grants: tuple[str, ...] = ()
    calls: tuple[Action, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether the call is declared to change something, so that it must not run beside others."""
        return any(effect.kind in CHANGING and effect.given != READS for effect in self.effects)

    @property
    def may_change(self) -> bool:
        """Whether the call may have changed something, so that it has to be proved; unknown effects may."""
        return any(effect.kind not in HARMLESS and effect.given != READS for effect in self.effects)


class ToolCatalog:
    """The tools of a session by name, in a fixed order; later ones with the same name replace earlier ones in place."""

    def __init__(self, tools: Iterable[ToolPort]) -> None:
        self._tools: dict[str, ToolPort] = {tool.spec.name: tool for tool in tools}
        self.specs: tuple[ToolSpec, ...] = tuple(tool.spec for tool in self._tools.values())

    def __iter__(self) -> Iterator[ToolPort]:
        return iter(self._tools.values())

    @property
    def names(self) -> list[str]:
        return list(self._tools)

    def get(self, name: str) -> ToolPort | None:
        return self._tools.get(name)

    def nearest(self, name: str) -> list[str]:
        """Up to three names like `name`, best first; case does not count."""
        lower = {known.lower(): known for known in self._tools}
        return [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
