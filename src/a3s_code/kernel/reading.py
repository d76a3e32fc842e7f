"""Reading: a model's stream becomes events while it comes, and one reply at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from a3s_code.errors import ModelProtocolError
from a3s_code.kernel import events, messages
from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import Delta, Piece, Reply, Retry
from a3s_code.kernel.ports import StreamSanitizer
from a3s_code.kernel.validity import flaw_of

SHOWN: Mapping[type[Delta], Callable[[str], events.AgentEvent]] = {
    messages.TextDelta: events.TextDelta,
    messages.ReasoningDelta: events.ReasoningDelta,
    messages.ToolInputDelta: events.ToolInputDelta,
}


@dataclass(slots=True)
class Said:
    """What of a reply was shown so far: the pieces of its text, and whether there was anything at all."""

    texts: list[str] = field(default_factory=list[str])
    shown: bool = False

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def withdraw(self) -> bool:
        """Forget it; whether there is anything to be taken back."""
        shown, self.shown = self.shown, False
        self.texts.clear()
        return shown


async def read_reply(
    stream: AsyncIterator[Piece],
    emit: Callable[[events.AgentEvent], None],
    said: Said,
    sanitizer: StreamSanitizer,
    retried: Callable[[Retry, bool], None],
) -> Reply:
    """Emit each delta, cleaned, note in `said` what was shown, and give the reply that ends the stream, as it came.

    The end of a text is held back as long as it may be the beginning of a secret; where the stream breaks off it is
    never shown. `retried` is told of each Retry, and whether anything was shown that it takes back; `said` is empty
    by then.

    Raises ModelProtocolError for a stream without a reply, with more than one, or with anything else in it. The
    stream is closed in every case.
    """
    reply: Reply | None = None
    kind: type[Delta] = messages.TextDelta
    cleaning = sanitizer.stream()

    def show(text: str) -> None:
        if text:
            said.shown = True
            if kind is messages.TextDelta:
                said.texts.append(text)
            emit(SHOWN[kind](text))

    try:
        async for piece in stream:
            if reply is not None:
                raise ModelProtocolError("the stream went on after its reply")
            if isinstance(piece, Reply):
                reply = _checked(piece)
                show(cleaning.finish())
                continue
            if isinstance(piece, Retry):
                retried(piece, said.withdraw())
                cleaning = sanitizer.stream()
                continue
            if type(piece) not in SHOWN:
                raise ModelProtocolError(f"the stream holds {type(piece).__name__}, which is no delta")
            if type(piece) is not kind:
                show(cleaning.finish())
                kind, cleaning = type(piece), sanitizer.stream()
            show(cleaning.feed(piece.text))
    finally:
        if (close := getattr(stream, "aclose", None)) is not None:
            await close()
    if reply is None:
        raise ModelProtocolError("the reply ended before it was complete")
    return reply


def _checked(reply: Reply) -> Reply:
    """The reply, if its parts are what they are declared to be: a model of the host is not type-checked."""
    usage: Any = reply.usage
    flaw = flaw_of(reply.message)
    if flaw is not None or reply.message.role != "assistant" or not isinstance(usage, Usage):
        raise ModelProtocolError(f"the reply holds no assistant message, or no usage{f': {flaw}' if flaw else ''}")
    return reply
