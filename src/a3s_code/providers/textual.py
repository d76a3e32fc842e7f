"""Calls that a model prints as text instead of making them: found while the text streams, and taken out of it.

Small local models answer with the JSON of a call, in a fence, in a tag or bare. Only an object with a name that was
offered and with arguments is a call; everything else, an invented tool or plain JSON, stays text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from a3s_code.kernel.tool import ToolSpec
from a3s_code.providers.printed import TAGS, PrintedCall, Region, read_calls, read_tagged

_Verdict = Literal["call", "text", "unsure"]

_CANDIDATE = re.compile(
    r"(?P<tag>"
    + "|".join(map(re.escape, TAGS))
    + r")|^[ \t]*(?P<fence>`{3,}|~{3,})|^[ \t]*(?P<bare>\{|\[(?!TOOL_CALLS\]))",
    re.MULTILINE,
)
_BEGINNINGS = sorted({tag[:length] for tag in TAGS for length in range(1, len(tag))}, key=len, reverse=True)
_UNFINISHED = re.compile(r"(?:^[ \t]*(?:`{1,2}|~{1,2})|" + "|".join(map(re.escape, _BEGINNINGS)) + r")\Z", re.MULTILINE)
_UNFINISHED_END = re.compile(r"^[ \t]*[`~]+[ \t]*\Z", re.MULTILINE)
_INTERESTING = re.compile(r"[`~{\[<]")
_INFO_LINE = re.compile(r"[^\n`]*(?:\n\s*)?")
_OPENING = re.compile(r"[\[{\s]*")
_KEY = re.compile(r"(?P<quote>[\"'])(?P<key>\w*)(?:(?P=quote)\s*(?P<colon>:\s*)?)?")
_VALUE = re.compile(r"(?P<quote>[\"'])(?P<value>[^\"'\n]*)(?P<end>(?P=quote))?")
_LINE_END = re.compile(r"[ \t]*(?=\n|\Z)")
_FIRST_KEYS = frozenset({"name", "type", "function", "arguments", "parameters", "id", "call_id", "tool_call_id"})
_LONGEST_OPENING = 200
_MOST_FAILURES = 64


class PrintedCalls:
    """Holds streamed text back from the point where a call may stand, and says at the end what it was.

    What feed() and finish() let through, joined, is the reply's text without the calls, however the text was cut.
    """

    def __init__(self, tools: tuple[ToolSpec, ...]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._pending = ""
        self._held: list[str] | None = None
        self._line_started = False
        self._fence = ""

    def feed(self, piece: str) -> str:
        """The text that can be shown now."""
        if self._held is not None:
            self._held.append(piece)
            return ""
        if not self._pending and not self._fence and _INTERESTING.search(piece) is None:
            return self._let_through(piece)
        text, self._pending = self._pending + piece, ""
        shown, holds_call = self._decided(text)
        if holds_call:
            self._held = [text[shown:]]
        else:
            self._pending = text[shown:]
        return self._let_through(text[:shown])

    def finish(self, *, recovering: bool) -> tuple[str, list[PrintedCall]]:
        """The rest of the text and the calls in it; all of it is text unless `recovering`."""
        text = self._pending + "".join(self._held or ())
        self._pending, self._held = "", None
        if not recovering or self._fence:
            return text, []
        return recover(text, self._tools, line_started=self._line_started)

    def _let_through(self, text: str) -> str:
        _, newline, line = text.rpartition("\n")
        self._line_started = bool(line.strip(" \t")) or (self._line_started and not newline)
        return text

    def _decided(self, text: str) -> tuple[int, bool]:
        """How much of `text` can be shown, and whether the rest looks like a call."""
        lead = "." if self._line_started else ""
        scanned = lead + text
        at = 0
        while True:
            if self._fence:
                end = _fence_end(scanned, at, self._fence)
                if end is None:
                    break
                at, self._fence = end, ""
            found = _CANDIDATE.search(scanned, at)
            if found is None:
                break
            verdict = _judge(scanned, found, self._tools)
            if verdict != "text":
                return _start(found) - len(lead), verdict == "call"
            at = found.end()
            self._fence = found["fence"] or ""
        unfinished = (_UNFINISHED_END if self._fence else _UNFINISHED).search(scanned, at)
        return (unfinished.start() if unfinished else len(scanned)) - len(lead), False


def recover(text: str, tools: Mapping[str, ToolSpec], *, line_started: bool = False) -> tuple[str, list[PrintedCall]]:
    """The text without the calls it holds, and those calls in order.

    `line_started` says that other text stands before it on its first line.
    """
    scanned = ("." if line_started else "") + text
    at = shown = len(scanned) - len(text)
    kept: list[str] = []
    calls: list[PrintedCall] = []
    failures = 0
    while failures < _MOST_FAILURES and (found := _CANDIDATE.search(scanned, at)) is not None:
        region = _region(scanned, found, tools) if _judge(scanned, found, tools) == "call" else None
        if region is not None:
            kept.append(scanned[shown : _start(found)])
            calls += region[1]
            at = shown = region[0] + 1 if scanned.startswith("\n", region[0]) else region[0]
            continue
        failures += 1
        end = _fence_end(scanned, found.end(), found["fence"]) if found["fence"] else found.end()
        if end is None:
            break
        at = end
    if not calls:
        return text, []
    rest = "".join(kept) + scanned[shown:].rstrip()
    return (rest if rest.strip() else ""), calls


def _start(found: re.Match[str]) -> int:
    return found.start(found.lastgroup or 0)


def _judge(text: str, found: re.Match[str], tools: Mapping[str, ToolSpec]) -> _Verdict:
    """Whether a call may stand at a candidate, by the first characters of it."""
    if found["tag"]:
        return "call"
    at = found.start("bare") if found["bare"] else _body(text, found)
    rest = text[at : at + _LONGEST_OPENING]
    if not rest:
        return "unsure" if at - found.end() < _LONGEST_OPENING else "text"
    if found["fence"] and rest.startswith(TAGS):
        return "call"
    if any(tag.startswith(rest) for tag in TAGS):
        return "unsure"
    return _judge_json(text, at, tools) if rest[0] in "[{" else "text"


def _judge_json(text: str, at: int, tools: Mapping[str, ToolSpec]) -> _Verdict:
    opening = _OPENING.match(text, at)
    start = opening.end() if opening else at
    if start == len(text):
        return "unsure" if start - at < _LONGEST_OPENING else "text"
    key = _KEY.match(text, start)
    if key is None:
        return "text"
    if key.end() == len(text):
        return "unsure" if key.end() - start < _LONGEST_OPENING else "text"
    if not key["colon"] or key["key"] not in _FIRST_KEYS:
        return "text"
    if key["key"] not in ("name", "type"):
        return "call"
    value = _VALUE.match(text, key.end())
    if value is None:
        return "text"
    known = tools if key["key"] == "name" else ("function", "tool_call")
    if value["end"]:
        return "call" if value["value"] in known else "text"
    return "unsure" if value.end() == len(text) and any(k.startswith(value["value"]) for k in known) else "text"


def _region(text: str, found: re.Match[str], tools: Mapping[str, ToolSpec]) -> Region | None:
    """The end of the calls that stand at a candidate, and the calls; None where it holds anything else."""
    if found["tag"]:
        return read_tagged(text, found.start("tag"), found["tag"], tools)
    if found["bare"]:
        return _closed(text, read_calls(text, found.start("bare"), tools), _LINE_END)
    body = _body(text, found)
    tag = next((tag for tag in TAGS if text.startswith(tag, body)), None)
    inner = read_tagged(text, body, tag, tools) if tag else read_calls(text, body, tools)
    return _closed(text, inner, re.compile(r"\s*" + re.escape(found["fence"]) + r"[`~]*[ \t]*"))


def _closed(text: str, inner: Region | None, closing: re.Pattern[str]) -> Region | None:
    """`inner` up to its closing mark, the end of the text, or a further value that is cut; None at other text."""
    if inner is None:
        return None
    if (mark := closing.match(text, inner[0])) is not None:
        return mark.end(), inner[1]
    rest = text[inner[0] :].strip(" \t\n`~")
    return inner if not rest or rest[0] in "[{" else None


def _body(text: str, found: re.Match[str]) -> int:
    """Where the first line of a fence's inside begins, blanks left out."""
    info = _INFO_LINE.match(text, found.end())
    return info.end() if info else found.end()


def _fence_end(text: str, at: int, fence: str) -> int | None:
    found = re.compile(r"^[ \t]*" + re.escape(fence) + r"[`~]*[ \t]*(?=\n)", re.MULTILINE).search(text, at)
    return None if found is None else found.end()
