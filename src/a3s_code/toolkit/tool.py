"""The class that a tool is written as."""

from __future__ import annotations

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from a3s_code.errors import UsageError
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import ToolContext, ToolOutput, ToolSpec
from a3s_code.toolkit.arguments import validate
from a3s_code.toolkit.schema import terse_schema

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Tool(ABC):
    """A tool with checked arguments: give it `name`, `description`, `Args`, `effects` and `invoke`.

    One object serves many calls at once, of several sessions, so it holds no state of a call.
    """

    name: str
    description: str
    Args: type[BaseModel]
    group: str = "core"

    @property
    def spec(self) -> ToolSpec:
        """How a model sees the tool; raises UsageError where the class does not say."""
        return self._spec

    @functools.cached_property
    def _spec(self) -> ToolSpec:
        name = getattr(self, "name", "")
        if not _NAME.fullmatch(name):
            raise UsageError(f"a tool cannot be called {name!r}", hint="1 to 64 letters, digits, _ and -")
        if not getattr(self, "description", ""):
            raise UsageError(f"tool {name} has no description", hint="a model chooses tools by it")
        return ToolSpec(name, self.description, _describe(self.Args), self.group)

    def parse(self, arguments: Mapping[str, Any]) -> Any:
        """The arguments as an `Args`; raises ArgumentError naming each wrong one, what was expected and what came."""
        return validate(self.Args, arguments)

    def effects(self, args: Any, workspace: Path) -> tuple[Effect, ...]:
        """What a call with `args` would do, as far as a rule can judge it. Cheap, and without an effect itself.

        By default nothing is known: the call is asked about, runs beside others, and what it may have changed has to be
        proved like any change. Return () for a tool that only computes, or whose calls of other tools are judged on
        their own.
        """
        return undeclared(self.name)

    @abstractmethod
    async def invoke(self, args: Any, context: ToolContext) -> ToolOutput:
        """Do it. Whatever is raised becomes a failed result that shows the model the message."""


@functools.lru_cache(maxsize=256)
def _describe(arguments: type[BaseModel]) -> dict[str, Any]:
    """The schema of a class of arguments. Kept, for making it takes longer than anything else about a session."""
    return terse_schema(arguments.model_json_schema())


def undeclared(name: str) -> tuple[Effect, ...]:
    """The effect of a tool that does not say what it does."""
    return (Effect("unknown", name),)
