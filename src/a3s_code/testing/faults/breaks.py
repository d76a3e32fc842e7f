"""Answers that break off: by a cut connection, by an end that comes too early, by silence."""

from __future__ import annotations

from collections.abc import Callable

from a3s_code.testing.faults.fault import (
    FOREVER,
    Fault,
    Truth,
    calling,
    chunk,
    chunked_head,
    completion_stream,
    head,
    message_stream,
    plain,
    raw,
    sent,
    streamed,
)
from a3s_code.testing.server import Response

_PING_SECONDS = 0.02
_PINGS = int(60 / _PING_SECONDS)
Half = Callable[[Truth], bytes]


def _first_byte(truth: Truth) -> bytes:
    return truth.body[:1]


def _third(truth: Truth) -> bytes:
    return truth.cut_at(1 / 3)


def _two_thirds(truth: Truth) -> bytes:
    return truth.cut_at(2 / 3)


def _in_character(truth: Truth) -> bytes:
    """Up to the middle of a character that takes several bytes; of an answer without one, the half."""
    found = next((index for index, byte in enumerate(truth.body) if byte >= 0xC0), None)
    return truth.cut_at(1 / 2) if found is None else truth.body[: found + 1]


def _in_call(truth: Truth) -> bytes:
    """Up to the middle of the arguments of the first call."""
    mark = (b'"partial_json":"' if truth.api == "anthropic" else b'"arguments":"') if truth.streamed else b'"input":{'
    if truth.api == "openai":
        mark = b'"arguments":"{'
    return truth.body[: truth.body.find(mark) + len(mark) + 4]


def _first_event(truth: Truth) -> bytes:
    return truth.events[0]


def _half_of_the_events(truth: Truth) -> bytes:
    return b"".join(truth.events[: len(truth.events) // 2])


def _all_but_the_end(truth: Truth) -> bytes:
    """All but the last byte, or in a stream all but what says that it is the end."""
    if not truth.streamed:
        return truth.body[:-1]
    ends = (b'"type":"message_stop"', b'"finish_reason":"')
    return b"".join(truth.events[: next(i for i, e in enumerate(truth.events) if any(end in e for end in ends))])


def _up_to_the_finish(truth: Truth) -> bytes:
    """A stream up to its finish_reason, without the counts and the mark that follow it."""
    last = next(index for index, event in enumerate(truth.events) if b'"finish_reason":"' in event)
    return b"".join(truth.events[: last + 1])


def _cut(half: Half) -> Callable[[Truth], Response]:
    return lambda truth: sent(truth, half(truth), cut=True)


def _ended(half: Half) -> Callable[[Truth], Response]:
    return lambda truth: sent(truth, half(truth))


def _silent_after(half: Half) -> Callable[[Truth], Response]:
    return lambda truth: sent(truth, [half(truth), FOREVER])


def _reset_in_body(truth: Truth) -> Response:
    return raw(chunked_head(truth) + chunk(_third(truth)), _PING_SECONDS, reset=True)


def _long_length(truth: Truth) -> Response:
    return raw(head(truth, f"content-length: {len(truth.body)}") + _two_thirds(truth))


def _short_length(truth: Truth) -> Response:
    return raw(head(truth, f"content-length: {len(_two_thirds(truth))}") + truth.body, keep=True)


def _bad_chunk_size(truth: Truth) -> Response:
    return raw(chunked_head(truth) + chunk(_third(truth)) + b"zz\r\n" + truth.body)


def _chunk_overrun(truth: Truth) -> Response:
    return raw(chunked_head(truth) + b"%x\r\n" % len(_two_thirds(truth)) + truth.body + b"\r\n0\r\n\r\n")


def _pings(truth: Truth, *, name: bytes = b': ping\n\nevent: ping\ndata: {"type": "ping"}\n\n') -> list[bytes | float]:
    return [name if truth.streamed else b" \n", _PING_SECONDS] * _PINGS


_CUTS: tuple[tuple[str, Half, str, Callable[[Truth], bool] | None], ...] = (
    ("at_first_byte", _first_byte, "after the first byte", None),
    ("at_third", _third, "after a third", None),
    ("at_two_thirds", _two_thirds, "after two thirds", None),
    ("in_character", _in_character, "inside a character of several bytes", None),
    ("in_call", _in_call, "inside the arguments of a call", calling),
    ("after_first_event", _first_event, "after the first event", streamed),
    ("between_events", _half_of_the_events, "between two events, halfway", streamed),
    ("before_the_end", _all_but_the_end, "just before what says that it is the end", None),
)


def _family(verb: str, how: str, make: Callable[[Half], Callable[[Truth], Response]]) -> tuple[Fault, ...]:
    return tuple(
        Fault(f"{verb}_{name}", "retryable", f"{how} {where}.", make(half), fits or (lambda truth: True))
        for name, half, where, fits in _CUTS
    )


BREAKS: tuple[Fault, ...] = (
    Fault("hang_up", "retryable", "The connection closes without a byte.", lambda truth: raw()),
    Fault("reset", "retryable", "The connection is reset without a byte.", lambda truth: raw(reset=True)),
    Fault("reset_in_body", "retryable", "The connection is reset in the middle of the answer.", _reset_in_body),
    Fault("cut_in_head", "retryable", "The connection closes inside the head.", lambda truth: raw(head(truth)[:25])),
    *_family("cut", "The connection breaks", _cut),
    *_family("end", "The answer ends as if it were whole", _ended),
    *_family("silence", "The server falls silent", _silent_after),
    Fault(
        "cut_after_finish",
        "retryable",
        "The connection breaks after the finish_reason, before the last chunk.",
        lambda truth: sent(truth, _up_to_the_finish(truth), cut=True),
        completion_stream,
    ),
    Fault("long_length", "retryable", "The content length promises more than is sent.", _long_length),
    Fault("short_length", "retryable", "The content length promises less than is sent.", _short_length),
    Fault("bad_chunk_size", "retryable", "The size of a chunk is no number.", _bad_chunk_size),
    Fault("chunk_overrun", "retryable", "A chunk holds more than its size says.", _chunk_overrun),
    Fault(
        "no_last_chunk",
        "retryable",
        "All of the body is there, but not the mark that it is all.",
        lambda truth: raw(chunked_head(truth) + chunk(truth.body)),
        plain,
    ),
    Fault("silence", "retryable", "Nothing is ever answered.", lambda truth: raw(FOREVER)),
    Fault("silence_in_head", "retryable", "Silence inside the head.", lambda truth: raw(head(truth)[:25], FOREVER)),
    Fault("silence_after_head", "retryable", "Silence after the head.", lambda truth: sent(truth, [FOREVER])),
    Fault("pings_only", "retryable", "Signs of life, or blank lines, and nothing else.", lambda t: sent(t, _pings(t))),
    Fault(
        "pings_after_content",
        "retryable",
        "Half of an answer, then signs of life only.",
        lambda truth: sent(truth, [_half_of_the_events(truth), *_pings(truth)]),
        streamed,
    ),
    Fault(
        "empty_choices_only",
        "retryable",
        "Half of an answer, then chunks without a choice.",
        lambda truth: sent(truth, [_half_of_the_events(truth), *_pings(truth, name=b'data: {"choices": []}\n\n')]),
        completion_stream,
    ),
    Fault(
        "second_beginning",
        "retryable",
        "Half of an answer, then the whole of it.",
        lambda truth: sent(truth, _half_of_the_events(truth) + truth.stream),
        message_stream,
    ),
)
