"""Reading: a model's stream becomes events while it comes, and one reply at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from a3s_code.errors import ModelProtocolError
from a3s_code.kernel import events, messages
from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.messages import Delta, Message, Reply

SHOWN: Mapping[type[Delta], Callable[[str], events.AgentEvent]] = {
    messages.TextDelta: events.TextDelta,
    messages.ReasoningDelta: events.ReasoningDelta,
    messages.ToolInputDelta: events.ToolInputDelta,
}


async def read_reply(
    stream: AsyncIterator[Delta | Reply], emit: Callable[[events.AgentEvent], None], said: list[str]
) -> Reply:
    """Emit each delta, collect the text in `said`, and give the reply that ends the stream.

    Raises ModelProtocolError for a stream without a reply, with more than one, or with anything else in it. The
    stream is closed in every case.
    """
    reply: Reply | None = None
    try:
        async for piece in stream:
            if reply is not None:
                raise ModelProtocolError("the stream went on after its reply")
            if isinstance(piece, Reply):
                reply = _checked(piece)
                continue
            if (event := SHOWN.get(type(piece))) is None:
                raise ModelProtocolError(f"the stream holds {type(piece).__name__}, which is no delta")
            if isinstance(piece, messages.TextDelta):
                said.append(piece.text)
            emit(event(piece.text))
    finally:
        if (close := getattr(stream, "aclose", None)) is not None:
            await close()
    if reply is None:
        raise ModelProtocolError("the reply ended before it was complete")
    return reply


def _checked(reply: Reply) -> Reply:
    """The reply, if its parts are what they are declared to be: a model of the host is not type-checked."""
    message: Any = reply.message
    usage: Any = reply.usage
    if not isinstance(message, Message) or message.role != "assistant" or not isinstance(usage, Usage):
        raise ModelProtocolError("the reply holds no assistant message, or no usage")
    calls: tuple[Any, ...] = message.calls
    if any(not isinstance(call.name, str) or not isinstance(call.arguments, Mapping) for call in calls):
        raise ModelProtocolError("a tool call of the reply has no name, or no arguments")
    return reply
