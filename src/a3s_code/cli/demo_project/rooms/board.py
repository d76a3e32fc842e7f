"""The board in the hall: each room with its free slots."""

from __future__ import annotations

from typing import Sequence

from rooms.availability import free_slots
from rooms.parsing import Booking


def board(bookings: Sequence[Booking]) -> str:
    """A line for each room that has a booking, in the order of the alphabet."""
    rooms = sorted({booking.room for booking in bookings})
    width = max((len(room) for room in rooms), default=0)
    return "\n".join(f"{room:<{width}}  {_slots(bookings, room)}" for room in rooms)


def _slots(bookings: Sequence[Booking], room: str) -> str:
    return "  ".join(str(slot) for slot in free_slots(bookings, room)) or "no slot left"
