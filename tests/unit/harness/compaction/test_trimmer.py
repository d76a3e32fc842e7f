"""The trimmer: what it leaves out, what it never does, on transcripts of every shape."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3s_code.errors import RunLimit
from a3s_code.harness.compaction.abridging import abridge
from a3s_code.harness.compaction.draft import count_marked, marker
from a3s_code.harness.compaction.trimmer import Trimmer
from a3s_code.kernel.estimation import tokens, weigh
from a3s_code.kernel.messages import ArtifactRef, Image, Message, Observation, Reasoning, Text, ToolCall
from a3s_code.kernel.notice import is_notice, last_turn, notice
from a3s_code.kernel.pairing import pair
from a3s_code.kernel.state import SessionState

URI = "a3s://tool-output/bash/" + "0" * 64


def state(history: Sequence[Message], overflows: int = 0, context_tokens: int = 0) -> SessionState:
    return SessionState(
        "session-1", Path("/work"), history=list(history), overflows=overflows, context_tokens=context_tokens
    )


def size(messages: Sequence[Message]) -> int:
    return sum(map(weigh, messages))


def user(text: str) -> Message:
    return Message.user(text)


def said(text: str) -> Message:
    return Message("assistant", (Text(text),))


def step(number: int, output: int, **more: Any) -> list[Message]:
    """A call and its result of so many bytes."""
    call = ToolCall(f"call_{number}", "bash", {"command": f"make step{number}"})
    text = f"begin {number}\n" + "x" * output + f"\nend {number}"
    return [Message("assistant", (call,)), Message("tool", (Observation(call.id, "bash", text, **more),))]


def steps(count: int, output: int, **more: Any) -> list[Message]:
    return [message for number in range(count) for message in step(number, output, **more)]


def whole(message: Message, messages: Sequence[Message]) -> bool:
    return any(other is message for other in messages)


async def test_below_the_threshold_nothing_is_touched() -> None:
    history = [user("go"), *steps(20, 3_000)]
    assert await Trimmer(200_000).compact(state(history)) is None
    assert await Trimmer(1_000_000).compact(state(history, context_tokens=790_000)) is None


async def test_old_outputs_are_cut_first_and_name_their_artifact() -> None:
    kept = ArtifactRef(URI, 90_000, 9_000)
    history = [user("go"), *steps(2, 9_000, artifact=kept), *steps(30, 3_000)]
    shorter = await Trimmer(36_000).compact(state(history))
    assert shorter is not None
    assert len(shorter) == len(history)
    assert pair(shorter) == shorter
    old = shorter[2].parts[0]
    assert isinstance(old, Observation)
    assert old.output.startswith("begin 0\n")
    assert old.output.endswith("\nend 0")
    assert f"7,814 bytes of this older output left out; the whole is at {URI}" in old.output
    assert old.artifact == ArtifactRef(URI, 90_000, len(old.output))
    assert "look again" in shorter[6].text
    assert tokens(size(shorter)) <= 0.6 * 0.8 * 36_000
    assert all(new is old for new, old in zip(shorter[-12:], history[-12:], strict=True))


async def test_then_the_oldest_messages_go_and_one_marker_says_how_many() -> None:
    history = [user("the first request"), *steps(50, 400), said("done"), user("the newest request"), *steps(50, 400)]
    shorter = await Trimmer(10_000).compact(state(history))
    assert shorter is not None
    markers = [message for message in shorter if count_marked(message)]
    assert len(markers) == 1
    assert len(history) - len(shorter) + 1 == count_marked(markers[0])
    assert shorter[0] is history[0]
    assert whole(history[102], shorter)
    assert all(whole(message, history) for message in shorter if message is not markers[0])
    assert shorter[-1] is history[-1]
    assert pair(shorter) == shorter
    assert 0.4 * 8_000 < tokens(size(shorter)) <= 0.6 * 8_000


async def test_the_marker_stands_where_the_last_of_what_is_gone_stood() -> None:
    history = [user("first"), *steps(20, 400), user("newest"), *steps(80, 400)]
    shorter = await Trimmer(10_000).compact(state(history))
    assert shorter is not None
    assert [message.role for message in shorter[:4]] == ["user", "user", "user", "assistant"]
    assert (shorter[0].text, shorter[1].text) == ("first", "newest")
    assert count_marked(shorter[2])


async def test_the_providers_count_decides_where_there_is_one() -> None:
    history = [user("go"), *steps(40, 600), said("ok")]
    assert await Trimmer(100_000).compact(state(history)) is None
    shorter = await Trimmer(100_000).compact(state(history, context_tokens=90_000))
    assert shorter is not None
    assert size(shorter) / size(history) == pytest.approx(0.6 * 80 / 90, abs=0.06)
    late = [*history, *step(99, 50_000)[:1], Message("tool", (Observation("call_99", "bash", "y" * 50_000),))]
    assert await Trimmer(100_000).compact(state(late[:-1], context_tokens=70_000)) is None
    assert await Trimmer(100_000).compact(state(late, context_tokens=70_000)) is not None


async def test_the_newest_results_are_cut_only_where_nothing_else_helps() -> None:
    history = [user("go"), *steps(10, 300), *step(10, 16_000)]
    shorter = await Trimmer(4_000).compact(state(history))
    assert shorter is not None
    newest = shorter[-1].parts[0]
    assert isinstance(newest, Observation)
    assert 4_096 <= len(newest.output) < 4_300
    assert [message.role for message in shorter] == ["user", "user", "assistant", "tool"]


async def test_a_giant_newest_request_stays_word_for_word() -> None:
    asked = user("please " * 20_000)
    history = [user("first"), *steps(30, 2_000), asked, *step(31, 200)]
    for overflows in (0, 1, 2):
        shorter = await Trimmer(30_000).compact(state(history, overflows))
        assert shorter is not None
        assert whole(asked, shorter)


async def test_notices_are_no_requests() -> None:
    asked = user("the newest request")
    told = [notice("Go on."), last_turn(RunLimit("turns", "50 calls")), marker(3)]
    assert all(map(is_notice, told))
    assert not is_notice(asked)
    history = [user("first"), said("ok"), asked, *steps(40, 400)]
    for message in told:
        history += [message, *steps(10, 400)]
    shorter = await Trimmer(4_000).compact(state(history))
    assert shorter is not None
    assert whole(asked, shorter)
    assert [count_marked(message) for message in shorter if count_marked(message)] == [
        3 + len(history) - 1 - (len(shorter) - 1)
    ]


async def test_a_request_that_looks_like_a_notice_stays_as_long_as_it_is_the_newest() -> None:
    asked = user("[notice] pinned on the door: what does it mean?")
    history = [user("first"), said("ok"), user("second"), *steps(5, 400), asked, *steps(40, 400)]
    shorter = await Trimmer(4_000).compact(state(history))
    assert shorter is not None
    assert [message.text for message in shorter[:2]] == ["first", "second"]
    assert whole(asked, shorter)


async def test_a_marker_that_weighs_more_than_what_it_stands_for_is_not_made() -> None:
    history = [user("first"), said("ok"), user("newest"), *step(1, 9_000)]
    shorter = await Trimmer(1_000).compact(state(history))
    assert shorter is not None
    assert len(shorter) == len(history)
    assert all(new is old for new, old in zip(shorter[:-1], history, strict=False))
    assert size(shorter) < 1_600
    assert await Trimmer(10).compact(state([*history[:3], said("yes")])) is None


async def test_the_history_begins_with_a_user_wherever_an_older_marker_stood() -> None:
    history = [notice("n" * 3_000), said("a"), said("b"), marker(2), user("go"), *steps(3, 100)]
    shorter = await Trimmer(700).compact(state(history))
    assert shorter is not None
    assert count_marked(shorter[0]) == 3
    assert shorter[1] is history[1]


def test_an_output_that_would_not_get_shorter_stays() -> None:
    far = ArtifactRef("a3s://" + "x" * 2_000, 90_000, 900)
    _, result = step(1, 900, artifact=far)
    assert abridge(result, 256) is result
    cut = abridge(step(1, 900)[1], 256)
    assert len(cut.text) < 400
    assert abridge(cut, 256) is cut


async def test_a_refused_history_shrinks_each_time_until_nothing_can_go() -> None:
    history: Sequence[Message] = [user("first"), *steps(30, 900), user("newest"), *steps(30, 900), *step(30, 100)]
    before = size(history)
    once = await Trimmer(10_000_000).compact(state(history, 1))
    assert once is not None
    assert size(once) <= 0.6 * before
    twice = await Trimmer(10_000_000).compact(state(once, 2))
    assert twice is not None
    assert size(twice) <= 0.35 * size(once)
    left: Sequence[Message] | None = twice
    times = 0
    while (left := await Trimmer(10_000_000).compact(state(left, 3))) is not None:
        twice, times = left, times + 1
        assert times < 30
    assert len(twice) <= 4
    assert twice[-1] is history[-1]
    assert any(message.text == "newest" for message in twice)


async def test_the_first_request_goes_only_when_the_model_refuses_and_nothing_else_is_left() -> None:
    log = user("a pasted log " * 20_000)
    history = [log, said("I see."), user("newest"), *step(1, 100)]
    kept = await Trimmer(30_000).compact(state(history))
    assert kept is None or whole(log, kept)
    shorter = await Trimmer(30_000).compact(state(history, 1))
    assert shorter is not None
    assert not whole(log, shorter)
    assert shorter[0].role == "user"
    assert await Trimmer(30_000).compact(state([log, *step(1, 100)], 1)) is None


async def test_images_of_old_outputs_go() -> None:
    seen = {"images": (Image("image/png", b"\x89PNG" * 10),)}
    history = [user("look"), *steps(30, 20, **seen)]
    shorter = await Trimmer(20_000).compact(state(history))
    assert shorter is not None
    parts = [part for message in shorter for part in message.parts if isinstance(part, Observation)]
    assert [bool(part.images) for part in parts] == sorted(bool(part.images) for part in parts)
    assert "1 image of this older output left out" in parts[0].output
    assert parts[-1].images


async def test_switched_off_it_never_changes_anything() -> None:
    history = [user("go"), *steps(50, 9_000)]
    assert await Trimmer(1_000, enabled=False).compact(state(history)) is None
    assert await Trimmer(1_000, enabled=False).compact(state(history, 2, 10**9)) is None


async def test_an_empty_history_and_one_of_orphans_are_left_alone() -> None:
    assert await Trimmer(1).compact(state([], 1)) is None
    assert await Trimmer(1).compact(state([Message("tool", (Observation("1", "bash", "x" * 9_000),))], 1)) is None


async def test_a_long_run_stays_inside_its_window_and_is_not_trimmed_at_every_turn() -> None:
    rng, trimmer = random.Random(2), Trimmer(50_000)
    session = state([user("first")])
    trimmed = most = 0
    turns = 1_500
    for turn in range(turns):
        if turn % 40 == 39:
            session.history += [said("Done."), user(f"request {turn}")]
        session.history += step(turn, rng.choice([50, 500, 5_000, 15_000]))
        shorter = await trimmer.compact(session)
        if shorter is not None:
            trimmed += 1
            session.history[:] = pair(shorter)
        most = max(most, tokens(size(session.history)))
        assert session.history[0].text == "first"
    print(f"{turns} turns tried: {trimmed} trimmings, at most {most:,} tokens, {len(session.history)} messages left")
    assert most <= 40_000
    assert trimmed < turns / 4


SIZES = st.sampled_from([0, 1, 10, 200, 1_500, 6_000, 30_000])
TEXTS = st.builds(lambda char, length: char * length, st.sampled_from(["a", "é", "路 ", "\n", "x y\n"]), SIZES)
ARTIFACTS = st.sampled_from([None, ArtifactRef(URI, 90_000, 9_000)])
IMAGES = st.sampled_from([(), (), (Image("image/png", b"png"),)])
REQUESTS = st.builds(Message.user, TEXTS, IMAGES)
NOTICES = st.one_of(st.builds(notice, TEXTS), st.builds(marker, st.integers(1, 5_000)))
REASONING = st.builds(Reasoning, TEXTS, st.just("acme/one"), st.sampled_from([None, "{}"]))
ANSWERS = st.builds(lambda *parts: Message("assistant", parts), REASONING, st.builds(Text, TEXTS))
CALLS = st.builds(ToolCall, st.sampled_from("abcdefgh"), st.just("bash"), st.dictionaries(st.just("command"), TEXTS))
RESULTS = st.builds(
    lambda call_id, output, images, artifact: Observation(call_id, "bash", output, images=images, artifact=artifact),
    st.sampled_from("abcdefgh"),
    TEXTS,
    IMAGES,
    ARTIFACTS,
)
ACTIONS = st.lists(CALLS, min_size=1, max_size=3).map(lambda calls: Message("assistant", tuple(calls)))
OBSERVED = st.lists(RESULTS, min_size=0, max_size=4).map(lambda seen: Message("tool", tuple(seen)))
STEPS = st.tuples(ACTIONS, OBSERVED).map(lambda both: pair(both))
LOOSE = st.one_of(REQUESTS, NOTICES, ANSWERS, ACTIONS, OBSERVED)
PIECES = st.one_of(
    REQUESTS.map(lambda one: [one]), NOTICES.map(lambda one: [one]), ANSWERS.map(lambda one: [one]), STEPS
)
TRANSCRIPTS = st.one_of(
    st.lists(PIECES, max_size=25).map(lambda pieces: [message for piece in pieces for message in piece]),
    st.lists(LOOSE, max_size=25),
)
BUDGETS = st.sampled_from([1, 50, 500, 2_000, 10_000, 60_000])
COUNTS = st.sampled_from([0, 0, 10, 3_000, 100_000])


def check(history: Sequence[Message], shorter: Sequence[Message], overflows: int) -> None:
    """What holds for any history and what it was cut down to."""
    whole_history = pair(history)
    paired = pair(shorter)
    assert len(paired) == len(shorter)
    assert all(new is old for new, old in zip(paired, shorter, strict=True))
    assert size(shorter) < size(whole_history)
    assert len(shorter) <= len(whole_history)
    assert shorter[0].role == "user" or whole(shorter[0], history)
    if whole_history[0].role == "user":
        assert shorter[0].role == "user"
    asked = [message for message in whole_history if message.role == "user" and not is_notice(message)]
    if asked:
        assert whole(asked[-1], shorter)
        assert overflows or whole(asked[0], shorter)
    kept = [index for message in shorter for index, old in enumerate(whole_history) if old is message]
    spoken = [message for message in shorter if not whole(message, whole_history)]
    assert kept == sorted(kept)
    for message in spoken:
        assert count_marked(message) or message.role == "tool"


@settings(derandomize=True, max_examples=400, deadline=None)
@given(TRANSCRIPTS, BUDGETS, st.integers(0, 3), COUNTS)
async def test_any_transcript_stays_valid_keeps_its_request_and_comes_to_rest(
    history: list[Message], budget: int, overflows: int, context_tokens: int
) -> None:
    trimmer = Trimmer(budget)
    for _ in range(60):
        shorter = await trimmer.compact(state(history, overflows, context_tokens))
        if shorter is None:
            return
        check(history, shorter, overflows)
        history = list(shorter)
    raise AssertionError("it never comes to rest")


@settings(derandomize=True, max_examples=150, deadline=None)
@given(TRANSCRIPTS, BUDGETS)
async def test_what_is_counted_as_left_out_is_what_is_missing(history: list[Message], budget: int) -> None:
    history = [message for message in pair(history) if not count_marked(message)]
    shorter = await Trimmer(budget).compact(state(history))
    marked = [count_marked(message) for message in shorter or () if count_marked(message)]
    assert len(marked) <= 1
    assert len(history) == (len(history) if shorter is None else len(shorter) - len(marked) + sum(marked))
