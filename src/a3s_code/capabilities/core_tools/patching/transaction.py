"""Changes of several files, all or none."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from a3s_code.system.files import (
    ABSENT,
    Staged,
    Written,
    delete_file,
    digest,
    read_bytes,
    remove_folders,
    write_atomic,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One file from `before` to `after`; None stands for no file.

    `mode` is what an `after` gets that is not to keep the mode it has, `old_mode` what a `before` had.
    """

    real: Path
    name: str
    before: bytes | None
    after: bytes | None
    mode: int | None = None
    old_mode: int | None = None


class Unfinished(Exception):
    """A step failed by `cause`, and the steps before it were taken back. `lost` says of each file that could not be
    restored, why; all others are as they were, which was checked by their digests."""

    def __init__(self, step: Step, cause: OSError) -> None:
        super().__init__(str(cause))
        self.step = step
        self.cause = cause
        self.restored: list[str] = []
        self.lost: list[str] = []

    def __str__(self) -> str:
        if self.lost:
            rest = f" Restored: {', '.join(self.restored)}." if self.restored else ""
            return f"Not all could be taken back. {' '.join(self.lost)}{rest}"
        if self.restored:
            return f"Nothing is changed: {', '.join(self.restored)} had been, and was restored."
        return "Nothing is changed."


def carry_out(steps: Sequence[Step]) -> dict[Path, Written]:
    """Do all of `steps`, deletions last; raises Unfinished, after which all is as before as far as that was possible.

    All new contents are on the disk before the first file is replaced, so a full disk changes nothing. Each file is
    compared with its `before` at its turn. If the process is killed in between, each file is whole, the old or the new.
    """
    ordered = sorted(steps, key=lambda step: step.after is None)
    written: dict[Path, Written] = {}
    done: list[Step] = []
    with contextlib.ExitStack() as stack:
        step = ordered[0]
        try:
            staged: dict[Path, Staged] = {}
            for step in ordered:
                if step.after is not None:
                    staged[step.real] = stack.enter_context(_stage(step, step.after))
            for step in ordered:
                if step.real in staged:
                    written[step.real] = staged[step.real].commit()
                else:
                    delete_file(step.real, expected=_digest(step.before))
                done.append(step)
        except OSError as error:
            failure = Unfinished(step, error)
        else:
            return written
    # What was staged but not committed is gone by now, and with it the folders that were made for it.
    for step in reversed(done):
        _take_back(step, written.get(step.real, Written()), failure)
    raise failure


def _stage(step: Step, after: bytes) -> Staged:
    return Staged(step.real, after, expected=_digest(step.before), mode=step.mode)


def _digest(content: bytes | None) -> str:
    return ABSENT if content is None else digest(content)


def _take_back(step: Step, written: Written, failure: Unfinished) -> None:
    try:
        if step.before is None:
            delete_file(step.real, expected=_digest(step.after))
            remove_folders(written.made)
        else:
            write_atomic(step.real, step.before, expected=_digest(step.after), mode=step.old_mode)
            if read_bytes(step.real, len(step.before)) != step.before:
                failure.lost.append(f"{step.name} was changed again while it was restored.")
                return
    except OSError as error:
        failure.lost.append(f"{step.name} has the change and could not be restored: {error.strerror or error}.")
        return
    failure.restored.append(step.name)
