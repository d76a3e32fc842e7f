"""When a room is free."""

from __future__ import annotations

from typing import Iterable, List

from rooms.intervals import Interval, gaps, merge
from rooms.parsing import Booking

OPEN = Interval(8 * 60, 18 * 60)
SHORTEST = 15


def free_slots(bookings: Iterable[Booking], room: str, shortest: int = SHORTEST) -> List[Interval]:
    """The slots of at least `shortest` minutes in which nobody has booked `room`, while the house is open."""
    taken = merge(booking.time for booking in bookings if booking.room == room)
    return [slot for slot in gaps(taken, OPEN) if slot.minutes >= shortest]
