"""The trimmer: keeps a history inside the model's window by leaving out what is old, without asking a model."""

from __future__ import annotations

from collections.abc import Sequence

from a3s_code.harness.compaction.draft import Draft
from a3s_code.kernel.estimation import BYTES_PER_TOKEN, Tally, tokens, weigh
from a3s_code.kernel.messages import Message
from a3s_code.kernel.state import SessionState

TARGET = 0.6
"""How much of what triggers it a history is cut down to."""

RECENT_TOKENS = 40_000
OLD_OUTPUT = 1_200
LAST_OUTPUTS = (4_096, 1_024, 256)
"""Bytes that are left of an output: of an old one; of those just seen, where nothing else helps, in this order."""

OVERFLOW_SHARES = (0.6, 0.35)
"""What is left of a history that was refused as too long, the first and each further time."""


class Trimmer:
    """A compactor that cuts old tool outputs, then leaves out the oldest messages, and says so in one marker.

    It begins when `threshold` of `max_context_tokens` is used, by the provider's last count where there is one, and
    then cuts down to 60 % of that. The newest 40,000 tokens, or half of what is to be left where that is less, are
    touched only where the rest does not bring it below the threshold again. The newest request stays word for word,
    always; the first one too, unless the model has refused the history and nothing else is left. A call never loses its
    result.

    Where the model has refused the history (`state.overflows`), at most 60 %, then 35 % of it is left, if that can be.
    None means that there was no need, or that nothing can be left out any more. Not `enabled`, it never changes
    anything.
    """

    def __init__(self, max_context_tokens: int, threshold: float = 0.8, enabled: bool = True) -> None:
        self._trigger = max_context_tokens * threshold
        self._enabled = enabled
        self._tally = Tally()

    async def compact(self, state: SessionState) -> Sequence[Message] | None:
        if not self._enabled:
            return None
        used = self._used(state)
        if state.overflows <= 0 and used < self._trigger:
            return None
        draft = Draft(state.history)
        if not draft.units:
            return None
        most = draft.weight * self._trigger / used
        goal = most * TARGET
        if state.overflows > 0:
            share = OVERFLOW_SHARES[min(state.overflows, len(OVERFLOW_SHARES)) - 1]
            goal = most = min(goal, draft.weight * share)
        _shorten(draft, int(goal), int(most))
        if state.overflows > 0:
            draft.give_up_first(int(most))
        return draft.messages()

    def _used(self, state: SessionState) -> float:
        """The tokens in use: the provider's count up to the last reply and an estimate of what came since."""
        if not state.context_tokens:
            return max(1, tokens(self._tally.weigh(state.history)))
        since = 0
        for message in reversed(state.history):
            if message.role == "assistant":
                break
            since += weigh(message)
        return state.context_tokens + tokens(since)


def _shorten(draft: Draft, goal: int, most: int) -> None:
    """Bring the draft down to `goal` by what is old, and to `most` by what is recent."""
    old, recent = draft.split(min(int(RECENT_TOKENS * BYTES_PER_TOKEN), goal // 2))
    draft.abridge(old, OLD_OUTPUT, goal)
    draft.drop(old, goal)
    draft.abridge(recent, OLD_OUTPUT, most)
    draft.drop(recent, most)
    for budget in LAST_OUTPUTS:
        draft.abridge([draft.last], budget, most)
