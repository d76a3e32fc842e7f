"""Stretches of time within one day, in minutes after midnight."""

from __future__ import annotations

from typing import Iterable, List, NamedTuple


class Interval(NamedTuple):
    """From `start` up to, and without, `end`."""

    start: int
    end: int

    @property
    def minutes(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        return f"{clock(self.start)}-{clock(self.end)}"


def clock(minute: int) -> str:
    """The time of day as HH:MM."""
    return f"{minute // 60:02}:{minute % 60:02}"


def merge(intervals: Iterable[Interval]) -> List[Interval]:
    """The same stretch of time in order and without overlaps; neighbours that touch become one."""
    merged: List[Interval] = []
    for interval in sorted(intervals):
        if merged and interval.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, interval.end)
        else:
            merged.append(interval)
    return merged


def gaps(taken: Iterable[Interval], within: Interval) -> List[Interval]:
    """What `taken` leaves of `within`; `taken` is in order and without overlaps."""
    left: List[Interval] = []
    start = within.start
    for interval in taken:
        if interval.start > start:
            left.append(Interval(start, min(interval.start, within.end)))
        start = max(start, interval.end)
    if start < within.end:
        left.append(Interval(start, within.end))
    return left
