from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Message, ReasoningDelta, Reply, TextDelta, ToolInputDelta
from a3s_code.kernel.ports import ChatModel, Prompt
from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.registry import create_model


@dataclass
class Heard:
    """Everything one call gave."""

    deltas: list[Any]
    reply: Reply

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, ReasoningDelta))

    @property
    def written(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, ToolInputDelta))


Ask = Callable[..., Coroutine[Any, Any, Heard]]


@pytest.fixture(scope="session")
def ask() -> Ask:
    """Ask a model, or the model of an endpoint, and collect its answer."""

    async def ask(
        asked: ChatModel | ModelEndpoint, prompt: Prompt | str = "hi", settings: ModelSettings | None = None
    ) -> Heard:
        model = create_model(asked, settings or ModelSettings()) if isinstance(asked, ModelEndpoint) else asked
        given = Prompt("", [Message.user(prompt)]) if isinstance(prompt, str) else prompt
        pieces = [piece async for piece in model.stream(given)]
        assert isinstance(pieces[-1], Reply)
        return Heard(pieces[:-1], pieces[-1])

    return ask


@pytest.fixture
def tools() -> tuple[ToolSpec, ...]:
    text = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    command = {"type": "object", "properties": {"command": {"type": "string"}, "seconds": {"type": "integer"}}}
    return (ToolSpec("read", "Read a file.", text), ToolSpec("bash", "Run a command.", command))
