"""Estimation: tokens of a prompt, against a tokenizer of its own kind."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable

import pytest

from a3s_code.kernel.contracts import Usage
from a3s_code.kernel.estimation import Gauge, Tally, tokens, weigh
from a3s_code.kernel.messages import Image, Message, Observation, Reasoning, Text, ToolCall
from a3s_code.kernel.ports import Prompt
from a3s_code.kernel.tool import ToolSpec

PIECE = re.compile(r" ?[A-Za-z]{1,6}|\d{1,3}|\s+|[^\sA-Za-z\d]")
TOOL = ToolSpec("read", "Read a file.", {"type": "object", "properties": {"path": {"type": "string"}}})
SYSTEM = "You are a coding agent in the workspace /work. Look before you change. " * 10


def count(prompt: Prompt) -> int:
    """What a provider would bill: every text split as a tokenizer splits it, and a few tokens around each part."""
    texts = [prompt.system, *(json.dumps({"n": t.name, "d": t.description, "p": t.parameters}) for t in prompt.tools)]
    around = 0
    for message in prompt.messages:
        around += 4
        for part in message.parts:
            if isinstance(part, Text):
                texts.append(part.text)
            elif isinstance(part, Observation):
                texts.append(part.output)
                around += 8
            elif isinstance(part, ToolCall):
                texts += [part.name, json.dumps(dict(part.arguments), ensure_ascii=False)]
                around += 8
    return around + sum(len(PIECE.findall(text)) for text in texts)


def code(rng: random.Random, size: int) -> str:
    lines = []
    while size > 0:
        name = "".join(rng.choices("abcdefghijklmnop", k=rng.randrange(2, 12)))
        lines.append(" " * 4 * rng.randrange(3) + f"{name} = compute_{name}(self.{name}_total, {rng.randrange(1000)})")
        size -= len(lines[-1])
    return "\n".join(lines)


def prose(rng: random.Random, size: int) -> str:
    words = "the run ends when a limit is reached and everything that was done so far stays in the history".split()
    return " ".join(rng.choices(words, k=size // 5))


def chinese(rng: random.Random, size: int) -> str:
    return "".join(rng.choices("请检查工作区中的所有文件并修复失败的测试然后报告结果", k=size // 3))


def hexadecimal(rng: random.Random, size: int) -> str:
    return "".join(rng.choices("0123456789abcdef", k=size))


def conversation(rng: random.Random, write: Callable[[random.Random, int], str], turns: int) -> list[Message]:
    messages = [Message.user(write(rng, 400))]
    for turn in range(turns):
        arguments = {"path": f"src/part{turn}.py", "content": write(rng, rng.choice([0, 200, 3_000]))}
        call = ToolCall(f"call_{turn}", "read", arguments)
        messages.append(Message("assistant", (Text(write(rng, 120)), call)))
        messages.append(Message("tool", (Observation(call.id, "read", write(rng, rng.choice([50, 2_000, 9_000]))),)))
    return messages


@pytest.mark.parametrize("write", [code, prose, chinese, hexadecimal])
def test_after_one_count_the_estimate_follows_the_truth(write: Callable[[random.Random, int], str]) -> None:
    rng, gauge = random.Random(7), Gauge()
    messages = conversation(rng, write, 40)
    errors = []
    for end in range(1, len(messages) + 1, 2):
        prompt = Prompt(SYSTEM, messages[:end], (TOOL,))
        truth = count(prompt)
        errors.append((gauge.estimate(prompt) - truth) / truth)
        gauge.note(prompt, Usage(truth // 3, 50, truth - truth // 3 - truth // 4, truth // 4))
    late = [abs(error) for error in errors[1:]]
    print(f"{write.__name__}: {len(errors)} prompts, first {errors[0]:+.0%}, mean {sum(late) / len(late):.1%}")
    assert abs(errors[0]) < 0.6
    assert sum(late) / len(late) < 0.04
    assert max(late[3:]) < 0.15


def test_a_shorter_history_is_weighed_anew_and_keeps_the_rate() -> None:
    rng, gauge = random.Random(3), Gauge()
    messages = conversation(rng, hexadecimal, 20)
    prompt = Prompt(SYSTEM, messages, (TOOL,))
    gauge.note(prompt, Usage(count(prompt)))
    short = list(messages)
    short[2] = Message("tool", (Observation("call_0", "read", "gone"),))
    for history in (short, messages[20:], [*messages, Message.user("more")]):
        prompt = Prompt(SYSTEM, history, (TOOL,))
        assert gauge.estimate(prompt) == pytest.approx(count(prompt), rel=0.1)


def test_counts_that_are_estimated_or_missing_teach_nothing() -> None:
    gauge, prompt = Gauge(), Prompt("", [Message.user("x" * 3_600)])
    before = gauge.estimate(prompt)
    gauge.note(prompt, Usage())
    gauge.note(prompt, Usage(5_000, 5, estimated=True))
    assert gauge.estimate(prompt) == before


def test_a_count_that_cannot_be_true_moves_the_estimate_only_so_far() -> None:
    gauge, prompt = Gauge(), Prompt("", [Message.user("x" * 36_000)])
    gauge.note(prompt, Usage(1))
    assert gauge.estimate(prompt) > 2_000
    gauge.note(prompt, Usage(10**9))
    assert gauge.estimate(prompt) < 50_000


def test_only_what_is_sent_is_weighed() -> None:
    empty = weigh(Message("assistant", ()))
    assert weigh(Message("assistant", (Reasoning("long thought" * 100, "a/b"),))) == empty
    assert weigh(Message("assistant", (Reasoning("", "a/b", "x" * 500),))) == empty + 500
    assert tokens(weigh(Message.user("", (Image("image/png", b"\0" * 5_000_000),))) - empty) == 1_500
    assert weigh(Message.user("\ud800é")) == empty + 3


def test_arguments_may_be_nested_to_any_depth() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert weigh(Message("assistant", (ToolCall("1", "t", {"deep": deep, "n": [1, None, True, 1.5]}),))) > 200_000
    while deep:
        deep = deep[0]  # type: ignore[assignment]  # taken apart step by step: freeing it at once would recurse


def test_a_turn_costs_what_it_adds_and_not_the_whole_history() -> None:
    rng = random.Random(1)
    messages = conversation(rng, code, 1_000)
    tally = Tally()
    started = time.perf_counter()
    whole = tally.weigh(messages)
    first = time.perf_counter() - started
    started = time.perf_counter()
    for _ in range(20):
        messages.append(Message.user("more"))
        tally.weigh(messages)
    each = (time.perf_counter() - started) / 20
    print(f"2,001 messages: {first * 1e3:.2f} ms, each turn {each * 1e6:.0f} us")
    assert tally.weigh(messages) == whole + 20 * weigh(Message.user("more"))
    assert each < first
