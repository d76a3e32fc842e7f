import unittest

from rooms.intervals import Interval
from rooms.parsing import Booking, parse_bookings


class ParseBookings(unittest.TestCase):
    def test_a_line_is_a_booking(self):
        lines = ["# Monday", "", "Blue  09:00-09:45  Daily: team A"]
        self.assertEqual(parse_bookings(lines), [Booking("Blue", Interval(540, 585), "Daily: team A")])

    def test_a_bad_line_is_named(self):
        with self.assertRaisesRegex(ValueError, "line 2 is no booking"):
            parse_bookings(["Blue  09:00-10:00  Daily", "Blue at nine"])
