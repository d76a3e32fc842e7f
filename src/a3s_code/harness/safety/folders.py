"""The folder that each part of a shell command runs in, as far as `cd` and `pushd` tell."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Sequence

from a3s_code.harness.safety.parts import Part
from a3s_code.harness.safety.programs import program
from a3s_code.harness.safety.shell import MOVERS, Reading
from a3s_code.harness.safety.words import Word

Folders = tuple[str | None, ...]
Leads = Callable[[Word, Sequence[str | None]], set[str | None]]

_MAX_FOLDERS = 32
_APART = frozenset({"|", "|&", "&"})


class Course:
    """Where the parts of a command run: every folder that may be the one, None for one that cannot be told."""

    def __init__(self, reading: Reading, workspace: str, leads: Leads) -> None:
        self._leads = leads
        self._all: Folders = (workspace,)
        self._parts: list[Folders] = []
        movers = [c.words for c in reading.candidates if c.words and program(c.words[0]) in MOVERS]
        if not movers:
            return
        parts = reading.command.parts
        own = {part.words for part in parts if _moves(part) and not part.looped}
        few = len(reading.places) == 0 or max(reading.places) < len(parts)
        if few and own.issuperset(movers) and not any(part.looped and _moves(part) for part in parts):
            self._follow(parts, workspace, plain=reading.command.plain)
        else:
            self._gather(movers, workspace, loops=reading.command.loops)
        assigned = (word.text for part in reading.parts for word in (*part.assignments, *part.words))
        if any(text.startswith(("CDPATH", "OLDPWD", "HOME=", "PWD=")) for text in assigned):
            self._all = (*self._all, None)
            self._parts = []

    def at(self, place: int) -> Folders:
        """The folders of the part with this number; those of all parts where it has none."""
        if place < 0:
            return (None,)
        return self._parts[place] if place < len(self._parts) else self._all

    def _follow(self, parts: Sequence[Part], workspace: str, *, plain: bool) -> None:
        """Go through the parts in turn; what a subshell does is forgotten where it ends."""
        states: list[Folders] = [(workspace,)]
        # The folders where a `cd` that does not succeed leaves what comes after its chain of &&.
        left: Folders = ()
        every: dict[str | None, None] = {workspace: None}
        for part in parts:
            del states[part.depth + 1 :]
            states += [states[-1]] * (part.depth + 1 - len(states))
            now = states[-1]
            self._parts.append(now)
            if _moves(part):
                moved = tuple(sorted(self._lead(part.words, now, every), key=str))
                every.update(dict.fromkeys(moved))
                if not plain or part.fed or part.then in _APART or part.then == "||":
                    moved = (*now, *moved)
                elif not all(folder is not None and os.path.isdir(folder) for folder in moved):  # noqa: PTH112  # they are texts
                    left = (*left, *now)
                now = moved
            if left and part.then != "&&":
                now, left = (*now, *left), ()
            states[-1] = tuple(dict.fromkeys(now)) if len(now) <= _MAX_FOLDERS else (None,)
            if part.then == ")" and part.depth:
                states.pop()
        self._all = tuple(every)

    def _gather(self, moves: Sequence[Sequence[Word]], workspace: str, *, loops: bool) -> None:
        folders: list[str | None] = [workspace]
        for words in moves:
            moved = {None} if loops else self._lead(words, folders, folders)
            folders += [folder for folder in sorted(moved, key=str) if folder not in folders]
            if len(folders) > _MAX_FOLDERS:
                folders = [None]
                break
        self._all = tuple(folders)

    def _lead(
        self, words: Sequence[Word], folders: Sequence[str | None], known: Collection[str | None]
    ) -> set[str | None]:
        """The folders that a `cd` from `folders` leads to; `popd` leads to one that was left before."""
        if words[0].text == "popd":
            return set(known)
        target = find_target(words)
        return {None} if target.text.startswith(("-", "+")) else self._leads(target, folders)


def _moves(part: Part) -> bool:
    return bool(part.words) and part.words[0].text in MOVERS


def find_target(words: Sequence[Word]) -> Word:
    """The folder that `cd` is told."""
    return next((word for word in words[1:] if not re.fullmatch("-[LPe@]+|--", word.text)), Word("~"))
