"""Repetition: a run whose model makes the same call again and again is warned, then ended."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from a3s_code.errors import InvalidOption, RunLimit
from a3s_code.kernel.messages import Observation, ToolCall
from a3s_code.kernel.tool import ToolOutput

LIMIT = "repetition"
MOST_KEPT = 1_024
GRACE = 2
"""How often a refused call may be asked for again before the run ends."""

_MARKS = re.compile(r"\W+")
_JSON = json.JSONEncoder(sort_keys=True, default=repr)
_DURATION = re.compile(r"\b[0-9]+\.[0-9]+ ?(?:s|ms|sec|seconds)\b")


@dataclass(slots=True)
class _Record:
    """What is known of one call: its last result, and how often it was made and refused since the last news."""

    digest: bytes
    epoch: int
    made: int = 0
    refused: int = 0


class RepetitionGuard:
    """Watches the calls of one run.

    The `threshold`-th same call with the same result is not carried out, its place is taken by advice; two later the
    run ends. News starts the count anew for all calls: a result that differs from the last one of the same call, or a
    change that was not made before. So edit, test, edit, test goes on for ever, and so does waiting for an output that
    changes. A duration such as 0.12s in a result is no news.

    Calls that change something are the same when their arguments are; others also when these differ only in case, in
    blanks or in punctuation other than `_`. The run only ends after GRACE refusals, however often a call was made at
    once. `threshold` None or 0 lets everything through.

    Raises InvalidOption for a threshold of 1 or less than 0.
    """

    def __init__(self, threshold: int | None = 3) -> None:
        if threshold is not None and (threshold < 0 or threshold == 1):
            raise InvalidOption(
                f"duplicate_tool_call_threshold is {threshold}, not 2 or more",
                field="duplicate_tool_call_threshold",
                hint="None lets every call through",
            )
        self._threshold = threshold or 0
        self._epoch = 0
        self._suspects = 0  # records at the threshold; those of an earlier epoch do not count
        self._records: dict[bytes, _Record] = {}

    def check(self, call: ToolCall) -> ToolOutput | None:
        """The advice in place of the call, or None to carry it out. Raises RunLimit where the run has to end."""
        if not self._suspects or call.malformed is not None:
            return None
        record = self._most_repeated(call)
        if record is None or record.made < self._threshold - 1:
            return None
        count = record.made + record.refused + 1
        if record.refused >= GRACE:
            raise RunLimit(LIMIT, f"the model asked for the same {call.name} call {count} times without any news")
        record.refused += 1
        text = (
            f"Not carried out: this is call {count} of {call.name} with the same arguments, or hardly others, and the"
            f" result was the same each time. Nothing has changed since. Use the result you have, try something else,"
            f" or end your work and say what is missing. Asking for it again will end the run."
        )
        return ToolOutput.failure(text, guard="duplicate_tool_call", duplicate_count=count, threshold=self._threshold)

    def note(self, call: ToolCall, seen: Observation, changed: bool) -> None:
        """Remember what a call gave; `changed`: it may have changed something."""
        if not self._threshold:
            return
        key = _key(call, exact=changed)
        digest = _digest(seen, timed=changed)
        record = self._records.pop(key, None)
        if record is None:
            record = _Record(digest, self._epoch)
            self._begin(changed)
        elif record.digest != digest:
            self._begin(news=True)
        if record.epoch != self._epoch:
            record.epoch, record.made, record.refused = self._epoch, 0, 0
        record.digest = digest
        record.made += 1
        self._suspects += record.made == self._threshold - 1
        self._records[key] = record
        if len(self._records) > MOST_KEPT:
            del self._records[next(iter(self._records))]

    def _begin(self, news: bool) -> None:
        """Let all counts start anew, where there is news."""
        if news:
            self._epoch += 1
            self._suspects = 0

    def _most_repeated(self, call: ToolCall) -> _Record | None:
        """What is known of the call, be it one that changes something or not."""
        known = (self._records.get(_key(call, exact=exact)) for exact in (True, False))
        current = [record for record in known if record is not None and record.epoch == self._epoch]
        return max(current, key=lambda record: record.made, default=None)


def _key(call: ToolCall, *, exact: bool) -> bytes:
    try:
        arguments = call.arguments if exact else _simplify(call.arguments)
        text = _JSON.encode([exact, call.name, arguments])
    except (TypeError, ValueError, RecursionError):
        text = call.id  # no JSON, so it is taken for a call of its own
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _simplify(value: Any) -> Any:
    """The value with its texts in lower case and reduced to the letters of names, unless nothing else were left."""
    if isinstance(value, str):
        return _MARKS.sub("", value.lower()) or value
    if isinstance(value, Mapping):
        return {str(key): _simplify(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_simplify(item) for item in cast("list[Any]", value)]
    return value


def _digest(seen: Observation, *, timed: bool) -> bytes:
    """What the result comes down to; of a `timed` one, such as a command's, without the durations in it."""
    uri = "" if seen.artifact is None else seen.artifact.uri
    output = _DURATION.sub("", seen.output) if timed else seen.output
    text = f"{seen.exit_code} {seen.error_kind} {uri}\n{output}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
