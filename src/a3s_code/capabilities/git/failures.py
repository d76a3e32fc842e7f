"""What git says when it fails, as one of a few typed reasons with what to do."""

from __future__ import annotations

import re
from typing import Any

from a3s_code.kernel.tool import ToolOutput

_SHOWN_CHARACTERS = 4000
_PREFIX = re.compile(r"^(?:fatal|error|warning): ", re.MULTILINE)
_HINT = re.compile(r"^hint:.*\n?", re.MULTILINE)
_IDENTITY = (
    'git does not know who commits. Set it once: git config user.name "..." and git config user.email "..." (by bash)'
)
_LOCKED = (
    "another git process works in this repository, or one was killed and left its lock file; look before removing it"
)
_UNBORN = "there is no commit yet on this branch"
_PARTIAL = "an object is not here (a partial clone), and this tool fetches nothing; git fetch by bash brings it"

# pattern in git's words, reason, error kind, what to say in front of git's own words ("": nothing)
_KNOWN: tuple[tuple[re.Pattern[str], str, str, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), reason, kind, text)
    for pattern, reason, kind, text in (
        (
            r"tell me who you are|auto-detect email|empty ident|no email was given",
            "identity_missing",
            "failed",
            _IDENTITY,
        ),
        (r"\.lock'?: File exists|another git process", "locked", "failed", _LOCKED),
        (
            r"transport '.*' not allowed|could not fetch .* from promisor|lazy fetch",
            "missing_object",
            "failed",
            _PARTIAL,
        ),
        (r"unmerged|unresolved conflict|needs merge|CONFLICT", "conflict", "failed", ""),
        (r"would be overwritten|local changes|modified or untracked files", "local_changes", "failed", ""),
        (r"not fully merged", "not_merged", "failed", ""),
        (r"already exists|already checked out|already used by", "exists", "failed", ""),
        (
            r"not have any commits yet|bad default revision|ambiguous argument 'HEAD'",
            "unborn_branch",
            "failed",
            _UNBORN,
        ),
        (r"ignored by one of your \.gitignore", "ignored", "failed", "force=true adds them all the same"),
        (
            r"did not match any file|unknown revision|bad revision|invalid reference|not a valid",
            "unknown",
            "not_found",
            "",
        ),
    )
)


class GitFailure(Exception):
    """Ends a call with an output that says what was wrong; never leaves the tool."""

    def __init__(self, text: str, reason: str, kind: str = "failed", **metadata: Any) -> None:
        super().__init__(text)
        self.output = ToolOutput.failure(text, kind, reason=reason, **metadata)


def explain(verb: str, exit_code: int, said: str) -> GitFailure:
    """The failure behind an exit code and what git said."""
    words = _PREFIX.sub("", _HINT.sub("", said)).strip()[:_SHOWN_CHARACTERS]
    for pattern, reason, kind, text in _KNOWN:
        if pattern.search(words):
            shown = f"{text}\n{words}" if text else words
            return GitFailure(f"{verb}: {shown}", reason, kind, git_exit_code=exit_code)
    shown = words or f"git ended with exit code {exit_code} and said nothing"
    return GitFailure(f"{verb}: {shown}", "failed", git_exit_code=exit_code)


def invalid(text: str) -> GitFailure:
    """A failure for arguments that git was never asked about."""
    return GitFailure(text, "invalid_argument", "invalid_argument")
