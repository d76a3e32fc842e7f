"""Bookings, and how to read them from text."""

from __future__ import annotations

import re
from typing import Iterable, List, NamedTuple

from rooms.intervals import Interval

_LINE = re.compile(r"(?P<room>\w+)\s+(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)\s+(?P<title>.+)")


class Booking(NamedTuple):
    room: str
    time: Interval
    title: str


def parse_bookings(lines: Iterable[str]) -> List[Booking]:
    """The bookings in `lines`; raises ValueError with the number of a line that is none."""
    bookings = []
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"line {number} is no booking: {line!r}")
        time = Interval(parse_clock(found["start"]), parse_clock(found["end"]))
        if time.minutes <= 0:
            raise ValueError(f"line {number} ends before it starts: {line!r}")
        bookings.append(Booking(found["room"], time, found["title"]))
    return bookings


def parse_clock(text: str) -> int:
    """The minute of the day that HH:MM stands for."""
    hours, minutes = text.split(":")
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(f"{text} is no time of day")
    return int(hours) * 60 + int(minutes)
