"""batch: several calls in one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from a3s_code.kernel.artifacts import shorten
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.messages import Observation
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.toolkit import Tool

MAX_CALLS = 32
TOGETHER = 8
# What a session shows of one output, less what the lines between the outputs need.
SHOWN_BYTES = 15_000
LEAST_BYTES = 400
SUBJECT_CHARACTERS = 80
_SUBJECTS = ("file_path", "path", "command", "pattern", "url", "query", "name")
_NAMES = (("tool", "name"), ("args", "arguments"), ("args", "input"))


class Call(BaseModel):
    tool: str = Field(min_length=1)
    args: dict[str, Any] = Field(default_factory=dict[str, Any])


class BatchArgs(BaseModel):
    calls: list[Call] = Field(min_length=1, max_length=MAX_CALLS)


class Batch(Tool):
    """Makes calls of other tools, each judged and recorded as if it were made alone.

    Those that change nothing run together; one that may change something waits for those before it and holds up those
    after it. Results come in the order of the calls. One that fails does not stop the others; then the batch has
    failed, and its text says which. The value is the list of the calls' values.
    """

    name = "batch"
    description = "Make several calls at once."
    Args = BatchArgs

    def parse(self, arguments: Mapping[str, Any]) -> Any:
        """As of any tool; `invocations` is taken for `calls`, in a call `name` for `tool`, `arguments` for `args`."""
        given = dict(arguments)
        if "invocations" in given and "calls" not in given:
            given["calls"] = given.pop("invocations")
        if isinstance(given.get("calls"), list):
            given["calls"] = [_rename(call) for call in given["calls"]]
        return super().parse(given)

    def effects(self, args: BatchArgs, workspace: Path) -> tuple[Effect, ...]:
        """None of its own."""
        return ()

    def calls(self, args: BatchArgs) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """The calls it would make, and those that a batch among them asks for."""
        found: list[tuple[str, Mapping[str, Any]]] = []
        pending = list(args.calls)[::-1]
        while pending:
            call = pending.pop()
            found.append((call.tool, call.args))
            if self._is_batch(call):
                pending += _read_inner(call.args)[::-1]
        return tuple(found)

    async def invoke(self, args: BatchArgs, context: ToolContext) -> ToolOutput:
        """Make the calls; raises nothing but a cancellation, which ends those that still run."""
        seen: dict[int, Observation | ToolOutput] = {}
        for wave in self._waves(args.calls, context):
            room = asyncio.Semaphore(TOGETHER)
            async with asyncio.TaskGroup() as group:
                for index in wave:
                    group.create_task(self._make(index, args.calls[index], context, room, seen))
        return _join(args.calls, [seen[index] for index in range(len(args.calls))], context)

    def _waves(self, calls: Sequence[Call], context: ToolContext) -> Iterator[list[int]]:
        """The indexes of calls that may run together, in order."""
        together: list[int] = []
        for index, call in enumerate(calls):
            if self._is_batch(call) or not context.changes(call.tool, call.args):
                together.append(index)
                continue
            if together:
                yield together
                together = []
            yield [index]
        if together:
            yield together

    async def _make(
        self,
        index: int,
        call: Call,
        context: ToolContext,
        room: asyncio.Semaphore,
        seen: dict[int, Observation | ToolOutput],
    ) -> None:
        if self._is_batch(call):
            seen[index] = ToolOutput.failure("a batch cannot hold a batch; make its calls here", "invalid_argument")
            return
        async with room:
            seen[index] = await context.call(call.tool, call.args)

    def _is_batch(self, call: Call) -> bool:
        return call.tool.strip().lower() == self.name


def _rename(call: Any) -> Any:
    if not isinstance(call, Mapping):
        return call
    renamed = dict(call)
    for name, other in _NAMES:
        if other in renamed and name not in renamed:
            renamed[name] = renamed.pop(other)
    return renamed


def _read_inner(arguments: Mapping[str, Any]) -> list[Call]:
    """The calls of a batch within a batch, as far as they are any."""
    listed = arguments.get("calls", arguments.get("invocations"))
    calls = [_rename(call) for call in listed] if isinstance(listed, list) else []
    return [
        Call(tool=call["tool"], args=call["args"] if isinstance(call.get("args"), dict) else {})
        for call in calls
        if isinstance(call, Mapping) and isinstance(call.get("tool"), str) and call["tool"]
    ]


def _join(calls: Sequence[Call], seen: Sequence[Observation | ToolOutput], context: ToolContext) -> ToolOutput:
    texts = [_text(output) for output in seen]
    shares = _share(texts, SHOWN_BYTES) if context.origin == "model" else [None] * len(texts)
    parts: list[str] = []
    for index, (call, output, text, share) in enumerate(zip(calls, seen, texts, shares, strict=True)):
        shown = text if share is None else _fit(call, output, text, share, context)
        head = f"[{index + 1}/{len(calls)}] {call.tool}{_subject(call)}: {_ending(output)}"
        parts.append(f"{head}\n{shown}".rstrip())
    failed = sum(output.exit_code != 0 for output in seen)
    if failed:
        parts.append(f"[{failed} of {len(calls)} calls failed]")
    rows = [
        {"tool": call.tool, "exit_code": output.exit_code, "error_kind": output.error_kind}
        for call, output in zip(calls, seen, strict=True)
    ]
    return ToolOutput(
        "\n\n".join(parts),
        exit_code=1 if failed else 0,
        error_kind="failed" if failed else None,
        metadata={"calls": rows, "failed": failed},
        images=tuple(image for output in seen for image in output.images),
        value=[output.value for output in seen],
    )


def _text(output: Observation | ToolOutput) -> str:
    return output.output if isinstance(output, Observation) else output.text


def _ending(output: Observation | ToolOutput) -> str:
    return "ok" if output.exit_code == 0 else f"failed ({output.error_kind or 'failed'})"


def _subject(call: Call) -> str:
    """What the call is about, in a few words: its path, command or the like."""
    value = next((call.args[name] for name in _SUBJECTS if isinstance(call.args.get(name), str)), "")
    line = " ".join(value.split())
    return f" {line[:SUBJECT_CHARACTERS]}{'...' if len(line) > SUBJECT_CHARACTERS else ''}" if line else ""


def _share(texts: Sequence[str], budget: int) -> list[int | None]:
    """How many bytes of each text are shown, None for all of it: what short ones leave over goes to the long ones."""
    sizes = [len(text.encode("utf-8", "replace")) for text in texts]
    shares: list[int | None] = [None] * len(texts)
    left = budget
    by_size = sorted(range(len(texts)), key=lambda index: sizes[index])
    for done, index in enumerate(by_size):
        share = max(left // (len(texts) - done), LEAST_BYTES)
        if sizes[index] > share:
            shares[index] = share
        left = max(left - min(sizes[index], share), 0)
    return shares


def _fit(call: Call, output: Observation | ToolOutput, text: str, share: int, context: ToolContext) -> str:
    kept = output.artifact if isinstance(output, Observation) else None
    reference = kept or context.artifacts.put(call.tool, text, share)
    return shorten(text, share, reference.uri)
