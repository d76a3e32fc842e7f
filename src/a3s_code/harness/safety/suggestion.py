"""Which rules would allow a call: told to whoever is asked, and to the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from a3s_code.harness.safety.command import split
from a3s_code.harness.safety.programs import find_module, program, unwrap
from a3s_code.harness.safety.words import Word
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import Action

_SUBCOMMAND = re.compile(r"[a-z][a-z0-9_-]*")


def suggest_rules(action: Action, workspace: str) -> list[str]:
    """Narrow rules for calls like this one; empty where none can be told."""
    patterns = [pattern for effect in action.effects for pattern in _suggest_patterns(action.tool, effect, workspace)]
    return list(dict.fromkeys(f"{action.tool}({pattern})" for pattern in patterns if pattern))


def _suggest_patterns(tool: str, effect: Effect, workspace: str) -> list[str]:
    if effect.kind == "exec":
        command = split(effect.target)
        prefixes = [_prefix(unwrap(part.words) or part.words) for part in command.parts if part.words]
        shown = [prefix.removeprefix("git ") if tool == "git" else prefix for prefix in prefixes]
        return [f"{prefix}:*" for prefix in shown if prefix]
    if effect.kind == "net":
        return [_suggest_host(effect.target)]
    if effect.target == workspace:
        return []
    return [effect.target.removeprefix(f"{workspace.rstrip('/')}/")]


def _prefix(words: Sequence[Word]) -> str:
    """The program, and what selects what it does: a subcommand, or `-m module`."""
    texts = [word.text if word.fixed else "" for word in words]
    if program(words[0]) in ("python", "pypy") and (module := find_module(words)) > 0:
        return " ".join(texts[: module + 1])
    return " ".join(texts[:2]) if len(texts) > 1 and _SUBCOMMAND.fullmatch(texts[1]) else texts[0]


def _suggest_host(url: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return ""
    return f"domain:{host}" if host else ""
