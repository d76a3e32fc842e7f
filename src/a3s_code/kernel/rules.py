"""The grammar of permission rules: `Tool(pattern)`.

    rule    = tool [ "(" pattern ")" ]
    tool    = a tool's name, case ignored, with `*` and `?`

`tool` and `tool(*)` stand for every call of the tool, `*` alone for every call of every tool, `mcp__server` for all
tools of that server. What a pattern means depends on what is judged (a path, a command, a host), so it is kept as text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from a3s_code.errors import InvalidRule

_RULE = re.compile(r"\s*(?P<tool>[^\s()]+)\s*(?:\((?P<pattern>.*)\)\s*)?", re.DOTALL)
_SEGMENT_STAR = "(?:(?!__).)*"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `text` as written, `tool` in lower case, `pattern` None where it stands for every call."""

    text: str
    tool: str
    pattern: str | None = None

    def names(self, tool: str, *, wide: bool) -> bool:
        """Whether the rule speaks of `tool`.

        MCP names can be split at `__` in several ways: `wide` takes every reading, for rules that deny or ask, else the
        narrowest one, for rules that allow.
        """
        return _names(self.tool, tool.lower(), wide)


def parse_rule(text: object) -> Rule:
    """The rule that `text` spells; raises InvalidRule naming the rule and what to write instead."""
    if not isinstance(text, str):
        raise InvalidRule(f"a rule is a text, not {type(text).__name__}", rule=repr(text), hint='write "read(src/**)"')
    if not text.strip():
        raise InvalidRule("an empty rule matches nothing", rule=text, hint='write "read" or "read(src/**)"')
    found = _RULE.fullmatch(text)
    if found is None:
        raise InvalidRule(f"rule {text!r} {_complaint(text)}", rule=text, hint='write "tool" or "tool(pattern)"')
    tool, pattern = found["tool"].lower(), found["pattern"]
    if pattern is None:
        return Rule(text, tool)
    pattern = pattern.strip()
    if pattern in ("", ":*"):
        raise InvalidRule(f"rule {text!r} has an empty pattern", rule=text, hint=f'write "{tool}" for every call')
    return Rule(text, tool, pattern if pattern.strip("*") else None)


def _complaint(text: str) -> str:
    if text.lstrip().startswith("("):
        return "names no tool"
    if "(" in text and not text.rstrip().endswith(")"):
        return "is not closed"
    return "is not of the form tool(pattern)"


@lru_cache(maxsize=4096)
def _names(rule_tool: str, tool: str, wide: bool) -> bool:
    return _expression(rule_tool, wide).fullmatch(tool) is not None


@lru_cache(maxsize=512)
def _expression(rule_tool: str, wide: bool) -> re.Pattern[str]:
    if not rule_tool.startswith("mcp__"):
        return re.compile(_translate(rule_tool, ".*"), re.DOTALL)
    if wide:
        return re.compile(_translate(rule_tool, ".*") + "(?:__.*)?", re.DOTALL)
    server, _, tool = rule_tool.removeprefix("mcp__").partition("__")
    if not tool:
        return re.compile(f"mcp__{_translate(server, _SEGMENT_STAR)}__.+" if server else "(?!)", re.DOTALL)
    head, tail = (tool[:-1], ".+" if tool == "*" else ".*") if tool.endswith("*") else (tool, "")
    name = _translate(head, _SEGMENT_STAR) + tail
    return re.compile(f"mcp__{_translate(server, _SEGMENT_STAR)}__{name}", re.DOTALL)


def _translate(name: str, star: str) -> str:
    return "".join(star if char == "*" else "." if char == "?" else re.escape(char) for char in name)
