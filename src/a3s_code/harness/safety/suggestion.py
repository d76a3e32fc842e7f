"""Which rules would allow a call: told to whoever is asked, and to the model."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from a3s_code.harness.safety.interpreters import find_module
from a3s_code.harness.safety.outreach import find_release
from a3s_code.harness.safety.programs import PYTHONS, program
from a3s_code.harness.safety.shell import Candidate, read_command
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import Action

_SUBCOMMAND = re.compile(r"[a-z][a-z0-9_-]*")


def suggest_rules(action: Action, workspace: str) -> list[str]:
    """Narrow rules for calls like this one; empty where none can be told."""
    patterns = [pattern for effect in action.effects for pattern in _suggest_patterns(action.tool, effect, workspace)]
    return list(dict.fromkeys(f"{action.tool}({pattern})" for pattern in patterns if pattern))


def _suggest_patterns(tool: str, effect: Effect, workspace: str) -> list[str]:
    if effect.kind == "exec":
        candidates = [candidate for candidate in read_command(effect.target).candidates if candidate.listed]
        prefixes = [_prefix(candidate) for candidate in candidates if candidate.words]
        shown = [prefix.removeprefix("git ") if tool == "git" else prefix for prefix in prefixes]
        return [f"{prefix}:*" for prefix in shown if prefix]
    if effect.kind == "net":
        return [_suggest_host(effect.target)]
    if effect.target == workspace:
        return []
    return [effect.target.removeprefix(f"{workspace.rstrip('/')}/")]


def _prefix(candidate: Candidate) -> str:
    """The program, and what selects what it does: a subcommand, or `-m module`; "" where its wrapper needs no rule."""
    words, wrapped = candidate.words, candidate.wrapped
    texts = [word.text if word.fixed else "" for word in words]
    if wrapped is not None:
        transparent = wrapped.transparent and wrapped.commands
        return "" if transparent else " ".join(texts[: 2 if texts[1:2] == ["-c"] else 1])
    release = find_release(words)
    if release is not None and release.sure:
        return release.start
    if program(words[0]) in PYTHONS and (module := find_module(words)) > 0:
        return " ".join(texts[: module + 1])
    return " ".join(texts[:2]) if len(texts) > 1 and _SUBCOMMAND.fullmatch(texts[1]) else texts[0]


def _suggest_host(url: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return ""
    return f"domain:{host}" if host else ""
