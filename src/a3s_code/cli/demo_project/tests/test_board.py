import unittest
from pathlib import Path

from rooms.board import board
from rooms.parsing import parse_bookings

BOOKINGS = Path(__file__).parents[1] / "bookings.txt"


class Board(unittest.TestCase):
    def test_the_board_shows_what_is_left_of_each_room(self):
        self.assertEqual(
            board(parse_bookings(BOOKINGS.read_text(encoding="utf-8").splitlines())),
            "Blue   08:00-09:00  13:00-18:00\nGreen  08:00-10:00  11:15-14:00  15:30-18:00",
        )
