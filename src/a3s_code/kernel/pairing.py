"""Pairing: every tool call of a history has exactly one result, right after it."""

from __future__ import annotations

from collections.abc import Sequence

from a3s_code.kernel.messages import Message, Observation, ToolCall

INTERRUPTED = "Interrupted before it ended; it may have had effects."


def interrupted(call: ToolCall) -> Observation:
    """The observation of a call that was cut off or never begun."""
    return Observation(call.id, call.name, INTERRUPTED, exit_code=1, error_kind="cancelled")


def pair(messages: Sequence[Message]) -> list[Message]:
    """The messages with a result for every call: missing ones are said to be interrupted, results without a call go.

    A history that is paired already comes back unchanged.
    """
    paired: list[Message] = []
    for message in messages:
        calls = paired[-1].calls if paired else ()
        if message.role == "tool":
            if calls:
                paired.append(_answer(calls, message))
            continue
        if calls:
            paired.append(Message("tool", tuple(interrupted(call) for call in calls)))
        paired.append(message)
    if paired and (calls := paired[-1].calls):
        paired.append(Message("tool", tuple(interrupted(call) for call in calls)))
    return paired


def _answer(calls: tuple[ToolCall, ...], message: Message) -> Message:
    results = [part for part in message.parts if isinstance(part, Observation)]
    if [result.call_id for result in results] == [call.id for call in calls]:
        return message
    answered: list[Observation] = []
    for call in calls:
        found = next((result for result in results if result.call_id == call.id), None)
        if found is not None:
            results.remove(found)
        answered.append(found or interrupted(call))
    return Message("tool", tuple(answered))
