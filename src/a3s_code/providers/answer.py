"""An answer as it arrives: from bytes to deltas, and how long to wait for the next of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from a3s_code.errors import ModelError, ModelProtocolError, ModelTimeout
from a3s_code.kernel.messages import Delta, Reply
from a3s_code.kernel.ports import Prompt
from a3s_code.providers import clients, failures
from a3s_code.providers.assembly import Assembly
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.patience import Patience
from a3s_code.providers.sse import BOM, LIMIT, EventReader, ServerEvent
from a3s_code.providers.wire import loads
from a3s_code.providers.wire_format import WireFormat

if TYPE_CHECKING:
    import httpx2

COUNTS_SECONDS = 5.0
REST_SECONDS = 0.25
REPORT_SECONDS = 5.0
MOST_BYTES = 4 * LIMIT
_STREAM_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":")
# What reading foreign JSON raises where it has another shape than the format says.
OUT_OF_SHAPE = (ValueError, TypeError, AttributeError, KeyError, IndexError)


class Answer:
    """One answer, streamed or whole, as its Content-Type says.

    `seconds` is how long the first token may take, and each silence after it; comments and pings count as silence, the
    time that the consumer takes does not. Once the answer is complete the wait for what may follow it, the token counts
    and the end of the body, is short.
    """

    def __init__(
        self, endpoint: ModelEndpoint, wire: WireFormat, prompt: Prompt, request: bytes, seconds: float
    ) -> None:
        self._endpoint = endpoint
        self._assembly = Assembly(endpoint, prompt, request)
        self._reader = wire.reader(self._assembly)
        self._seconds = seconds
        self.patience = Patience(seconds)
        self._begun = self._moved = False
        self._events: EventReader | None = None
        self._size = 0
        self._body = bytearray()

    def survives(self, failure: ModelError) -> bool:
        """Whether it is whole in spite of `failure`, which came after its own end.

        A connection that breaks may have lost what was still to follow; one that only falls silent has not.
        """
        return self._reader.complete and (self._reader.ended or isinstance(failure, ModelTimeout))

    def begin(self, headers: Mapping[str, str]) -> None:
        """The response is there, its body is not yet."""
        self._begun = True
        self._assembly.headers = headers
        if _media_type(headers) == "text/event-stream":
            self._events = EventReader()

    def feed(self, chunk: bytes) -> Sequence[Delta]:
        """What `chunk` brings; raises ModelError where it is an error or is not in the wire format."""
        if not self._size and chunk.startswith(b"{"):
            # JSON under the name of a stream.
            self._events = None
        self._size += len(chunk)
        if self._events is None:
            return self._hoard(chunk)
        if self._size > MOST_BYTES:
            raise self._broken("sent more than 256 MB")
        try:
            events = self._events.feed(chunk)
        except ValueError as error:
            raise self._broken(str(error)) from error
        deltas: list[Delta] = []
        for event in events:
            deltas += self._event(event)
        if events:
            self._extend()
        return deltas

    def _hoard(self, chunk: bytes) -> Sequence[Delta]:
        self._body += chunk
        if self._size > LIMIT:
            raise self._broken("sent more than 64 MB")
        if not chunk.isspace():
            self.patience.renew()
        return ()

    def finish(self) -> Sequence[Delta | Reply]:
        """The last deltas and the Reply; raises ModelProtocolError where the answer is cut, empty or no answer."""
        deltas = self._last_event() if self._events is not None else self._whole()
        try:
            tail, reply = self._assembly.finish()
        except OUT_OF_SHAPE as error:
            raise self._broken("sent something else where text belongs") from error
        return (*deltas, *tail, reply)

    async def refusal(self, response: httpx2.Response) -> ModelError:
        """The error for a response whose status is no success; its body is read for the reason, but not for long."""
        report = await clients.read_report(response, min(self._seconds, REPORT_SECONDS))
        return failures.from_status(self._endpoint, response.status_code, response.headers, report)

    def failure(self, error: Exception) -> ModelError | None:
        """An error of the HTTP client or of a layer below it as one of ours; None for any other."""
        if type(error) is TimeoutError:
            return failures.timed_out(self._endpoint, self._seconds, answering=self._assembly.begun)
        if (failed := clients.transport_failure(error)) is not None:
            return failures.from_transport(self._endpoint, *failed, answering=self._begun)
        return None

    def _event(self, event: ServerEvent) -> Sequence[Delta]:
        if self._reader.ended:
            return ()
        if event.data.startswith(b"[DONE]"):
            self._reader.done()
            return ()
        try:
            payload = loads(event.data)
            if payload.get("type") != "ping" and event.name != b"ping" and payload.get("choices") != []:
                self._moved = True
            return self._reader.event(event.name.decode("utf-8", "replace"), payload)
        except OUT_OF_SHAPE as error:
            if not event.data.strip():
                return ()
            raise self._broken(
                f"sent an event that is not in the wire format: {failures.excerpt(event.data)}"
            ) from error

    def _extend(self) -> None:
        """Set the time for the next events."""
        if self._reader.ended:
            self.patience.shorten(REST_SECONDS)
        elif self._reader.complete:
            self.patience.shorten(COUNTS_SECONDS)
        elif self._moved and self._assembly.begun:
            self.patience.renew()
        self._moved = False

    def _last_event(self) -> Sequence[Delta]:
        """The event after which the blank line is missing, unless it is cut as well."""
        deltas: list[Delta] = []
        for event in self._events.close() if self._events is not None else ():
            try:
                deltas += self._event(event)
            except ModelProtocolError as error:
                raise self._broken("cut its answer off") from error
        if not self._reader.complete:
            raise self._broken("cut its answer off")
        return deltas

    def _whole(self) -> Sequence[Delta]:
        """An answer in one piece. What it is shows in its first bytes; servers label it wrongly, or not at all."""
        body = bytes(self._body).removeprefix(BOM).strip()
        if not body:
            raise self._broken("sent an empty body")
        if body.startswith(_STREAM_BEGINNINGS):
            self._events = EventReader()
            return [*self.feed(bytes(self._body)), *self._last_event()]
        media_type = _media_type(self._assembly.headers)
        if not (body.startswith(b"{") or media_type == "application/json" or media_type.endswith("+json")):
            raise self._broken(
                f"answered with {media_type or 'no content type'} instead of JSON or a stream: {failures.excerpt(body)}"
            )
        try:
            return self._reader.whole(loads(body))
        except OUT_OF_SHAPE as error:
            raise self._broken(f"sent a body not in the wire format: {failures.excerpt(body)}") from error

    def _broken(self, what: str) -> ModelProtocolError:
        return failures.broken(self._endpoint, f"{self._endpoint.name} {what}", self._assembly.headers)


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
