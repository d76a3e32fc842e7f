"""What is said: messages, tool calls, observations, and the pieces of a streamed reply.

A conversation is an append-only list of `Message`. Values are frozen; the one thing a message may remember is how
a wire format spells it (`Message.wire`), so that no request encodes it twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from a3s_code.errors import A3SError
from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.record import Record

Role = Literal["user", "assistant", "tool"]
StopReason = Literal["end", "tool_calls", "length", "content_filter", "pause", "context_overflow"]


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text of a message."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its media type (`image/png`) and its bytes, not encoded."""

    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A model's reasoning, kept apart from its text.

    `block` is the provider's own block as JSON text and goes back byte for byte to `model`, the "provider/model" that
    made it, and to no other. It is None where the provider gives only readable text.
    """

    text: str
    model: str
    block: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call a model asked for. `malformed` is the argument text as written where it was no JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    malformed: str | None = None


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """Where the whole of a shortened output can be read: `a3s://tool-output/TOOL/SHA256`."""

    uri: str
    original_bytes: int
    shown_bytes: int


@dataclass(frozen=True, slots=True)
class Observation:
    """What one call gave: the text for the model, and the same as data for the host.

    `exit_code` is 0 for success. `error_kind` is None for success, else one of: invalid_argument, unknown_tool,
    permission_denied, not_found, version_conflict, unsupported, timeout, cancelled, interrupted, failed, internal.
    invalid_argument, not_found, version_conflict and unsupported promise that nothing was done.
    `value` is the structured result where the tool has one (glob: list of paths); what the model asked for has none, so
    that a history does not hold everything twice.
    """

    call_id: str
    name: str
    output: str
    exit_code: int = 0
    error_kind: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    images: tuple[Image, ...] = ()
    artifact: ArtifactRef | None = None
    value: Any = field(default=None, repr=False)

    @property
    def failed(self) -> bool:
        return self.exit_code != 0 or self.error_kind is not None


Part = Text | Image | Reasoning | ToolCall | Observation


@dataclass(frozen=True, slots=True)
class Message(Record):
    """One entry of a conversation: who speaks, and the parts in order.

    user: Text and Image. assistant: Reasoning, Text, ToolCall. tool: one Observation for each call of the message
    before it, in the order asked. `wire` caches this message's bytes per wire format and is no part of its value.
    """

    role: Role
    parts: tuple[Part, ...]
    wire: dict[str, bytes] = field(default_factory=dict[str, bytes], repr=False, compare=False)

    @classmethod
    def user(cls, text: str, images: tuple[Image, ...] = ()) -> Message:
        return cls("user", (*images, Text(text)))

    @property
    def text(self) -> str:
        """The text parts, joined without a separator; of a tool message the outputs, a line apart."""
        if self.role == "tool":
            return "\n".join(part.output for part in self.parts if isinstance(part, Observation))
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


@dataclass(frozen=True, slots=True)
class Request:
    """What send() was given. An explicit `history` replaces the session's for this one run and is not kept."""

    prompt: str
    attachments: tuple[Image, ...] = ()
    history: tuple[Message, ...] | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the reply's text, exactly as it came."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolInputDelta:
    """A piece of the argument text of a call that is being written."""

    text: str


Delta = TextDelta | ReasoningDelta | ToolInputDelta


NOTHING_USED = Usage()


@dataclass(frozen=True, slots=True)
class Retry:
    """The call failed with `error` and is made again: what came of the reply so far is void.

    `attempt` is the number of the call to come, counted from 1 over the whole turn, `model` who is asked, `delay_ms`
    how long it waits; `usage` is what the failed call, of the model `asked`, is estimated to have used up.
    """

    attempt: int
    delay_ms: int
    error: A3SError
    model: str
    usage: Usage = NOTHING_USED
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, its end seen: the assistant message, why it stopped, what it cost."""

    message: Message
    stop: StopReason
    usage: Usage
    model: str = ""
    request_id: str | None = None


Piece = Delta | Retry | Reply
"""What the stream of a model holds."""
