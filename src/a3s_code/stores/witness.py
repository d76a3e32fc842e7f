"""How many entries of each session were acknowledged, beside the database.

A write-ahead log that lost its end is a shorter log that is whole: nothing in the database shows it. So the count of
each session is noted in the lock file once its commit is on the disk. That note is never synced: it is at most late,
and then it shows less.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping

_SLOT = struct.Struct(">II")


class Witness:
    """The notes in an open file: for each number of a session, a count and its check."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def seen(self, number: int) -> int:
        return _read(os.pread(self._descriptor, _SLOT.size, number * _SLOT.size), number)

    def counts(self) -> dict[int, int]:
        """Every count that was noted and not taken back, by the session's number."""
        notes = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        slots = (notes[place : place + _SLOT.size] for place in range(0, len(notes), _SLOT.size))
        return {number: count for number, slot in enumerate(slots) if (count := _read(slot, number))}

    def highest(self) -> int:
        """No higher number was ever noted."""
        return max(os.fstat(self._descriptor).st_size // _SLOT.size - 1, 0)

    def note(self, number: int, count: int) -> None:
        os.pwrite(self._descriptor, _SLOT.pack(count, _check(number, count)), number * _SLOT.size)

    def reset(self, counts: Mapping[int, int]) -> None:
        """Note these and nothing else."""
        os.ftruncate(self._descriptor, 0)
        for number, count in counts.items():
            self.note(number, count)


class NoWitness(Witness):
    """Has seen nothing."""

    def __init__(self) -> None:
        super().__init__(-1)

    def seen(self, number: int) -> int:
        return 0

    def counts(self) -> dict[int, int]:
        return {}

    def highest(self) -> int:
        return 0

    def note(self, number: int, count: int) -> None:
        pass


def _read(slot: bytes, number: int) -> int:
    if len(slot) < _SLOT.size:
        return 0
    count, check = _SLOT.unpack(slot)
    return count if check == _check(number, count) else 0


def _check(number: int, count: int) -> int:
    return zlib.crc32(b"%d:%d" % (number, count)) if count else 0
