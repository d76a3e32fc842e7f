"""What a fault is, and the true answer that it spoils."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from a3s_code.kernel.messages import Reply
from a3s_code.providers.endpoint import Api
from a3s_code.providers.wire import dumps
from a3s_code.testing import answers
from a3s_code.testing.server import SSE, Canned, Raw, Response

JSON = "application/json"
FOREVER = 3600.0
Outcome = Literal["answer", "retryable", "refused"]
Payload = dict[str, Any]


class Truth:
    """The true answer to one request, as it would be sent in `api`: one body, or the events of a stream."""

    def __init__(self, reply: Reply, api: Api, number: int, *, streamed: bool) -> None:
        self.reply = reply
        self.api: Api = api
        self.streamed = streamed
        self._number = number

    @property
    def has_calls(self) -> bool:
        return bool(self.reply.message.calls)

    @cached_property
    def whole(self) -> bytes:
        """The answer as one JSON body, whatever was asked for."""
        return answers.whole(self.reply, self.api, self._number)

    @cached_property
    def stream(self) -> bytes:
        """The answer as a stream of events, whatever was asked for."""
        return answers.streamed(self.reply, self.api, self._number)

    @property
    def body(self) -> bytes:
        return self.stream if self.streamed else self.whole

    @property
    def media_type(self) -> str:
        return SSE if self.streamed else JSON

    @cached_property
    def events(self) -> list[bytes]:
        """The events of the stream, each with the blank line after it."""
        return [event + b"\n\n" for event in self.stream.split(b"\n\n") if event]

    def changed(self, change: Callable[[Payload], Payload | None]) -> bytes:
        """The body with each JSON value in it changed; an event for which `change` gives None is left out."""
        if not self.streamed:
            return dumps(change(json.loads(self.whole)))
        changed: list[bytes] = []
        for event in self.events:
            head, mark, data = event.rpartition(b"data: ")
            if data.startswith(b"[DONE]"):
                changed.append(event)
            elif (value := change(json.loads(data))) is not None:
                changed.append(head + mark + dumps(value) + b"\n\n")
        return b"".join(changed)

    def cut_at(self, share: float) -> bytes:
        return self.body[: max(1, int(len(self.body) * share))]


Spoil = Callable[[Truth], Response]


def _always(truth: Truth) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a model server fails, or answers as few servers do.

    `outcome` is what must come of the call: "answer", the whole right answer; "retryable", a ModelError that says a
    retry may help; "refused", one that says it cannot. `retry_after` is what the server asks to wait, in seconds.
    A fault that does not fit an answer, one of a stream where none was asked for, leaves it as it is.
    """

    name: str
    outcome: Outcome
    about: str
    spoil: Spoil = field(repr=False, compare=False)
    fits: Callable[[Truth], bool] = field(default=_always, repr=False, compare=False)
    retry_after: float | None = None


def streamed(truth: Truth) -> bool:
    return truth.streamed


def plain(truth: Truth) -> bool:
    return not truth.streamed


def calling(truth: Truth) -> bool:
    return truth.has_calls


def completion(truth: Truth) -> bool:
    return truth.api == "openai"


def completion_stream(truth: Truth) -> bool:
    return truth.streamed and truth.api == "openai"


def message_stream(truth: Truth) -> bool:
    return truth.streamed and truth.api == "anthropic"


def sent(truth: Truth, body: bytes | Sequence[bytes | float], *, cut: bool = False, **headers: str) -> Canned:
    """A body, or its pieces, under the name that the true answer has; underscores in header names stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, bytes) and truth.streamed:
        body = [body]
    if isinstance(body, bytes):
        return Canned(body, content_type=truth.media_type, headers=named, cut=cut)
    pieces = [piece for piece in body if piece != b""]
    return Canned(content_type=truth.media_type, headers=named, chunks=pieces, cut=cut)


def head(truth: Truth, *lines: str, first: str = "HTTP/1.1 200 OK") -> bytes:
    """The head of a response, with a line for its content type."""
    return "\r\n".join((first, f"content-type: {truth.media_type}", *lines, "", "")).encode("latin-1")


def chunked_head(truth: Truth) -> bytes:
    return head(truth, "transfer-encoding: chunked")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def raw(*pieces: bytes | float, reset: bool = False, keep: bool = False) -> Raw:
    return Raw(pieces, reset=reset, keep=keep)
