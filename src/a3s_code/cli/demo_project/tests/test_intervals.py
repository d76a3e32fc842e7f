import unittest

from rooms.intervals import Interval, gaps, merge


class Merge(unittest.TestCase):
    def test_overlapping_intervals_become_one(self):
        self.assertEqual(merge([Interval(60, 120), Interval(90, 150)]), [Interval(60, 150)])

    def test_intervals_that_touch_become_one(self):
        self.assertEqual(merge([Interval(120, 180), Interval(60, 120)]), [Interval(60, 180)])

    def test_intervals_apart_stay_apart(self):
        self.assertEqual(merge([Interval(60, 90), Interval(120, 150)]), [Interval(60, 90), Interval(120, 150)])


class Gaps(unittest.TestCase):
    def test_gaps_stay_within_the_day(self):
        taken = [Interval(0, 30), Interval(60, 90)]
        self.assertEqual(gaps(taken, Interval(0, 120)), [Interval(30, 60), Interval(90, 120)])
