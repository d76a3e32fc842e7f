"""Abridging: old tool outputs, cut to their head and tail."""

from __future__ import annotations

from dataclasses import replace

from a3s_code.kernel.estimation import text_bytes
from a3s_code.kernel.messages import Message, Observation

HEAD_SHARE = 0.6


def abridge(message: Message, budget: int) -> Message:
    """A tool message with each output of more than 2 x `budget` bytes cut to about `budget`, and without images.

    The very same message comes back where there is nothing to cut, and so after it was cut once.
    """
    parts = tuple(_cut(part, budget) if isinstance(part, Observation) else part for part in message.parts)
    if all(old is new for old, new in zip(message.parts, parts, strict=True)):
        return message
    return Message(message.role, parts)


def _cut(seen: Observation, budget: int) -> Observation:
    output = seen.output
    size = text_bytes(output)
    if size > 2 * budget:
        shorter = _head_and_tail(seen, budget)
        output = shorter if text_bytes(shorter) < size else output
    if seen.images:
        plural = "" if len(seen.images) == 1 else "s"
        output += f"\n[... {len(seen.images)} image{plural} of this older output left out ...]"
    if output is seen.output:
        return seen
    artifact = seen.artifact and replace(seen.artifact, shown_bytes=text_bytes(output))
    return replace(seen, output=output, images=(), artifact=artifact)


def _head_and_tail(seen: Observation, budget: int) -> str:
    data = seen.output.encode("utf-8", "replace")
    head = data[: int(budget * HEAD_SHARE)].decode("utf-8", "ignore")
    tail = data[len(data) - (budget - int(budget * HEAD_SHARE)) :].decode("utf-8", "ignore")
    left_out = len(data) - text_bytes(head) - text_bytes(tail)
    place = "look again at what you need of it" if seen.artifact is None else f"the whole is at {seen.artifact.uri}"
    return f"{head}\n[... {left_out:,} bytes of this older output left out; {place} ...]\n{tail}"
