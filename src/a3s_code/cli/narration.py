"""A run told while it happens: the model's words, each call with its outcome, what was refused and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from a3s_code.cli.prose import Prose
from a3s_code.cli.screen import Screen, Tone
from a3s_code.kernel.events import (
    AgentEnd,
    AgentEvent,
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
SIDE_BY_SIDE = 80


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
            case AgentEnd():
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
            self._write_call(call, self._mark(call, index, len(group)))
        self._apart = True

    def _mark(self, call: _Call, index: int, size: int) -> str:
        signs = self._screen.signs
        if size > 1:
            return signs.first if index == 0 else signs.last if index == size - 1 else signs.middle
        return signs.call if call.refusal is None else signs.denied

    def _write_call(self, call: _Call, mark: str) -> None:
        width, signs = self._screen.width, self._screen.signs
        outcome, tone = _outcome(call)
        lead = 4 + NAME_WIDTH
        beside = width >= SIDE_BY_SIDE and len(call.arguments) < OUTCOME_COLUMN - lead and call.refusal is None
        room = OUTCOME_COLUMN - lead if beside else width - lead - 1
        arguments = _cut(call.arguments, room, signs.cut)
        self._screen.write(
            (f"  {mark} ", "bad" if call.refusal is not None else "mark"),
            (f"{call.name:<{NAME_WIDTH}}", "strong"),
            (f"{arguments:<{room}}" if beside else f"{arguments}\n{' ' * lead}", "code"),
            (_cut(outcome, width - (OUTCOME_COLUMN if beside else lead) - 1, signs.cut), tone),
            ("\n", "plain"),
        )

    def _shown(self, text: str) -> str:
        """The arguments of a call in short: the one that matters, then where it is looked for."""
        try:
            arguments = json.loads(text)
        except ValueError:
            arguments = None
        main = next((name for name in MAIN_ARGUMENTS if isinstance(arguments, dict) and name in arguments), None)
        if main is None:
            return " ".join(text.split())
        shown = self._near(arguments[main])
        where = [self._near(arguments[name]) for name in ("path", "glob") if name != main and arguments.get(name)]
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
    room = max(room, len(sign) + 1)
    return text if len(text) <= room else text[: room - len(sign)] + sign
