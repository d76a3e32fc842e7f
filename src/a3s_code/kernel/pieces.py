"""Pieces: the many small events of a streamed text, which are stored as one fact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import accumulate
from typing import Any

from a3s_code.kernel.events import Event, ReasoningDelta, TextDelta, ToolInputDelta, ToolOutputDelta

_TEXT_OF: Mapping[type[Event], str] = {
    TextDelta: "text",
    ReasoningDelta: "text",
    ToolInputDelta: "delta",
    ToolOutputDelta: "delta",
}


def is_piece(fact: Mapping[str, Any]) -> bool:
    """Whether the fact is a piece of a text that goes on."""
    return type(fact.get("event")) in _TEXT_OF


def collected(facts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The facts, each row of pieces of one text as one fact of kind `deltas`."""
    result: list[Mapping[str, Any]] = []
    row: dict[str, Any] | None = None
    latest = 0
    for fact in facts:
        if not is_piece(fact):
            row = None
            result.append(fact)
            continue
        event = fact["event"]
        name = _TEXT_OF[type(event)]
        same = {item.name: getattr(event, item.name) for item in fields(event) if item.name != name}
        if (
            row is None
            or (row["run"], row["type"], row["same"]) != (fact["run"], event.type, same)
            or row["seq"] + len(row["texts"]) != fact["seq"]
        ):
            row = {"k": "deltas", "run": fact["run"], "seq": fact["seq"], "type": event.type, "same": same}
            row |= {"name": name, "at": [], "texts": []}
            result.append(row)
            latest = 0
        row["at"].append(fact["at"] - latest)
        latest = fact["at"]
        row["texts"].append(getattr(event, name))
    return result


def spread(fact: Mapping[str, Any]) -> Iterator[tuple[int, int, Mapping[str, Any]]]:
    """Sequence, time and body of each event in a fact of kind `event` or `deltas`."""
    if fact["k"] == "event":
        yield fact["seq"], fact["at"], fact["event"]
        return
    for place, (at, text) in enumerate(zip(accumulate(fact["at"]), fact["texts"], strict=True)):
        yield fact["seq"] + place, at, {"type": fact["type"], **fact["same"], fact["name"]: text}
