"""The tools every session has: read, write, edit, patch, ls, glob, grep, bash, batch."""

from __future__ import annotations

from a3s_code.capabilities.core_tools.bash import Bash
from a3s_code.capabilities.core_tools.batch import Batch
from a3s_code.capabilities.core_tools.edit import Edit
from a3s_code.capabilities.core_tools.glob import Glob
from a3s_code.capabilities.core_tools.grep import Grep
from a3s_code.capabilities.core_tools.ls import Ls
from a3s_code.capabilities.core_tools.patch import Patch
from a3s_code.capabilities.core_tools.read import Read
from a3s_code.capabilities.core_tools.write import Write
from a3s_code.kernel.capability import Capability
from a3s_code.kernel.tool import ToolPort

CORE_TOOLS: tuple[ToolPort, ...] = (Read(), Write(), Edit(), Patch(), Ls(), Glob(), Grep(), Bash(), Batch())
CORE = Capability("core_tools", CORE_TOOLS)

__all__ = ["CORE", "CORE_TOOLS", "Bash", "Batch", "Edit", "Glob", "Grep", "Ls", "Patch", "Read", "Write"]
