import unittest

from rooms.availability import free_slots
from rooms.parsing import parse_bookings


def free(*lines):
    return [str(slot) for slot in free_slots(parse_bookings(lines), "Blue")]


class FreeSlots(unittest.TestCase):
    def test_an_empty_room_is_free_all_day(self):
        self.assertEqual(free("Green  09:00-10:00  Review"), ["08:00-18:00"])

    def test_short_breaks_are_no_slots(self):
        self.assertEqual(free("Blue  08:00-12:00  Course", "Blue  12:10-18:00  Course"), [])

    def test_a_room_is_taken_until_its_longest_booking_ends(self):
        self.assertEqual(
            free("Blue  09:00-12:00  Workshop", "Blue  10:00-10:30  Coffee"),
            ["08:00-09:00", "12:00-18:00"],
        )
