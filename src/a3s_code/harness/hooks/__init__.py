"""Hooks: what the host hooked into a session, called at its places."""

from __future__ import annotations

from a3s_code.harness.hooks.engine import HookEngine
from a3s_code.kernel.hook import Handler

__all__ = ["Handler", "HookEngine"]
