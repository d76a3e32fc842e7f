"""Pairing: one result for every call, whatever the list looked like."""

from __future__ import annotations

from a3s_code.kernel.messages import Message, Observation, Text, ToolCall
from a3s_code.kernel.pairing import INTERRUPTED, interrupted, pair

ASKED = Message("assistant", (Text("I look"), ToolCall("a", "read", {}), ToolCall("b", "grep", {})))
FIRST = Observation("a", "read", "text of a")
SECOND = Observation("b", "grep", "text of b")
DONE = Message("tool", (FIRST, SECOND))
GO = Message.user("go")
NEXT = Message.user("next")


def test_what_is_paired_comes_back_as_the_same_objects() -> None:
    history = [GO, ASKED, DONE, Message("assistant", (Text("done"),)), NEXT]
    assert list(map(id, pair(history))) == list(map(id, history))


def test_a_call_without_a_result_is_said_to_be_interrupted() -> None:
    assert pair([GO, ASKED]) == [GO, ASKED, Message("tool", tuple(map(interrupted, ASKED.calls)))]
    assert pair([ASKED, Message("tool", (SECOND,)), NEXT]) == [
        ASKED,
        Message("tool", (interrupted(ASKED.calls[0]), SECOND)),
        NEXT,
    ]
    assert interrupted(ASKED.calls[0]).output == INTERRUPTED
    assert interrupted(ASKED.calls[0]).failed


def test_results_come_in_the_order_of_their_calls() -> None:
    assert pair([ASKED, Message("tool", (SECOND, FIRST))]) == [ASKED, DONE]


def test_results_that_stand_each_in_a_message_of_its_own_are_joined() -> None:
    assert pair([ASKED, Message("tool", (FIRST,)), Message("tool", (SECOND,)), NEXT]) == [ASKED, DONE, NEXT]


def test_what_stands_between_a_call_and_its_result_comes_after_it() -> None:
    assert pair([ASKED, Message("tool", (FIRST,)), NEXT, Message("tool", (SECOND,))]) == [ASKED, DONE, NEXT]


def test_a_result_without_a_call_goes_and_so_does_a_second_one() -> None:
    other = Observation("a", "read", "again")
    assert pair([DONE, GO, ASKED, Message("tool", (FIRST, SECOND, other)), GO, DONE]) == [GO, ASKED, DONE, GO]


def test_calls_of_a_message_are_answered_by_what_comes_before_the_next_message_of_the_model() -> None:
    again = Message("assistant", (ToolCall("a", "read", {}),))
    assert pair([ASKED, again, Message("tool", (FIRST,))]) == [
        ASKED,
        Message("tool", tuple(map(interrupted, ASKED.calls))),
        again,
        Message("tool", (FIRST,)),
    ]


def test_calls_with_the_same_id_get_a_result_each_in_order() -> None:
    twins = Message("assistant", (ToolCall("x", "read", {}), ToolCall("x", "ls", {})))
    one, other = Observation("x", "read", "one"), Observation("x", "ls", "other")
    answered = Message("tool", (one, other))
    assert pair([twins, answered])[1] is answered
    assert pair([twins, Message("tool", (one,))])[1] == Message("tool", (one, interrupted(twins.calls[1])))
