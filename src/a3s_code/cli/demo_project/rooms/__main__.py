"""python3 -m rooms FILE: print the board of the bookings in FILE."""

from __future__ import annotations

import sys

from rooms.board import board
from rooms.parsing import parse_bookings

if len(sys.argv) != 2:
    sys.exit("usage: python3 -m rooms FILE")
with open(sys.argv[1], encoding="utf-8") as file:
    print(board(parse_bookings(file)))
