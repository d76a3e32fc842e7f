"""bash: a shell command."""

from __future__ import annotations

import asyncio
import errno
import signal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.child import Command
from a3s_code.system.process import Completed, run
from a3s_code.system.threads import finish
from a3s_code.toolkit import Tool

DEFAULT_TIMEOUT_MS = 120_000
TIMED_OUT = 124


class BashArgs(BaseModel):
    command: str = Field(min_length=1)
    timeout: int | None = Field(None, ge=1, description="ms")


class Bash(Tool):
    """Runs `bash -c` in the workspace, without input, in a session of its own.

    stdout and stderr come as one, while it runs and in the end. At the timeout, which the session's own limits, or when
    the call is cancelled, the command dies with its children; one that left the process group, the tree and its whole
    environment behind is not found. What it leaves in the background when it ends by itself goes on.
    """

    name = "bash"
    description = "Run a shell command in the workspace."
    Args = BashArgs

    def effects(self, args: BashArgs, workspace: Path) -> tuple[Effect, ...]:
        return (Effect("exec", args.command),)

    async def invoke(self, args: BashArgs, context: ToolContext) -> ToolOutput:
        if Effect("exec", args.command) not in context.effects:
            return ToolOutput.failure("the command is not what this call was judged by", "permission_denied")
        limit = context.timeout_ms or DEFAULT_TIMEOUT_MS
        timeout_ms = min(args.timeout or limit, limit)
        command = Command(("bash", "-c", args.command), context.workspace, context.environment)
        try:
            completed = await run(command, timeout_ms=timeout_ms, on_text=context.progress)
        except OSError as error:
            return ToolOutput.failure(_explain(error))
        except ValueError:
            return ToolOutput.failure("a command cannot hold a NUL character or a lone surrogate", "invalid_argument")
        # Much output takes long to decode, above all binary output, and the event loop has others to serve.
        return await finish(asyncio.to_thread(_show, completed, timeout_ms))


def _show(completed: Completed, timeout_ms: int) -> ToolOutput:
    notes: list[str] = []
    code = completed.exit_code
    if completed.timed_out:
        notes.append(f"[timed out after {timeout_ms} ms; the command was killed, with every child that could be found]")
        code = TIMED_OUT
    elif code:
        notes.append(f"[exit code {code}{_signal_name(code)}]")
    if completed.detached:
        notes.append("[a background process goes on; what it prints from here on is lost]")
    text = completed.output.text
    if notes and text and not text.endswith("\n"):
        text += "\n"
    kind = "timeout" if completed.timed_out else "failed" if code else None
    metadata: dict[str, Any] = {
        "exit_code": None if completed.timed_out else code,
        "duration_ms": completed.duration_ms,
    }
    if completed.output.omitted:
        metadata["omitted_bytes"] = completed.output.omitted
    return ToolOutput(text + "\n".join(notes) or "(no output)", code, kind, metadata)


def _signal_name(code: int) -> str:
    """What ended a shell or its last command, for codes that may mean a signal."""
    try:
        return f", {signal.Signals(code - 128).name}" if code > 128 else ""
    except ValueError:
        return ""


def _explain(error: OSError) -> str:
    match error.errno:
        case errno.E2BIG:
            return "the command is too long; write it to a file and run that"
        case errno.ENOENT:
            return "bash, or the workspace, is not there"
        case _:
            return f"bash could not be started: {error.strerror}"
