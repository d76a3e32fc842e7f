"""Cleaning what holds text."""

from __future__ import annotations

from typing import Any

import pytest

from a3s_code.kernel.cleaning import MAX_DEPTH, clean_message, clean_request, clean_value
from a3s_code.kernel.messages import Image, Message, Observation, Reasoning, Request, Text, ToolCall


def clean(text: str) -> str:
    return text.replace("hunter2", "***") if "hunter2" in text else text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("hunter2", "***"),
        ({"a": ["x", {"b": "is hunter2"}]}, {"a": ["x", {"b": "is ***"}]}),
        ({"hunter2": 1}, {"***": 1}),
        (("hunter2", 1, None, 2.5, True), ("***", 1, None, 2.5, True)),
    ],
)
def test_every_text_in_a_value_is_cleaned(given: Any, expected: Any) -> None:
    assert clean_value(given, clean) == expected


@pytest.mark.parametrize("given", ["plain", {"a": ["b", {"c": 1}]}, ["x"], ("y", None), 3, None, {}])
def test_a_clean_value_comes_back_as_the_same_object(given: Any) -> None:
    assert clean_value(given, clean) is given


def test_a_value_that_is_nested_too_deep_is_still_cleaned() -> None:
    value: Any = "hunter2"
    for _ in range(MAX_DEPTH * 3):
        value = [value]
    assert "hunter2" not in repr(clean_value(value, clean))
    for _ in range(5_000):
        value = [value]
    assert "hunter2" not in repr(clean_value(value, clean))


def test_a_message_is_cleaned_in_its_text_its_calls_and_its_observations() -> None:
    call = ToolCall("1", "bash", {"command": "echo hunter2"}, malformed="{hunter2")
    opaque = Reasoning("thinking", "p/m", '{"signature":"abc"}')
    said = clean_message(Message("assistant", (opaque, Text("hunter2!"), call), {"openai": b"cached"}), clean)
    assert said.text == "***!"
    assert said.calls[0].arguments == {"command": "echo ***"}
    assert said.calls[0].malformed == "{***"
    assert said.parts[0] is opaque
    assert said.wire == {}
    seen = clean_message(Message("tool", (Observation("1", "bash", "hunter2"),)), clean)
    assert seen.text == "***"


def test_a_clean_message_stays_the_same_object_with_its_cached_bytes() -> None:
    message = Message("user", (Image("image/png", b"hunter2"), Text("hello")), {"openai": b"cached"})
    assert clean_message(message, clean) is message


def test_a_request_is_cleaned_with_the_history_it_brings() -> None:
    request = clean_request(Request("my key is hunter2", history=(Message.user("hunter2"),)), clean)
    assert request.prompt == "my key is ***"
    assert request.history is not None
    assert request.history[0].text == "***"
