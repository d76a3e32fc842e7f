"""The union of events is closed, plain to read as JSON, and comes back as it was."""

from __future__ import annotations

import dataclasses
import json
import typing

import pytest

from a3s_code.kernel import events
from a3s_code.kernel.contracts import Usage

SAMPLES: dict[str, object] = {
    "str": "text",
    "str | None": "text",
    "int": 3,
    "int | None": 3,
    "float": 0.5,
    "bool": True,
    "Usage": Usage(1, 2, 3, 4, True),
    "tuple[str, ...]": ("a", "b"),
    "tuple[Mapping[str, Any], ...]": ({"id": "1"},),
    "Mapping[str, Any]": {"k": [1, {"deep": None}]},
}

PRODUCT_NAMES = (
    "agent_start agent_mode_changed goal_extracted planning_start planning_end task_updated context_resolving "
    "context_resolved memory_recalled memories_searched context_compacted tool_start tool_end permission_denied "
    "confirmation_required confirmation_received confirmation_timeout subagent_start subagent_progress subagent_end "
    "tool_output_delta turn_end error agent_end"
).split()


def sample(kind: type[events.Event]) -> events.Event:
    return kind(**{item.name: SAMPLES[str(item.type)] for item in dataclasses.fields(kind)})


@pytest.mark.parametrize("name", sorted(set(events.EVENT_TYPES) - {"unknown"}))
def test_an_event_survives_the_way_through_json(name: str) -> None:
    event = sample(events.EVENT_TYPES[name])
    body = json.loads(json.dumps(event.to_dict()))
    assert body["type"] == event.type == event.event_type == name
    assert events.decode(body) == event


def test_every_class_of_the_union_is_frozen_and_has_a_type_of_its_own() -> None:
    members = typing.get_args(events.AgentEvent)
    assert len({member.type for member in members}) == len(members) == len(events.EVENT_TYPES)
    event = events.TextDelta("x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.text = "y"  # type: ignore[misc]  # that it fails is the point


def test_the_names_a_product_builds_on_exist() -> None:
    assert set(PRODUCT_NAMES) <= set(events.EVENT_TYPES)


def test_events_can_be_matched_by_class() -> None:
    match events.TextDelta("hello"):
        case events.TextDelta(text):
            assert text == "hello"


def test_a_type_of_a_later_version_is_kept_not_refused() -> None:
    event = events.decode({"type": "quantum_leap", "by": 3})
    assert isinstance(event, events.UnknownEvent)
    assert event.event_name == "quantum_leap"
    assert event.to_dict() == {"type": "quantum_leap", "by": 3}


def test_fields_of_a_later_version_are_left_out() -> None:
    assert events.decode({"type": "text_delta", "text": "x", "colour": "red"}) == events.TextDelta("x")
