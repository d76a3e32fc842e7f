"""Which rule would allow a call: told to whoever is asked, and to the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from a3s_code.harness.safety.command import split
from a3s_code.harness.safety.words import Word
from a3s_code.kernel.tool import Action

_SUBCOMMAND = re.compile(r"[a-z][a-z0-9_-]*")


def suggest_rule(action: Action, workspace: str) -> str:
    """A narrow rule for calls like this one; the tool's name alone where no narrower one can be told."""
    for effect in action.effects:
        if effect.kind == "exec":
            pattern = _suggest_command(effect.target)
        elif effect.kind == "net":
            pattern = _suggest_host(effect.target)
        else:
            pattern = effect.target.removeprefix(f"{workspace}/")
        if pattern:
            return f"{action.tool}({pattern})"
    return action.tool


def _suggest_command(text: str) -> str:
    command = split(text)
    if command.fault or not command.plain or not all(part.words for part in command.parts):
        return ""
    words = command.parts[0].words
    if len({_prefix(part.words) for part in command.parts}) > 1 or not words[0].fixed:
        return ""
    return _prefix(words) + "*"


def _prefix(words: Sequence[Word]) -> str:
    """The program, and what selects what it does: a subcommand, or `-m module`."""
    texts = [word.text if word.fixed else "" for word in words]
    if len(texts) > 2 and texts[1] == "-m":
        return " ".join(texts[:3])
    return " ".join(texts[:2]) if len(texts) > 1 and _SUBCOMMAND.fullmatch(texts[1]) else texts[0]


def _suggest_host(url: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return ""
    return f"domain:{host}" if host else ""
