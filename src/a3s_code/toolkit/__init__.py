"""For authors of tools: the decorator `tool` for a function, the class `Tool` for everything else."""

from __future__ import annotations

from a3s_code.toolkit.function import FunctionTool, tool
from a3s_code.toolkit.tool import Tool

__all__ = ["FunctionTool", "Tool", "tool"]
