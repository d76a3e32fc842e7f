"""What a patch makes of the files as they are, worked out before any of them is touched."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from a3s_code.capabilities.core_tools.conflict import require_unchanged
from a3s_code.capabilities.core_tools.likeness import find_nearest
from a3s_code.capabilities.core_tools.original import MAX_BYTES, Original, load
from a3s_code.capabilities.core_tools.patching.change import Change, Malformed
from a3s_code.capabilities.core_tools.patching.placement import Misplaced, Placement
from a3s_code.capabilities.core_tools.patching.revision import Revision, new_text, revise
from a3s_code.capabilities.core_tools.patching.transaction import Step
from a3s_code.capabilities.core_tools.place import Failed, locate, refusal, shown
from a3s_code.kernel.contracts import Effect, EffectKind
from a3s_code.kernel.tool import ToolContext
from a3s_code.system.files import FileTooLarge, digest, read_bytes
from a3s_code.system.paths import Resolved, brief
from a3s_code.system.text import readable

UNCHANGED = "Nothing was changed."


@dataclass(frozen=True, slots=True)
class Site:
    """A change and where it takes place; `target` is where a moved file goes."""

    change: Change
    source: Resolved
    target: Resolved | None = None

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What it does to which file. A deletion that compares the lines reads them, too."""
        kinds: dict[str, tuple[EffectKind, ...]] = {
            "added": ("write",),
            "updated": ("read", "write"),
            "deleted": ("delete",) if self.change.unseen else ("read", "delete"),
            "moved": ("read", "delete"),
        }
        own = tuple(_effect(kind, self.source) for kind in kinds[self.change.kind])
        return own if self.target is None else (*own, _effect("write", self.target))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one file: the steps, and what is told of them. `known` maps real paths to new digests."""

    site: Site
    name: str
    steps: tuple[Step, ...]
    placements: tuple[Placement, ...] = ()
    target_name: str | None = None
    known: dict[Path, str | None] = field(default_factory=dict[Path, "str | None"])

    @property
    def added(self) -> int:
        return sum(hunk.count("+") for hunk in self.site.change.hunks)

    @property
    def removed(self) -> int:
        return sum(hunk.count("-") for hunk in self.site.change.hunks)

    def describe(self) -> dict[str, Any]:
        """For the metadata of the result."""
        before = next((step.before for step in self.steps if step.before is not None), None)
        after = next((step.after for step in self.steps if step.after is not None), None)
        described: dict[str, Any] = {
            "file_path": self.name,
            "change": self.site.change.kind,
            "before": None if before is None else digest(before),
            "after": None if after is None else digest(after),
            "hunks": len(self.site.change.hunks),
            "fuzz": [found for found in map(_fuzz, range(1, len(self.placements) + 1), self.placements) if found],
            "added": self.added,
            "removed": self.removed,
        }
        return described if self.target_name is None else {**described, "moved_to": self.target_name}

    def note(self) -> str:
        """A line on what was done, and one on each hunk that did not fit to the letter."""
        moved = "" if self.target_name is None else f" -> {self.target_name}"
        lines = [f"{self.site.change.kind} {self.name}{moved} +{self.added} -{self.removed}"]
        for number, place in enumerate(self.placements, 1):
            said = [f"{place.offset:+} lines from where the diff states it"] if place.offset else []
            said += ["blanks at line ends differ"] if place.blanks else []
            said += ["the header's line counts are wrong"] if place.hunk.miscounted else []
            if said:
                lines.append(f"  hunk {number} applied at line {place.index + 1}: {', '.join(said)}")
        return "\n".join(lines)


def find_sites(changes: tuple[Change, ...], workspace: Path) -> tuple[Site, ...]:
    """Where `changes` take place; raises PathError, and Malformed where two are of one file."""
    sites: list[Site] = []
    taken: dict[Path, str] = {}
    for change in changes:
        source = locate(workspace, change.path)
        target = None if change.target is None else locate(workspace, change.target)
        for place in (source, target):
            if place is None:
                continue
            if place.real in taken:
                other = taken[place.real]
                same = "twice" if other == place.given else f"as {brief(other)}, too"
                raise Malformed(f"{brief(place.given)} is in it {same}; put all its hunks under one header")
            taken[place.real] = place.given
        sites.append(Site(change, source, target))
    return tuple(sites)


def work_out(site: Site, context: ToolContext) -> Outcome:
    """What becomes of the file of one change; raises Failed."""
    try:
        match site.change.kind:
            case "added":
                return _add(site, context)
            case "deleted":
                return _delete(site, context)
            case _:
                return _update(site, context)
    except OSError as error:
        output = refusal(error, context, site.source.given, changing=True)
        raise Failed(output.text, output.error_kind or "failed") from None


def _add(site: Site, context: ToolContext) -> Outcome:
    _require_free(site.source, "update it instead")
    try:
        content = new_text(site.change.hunks).encode()
    except UnicodeEncodeError:
        text = f"{brief(site.source.given)} would hold a lone surrogate, which is no character. {UNCHANGED}"
        raise Failed(text, "invalid_argument") from None
    name = shown(context, site.source)
    step = Step(site.source.real, name, None, content, 0o755 if site.change.executable else None)
    return Outcome(site, name, (step,), known={site.source.real: digest(content)})


def _delete(site: Site, context: ToolContext) -> Outcome:
    real, name = site.source.real, shown(context, site.source)
    mode = stat.S_IMODE(real.lstat().st_mode)
    if site.change.unseen:
        content = _load_raw(context, site.source)
    else:
        old = load(context, site.source, _hinter(site))
        if site.change.hunks:
            old_text = _revise(old, site).text
        else:
            old_text = old.text
        if old_text:
            reason = f"{name} would be deleted, but has lines that the patch does not remove. {UNCHANGED}"
            raise Failed(reason, "invalid_argument")
        content = old.content
    return Outcome(site, name, (Step(real, name, content, None, old_mode=mode),), known={real: None})


def _update(site: Site, context: ToolContext) -> Outcome:
    real, name, hunks = site.source.real, shown(context, site.source), site.change.hunks
    if site.target is not None:
        _require_free(site.target, "delete it first, or choose another name")
    mode = stat.S_IMODE(real.lstat().st_mode)
    new_mode = _set_executable(mode, site.change.executable)
    placements: tuple[Placement, ...] = ()
    if hunks:
        old = load(context, site.source, _hinter(site))
        revision = _revise(old, site)
        before, after, placements = old.content, old.encode(revision.text), revision.placements
    else:
        before = after = _load_raw(context, site.source)
    if site.target is not None:
        target_name = shown(context, site.target)
        new = Step(site.target.real, target_name, None, after, new_mode)
        steps = (new, Step(real, name, before, None, old_mode=mode))
        known: dict[Path, str | None] = {site.target.real: digest(after), real: None}
        return Outcome(site, name, steps, placements, target_name, known)
    if after == before and new_mode == mode:
        raise Failed(f"the patch changes nothing in {name}. {UNCHANGED}", "invalid_argument")
    step = Step(real, name, before, after, None if new_mode == mode else new_mode, mode)
    return Outcome(site, name, (step,), placements, known={real: digest(after)})


def _require_free(place: Resolved, instead: str) -> None:
    if os.path.lexists(place.real):
        raise Failed(f"{brief(place.given)} exists already; {instead}. {UNCHANGED}", "invalid_argument")


def _load_raw(context: ToolContext, place: Resolved) -> bytes:
    try:
        content = read_bytes(place.real, MAX_BYTES)
    except FileTooLarge as large:
        reason = f"{brief(place.given)} is too large to change by a patch: {large}. {UNCHANGED}"
        raise Failed(reason, "unsupported") from None
    require_unchanged(context, place, content)
    return content


def _revise(old: Original, site: Site) -> Revision:
    try:
        return revise(old.text, site.change.hunks)
    except Misplaced as wrong:
        text = f"{old.name}, {wrong}. {UNCHANGED}{_hint(old.text, wrong.missing)}"
        raise Failed(text, wrong.kind) from None


def _hinter(site: Site) -> Callable[[str], str]:
    """Shows what is now where the first hunk was to be applied."""
    wanted = "\n".join(site.change.hunks[0].old) if site.change.hunks else ""
    return functools.partial(_hint, wanted=wanted)


def _hint(text: str, wanted: str) -> str:
    nearest = find_nearest(readable(text), wanted) if wanted else None
    return "" if nearest is None else f" {nearest.render()}"


def _effect(kind: EffectKind, place: Resolved) -> Effect:
    return Effect(kind, str(place.real), place.given)


def _set_executable(mode: int, executable: bool | None) -> int:
    if executable is None:
        return mode
    # As git has it: who may read it may run it.
    return mode | (mode & 0o444) >> 2 if executable else mode & ~0o111


def _fuzz(number: int, place: Placement) -> dict[str, Any]:
    if not (place.offset or place.blanks or place.hunk.miscounted):
        return {}
    return {
        "hunk": number,
        "line": place.index + 1,
        "offset": place.offset,
        "blanks": place.blanks,
        "counts": place.hunk.miscounted,
    }
