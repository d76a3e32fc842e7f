"""The seven tools as a set."""

from __future__ import annotations

import json

from a3s_code.capabilities.core_tools import CORE, CORE_TOOLS

MAX_BYTES = 2_300


def test_the_tools_come_in_a_fixed_order() -> None:
    assert [tool.spec.name for tool in CORE_TOOLS] == ["read", "write", "edit", "ls", "glob", "grep", "bash"]
    assert CORE.tools is CORE_TOOLS


def test_what_a_request_says_of_the_tools_is_short() -> None:
    shown = [
        {"name": tool.spec.name, "description": tool.spec.description, "input_schema": tool.spec.parameters}
        for tool in CORE_TOOLS
    ]
    assert len(json.dumps(shown).encode()) <= MAX_BYTES
