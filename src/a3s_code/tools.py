"""For authors of tools: `from a3s_code.tools import Tool, ToolContext, ToolOutput`."""

from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.messages import Image
from a3s_code.kernel.tool import ToolContext, ToolOutput, ToolPort, ToolSpec
from a3s_code.toolkit import Tool, tool

__all__ = ["Effect", "Image", "Tool", "ToolContext", "ToolOutput", "ToolPort", "ToolSpec", "tool"]
