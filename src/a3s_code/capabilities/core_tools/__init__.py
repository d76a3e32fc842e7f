"""The tools every session has: read, write, edit, ls, glob, grep, bash."""

from __future__ import annotations

from a3s_code.capabilities.core_tools.bash import Bash
from a3s_code.capabilities.core_tools.edit import Edit
from a3s_code.capabilities.core_tools.glob import Glob
from a3s_code.capabilities.core_tools.grep import Grep
from a3s_code.capabilities.core_tools.ls import Ls
from a3s_code.capabilities.core_tools.read import Read
from a3s_code.capabilities.core_tools.write import Write
from a3s_code.kernel.capability import Capability
from a3s_code.kernel.tool import ToolPort

CORE_TOOLS: tuple[ToolPort, ...] = (Read(), Write(), Edit(), Ls(), Glob(), Grep(), Bash())
CORE = Capability("core_tools", CORE_TOOLS)

__all__ = ["CORE", "CORE_TOOLS", "Bash", "Edit", "Glob", "Grep", "Ls", "Read", "Write"]
