"""A patch from its text, in either form."""

from __future__ import annotations

import itertools

from a3s_code.capabilities.core_tools.patching.change import (
    MAX_CHARACTERS,
    MAX_FILES,
    MAX_HUNKS,
    MAX_LINES,
    Change,
    Malformed,
)
from a3s_code.capabilities.core_tools.patching.envelope import BEGIN, EnvelopeParser
from a3s_code.capabilities.core_tools.patching.unified import UnifiedParser


def read_patch(diff: str, file_path: str | None = None) -> tuple[Change, ...]:
    """The changes of a diff in order; raises Malformed. `file_path` names the file of a diff of one file."""
    if len(diff) > MAX_CHARACTERS or diff.count("\n") > MAX_LINES:
        most = f"{MAX_CHARACTERS:,} characters or {MAX_LINES:,} lines"
        raise Malformed(f"it has more than {most}; make several patches")
    lines = diff.split("\n")
    if not lines[-1]:
        lines.pop()
    if lines and all(line.endswith("\r") for line in lines):
        lines = [line[:-1] for line in lines]
    first = next((line for line in lines if line.strip()), "")
    parser = EnvelopeParser if first.strip() == BEGIN else UnifiedParser
    if sum(line.startswith("@@") for line in lines) > MAX_HUNKS:
        raise Malformed(f"it has more than {MAX_HUNKS} hunks; make several patches")
    changes = parser(lines, file_path).parse()
    if len(changes) > MAX_FILES:
        raise Malformed(f"it changes {len(changes)} files, more than {MAX_FILES}; make several patches")
    if file_path is not None and len(changes) > 1:
        raise Malformed("it is about several files; leave file_path out")
    for change in changes:
        _require_whole(change)
    return tuple(changes)


def _require_whole(change: Change) -> None:
    """Raises Malformed for hunks that cannot belong to what is done."""
    if change.kind == "added" and (len(change.hunks) > 1 or any(hunk.old for hunk in change.hunks)):
        raise Malformed(f"{change.path} is new, so all its lines must start with +")
    if change.kind == "deleted" and any(hunk.new for hunk in change.hunks):
        raise Malformed(f"{change.path} is deleted, so all its lines must start with -")
    starts = [hunk.start for hunk in change.hunks if hunk.start is not None]
    if any(later < earlier for earlier, later in itertools.pairwise(starts)):
        raise Malformed(f"the hunks of {change.path} must be in the order of their lines")
