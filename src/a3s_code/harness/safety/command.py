"""Shell text, split into the simple commands that it may run.

A part may be listed that bash would not run, but none that bash would run is missing unless `fault` or `unclear`
says so.
"""

from __future__ import annotations

import re
from functools import lru_cache

from a3s_code.harness.safety.parts import Command, Part, Redirection
from a3s_code.harness.safety.skeleton import Draft
from a3s_code.harness.safety.syntax import CommandReader
from a3s_code.harness.safety.words import ASSIGNMENT, Fault, Notes

__all__ = ["ASSIGNMENT", "Command", "Part", "Redirection", "split"]

_UNREADABLE = re.compile("[\x00\ud800-\udfff]")
_ODD = re.compile(
    "[\x01-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# Bash takes the end of the line away before it looks for operators.
_TORN = re.compile(r"[;&|<>()$][ \t]?(?<![ \t])(?:\\\n)+[;&|<>()!]|[0-9}](?:\\\n)+[<>]")
_KEYWORDS = frozenset(
    [
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "do",
        "done",
        "case",
        "esac",
        "while",
        "until",
        "for",
        "select",
        "function",
        "time",
        "coproc",
        "{",
        "}",
        "!",
        "[[",
        "in",
    ]
)
_PLAIN_NUMBER = re.compile(r"[-+]?[0-9]+|\$\(\(.*\)\)", re.DOTALL)
_MENTION = re.compile(r"(?<![A-Za-z0-9_${])[A-Za-z_][A-Za-z0-9_]*")


@lru_cache(maxsize=16)
def split(text: str) -> Command:
    """The command in `text`; never raises."""
    if _UNREADABLE.search(text):
        return Command((), fault="it holds a NUL or half a character", plain=False)
    notes = Notes()
    parts: list[Draft] = []
    documents: list[str] = []
    fault = "a line is continued inside an operator" if "\\\n" in text and _TORN.search(text) else ""
    try:
        CommandReader(text, 0, notes, parts, documents).read_all()
    except Fault as problem:
        fault = fault or str(problem)
    fault = fault or notes.fault
    if not fault and not parts and not notes.tested:
        fault = "it is empty"
    if notes.evaluated and not notes.unclear and _evaluates_text(notes, parts):
        notes.unclear = "arithmetic"
    return Command(
        parts=tuple(draft.part() for draft in parts),
        fault=fault,
        unclear=notes.unclear,
        odd=_ODD.search(text) is not None,
        plain=notes.plain and not notes.unclear,
        loops=notes.loops,
        documents=tuple(documents),
    )


def _evaluates_text(notes: Notes, parts: list[Draft]) -> bool:
    """Whether arithmetic reads a variable that may hold another text than a number.

    Those in capitals and `_` may be set by the shell itself; of the others every mention counts that does not read.
    """
    changed = set(notes.assigned)
    for draft in parts:
        for word in draft.assignments:
            name, _, value = word.text.partition("=")
            if not (_PLAIN_NUMBER.fullmatch(value) and word.text.isascii()):
                changed.update(_MENTION.findall(name))
        for word in draft.words:
            changed.update(_MENTION.findall(word.text))
    return any(name in changed or name.upper() == name for name in notes.evaluated)
