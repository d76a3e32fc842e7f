"""bash: a shell command."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system import sandbox, scratch
from a3s_code.system.child import Command
from a3s_code.system.denial import find_denied, needs_elevation
from a3s_code.system.environment import confined_environment
from a3s_code.system.process import Completed, run
from a3s_code.system.threads import finish
from a3s_code.toolkit import Tool

DEFAULT_TIMEOUT_MS = 120_000
TIMED_OUT = 124
WHOLE_BYTES = 8 * 1024 * 1024


class BashArgs(BaseModel):
    command: str = Field(min_length=1)
    timeout: int | None = Field(None, ge=1, description="ms")


class Bash(Tool):
    """Runs `bash -c` in the workspace, without input, in a session of its own.

    stdout and stderr come as one, while it runs and in the end. At the timeout, which the session's own limits, or when
    the call is cancelled, the command dies with all that came of it. What it leaves in the background when it ends by
    itself goes on until the session is closed. In a sandbox it changes files only where the call was allowed to.
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
        try:
            # Looking for a sandbox the first time runs a program, and granting looks at files.
            command = await asyncio.to_thread(_command, args.command, context)
            completed = await run(command, timeout_ms=timeout_ms, on_text=context.progress, whole_bytes=WHOLE_BYTES)
        except _Unconfined as error:
            return ToolOutput.failure(str(error), "unsupported")
        except OSError as error:
            return ToolOutput.failure(_explain(error))
        except ValueError:
            return ToolOutput.failure("a command cannot hold a NUL character or a lone surrogate", "invalid_argument")
        # Much output takes long to decode, above all binary output, and the event loop has others to serve.
        return await finish(asyncio.to_thread(_show, completed, command, timeout_ms))


class _Unconfined(Exception):  # it never leaves this module
    """A sandbox is required and there is none."""


def _command(text: str, context: ToolContext) -> Command:
    argv = ("bash", "-c", text)
    command = Command(argv, context.workspace, context.environment, supervised=True, owner=context.session_id)
    if context.sandbox == "off":
        return command
    support = sandbox.probe()
    if support.engine is None:
        if context.sandbox == "require":
            raise _Unconfined(f"nothing was run: a sandbox is required, and {support.detail}")
        return command
    temporary = scratch.folder(context.session_id)
    environment = confined_environment(context.environment, temporary)
    confined = sandbox.confine(
        support.engine, context.workspace, temporary, context.decision.effects, context.environment
    )
    return replace(command, environment=environment, sandbox=confined)


def _show(completed: Completed, command: Command, timeout_ms: int) -> ToolOutput:
    code = TIMED_OUT if completed.timed_out else completed.exit_code
    text = completed.output.text
    notes = list(_notes(completed, command, text, timeout_ms))
    if notes and text and not text.endswith("\n"):
        text += "\n"
    kind = "timeout" if completed.timed_out else "failed" if code else None
    metadata: dict[str, Any] = {
        "exit_code": None if completed.timed_out else code,
        "duration_ms": completed.duration_ms,
        "sandbox": command.sandbox.engine if command.sandbox is not None else "none",
    }
    if completed.output.omitted:
        metadata["omitted_bytes"] = completed.output.omitted
    return ToolOutput(text + "\n".join(notes) or "(no output)", code, kind, metadata)


def _notes(completed: Completed, command: Command, text: str, timeout_ms: int) -> Iterator[str]:
    if completed.timed_out:
        yield f"[timed out after {timeout_ms} ms; the command was killed with its children]"
    elif completed.exit_code:
        yield f"[exit code {completed.exit_code}{_signal_name(completed.exit_code)}]"
    if completed.detached:
        yield "[a background process goes on; what it prints from here on is lost]"
    if command.sandbox is None:
        return
    denied = find_denied(text, command.argv[-1], command.sandbox, command.cwd)
    if denied is not None:
        yield (
            f"[sandbox: writing to {denied} was forbidden; a command may write in the workspace, in $TMPDIR, and to"
            ' paths it names that a rule such as write(/path) allows; the host can set sandbox = "off"]'
        )
    if completed.exit_code and needs_elevation(text):
        yield '[sandbox: no program can become another user here, as sudo does; the host can set sandbox = "off"]'


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
