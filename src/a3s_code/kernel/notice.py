"""Notices: user messages that the runtime writes itself, told apart from what a person asked."""

from __future__ import annotations

from a3s_code.errors import RunLimit
from a3s_code.kernel.messages import Message, Text

MARK = "[notice] "
"""How every notice begins; the model sees it, and it survives a store."""
LIMIT_REACHED = "The run has reached its limit"


def notice(text: str) -> Message:
    """A user message that nobody asked: it never counts as a request."""
    return Message.user(MARK + text)


def is_notice(message: Message) -> bool:
    match message:
        case Message(role="user", parts=(Text(text),)):
            return text.startswith(MARK)
        case _:
            return False


def is_last_turn(message: Message) -> bool:
    """Whether the message is that of `last_turn`."""
    return is_notice(message) and message.text.startswith(MARK + LIMIT_REACHED)


def last_turn(limit: RunLimit) -> Message:
    """What the model is told when it gets one last call, in which no tool is carried out."""
    return notice(
        f"{LIMIT_REACHED} ({limit.limit}). This is your last reply, and no call in it is carried out."
        " Say in a few sentences what is done, what is still open, and what you would do next."
    )
