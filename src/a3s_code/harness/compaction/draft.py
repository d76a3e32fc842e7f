"""A draft: a history that is being shortened, in the pieces that stay or go together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from a3s_code.harness.compaction.abridging import abridge
from a3s_code.kernel.estimation import weigh
from a3s_code.kernel.messages import Message
from a3s_code.kernel.notice import MARK, is_notice, notice
from a3s_code.kernel.pairing import pair

_MARKER = re.compile(re.escape(MARK) + r"([0-9,]+) earlier messages? (?:was|were) left out here\b.*")


def marker(count: int) -> Message:
    """The message that stands for `count` others."""
    was = "message was" if count == 1 else "messages were"
    return notice(
        f"{count:,} earlier {was} left out here, for the conversation had grown too long. What was in them is not known"
        " any more: look again at what you need."
    )


def count_marked(message: Message) -> int:
    """For how many messages this one stands; 0 for one that is no marker."""
    found = _MARKER.fullmatch(message.text) if is_notice(message) else None
    return 0 if found is None else int(found[1].replace(",", "") or 0)


@dataclass(slots=True, eq=False)
class Unit:
    """A message with calls and their results, or any other message on its own."""

    messages: tuple[Message, ...]
    weight: int
    needed: bool = False
    dropped: bool = False
    marked: int = 0

    def abridge(self, budget: int) -> int:
        """Shorten the outputs in it; gives the weight that is saved."""
        if len(self.messages) < 2:
            return 0
        shorter = tuple(abridge(message, budget) for message in self.messages)
        if all(old is new for old, new in zip(self.messages, shorter, strict=True)):
            return 0
        before, self.messages = self.weight, shorter
        self.weight = sum(map(weigh, shorter))
        return before - self.weight


class Draft:
    """A paired copy of `history`, and how to make it lighter: `weight` is what it weighs now, in bytes.

    What is needed is never dropped: the first request, the newest one, the newest user message if that is none, and the
    last message with its calls or results. All that is dropped is replaced by one marker. What stays are the very same
    messages, but for outputs that are cut.
    """

    def __init__(self, history: Sequence[Message]) -> None:
        self.units = _units(pair(history))
        self._first: Unit | None = None
        self._before = self.weight = sum(unit.weight for unit in self.units)
        self._has_marker = any(unit.marked for unit in self.units)
        self._find_needed()

    @property
    def last(self) -> Unit:
        return self.units[-1]

    def split(self, recent: int) -> tuple[list[Unit], list[Unit]]:
        """What is old, and the newest units that weigh up to `recent` together, without the last one."""
        weight = self.last.weight
        index = len(self.units) - 1
        while index and weight + self.units[index - 1].weight <= recent:
            index -= 1
            weight += self.units[index].weight
        return self.units[:index], self.units[index:-1]

    def abridge(self, units: Sequence[Unit], budget: int, goal: int) -> None:
        """Cut outputs of more than 2 x `budget` bytes, oldest first, until the draft weighs no more than `goal`."""
        for unit in units:
            if self.weight <= goal:
                return
            if not unit.dropped:
                self.weight -= unit.abridge(budget)

    def drop(self, units: Sequence[Unit], goal: int) -> None:
        """Leave out what is not needed, oldest first, until the draft weighs no more than `goal`."""
        for unit in units:
            if self.weight <= goal:
                return
            if unit.needed or unit.dropped or unit.marked:
                continue
            if not self._has_marker:
                self._has_marker = True
                self.weight += weigh(marker(len(unit.messages)))
            unit.dropped = True
            self.weight -= unit.weight

    def give_up_first(self, goal: int) -> None:
        """Leave out the first request too, unless it is the newest."""
        if self._first is not None and self._first is not self._newest:
            self._first.needed = False
            self.drop([self._first], goal)

    def messages(self) -> list[Message] | None:
        """The history that is left, or None where that would not be lighter."""
        whole = [message for unit in self.units for message in unit.messages]
        kept = self._with_marker()
        weight = sum(map(weigh, kept))
        if weight >= (undropped := sum(unit.weight for unit in self.units)):
            kept, weight = whole, undropped
        return kept if weight < self._before else None

    def _with_marker(self) -> list[Message]:
        """What is left, with one marker where the last of what was dropped stood."""
        dropped = [unit for unit in self.units if unit.dropped]
        if not dropped:
            return [message for unit in self.units for message in unit.messages]
        count = sum(unit.marked for unit in self.units) + sum(len(unit.messages) for unit in dropped)
        kept: list[Message] = []
        place = 0
        for unit in self.units:
            if unit.dropped or unit.marked:
                place = len(kept)
            else:
                kept += unit.messages
        kept.insert(place if kept and kept[0].role == "user" else 0, marker(count))
        return kept

    def _find_needed(self) -> None:
        spoken = [unit for unit in self.units if unit.messages[0].role == "user" and not unit.marked]
        asked = [unit for unit in spoken if not is_notice(unit.messages[0])]
        self._first = asked[0] if asked else None
        self._newest = asked[-1] if asked else None
        for unit in (*asked[:1], *asked[-1:], *spoken[-1:], *self.units[-1:]):
            unit.needed = True


def _units(messages: Sequence[Message]) -> list[Unit]:
    units: list[Unit] = []
    for message in messages:
        weight = weigh(message)
        if message.role == "tool":
            call = units.pop()
            units.append(Unit((*call.messages, message), call.weight + weight))
        else:
            units.append(Unit((message,), weight, marked=count_marked(message)))
    return units
