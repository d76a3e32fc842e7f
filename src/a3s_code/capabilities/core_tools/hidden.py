"""Files that a rule keeps from being read without a word: searches leave them out."""

from __future__ import annotations


def note_hidden(count: int) -> list[str]:
    """A line that tells how many files were left out, and nothing else of them."""
    if not count:
        return []
    return [
        f"[{count} file{'s' if count > 1 else ''} left out: a rule forbids reading {'them' if count > 1 else 'it'}]"
    ]
