"""Pairing: every tool call of a history has exactly one result, right after it."""

from __future__ import annotations

from collections.abc import Sequence

from a3s_code.kernel.messages import Message, Observation, ToolCall

INTERRUPTED = "Interrupted before it ended; it may have had effects."


def interrupted(call: ToolCall) -> Observation:
    """The observation of a call that was cut off or never begun."""
    return Observation(call.id, call.name, INTERRUPTED, exit_code=1, error_kind="cancelled")


def pair(messages: Sequence[Message]) -> list[Message]:
    """The messages with one result for every call, in the order of the calls, in one message right after them.

    The results of a message's calls are looked for up to the next message of the model, for some hosts keep each in a
    message of its own. Missing ones are said to be interrupted; a second result for a call goes, and so does one
    without a call. What is paired already comes back as the very same objects.
    """
    paired: list[Message] = []
    asked: tuple[ToolCall, ...] = ()
    given: list[Message] = []
    later: list[Message] = []

    def answer_calls() -> None:
        nonlocal asked
        if asked:
            paired.append(_answer(asked, given))
            paired.extend(later)
            asked = ()
            given.clear()
            later.clear()

    for message in messages:
        if message.role == "assistant":
            answer_calls()
            paired.append(message)
            asked = message.calls
        elif message.role == "tool":
            given.append(message)
        else:
            (later if asked else paired).append(message)
        if not asked:
            given.clear()
    answer_calls()
    return paired


def _answer(calls: tuple[ToolCall, ...], given: Sequence[Message]) -> Message:
    results = [part for message in given for part in message.parts if isinstance(part, Observation)]
    in_order = [result.call_id for result in results] == [call.id for call in calls]
    if in_order and len(given) == 1 and len(given[0].parts) == len(results):
        return given[0]
    answered: list[Observation] = []
    for call in calls:
        found = next((result for result in results if result.call_id == call.id), None)
        if found is not None:
            results.remove(found)
        answered.append(found or interrupted(call))
    return Message("tool", tuple(answered))
