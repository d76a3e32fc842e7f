"""Facts: what happened in a session, as JSON values, and back.

Each fact is a mapping whose `k` says what it is:

    session   the first one: id, workspace, time, options, labels        run      a request was taken up
    event     an event of a run, in its place                            deltas   several pieces of one text
    message   the history grew by a message                              history  it was replaced
    used      a run has used tokens
    result    what one call gave, before its message is complete         call     a line of the trace, files, changes
    asked     a call waits for a person                                  answer   the person's answer, kept for later
    artifact  a whole output was put aside                               dropped  it made room for others
    state     the plan, and what was verified
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from a3s_code.kernel.contracts import Decision, Effect, Plan, PlanStep, Usage
from a3s_code.kernel.messages import ArtifactRef, Image, Message, Observation, Part, Reasoning, Reply, Text, ToolCall
from a3s_code.kernel.packing import LOST
from a3s_code.kernel.trace import RunEventRecord, TraceEvent

Fact = Mapping[str, Any]


def event_fact(run_id: str, record: RunEventRecord) -> Fact:
    return {"k": "event", "run": run_id, "seq": record.sequence, "at": record.timestamp_ms, "event": record.event}


def run_fact(run_id: str, prompt: str, at_ms: int, images: Sequence[Image], history: Sequence[Message] | None) -> Fact:
    """A request was taken up; `history` is the one it brought, which stands in place of the session's."""
    fact: dict[str, Any] = {"k": "run", "run": run_id, "prompt": prompt, "at": at_ms}
    if images:
        fact["images"] = [_plain_image(image) for image in images]
    if history is not None:
        fact["aside"] = [plain_message(message) for message in history]
    return fact


def message_fact(
    message: Message,
    aside: str | None,
    noted: Mapping[str, Observation],
    reply: Reply | None = None,
    covered: Sequence[str] = (),
) -> Fact:
    """The history of the session grew, or that of the run `aside`; results that were noted before are named only.

    `reply` is what the message came with; what it used is a fact of its own. `covered` are the calls of which not all
    arguments may be stored.
    """
    fact: dict[str, Any] = {"k": "message", "aside": aside, "message": plain_message(message, noted)}
    if reply is not None:
        fact["stop"] = reply.stop
    if covered:
        fact["covered"] = list(covered)
    return fact


def used_fact(run_id: str, usage: Usage, model: str) -> Fact:
    return {"k": "used", "run": run_id, "usage": asdict(usage), "model": model}


def history_fact(before: Sequence[Message], after: Sequence[Message], aside: str | None) -> Fact:
    """The history was replaced; messages that stay are named by their place in the one before, a run of them by two."""
    places = {id(message): place for place, message in enumerate(before)}
    kept: list[Any] = []
    for message in after:
        place = places.get(id(message))
        if place is None:
            kept.append(plain_message(message))
        elif kept and isinstance(kept[-1], list) and kept[-1][1] == place:
            kept[-1][1] = place + 1
        else:
            kept.append([place, place + 1])
    return {"k": "history", "aside": aside, "kept": kept}


def result_fact(seen: Observation) -> Fact:
    return {"k": "result", "result": _plain_part(seen)}


def call_fact(line: TraceEvent, files: Mapping[str, str], changes: int) -> Fact:
    """A call ended: its line of the trace, the files it has seen anew, the changes counted by now."""
    return {"k": "call", "line": dict(line), "files": dict(files), "changes": changes}


def state_fact(plan: Plan | None, verified_changes: int) -> Fact:
    return {"k": "state", "plan": None if plan is None else asdict(plan), "verified_changes": verified_changes}


def asked_fact(call: ToolCall, decision: Decision, digest: str) -> Fact:
    """A call waits for a person; `digest` is that of its arguments as they are."""
    return {"k": "asked", "call": _plain_part(call), "digest": digest, "decision": asdict(decision)}


def read_decision(body: Mapping[str, Any]) -> Decision:
    return Decision(**{**body, "effects": tuple(Effect(**effect) for effect in body["effects"])})


def read_plan(body: Mapping[str, Any] | None) -> Plan | None:
    if body is None:
        return None
    steps = tuple(PlanStep(**{**step, "depends_on": tuple(step["depends_on"])}) for step in body["steps"])
    return Plan(body["goal"], steps, tuple(body["success_criteria"]))


def plain_message(message: Message, noted: Mapping[str, Observation] | None = None) -> dict[str, Any]:
    """A message as JSON values; the results in `noted` by their calls' ids."""
    known = noted or {}
    parts = [
        {"noted": part.call_id}
        if isinstance(part, Observation) and known.get(part.call_id) is part
        else _plain_part(part)
        for part in message.parts
    ]
    return {"role": message.role, "parts": parts}


def read_message(body: Mapping[str, Any], noted: Mapping[str, Observation]) -> Message:
    """The message that `plain_message` gave."""
    return Message(body["role"], tuple(_read_part(part, noted) for part in body["parts"]))


def read_result(body: Mapping[str, Any]) -> Observation:
    return _read_observation(body)


def read_images(bodies: Sequence[Mapping[str, Any]]) -> tuple[Image, ...]:
    """The images, but for those of which the store has the data no more: no provider takes an empty one."""
    return tuple(Image(body["image"], body["data"]) for body in bodies if body["data"])


def read_call(body: Mapping[str, Any]) -> ToolCall:
    return ToolCall(body["call"], body["name"], body["arguments"], body["malformed"])


def _plain_part(part: Part) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"text": text}
        case Image():
            return _plain_image(part)
        case Reasoning(text, model, block):
            return {"reasoning": text, "model": model, "block": block}
        case ToolCall(call_id, name, arguments, malformed):
            return {"call": call_id, "name": name, "arguments": arguments, "malformed": malformed}
        case Observation():
            return _plain_observation(part)


def _plain_image(image: Image) -> dict[str, Any]:
    return {"image": image.media_type, "data": image.data}


def _plain_observation(seen: Observation) -> dict[str, Any]:
    body: dict[str, Any] = {"result": seen.call_id, "name": seen.name, "output": seen.output}
    if seen.failed:
        body |= {"exit_code": seen.exit_code, "error_kind": seen.error_kind}
    if seen.metadata:
        body["metadata"] = seen.metadata
    if seen.images:
        body["images"] = [_plain_image(image) for image in seen.images]
    if seen.artifact is not None:
        body["artifact"] = asdict(seen.artifact)
    return body


def _read_image(body: Mapping[str, Any]) -> Part:
    images = read_images([body])
    return images[0] if images else Text(LOST)


def _read_reasoning(body: Mapping[str, Any]) -> Reasoning:
    block = body["block"]
    return Reasoning(body["reasoning"], body["model"], None if block == LOST else block)


def _read_part(body: Mapping[str, Any], noted: Mapping[str, Observation]) -> Part:
    for key, read in _READERS.items():
        if key in body:
            return read(body)
    return noted[body["noted"]]


def _read_observation(body: Mapping[str, Any]) -> Observation:
    artifact = body.get("artifact")
    return Observation(
        body["result"],
        body["name"],
        body["output"],
        body.get("exit_code", 0),
        body.get("error_kind"),
        body.get("metadata", {}),
        read_images(body.get("images", ())),
        None if artifact is None else ArtifactRef(**artifact),
    )


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Part]] = {
    "text": lambda body: Text(body["text"]),
    "image": _read_image,
    "reasoning": _read_reasoning,
    "call": read_call,
    "result": _read_observation,
}
