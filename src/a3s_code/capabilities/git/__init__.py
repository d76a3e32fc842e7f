"""git as a capability: eleven typed verbs, run so that no program that a repository brings along runs with them."""

from __future__ import annotations

from a3s_code.capabilities.git.tool import Git
from a3s_code.kernel.capability import Capability

GIT = Capability("git", (Git(),))

__all__ = ["GIT", "Git"]
