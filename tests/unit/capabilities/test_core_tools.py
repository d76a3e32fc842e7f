"""The tools as a set."""

from __future__ import annotations

import json

import pytest

from a3s_code.capabilities.core_tools import CORE, CORE_TOOLS, Edit, Read, Write
from a3s_code.errors import ArgumentError
from a3s_code.toolkit import Tool

MAX_BYTES = 2_800


def test_the_tools_come_in_a_fixed_order() -> None:
    names = ["read", "write", "edit", "patch", "ls", "glob", "grep", "bash", "batch"]
    assert [tool.spec.name for tool in CORE_TOOLS] == names
    assert CORE.tools is CORE_TOOLS


def test_what_a_request_says_of_the_tools_is_short() -> None:
    shown = [
        {"name": tool.spec.name, "description": tool.spec.description, "input_schema": tool.spec.parameters}
        for tool in CORE_TOOLS
    ]
    assert len(json.dumps(shown).encode()) <= MAX_BYTES


@pytest.mark.parametrize("tool", [Read(), Edit(), Write()], ids=lambda tool: str(tool.name))
def test_a_path_that_names_nothing_is_told_as_such(tool: Tool) -> None:
    others = {"old_string": "a", "new_string": "b"} if tool.name == "edit" else {}
    others |= {"content": ""} if tool.name == "write" else {}
    with pytest.raises(ArgumentError) as empty:
        tool.parse({"file_path": "", **others})
    assert str(empty.value) == "file_path: expected a path, got an empty string"
    with pytest.raises(ArgumentError, match="file_path: expected a path without NUL characters, got string 'a"):
        tool.parse({"file_path": "a\0b", **others})
