"""Answers that came through whole and are no answers: broken text, pages, missing and misplaced parts."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

from a3s_code.testing.faults.fault import (
    JSON,
    Fault,
    Payload,
    Truth,
    calling,
    completion,
    head,
    message_stream,
    plain,
    raw,
    sent,
    streamed,
)
from a3s_code.testing.server import SSE, Canned, Response

_PAGE = b"<!doctype html><html><body><p>Please log in to the network.</p></body></html>"
_ERROR = b'event: error\ndata: {"type": "error", "error": {"type": "%s", "message": "because"}}\n\n'
Change = Callable[[Payload], Payload | None]


def _body(data: bytes) -> Callable[[Truth], Response]:
    """JSON, or in a stream one event with it."""
    return lambda truth: sent(truth, b"data: " + data + b"\n\n" if truth.streamed else data)


def _changed(change: Change) -> Callable[[Truth], Response]:
    return lambda truth: sent(truth, truth.changed(change))


def _replaced(old: bytes, new: bytes) -> Callable[[Truth], Response]:
    """The first `old` in the middle of the answer or after it as `new`."""

    def answer(truth: Truth) -> Response:
        middle = truth.body.find(old, len(truth.body) // 2)
        at = middle if middle >= 0 else truth.body.rfind(old)
        return sent(truth, truth.body[:at] + new + truth.body[at + len(old) :])

    return answer


def _without_bracket(truth: Truth) -> Response:
    if not truth.streamed:
        return sent(truth, truth.body[1:])
    middle = len(truth.events) // 2
    return sent(truth, [*truth.events[:middle], truth.events[middle][:-3] + b"\n\n", *truth.events[middle + 1 :]])


def _error_event(share: float, kind: bytes = b"overloaded_error") -> Callable[[Truth], Response]:
    def answer(truth: Truth) -> Response:
        ends = (b'"type":"message_stop"', b'"finish_reason":"')
        last = next(i for i, e in enumerate(truth.events) if any(end in e for end in ends))
        at = int(last * share)
        return sent(truth, [*truth.events[:at], _ERROR % kind, *truth.events[at:]])

    return answer


def _choice_of(value: Payload) -> Payload:
    choices = value.get("choices")
    return dict(choices[0]) if choices else {}


def _without_finish(value: Payload) -> Payload | None:
    if value.get("type") in ("message_delta", "message_stop") or _choice_of(value).get("finish_reason"):
        return None
    return value


def _with_choice(value: Payload, **fields: Any) -> Payload:
    return {**value, "choices": [{**_choice_of(value), **fields}]} if value.get("choices") else value


def _error_finish(value: Payload) -> Payload:
    return _with_choice(value, finish_reason="error") if _choice_of(value).get("finish_reason") else value


def _without_calls(value: Payload) -> Payload:
    """The answer still stops for tool calls, but they are gone."""
    for name in ("message", "delta"):
        if spoken := _choice_of(value).get(name):
            return _with_choice(value, **{name: {key: said for key, said in spoken.items() if key != "tool_calls"}})
    if isinstance(blocks := value.get("content"), list):
        return {**value, "content": [block for block in blocks if block["type"] != "tool_use"]}
    if value.get("content_block", {}).get("type") == "tool_use":
        return {**value, "content_block": {"type": "text", "text": ""}}
    return {"type": "ping"} if value.get("delta", {}).get("type") == "input_json_delta" else value


def _nameless(value: Any) -> Any:
    """A copy in which no call has a name."""
    if isinstance(value, list):
        return [_nameless(item) for item in value]
    if not isinstance(value, dict):
        return value
    calls = value.get("type") == "tool_use" or "arguments" in value
    return {key: "" if calls and key == "name" else _nameless(item) for key, item in value.items()}


def _without(kind: str) -> Change:
    return lambda value: None if value.get("type") == kind else value


def _wrong_text(value: Any) -> Any:
    """A copy with numbers where text belongs."""
    if isinstance(value, list):
        return [_wrong_text(item) for item in value]
    if not isinstance(value, dict):
        return value
    texts = ("text", "content", "thinking", "reasoning_content", "partial_json", "name")
    wrong = {key: [7] if key in texts and isinstance(item, str) else _wrong_text(item) for key, item in value.items()}
    return {**wrong, "tool_calls": [7]} if "tool_calls" in wrong else wrong


def _coded(code: Callable[[bytes], bytes], name: str) -> Callable[[Truth], Response]:
    return lambda truth: sent(truth, code(truth.body), content_encoding=name)


def _half_of_gzip(body: bytes) -> bytes:
    packed = gzip.compress(body)
    return packed[: len(packed) // 2]


def _spoiled_gzip(body: bytes) -> bytes:
    packed = bytearray(gzip.compress(body))
    packed[len(packed) // 2 :] = bytes(len(packed) - len(packed) // 2)
    return bytes(packed)


DISTORTIONS: tuple[Fault, ...] = (
    Fault("empty_body", "retryable", "A body without a byte.", lambda truth: sent(truth, b"")),
    Fault("blank_body", "retryable", "A body of blank lines.", lambda truth: sent(truth, b"\n \r\n\n")),
    Fault("no_content", "retryable", "Status 204.", lambda truth: raw(b"HTTP/1.1 204 No Content\r\n\r\n", keep=True)),
    Fault("page", "retryable", "A page instead of an answer.", lambda truth: Canned(_PAGE, content_type="text/html")),
    Fault(
        "page_as_json", "retryable", "A page that calls itself JSON.", lambda truth: Canned(_PAGE, content_type=JSON)
    ),
    Fault("page_as_stream", "retryable", "A page as a stream.", lambda truth: Canned(_PAGE, content_type=SSE)),
    Fault("words", "retryable", "A word instead of an answer.", lambda truth: Canned(b"ok", content_type="text/plain")),
    Fault("not_http", "retryable", "The server speaks no HTTP.", lambda truth: raw(b"220 mail.example ESMTP\r\n\r\n")),
    Fault(
        "huge_head",
        "retryable",
        "A header of a megabyte.",
        lambda truth: raw(head(truth, f"x-filler: {'x' * 1_000_000}")),
    ),
    Fault("null_body", "retryable", "The JSON value null.", _body(b"null")),
    Fault("list_body", "retryable", "A list for an object.", _body(b"[]")),
    Fault("number_body", "retryable", "A number for an object.", _body(b"7")),
    Fault("object_body", "retryable", "An empty object.", _body(b"{}")),
    Fault("deep_body", "retryable", "Brackets in brackets.", _body(b"[" * 100_000)),
    Fault("null_choices", "retryable", "Null for the content.", _body(b'{"choices": null, "content": null}')),
    Fault("no_choices", "retryable", "No content.", _body(b'{"id": "x", "usage": {"input_tokens": 1}}')),
    Fault(
        "null_message",
        "retryable",
        "Null for the message.",
        _body(b'{"choices": [{"message": null, "finish_reason": "stop"}]}'),
        lambda truth: completion(truth) and not truth.streamed,
    ),
    Fault("two_bodies", "retryable", "The body twice over.", lambda truth: sent(truth, truth.body * 2), plain),
    Fault("broken_json", "retryable", "A bracket is missing.", _without_bracket),
    Fault("broken_json_words", "retryable", "Single quotes for double ones.", _replaced(b'"', b"'")),
    Fault("broken_utf8", "retryable", "A byte that is in no UTF-8 text.", _replaced(b'":"', b'":"\xff')),
    Fault("half_surrogate", "retryable", "Half of a surrogate pair.", _replaced(b'":"', b'":"\\ud83d ')),
    Fault(
        "utf16", "retryable", "The answer in UTF-16.", lambda truth: sent(truth, truth.body.decode().encode("utf-16"))
    ),
    Fault("wrong_text", "retryable", "Lists where text belongs.", _changed(_wrong_text)),
    Fault("error_event_first", "retryable", "An error before the content.", _error_event(0), streamed),
    Fault("error_event_halfway", "retryable", "An error inside the content.", _error_event(0.5), streamed),
    Fault("error_event_last", "retryable", "An error after the content.", _error_event(1), streamed),
    Fault(
        "error_event_refused",
        "refused",
        "A refusal inside the content.",
        _error_event(0.5, b"invalid_request_error"),
        streamed,
    ),
    Fault("error_event_unknown", "retryable", "An unknown error.", _error_event(0.5, b"strange_error"), streamed),
    Fault("error_finish", "retryable", "The finish_reason is an error.", _changed(_error_finish), completion),
    Fault("no_finish", "retryable", "A stream that gives no reason for its end.", _changed(_without_finish), streamed),
    Fault(
        "done_only", "retryable", "The mark of the end alone.", lambda truth: sent(truth, b"data: [DONE]\n\n"), streamed
    ),
    Fault("no_calls", "retryable", "It stops for tool calls, and sends none.", _changed(_without_calls), calling),
    Fault("nameless_call", "retryable", "A call without a name.", _changed(_nameless), calling),
    Fault(
        "open_call",
        "retryable",
        "The answer ends inside a call.",
        _changed(_without("content_block_stop")),
        lambda truth: message_stream(truth) and truth.has_calls,
    ),
    Fault(
        "stray_piece",
        "retryable",
        "Pieces of a block that never began.",
        _changed(_without("content_block_start")),
        message_stream,
    ),
    Fault(
        "cut_gzip",
        "retryable",
        "Half of a compressed body.",
        _coded(_half_of_gzip, "gzip"),
    ),
    Fault("broken_gzip", "retryable", "A compressed body with a hole.", _coded(_spoiled_gzip, "gzip")),
    Fault("false_gzip", "retryable", "A body that only says that it is compressed.", _coded(bytes, "gzip")),
)
