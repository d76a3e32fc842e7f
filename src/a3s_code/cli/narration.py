"""A run told while it happens: the model's words, each call with its outcome, what was refused and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

from a3s_code.cli.prose import Prose
from a3s_code.cli.screen import Screen, Tone
from a3s_code.kernel.events import (
    AgentEnd,
    AgentEvent,
    Error,
    LimitReached,
    ModelRetry,
    PermissionDenied,
    TextDelta,
    TextWithdrawn,
    ToolEnd,
    ToolStart,
    TurnStart,
)

MAIN_ARGUMENTS = ("command", "file_path", "pattern", "path", "url", "query")
NAME_WIDTH = 7
OUTCOME_COLUMN = 58
NARROW_OUTCOME_COLUMN = 48
MIN_ROOM = 12


@dataclass(slots=True)
class _Call:
    """A call from its start to its end. `refusal` is the reason it was denied for."""

    name: str
    arguments: str
    refusal: str | None = None
    end: ToolEnd | None = None


class Narration:
    """Tells the events of one run on a screen. Calls that overlap in time are shown as a group.

    `speaker` is who is waited for between two turns; `pace` the pause after a word, in seconds.
    """

    def __init__(self, screen: Screen, workspace: Path, speaker: str, *, pace: float = 0.0) -> None:
        self._screen = screen
        self._speaker = speaker
        self._workspace = workspace
        self._prose = Prose(screen, pace=pace)
        self._calls: dict[str, _Call] = {}
        self._apart = False

    def tell(self, event: AgentEvent) -> None:
        """Write what `event` adds; most events add nothing."""
        match event:
            case TurnStart():
                self._screen.wait(f"waiting for {self._speaker}")
            case TextDelta(text):
                self._speak(text)
            case TextWithdrawn(reason=reason):
                self._note(f"That answer broke off ({reason}); the model is asked again.")
            case ModelRetry(delay_ms=delay, error=error):
                self._note(f"The model gave no reply ({error}); asked again in {delay / 1000:.1f} s.")
            case ToolStart():
                self._begin(event)
            case PermissionDenied(tool_id=call_id, reason=reason):
                self._calls[call_id].refusal = reason
            case ToolEnd():
                self._end(event)
            case LimitReached(message=message):
                self._note(message)
            case AgentEnd() | Error():
                self._prose.end()
            case _:
                pass

    def _speak(self, text: str) -> None:
        if self._apart:
            self._screen.write(("\n", "plain"))
            self._apart = False
        self._prose.feed(text)

    def _note(self, text: str) -> None:
        self._prose.end()
        self._screen.write((f"  {text}\n", "warn"))

    def _begin(self, event: ToolStart) -> None:
        self._prose.end()
        name = "check" if event.origin == "check" else event.name
        call = _Call(name, self._shown(event.args))
        self._calls[event.id] = call
        self._screen.wait(f"{call.name} {call.arguments}")

    def _end(self, event: ToolEnd) -> None:
        self._calls[event.id].end = event
        if any(call.end is None for call in self._calls.values()):
            return
        group = list(self._calls.values())
        self._calls.clear()
        if not self._apart:
            self._screen.write(("\n", "plain"))
        for index, call in enumerate(group):
            self._write_call(call, *self._marks(call, index, len(group)))
        self._apart = True

    def _marks(self, call: _Call, index: int, size: int) -> tuple[str, str]:
        """The signs before a call's line and before its outcome, where that has a line of its own."""
        signs = self._screen.signs
        if size == 1:
            return (signs.call if call.refusal is None else signs.denied), " "
        if index == size - 1:
            return signs.last, " "
        return (signs.middle if index else signs.first), signs.middle

    def _write_call(self, call: _Call, mark: str, below: str) -> None:
        width, cut = self._screen.width, self._screen.signs.cut
        outcome, tone = _outcome(call)
        lead = 4 + NAME_WIDTH
        column = OUTCOME_COLUMN if width >= 96 else NARROW_OUTCOME_COLUMN
        beside = call.refusal is None and len(call.arguments) < column - lead and len(outcome) < width - column
        room = column - lead if beside else max(width - lead - 1, MIN_ROOM)
        self._screen.write(
            (f"  {mark} ", "mark" if call.refusal is None else "bad"),
            (f"{call.name:<{NAME_WIDTH}}", "strong"),
            (f"{_cut(call.arguments, room, cut):<{room if beside else 0}}", "code"),
        )
        if beside:
            self._screen.write((f"{outcome}\n", tone))
            return
        for line in wrap(outcome, room) if call.refusal is not None else [_cut(outcome, room, cut)]:
            self._screen.write((f"\n  {below:<{lead - 2}}", "mark"), (line, tone))
        self._screen.write(("\n", "plain"))

    def _shown(self, text: str) -> str:
        """The arguments of a call in short: the one that matters, then where it is looked for."""
        try:
            given = json.loads(text)
        except ValueError:
            given = None
        arguments: Mapping[str, Any] = given if isinstance(given, dict) else {}
        main = next((name for name in MAIN_ARGUMENTS if name in arguments), None)
        if main is None:
            return " ".join(text.split())
        where = [self._near(arguments[name]) for name in ("path", "glob") if name != main and arguments.get(name)]
        shown = self._near(arguments[main])
        return f"{shown}  in {' '.join(where)}" if where else shown

    def _near(self, value: object) -> str:
        """`value` on one line, without the path to the workspace."""
        return " ".join(str(value).split("\n")).replace(f"{self._workspace}/", "")


def _outcome(call: _Call) -> tuple[str, Tone]:
    end = call.end
    if call.refusal is not None:
        return f"denied: {call.refusal}", "bad"
    if end is None:
        return "", "quiet"
    lines = [line for line in end.output.splitlines() if line.strip()]
    if end.name == "bash" and end.error_kind in (None, "failed"):
        return _command_outcome(lines, end.exit_code)
    if end.error_kind is not None:
        return (lines[0] if lines else end.error_kind), "bad"
    if end.name in ("read", "grep", "glob", "ls"):
        return _count(len(lines), "line"), "quiet"
    return (lines[0] if lines else "done"), "quiet"


def _command_outcome(lines: list[str], exit_code: int) -> tuple[str, Tone]:
    said = [line for line in lines if not line.startswith("[exit code ")]
    last = said[-1].strip() if said else ""
    return f"exit {exit_code}{f', {last}' if last else ''}", "good" if exit_code == 0 else "warn"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _cut(text: str, room: int, sign: str) -> str:
    return text if len(text) <= room else text[: room - len(sign)] + sign
