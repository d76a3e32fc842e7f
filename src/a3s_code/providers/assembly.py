"""One answer as it comes together: text, reasoning and calls in order, then the Reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from a3s_code.errors import ModelProtocolError
from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import Delta, Message, Part, Reasoning, Reply, StopReason, Text, TextDelta, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.providers import failures
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.printed import PrintedCall
from a3s_code.providers.textual import PrintedCalls
from a3s_code.providers.wire import arguments, dumps, estimated_tokens, prompt_estimate


@dataclass(slots=True)
class Spoken:
    """A run of text."""

    pieces: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Thought:
    """A run of reasoning; `block` is what goes back to the model, where the provider wants it back."""

    pieces: list[str] = field(default_factory=list[str])
    block: str | None = None


@dataclass(slots=True)
class Called:
    """A call that is being written; `extra` is what the model wants back beside it, as JSON text."""

    id: str
    name: str
    pieces: list[str] = field(default_factory=list[str])
    extra: str | None = None


class Assembly:
    """Collects one answer to `prompt`, which was sent as the bytes `request`.

    The reader of the wire format adds what it reads, in order, and sets `stop`, `usage` and the headers' facts.
    """

    def __init__(self, endpoint: ModelEndpoint, prompt: Prompt, request: bytes) -> None:
        self.endpoint = endpoint
        self.headers: Mapping[str, str] = {}
        self.stop: StopReason | None = None
        self.usage = Usage()
        self.answer_id: str | None = None
        self._prompt = prompt
        self._request = request
        self._slots: list[Spoken | Thought | Called] = []
        self._ids: set[str] = set()
        self._shown: list[str] = []
        self._printed = PrintedCalls(prompt.tools) if prompt.tools and endpoint.prints_calls else None

    @property
    def begun(self) -> bool:
        """Whether anything of the answer's content is there."""
        return bool(self._slots)

    def text(self, piece: str) -> Sequence[Delta]:
        """Add text; gives what of it can be shown now."""
        if not piece:
            return ()
        last = self._slots[-1] if self._slots else None
        if not isinstance(last, Spoken):
            last = Spoken()
            self._slots.append(last)
        last.pieces.append(piece)
        if self._printed is not None:
            piece = self._printed.feed(piece)
            self._shown.append(piece)
        return (TextDelta(piece),) if piece else ()

    def thought(self, *, joined: bool = False) -> Thought:
        """The place for a new run of reasoning; with `joined`, the last one if nothing came after it."""
        last = self._slots[-1] if self._slots else None
        if joined and isinstance(last, Thought):
            return last
        thought = Thought()
        self._slots.append(thought)
        return thought

    def call(self, call_id: str, name: str) -> Called:
        """The place for a new call."""
        call = Called(call_id, name)
        self._slots.append(call)
        return call

    def finish(self) -> tuple[Sequence[Delta], Reply]:
        """The last deltas and the Reply; raises ModelProtocolError where something of the answer must be missing.

        An answer that stopped by itself and says nothing is a Reply with an empty message.
        """
        parts = self._parts()
        tail: Sequence[Delta] = ()
        if self._printed is not None:
            called = any(isinstance(part, ToolCall) for part in parts)
            rest, printed = self._printed.finish(recovering=not called)
            tail = (TextDelta(rest),) if rest else ()
            if printed:
                parts = self._recovered(parts, "".join(self._shown) + rest, printed)
        message = Message("assistant", tuple(parts))
        number = failures.request_id(self.headers) or self.answer_id
        return tail, Reply(message, self._stop(parts), self._usage(message), self.endpoint.name, number)

    def _stop(self, parts: Sequence[Part]) -> StopReason:
        if self.stop not in (None, "end", "tool_calls"):
            return self.stop
        if any(isinstance(part, ToolCall) for part in parts):
            return "tool_calls"
        if self.stop is None and not parts:
            raise self._broken("gave an empty reply and no reason for it")
        if self.stop == "tool_calls" and (self._prompt.tools or not parts):
            raise self._broken("stopped for tool calls and sent none")
        return "end"

    def _broken(self, what: str) -> ModelProtocolError:
        return failures.broken(self.endpoint, f"{self.endpoint.name} {what}", self.headers)

    def _parts(self) -> list[Part]:
        parts: list[Part] = []
        for slot in self._slots:
            match slot:
                case Spoken(pieces):
                    parts.append(Text("".join(pieces)))
                case Thought(pieces, block):
                    parts.append(Reasoning("".join(pieces), self.endpoint.name, block))
                case Called(call_id, name, pieces, extra):
                    if not name:
                        raise self._broken("sent a call without a name")
                    values, malformed = arguments("".join(pieces))
                    if not pieces and slot is self._slots[-1] and self.stop not in (None, "end", "tool_calls"):
                        # The answer broke off where the arguments were to begin.
                        malformed = ""
                    call = ToolCall(self._unique(call_id), name, values, malformed)
                    if extra is not None:
                        wanted = b'{"call":' + dumps(call.id) + b',"extra_content":' + extra.encode() + b"}"
                        parts.append(Reasoning("", self.endpoint.name, wanted.decode()))
                    parts.append(call)
        return parts

    def _recovered(self, parts: list[Part], shown: str, printed: Sequence[PrintedCall]) -> list[Part]:
        found: list[Part] = [part for part in parts if not isinstance(part, Text)]
        if shown:
            found.append(Text(shown))
        found += [ToolCall(self._unique(""), call.name, call.arguments) for call in printed]
        return found

    def _unique(self, call_id: str) -> str:
        """`call_id`, unless it is missing or stands in this answer already: results are told apart by it."""
        number = len(self._ids)
        while not call_id or call_id in self._ids:
            call_id = f"call_{number}"
            number += 1
        self._ids.add(call_id)
        return call_id

    def _usage(self, message: Message) -> Usage:
        """What the provider counted; what it left out is estimated, and the whole then marked so."""
        counted = self.usage
        if counted.prompt_tokens and (counted.output_tokens or not message.parts):
            return counted
        said = sum(len(piece.encode("utf-8", "replace")) for slot in self._slots for piece in slot.pieces)
        prompt = 0 if counted.prompt_tokens else prompt_estimate(self._request, self._prompt.messages)
        return replace(
            counted,
            input_tokens=counted.input_tokens or prompt,
            output_tokens=counted.output_tokens or estimated_tokens(said),
            estimated=True,
        )
