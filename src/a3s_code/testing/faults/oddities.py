"""Answers that are whole and right, though few servers send theirs like that."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

from a3s_code.testing.faults.fault import (
    FOREVER,
    JSON,
    Fault,
    Payload,
    Truth,
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
from a3s_code.testing.server import SSE, Canned, Response

_MANY_PINGS = b": ping\n\n" * 50 + b'event: ping\ndata: {"type": "ping"}\n\n' * 50
_HUGE = 2_000_000
Change = Callable[[Payload], Payload | None]


def _changed(change: Change) -> Callable[[Truth], Response]:
    return lambda truth: sent(truth, truth.changed(change))


def _respelled(old: bytes, new: bytes) -> Callable[[Truth], Response]:
    return lambda truth: sent(truth, truth.body.replace(old, new))


def _between(*pieces: bytes) -> Callable[[Truth], Response]:
    """The stream with these pieces, in turn, before each of its events."""
    return lambda truth: sent(
        truth, b"".join(pieces[index % len(pieces)] + event for index, event in enumerate(truth.events))
    )


def _mixed_line_ends(truth: Truth) -> Response:
    ends = (b"\r\n", b"\r", b"\n")
    lines = truth.body.split(b"\n")
    # An empty line after CR does not end in LF: the two would be one line end.
    spelled = [line + (ends[index % 3] if line else b"\r\n") for index, line in enumerate(lines[:-1])]
    return sent(truth, b"".join(spelled))


def _indented(value: bytes) -> bytes:
    return json.dumps(json.loads(value), indent=2, ensure_ascii=False).encode()


def _in_lines(truth: Truth) -> Response:
    """Each JSON value over many lines; in a stream each of them with a `data:` of its own."""
    if not truth.streamed:
        return sent(truth, _indented(truth.body))
    spelled: list[bytes] = []
    for event in truth.events:
        lead, mark, data = event.rpartition(b"data: ")
        rows = [data.strip()] if data.startswith(b"[DONE]") else _indented(data).split(b"\n")
        spelled.append(lead + b"\n".join(mark + row for row in rows) + b"\n\n")
    return sent(truth, b"".join(spelled))


def _in_ascii(truth: Truth) -> Response:
    """Everything outside ASCII as escapes, the emoji as surrogate pairs."""
    text = truth.body.decode()
    return sent(truth, "".join(c if c < "\x7f" else json.dumps(c)[1:-1] for c in text).encode())


def _with_unknown_fields(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_unknown_fields(item) for item in value]
    if not isinstance(value, dict) or value.get("type") in ("thinking", "redacted_thinking"):
        return value
    known = {k: item if k in ("input", "usage") else _with_unknown_fields(item) for k, item in value.items()}
    return {"x_new": {"deep": [1, None]}, **known, "x_more": "text"}


def _with_nulls(value: Any) -> Any:
    """A copy with null for much that may be there, and is not."""
    if isinstance(value, list):
        return [_with_nulls(item) for item in value]
    if not isinstance(value, dict) or value.get("type") in ("thinking", "redacted_thinking"):
        return value
    absent = ("error", "refusal", "logprobs", "tool_calls", "reasoning_content", "reasoning", "function_call", "x_groq")
    known = {key: item if key in ("input", "usage") else _with_nulls(item) for key, item in value.items()}
    return {**dict.fromkeys(absent), **known}


def _without_usage(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_usage(item) for key, item in value.items() if key != "usage"}


def _odd_usage(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    odd = {"prompt_tokens": "many", "input_tokens": -5, "completion_tokens": None, "output_tokens": [1]}
    return {key: odd if key == "usage" else _odd_usage(item) for key, item in value.items()}


def _counted_all_the_way(value: Payload) -> Payload | None:
    """Counts in each chunk with a choice, and no chunk for them alone."""
    if not value.get("choices"):
        return None
    return {**value, "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}}


def _choice(value: Payload) -> Payload:
    return dict(value["choices"][0]) if value.get("choices") else {}


def _with_role(value: Payload) -> Payload:
    if not (choice := _choice(value)):
        return value
    return {**value, "choices": [{**choice, "delta": {"role": "assistant", **choice["delta"]}}]}


def _finish_as_text(value: Payload) -> Payload:
    choice = _choice(value)
    return {**value, "choices": [{**choice, "finish_reason": choice["finish_reason"] or ""}]} if choice else value


def _without_index(value: Payload) -> Payload:
    choice = _choice(value)
    calls = choice.get("delta", {}).get("tool_calls")
    if not calls:
        return value
    bare = [{key: item for key, item in call.items() if key != "index"} for call in calls]
    return {**value, "choices": [{**choice, "delta": {"tool_calls": bare}}]}


def _without_ids(value: Any) -> Any:
    """A copy in which no call has an id."""
    if isinstance(value, list):
        return [_without_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    calls = "function" in value or value.get("type") == "tool_use"
    return {key: _without_ids(item) for key, item in value.items() if not (calls and key == "id")}


def _finish_early(truth: Truth) -> Response:
    """The finish_reason before the last piece of the content, and again after it."""
    last = next(index for index, event in enumerate(truth.events) if b'"finish_reason":"' in event)
    events = truth.events
    return sent(truth, [*events[: last - 1], events[last], events[last - 1], *events[last:]])


def _finish_twice(truth: Truth) -> Response:
    ends = (b'"type":"message_delta"', b'"finish_reason":"')
    return sent(truth, [e * 2 if any(end in e for end in ends) else e for e in truth.events])


def _as_one_message(truth: Truth) -> Response:
    return sent(truth, b"data: " + truth.whole + b"\n\ndata: [DONE]\n\n")


def _after_the_end(truth: Truth) -> Response:
    error = b'event: error\ndata: {"type": "error", "error": {"type": "api_error", "message": "too late"}}\n\n'
    return sent(truth, truth.stream + truth.events[len(truth.events) // 2] + b"data: {{{\n\n" + error)


def _gzip_in_pieces(truth: Truth) -> Response:
    packer = zlib.compressobj(wbits=31)
    parts = [truth.body[at : at + 50] for at in range(0, len(truth.body), 50)]
    pieces = [packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH) for part in parts]
    return sent(truth, [*pieces, packer.flush()], content_encoding="gzip")


def _without_names(truth: Truth) -> Response:
    return sent(truth, [event[event.index(b"data: ") :] for event in truth.events])


def _labelled(content_type: str) -> Callable[[Truth], Response]:
    return lambda truth: Canned(truth.body, content_type=content_type)


ODDITIES: tuple[Fault, ...] = (
    Fault("crlf", "answer", "Lines that end in CR LF.", _respelled(b"\n", b"\r\n"), streamed),
    Fault("cr", "answer", "Lines that end in CR.", _respelled(b"\n", b"\r"), streamed),
    Fault("mixed_line_ends", "answer", "Lines that end in every way.", _mixed_line_ends, streamed),
    Fault(
        "comments", "answer", "Comments between and inside events.", _between(b": hi\n", b":\n\n: a: b\n\n"), streamed
    ),
    Fault(
        "ids_and_retry", "answer", "The fields id and retry.", _between(b"id: 7\nretry: 3000\n", b"id\n\n"), streamed
    ),
    Fault("unknown_lines", "answer", "Fields that nobody knows.", _between(b"field: x\nno colon\n"), streamed),
    Fault("data_in_lines", "answer", "JSON over many lines.", _in_lines),
    Fault("byte_order_mark", "answer", "A mark first.", lambda truth: sent(truth, b"\xef\xbb\xbf" + truth.body)),
    Fault("no_space", "answer", "No space after the colon.", _respelled(b"data: ", b"data:"), streamed),
    Fault("blank_data", "answer", "Events without content.", _between(b"data:\n\n", b"data: \n\ndata\n\n"), streamed),
    Fault(
        "unknown_events",
        "answer",
        "Events that nobody knows.",
        _between(b'event: news\ndata: {"type": "news", "index": 9}\n\n'),
        streamed,
    ),
    Fault("no_event_names", "answer", "No event lines.", _without_names, message_stream),
    Fault("unknown_fields", "answer", "Fields that nobody knows, everywhere.", _changed(_with_unknown_fields)),
    Fault("nulls", "answer", "Null for what is not there.", _changed(_with_nulls)),
    Fault("ascii", "answer", "Everything outside ASCII is escaped.", _in_ascii),
    Fault("ping_storm", "answer", "A hundred pings before each event.", _between(_MANY_PINGS), streamed),
    Fault(
        "huge_event",
        "answer",
        "An event and a comment of 2 MB each.",
        _between(
            b'event: news\ndata: {"type": "news", "x": "%s"}\n\n: %s\n\n' % (b"x" * _HUGE, b"x" * _HUGE), *[b""] * 99
        ),
        streamed,
    ),
    Fault(
        "blank_around", "answer", "Blank lines first and last.", lambda t: sent(t, b"\n \n" + t.body + b"\r\n\n"), plain
    ),
    Fault(
        "no_last_line_end", "answer", "The last event is not closed.", lambda t: sent(t, t.body.rstrip(b"\n")), streamed
    ),
    Fault(
        "trickle", "answer", "One byte at a time.", lambda t: sent(t, [t.body[i : i + 1] for i in range(len(t.body))])
    ),
    Fault(
        "slow",
        "answer",
        "Pauses between the pieces.",
        lambda t: sent(t, [t.body[:40], 0.03, t.body[40:90], 0.03, t.body[90:]]),
    ),
    Fault("gzip", "answer", "Compressed.", lambda t: sent(t, gzip.compress(t.body), content_encoding="gzip")),
    Fault(
        "deflate",
        "answer",
        "Compressed otherwise.",
        lambda t: sent(t, zlib.compress(t.body), content_encoding="deflate"),
    ),
    Fault("gzip_in_pieces", "answer", "Compressed piece by piece.", _gzip_in_pieces),
    Fault("identity", "answer", "Expressly not compressed.", lambda t: sent(t, t.body, content_encoding="identity")),
    Fault(
        "one_packet", "answer", "With its length, in one piece.", lambda t: Canned(t.body, content_type=t.media_type)
    ),
    Fault(
        "no_length",
        "answer",
        "HTTP 1.0: it ends with the connection.",
        lambda t: raw(head(t, first="HTTP/1.0 200 OK") + t.body),
    ),
    Fault(
        "early_hints",
        "answer",
        "An informational response first.",
        lambda t: raw(
            b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + chunked_head(t) + chunk(t.body) + chunk(b""), keep=True
        ),
    ),
    Fault(
        "trailers",
        "answer",
        "Header fields after the body.",
        lambda t: raw(chunked_head(t) + chunk(t.body) + b"0\r\nx-sum: 1\r\n\r\n", keep=True),
    ),
    Fault("closing", "answer", "The server closes after it.", lambda t: sent(t, t.body, connection="close")),
    Fault(
        "unterminated_stream",
        "answer",
        "The mark that a chunked body is whole is missing.",
        lambda t: raw(chunked_head(t) + chunk(t.body)),
        streamed,
    ),
    Fault("silence_at_last", "answer", "The connection stays open.", lambda t: sent(t, [t.body, FOREVER]), streamed),
    Fault("after_the_end", "answer", "Pieces and errors after the end.", _after_the_end, streamed),
    Fault("finish_twice", "answer", "It says twice why it ends.", _finish_twice, streamed),
    Fault(
        "stream_for_json",
        "answer",
        "A stream where none was asked for.",
        lambda t: Canned(t.stream, content_type=SSE),
        plain,
    ),
    Fault("json_for_stream", "answer", "No stream where one was asked for.", lambda t: Canned(t.whole), streamed),
    Fault("json_as_stream", "answer", "JSON that calls itself a stream.", lambda t: Canned(t.whole, content_type=SSE)),
    Fault(
        "stream_as_json", "answer", "A stream that calls itself JSON.", lambda t: Canned(t.stream, content_type=JSON)
    ),
    Fault("wrong_type", "answer", "It calls itself plain text.", _labelled("text/plain; charset=utf-8")),
    Fault("no_type", "answer", "No content type.", _labelled("")),
    Fault(
        "shouted_type",
        "answer",
        "A content type in capitals.",
        lambda t: Canned(t.body, content_type=t.media_type.upper() + " ;X=Y"),
    ),
    Fault("usage_missing", "answer", "No token counts.", _changed(_without_usage)),
    Fault("usage_odd", "answer", "Token counts that are no numbers.", _changed(_odd_usage)),
    Fault("no_ids", "answer", "Calls without ids.", _changed(_without_ids)),
    Fault("usage_all_the_way", "answer", "Counts in each chunk.", _changed(_counted_all_the_way), completion_stream),
    Fault(
        "empty_choices", "answer", "Chunks without a choice.", _between(b'data: {"choices": []}\n\n'), completion_stream
    ),
    Fault(
        "null_choices_between",
        "answer",
        "Chunks with null.",
        _between(b'data: {"choices": null}\n\n'),
        completion_stream,
    ),
    Fault(
        "blank_pieces",
        "answer",
        "Chunks with empty text.",
        _between(b'data: {"choices": [{"index": 0, "delta": {"content": ""}}]}\n\n'),
        completion_stream,
    ),
    Fault("roles", "answer", "The role in each chunk.", _changed(_with_role), completion_stream),
    Fault(
        "finish_as_text",
        "answer",
        "An empty finish_reason in each chunk.",
        _changed(_finish_as_text),
        completion_stream,
    ),
    Fault(
        "finish_early", "answer", "Its finish_reason comes twice, first too early.", _finish_early, completion_stream
    ),
    Fault("no_done", "answer", "Without the mark of the end.", _respelled(b"data: [DONE]\n\n", b""), completion_stream),
    Fault("no_index", "answer", "Pieces of calls without an index.", _changed(_without_index), completion_stream),
    Fault("one_message", "answer", "The whole message in one event.", _as_one_message, completion_stream),
    Fault(
        "done_as_well",
        "answer",
        "A mark that is not its own.",
        lambda t: sent(t, t.body + b"data: [DONE]\n\n"),
        message_stream,
    ),
    Fault(
        "silence_after_finish",
        "answer",
        "Silence after the finish_reason.",
        lambda t: sent(t, [t.body[: t.body.rfind(b'data: {"id"')], FOREVER]),
        completion_stream,
    ),
)
