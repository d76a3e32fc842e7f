"""What is wrong with rules that can be read: those that name nothing, never hold, or stand behind others."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from a3s_code.harness.safety.hosts import PREFIX, HostPattern
from a3s_code.harness.safety.patterns import PathPattern, TextPattern
from a3s_code.harness.safety.permissions import PermissionPolicy, parse_rules
from a3s_code.harness.safety.words import Word
from a3s_code.harness.safety.wrappers import unwrap
from a3s_code.kernel.rules import Rule

# Rules on these judge effects, so that they hold for other tools too.
_EFFECTS = frozenset({"read", "write", "bash", "git", "web_fetch"})
_COMMANDS = frozenset({"bash", "git"})
_FILES = frozenset({"read", "write", "edit", "patch", "grep", "glob", "ls"})
_ANY = "\ue001"
_STRONGER = {"allow": ("deny", "ask"), "ask": ("deny",), "deny": ()}
_JOINED = re.compile(r"&&|\|\||;|(?<!\w)\|(?!\w)|\n|&$")
_BEYOND_HOST = re.compile(r"://|:\d*$|/")


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """A rule that does not do what it seems to: `index` is its place in the list called `field`."""

    rule: str
    field: str
    index: int
    message: str


@dataclass(frozen=True, slots=True)
class _Entry:
    rule: Rule
    field: str
    index: int


def review_rules(policy: PermissionPolicy, tool_names: Collection[str]) -> list[RuleFinding]:
    """What to tell whoever wrote the rules; `tool_names` are the tools of the session.

    Empty where every rule names a tool, can hold, and is not covered by another one. Rules on MCP tools may name tools
    of servers that are not connected yet.
    """
    entries = [
        _Entry(rule, field, index)
        for field, texts in (("deny", policy.deny), ("ask", policy.ask), ("allow", policy.allow))
        for index, rule in enumerate(parse_rules(texts))
    ]
    return [
        RuleFinding(entry.rule.text, entry.field, entry.index, message)
        for entry in entries
        if (message := next(_find_messages(entry, entries, tool_names), ""))
    ]


def _find_messages(entry: _Entry, entries: Sequence[_Entry], tool_names: Collection[str]) -> Iterator[str]:
    rule = entry.rule
    if (message := _find_unnamed(entry, tool_names)) or (message := _find_impossible(entry)):
        yield message
    for other in entries:
        if other is entry:
            continue
        if other.field in _STRONGER[entry.field] and _covers(other.rule, rule):
            verb = {"deny": "denies", "ask": "asks about"}[other.field]
            yield f"it never holds: {other.rule.text} {verb} all that it covers"
        if other.field == entry.field and other.index < entry.index and _same(other.rule, rule):
            yield f"it says the same as {other.rule.text} before it"


def _find_unnamed(entry: _Entry, tool_names: Collection[str]) -> str:
    """Why it speaks of no tool."""
    rule = entry.rule
    known = {name.lower() for name in tool_names}
    wide = entry.field != "allow"
    # An allow rule on read or write is what lets a command be redirected.
    judged = _EFFECTS if wide else frozenset({"read", "write"}) if "bash" in known else frozenset[str]()
    if rule.tool.startswith("mcp__") or any(rule.names(name, wide=wide) for name in (*known, *judged)):
        return ""
    near = difflib.get_close_matches(rule.tool, sorted(known), n=1, cutoff=0.5)
    return f"no tool is called {rule.tool}{f'; {near[0]} is the nearest' if near else ''}"


def _find_impossible(entry: _Entry) -> str:
    """Why its pattern matches nothing."""
    rule, pattern = entry.rule, entry.rule.pattern
    if pattern is None:
        return ""
    if pattern.startswith(PREFIX):
        return _find_wrong_host(rule, pattern)
    if rule.tool in _COMMANDS:
        return _find_wrong_command(entry, pattern)
    if rule.tool in _FILES:
        return _find_wrong_path(entry, pattern)
    return ""


def _find_wrong_host(rule: Rule, pattern: str) -> str:
    if not rule.names("web_fetch", wide=True):
        return f"hosts are a matter of web_fetch, and {rule.tool} fetches no URL"
    host = pattern.removeprefix(PREFIX)
    if _BEYOND_HOST.search(host) and not host.startswith("["):
        return "a host is named without scheme, port and path, such as domain:example.com"
    return HostPattern(pattern).fault


def _find_wrong_command(entry: _Entry, pattern: str) -> str:
    if _JOINED.search(pattern):
        return "commands are judged one by one: a rule speaks of one simple command, without operators"
    if "'" in pattern or '"' in pattern:
        return "commands are compared unquoted: write the words as the program gets them"
    words = [Word(text) for text in TextPattern(pattern, ignore_case=False).literal.split()]
    if entry.field == "allow" and entry.rule.tool == "bash" and words:
        wrapped = unwrap(words)
        if wrapped is not None and wrapped.transparent and not wrapped.commands and words[-1].text not in ("-v", "-V"):
            return f"{words[0].text} is looked through: name the command that it runs"
    return ""


def _find_wrong_path(entry: _Entry, pattern: str) -> str:
    segments = pattern.split("/")
    wild = next((at for at, segment in enumerate(segments) if re.search(r"[*?\[]", segment)), len(segments))
    if ".." in segments[wild:]:
        return "paths are compared without `..`: it covers nothing behind a wildcard"
    if entry.field == "allow" and ".." in segments:
        rising = sum(1 if segment == ".." else -1 for segment in segments if segment not in ("", "."))
        if pattern.startswith(("/", "~")) or rising > 0 or segments[0] == "..":
            return "it never holds: what lies outside the workspace is allowed by an absolute path without `..`"
    return ""


def _same(first: Rule, second: Rule) -> bool:
    return (first.tool, first.pattern) == (second.tool, second.pattern)


def _covers(wide: Rule, narrow: Rule) -> bool:
    """Whether every call that `narrow` speaks of is one that `wide` speaks of, as far as can be told."""
    # A name with wildcards is covered where the text of it is: each `*` by a `*`.
    if wide.tool != narrow.tool and not wide.names(narrow.tool.replace("*", _ANY).replace("?", _ANY), wide=True):
        return False
    if wide.pattern is None or wide.pattern == narrow.pattern:
        return True
    if narrow.pattern is None:
        return False
    if narrow.tool in _COMMANDS:
        pattern = TextPattern(wide.pattern, ignore_case=True)
        return all(pattern.matches(text) for text in _sample_texts(narrow.pattern))
    if narrow.tool in _FILES:
        path = PathPattern(wide.pattern, "/workspace", "/home", granting=False)
        return path.matches(_sample_path(narrow.pattern))
    return False


def _sample_texts(pattern: str) -> list[str]:
    """Texts such that who matches them all matches all that the pattern does."""
    base = next((pattern.removesuffix(end) for end in (":*", " *") if pattern.endswith(end)), None)
    texts = [pattern] if base is None else [base, f"{base} *"]
    return [text.replace("*", _ANY) for text in texts]


def _sample_path(pattern: str) -> str:
    if pattern.startswith("~"):
        pattern = "/home" + pattern[1:]
    bare = "/" not in pattern
    sample = re.sub(r"\*\*/?|\*|\?", lambda found: f"{_ANY}/{_ANY}/" if found[0] == "**/" else _ANY, pattern)
    if pattern.startswith("/"):
        return sample
    return f"/workspace/{_ANY}/{sample}" if bare else f"/workspace/{sample.removeprefix('./')}"
