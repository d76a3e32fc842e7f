"""The library as it is measured: an agent of the default configuration that talks to the scripted server."""

from __future__ import annotations

from pathlib import Path

from benchmarks.server import Wire, file_name, model_name

WIRES: tuple[Wire, ...] = ("openai", "anthropic")
TICKET = "ticket-0000"


def prompt(ticket: str = TICKET) -> str:
    """The words of a run; the answer must name the ticket."""
    return f"Read the notes one after the other and say what {ticket} needs."


def configuration(server: str) -> str:
    """ACL text with two providers for each wire format, streamed and plain."""
    lines = [f'default_model = "{model("openai", 1)}"']
    for wire in WIRES:
        reach = f'apiKey = "none"\n  baseUrl = "{server}/v1"\n  api = "{wire}"'
        lines += [
            f'providers "{wire}" {{\n  {reach}\n}}',
            f'providers "{wire}-plain" {{\n  {reach}\n  stream = false\n}}',
        ]
    return "\n".join([*lines, ""])


def model(wire: Wire, turns: int, pieces: int = 8, *, streamed: bool = True) -> str:
    """What a session's `model` is to be, for a run of `turns` model calls."""
    return f"{wire if streamed else f'{wire}-plain'}/{model_name(turns, pieces)}"


def write_notes(folder: Path, count: int) -> Path:
    """Fill a workspace with `count` files of about 1 KB, each different."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        lines = [f"{index:04d}.{row:02d} what was noted on this day about the matter at hand" for row in range(16)]
        (folder / file_name(index)).write_text("\n".join(lines) + "\n")
    return folder
