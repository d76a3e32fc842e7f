"""What a call would do, compiled: the effects its tool declares, and for a command also what its parts do."""

from __future__ import annotations

from collections.abc import Iterator

from a3s_code.harness.safety.boundary import list_releases
from a3s_code.harness.safety.outreach import find_contacts
from a3s_code.harness.safety.subject import Subject, look
from a3s_code.kernel.contracts import Effect, EffectKind
from a3s_code.kernel.tool import Action

MAX_EFFECTS = 512


def compile_effects(action: Action, workspace: str, home: str) -> tuple[Effect, ...]:
    """The effects of a call: the declared ones, then, for commands, the files that redirections and known programs
    read, write and remove (real absolute paths), the addresses they reach, and what they release.

    What cannot be told is not in it, and after MAX_EFFECTS no more are listed.
    """
    if not any(effect.kind == "exec" for effect in action.effects):
        return action.effects
    subject = look(action, workspace, home)
    found = dict.fromkeys(action.effects)
    for effect in _list_derived(subject):
        found.setdefault(effect)
        if len(found) >= MAX_EFFECTS:
            break
    return tuple(found)


def _list_derived(subject: Subject) -> Iterator[Effect]:
    for footprint in subject.footprints:
        for touch in (*footprint.redirected, *footprint.named):
            if touch.target is not None:
                kind: EffectKind = "read" if touch.access == "read" else "delete" if touch.removed else "write"
                yield Effect(kind, touch.target, touch.given or "")
    for reading in subject.readings:
        for candidate in reading.candidates:
            if candidate.listed and candidate.words:
                yield from (Effect("net", contact) for contact in find_contacts(candidate.words))
    yield from (Effect("release", release.verb) for release in list_releases(subject) if release.sure)
