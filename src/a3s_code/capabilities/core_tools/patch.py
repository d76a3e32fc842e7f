"""patch: a diff over one or several files."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from a3s_code.capabilities.core_tools.conflict import lock_of
from a3s_code.capabilities.core_tools.original import note_links
from a3s_code.capabilities.core_tools.patching.change import Change
from a3s_code.capabilities.core_tools.patching.plan import Outcome, Site, find_sites, work_out
from a3s_code.capabilities.core_tools.patching.reading import read_patch
from a3s_code.capabilities.core_tools.patching.transaction import Unfinished, carry_out
from a3s_code.capabilities.core_tools.place import Failed, PathText, refusal, require_judged
from a3s_code.errors import ArgumentError
from a3s_code.kernel.contracts import Effect
from a3s_code.kernel.tool import ToolContext, ToolOutput
from a3s_code.system.files import FileChanged
from a3s_code.system.paths import PathError
from a3s_code.system.threads import finish
from a3s_code.toolkit import Tool

TRIES = 5


class PatchArgs(BaseModel):
    diff: str
    file_path: PathText | None = None

    @functools.cached_property
    def changes(self) -> tuple[Change, ...]:
        """What the diff says; raises Malformed."""
        return read_patch(self.diff, self.file_path)


class Patch(Tool):
    """Applies a unified diff, or a patch in the `*** Begin Patch` form, over several files: all of it or nothing.

    Each hunk must stand where the diff says, to the letter; else at one other place of the file, or with other blanks
    at line ends, which the result then tells. Several such places are refused, with their lines; for none the nearest
    lines are shown. What a hunk does not change keeps its bytes; encoding, byte order mark, line ends and mode stay.
    Files that this session saw with another content are not patched.
    """

    name = "patch"
    description = "Apply a diff, all or nothing: unified (--- +++ @@), or *** Begin Patch ... *** End Patch."
    Args = PatchArgs

    def effects(self, args: PatchArgs, workspace: Path) -> tuple[Effect, ...]:
        """Those of all files in the diff; raises ArgumentError for one that cannot be read, PathError."""
        return tuple(effect for site in find_sites(args.changes, workspace) for effect in site.effects)

    async def invoke(self, args: PatchArgs, context: ToolContext) -> ToolOutput:
        """Apply it, or say why not."""
        try:
            sites = find_sites(args.changes, context.workspace)
            require_judged(context, (effect for site in sites for effect in site.effects))
            return await finish(asyncio.to_thread(_patch, sites, context))
        except Failed as failed:
            return failed.output
        except (ArgumentError, PathError) as error:
            return ToolOutput.failure(str(error), "invalid_argument")


def _patch(sites: Sequence[Site], context: ToolContext) -> ToolOutput:
    places = {place.real for site in sites for place in (site.source, site.target) if place is not None}
    with contextlib.ExitStack() as locks:
        # In one order, so that two patches of the same files do not wait for each other for ever.
        for real in sorted(places):
            locks.enter_context(lock_of(real))
        for _ in range(TRIES - 1):
            try:
                return _apply(sites, context)
            except Unfinished as unfinished:
                # Another process wrote one of the files meanwhile; the rest is as it was.
                if unfinished.lost or not isinstance(unfinished.cause, FileChanged):
                    raise _failed(unfinished, sites, context) from None
        try:
            return _apply(sites, context)
        except Unfinished as unfinished:
            raise _failed(unfinished, sites, context) from None


def _apply(sites: Sequence[Site], context: ToolContext) -> ToolOutput:
    outcomes = [work_out(site, context) for site in sites]
    written = carry_out([step for outcome in outcomes for step in outcome.steps])
    for outcome in outcomes:
        for real, seen in outcome.known.items():
            if seen is None:
                context.files.pop(str(real), None)
            else:
                context.files[str(real)] = seen
    links = {step.name: written[step.real].links for outcome in outcomes for step in outcome.steps if step.after}
    return _report(outcomes, links)


def _report(outcomes: Sequence[Outcome], links: dict[str, int]) -> ToolOutput:
    added, removed = sum(outcome.added for outcome in outcomes), sum(outcome.removed for outcome in outcomes)
    metadata: dict[str, Any] = {
        "files": [outcome.describe() for outcome in outcomes],
        "added": added,
        "removed": removed,
    }
    lines = [f"{outcome.note()}{note_links(links.get(outcome.name, 0))}" for outcome in outcomes]
    if len(outcomes) > 1:
        lines.insert(0, f"Patched {len(outcomes)} files, +{added} -{removed}:")
    return ToolOutput("\n".join(lines), metadata=metadata)


def _failed(unfinished: Unfinished, sites: Sequence[Site], context: ToolContext) -> Failed:
    places = (place for site in sites for place in (site.source, site.target) if place is not None)
    given = next(place.given for place in places if place.real == unfinished.step.real)
    output = refusal(unfinished.cause, context, given)
    for real in (str(site.source.real) for site in sites) if unfinished.lost else ():
        context.files.pop(real, None)
    kind = "failed" if unfinished.lost else output.error_kind or "failed"
    return Failed(f"{output.text}. {unfinished}", kind, restored=unfinished.restored, lost=unfinished.lost)
