"""The context assembler: system text, conversation and tools become one prompt. Nothing else adds prompt text."""

from __future__ import annotations

from a3s_code.kernel.contracts import Intent, Plan
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.state import SessionState
from a3s_code.kernel.tool import ToolSpec

SYSTEM = """\
You are a coding agent in the workspace {workspace}. Relative paths start there.
Look before you change: search, then read what matters. Make the smallest change that does what was asked, in the \
project's own style. After a change run the project's own checks and read what they print; never say that something \
works unless you saw it. Calls without side effects may be asked for together.
A call can be refused; the result says why. Do not repeat a refused call: find another way, or say what is missing.
End with a short answer: what you found or changed, in which files, and what proves it."""


class PromptAssembler:
    """Renders a stable system text, then the history as it is: from turn to turn a prompt only grows at its end."""

    async def assemble(
        self, intent: Intent, plan: Plan | None, tools: tuple[ToolSpec, ...], state: SessionState
    ) -> Prompt:
        return Prompt(SYSTEM.format(workspace=state.workspace), tuple(state.history), tools)
