"""Files that a rule keeps from being read without a word: searches leave them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from a3s_code.kernel.tool import ToolContext

_NOTHING = next(field.default for field in fields(ToolContext) if field.name == "hides")


def hider(context: ToolContext) -> Callable[[str], bool] | None:
    """The test for a file's real path; None where no rule hides anything, so that nobody has to ask."""
    return None if context.hides is _NOTHING else context.hides


def note_hidden(count: int) -> list[str]:
    """A line that tells how many files were left out, and nothing else of them."""
    if not count:
        return []
    return [
        f"[{count} file{'s' if count > 1 else ''} left out: a rule forbids reading {'them' if count > 1 else 'it'}]"
    ]
