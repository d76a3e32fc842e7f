"""A model behind HTTP: one request a call, its answer read as the server chose to send it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from a3s_code.errors import A3SError
from a3s_code.kernel.contracts import ModelSettings
from a3s_code.kernel.messages import Delta, Reply
from a3s_code.kernel.ports import Prompt
from a3s_code.providers import clients
from a3s_code.providers.answer import Answer
from a3s_code.providers.endpoint import ModelEndpoint
from a3s_code.providers.wire_format import WireFormat

if TYPE_CHECKING:
    import httpx2


class HttpModel:
    """A ChatModel that speaks a wire format over HTTP, with requests as the vendor's SDK writes them.

    It retries nothing: what can be tried again is said by the error's `retryable`.
    """

    def __init__(self, endpoint: ModelEndpoint, settings: ModelSettings, wire: WireFormat) -> None:
        self._endpoint = endpoint
        self._wire = wire
        self._seconds = settings.timeout_ms / 1000

    @property
    def name(self) -> str:
        return self._endpoint.name

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta | Reply]:
        """As ChatModel.stream; `timeout_ms` bounds the time to the first token, and each silence after it."""
        self._endpoint.require_key()
        client = await clients.borrow(self._endpoint)
        body = self._wire.request(prompt)
        answer = Answer(self._endpoint, self._wire, prompt, body, self._seconds)
        response: httpx2.Response | None = None
        try:
            with answer.patience:
                response = await client.http.send(client.request(body, self._seconds), stream=True)
            if not response.is_success:
                raise await answer.refusal(response)
            answer.begin(response.headers)
            coded = "content-encoding" in response.headers
            async with aclosing(response.aiter_bytes() if coded else response.aiter_raw()) as chunks:
                while True:
                    with answer.patience:
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        break
                    for delta in answer.feed(chunk):
                        yield delta
        except A3SError:
            raise
        except Exception as error:
            failure = answer.failure(error)
            if failure is None:
                raise
            if not answer.survives(failure):
                raise failure from error
        finally:
            answer.patience.close()
            if response is not None:
                await response.aclose()
        for item in answer.finish():
            yield item
