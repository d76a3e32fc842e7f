"""The floor: a bare httpx loop that sends the requests a session sends, and nothing else.

Each turn it encodes the whole conversation with `json`, posts it, reads the answer (of a stream every line, every data
line decoded with `json`), decodes the call's arguments, and appends the answer and the call's result to the
conversation. It does not run the tool: the results are those that the library sent in a run before, so the bodies have
the same size. It checks nothing, records nothing and asks nobody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.server import Wire
from benchmarks.subject import TICKET

PATHS: dict[Wire, str] = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


@dataclass(frozen=True, slots=True)
class Script:
    """What one run of the library sent: the first request's body, and the results of the tool calls in order."""

    wire: Wire
    url: str
    opening: dict[str, Any]
    results: tuple[Any, ...]

    @property
    def streamed(self) -> bool:
        return bool(self.opening.get("stream"))

    @classmethod
    def of(cls, wire: Wire, server: str, first: dict[str, Any], last: dict[str, Any]) -> Script:
        """From the first and the last request of a run."""
        opening = [message["role"] for message in first["messages"]]
        later = last["messages"][len(opening) :]
        if wire == "openai":
            results = [message["content"] for message in later if message["role"] == "tool"]
        else:
            parts = [part for message in later if message["role"] == "user" for part in message["content"]]
            results = [part["content"] for part in parts if part["type"] == "tool_result"]
        return cls(wire, server + PATHS[wire], first, tuple(results))

    def conversation(self, ticket: str = TICKET) -> Conversation:
        """A fresh conversation about `ticket`."""
        return Conversation(self, json.loads(json.dumps(self.opening).replace(TICKET, ticket)))


class Answer:
    """What a model answered, from the lines of a stream or in one piece, in either format."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.arguments: list[str] = []
        self.call_id = self.name = ""

    def add(self, line: str) -> None:
        """Take the next line."""
        if not line.startswith("data: ") or line == "data: [DONE]":
            return
        event = json.loads(line[6:])
        if "choices" in event:
            for choice in event["choices"]:
                self._add_delta(choice["delta"])
        elif event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
            self.call_id, self.name = event["content_block"]["id"], event["content_block"]["name"]
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            if delta["type"] == "text_delta":
                self.text.append(delta["text"])
            else:
                self.arguments.append(delta["partial_json"])

    def take_whole(self, content: bytes) -> None:
        """Take an answer that was not streamed."""
        body = json.loads(content)
        if "choices" in body:
            self._add_delta(body["choices"][0]["message"])
            return
        for block in body["content"]:
            if block["type"] == "text":
                self.text.append(block["text"])
            else:
                self.call_id, self.name = block["id"], block["name"]
                self.arguments.append(json.dumps(block["input"]))

    def _add_delta(self, delta: dict[str, Any]) -> None:
        if content := delta.get("content"):
            self.text.append(content)
        for call in delta.get("tool_calls", ()):
            self.call_id = call.get("id", self.call_id)
            self.name = call["function"].get("name", self.name)
            self.arguments.append(call["function"]["arguments"])


@dataclass(slots=True)
class Conversation:
    """One run of the floor: what it keeps from turn to turn."""

    script: Script
    body: dict[str, Any]
    text: str = ""
    turns: int = 0

    def encode(self) -> bytes:
        """The next request."""
        return json.dumps(self.body).encode()

    def take(self, answer: Answer) -> bool:
        """Append an answer and its call's result; True when there was no call, and the run is over."""
        self.text = "".join(answer.text)
        if not answer.call_id:
            return True
        arguments, result = "".join(answer.arguments), self.script.results[self.turns]
        append = self._append_openai if self.script.wire == "openai" else self._append_anthropic
        append(answer, arguments, json.loads(arguments), result)
        self.turns += 1
        return False

    def _append_openai(self, answer: Answer, arguments: str, decoded: Any, result: Any) -> None:
        function = {"name": answer.name, "arguments": arguments}
        calls = [{"id": answer.call_id, "type": "function", "function": function}]
        self.body["messages"] += [
            {"role": "assistant", "content": self.text, "tool_calls": calls},
            {"role": "tool", "tool_call_id": answer.call_id, "content": result},
        ]

    def _append_anthropic(self, answer: Answer, arguments: str, decoded: Any, result: Any) -> None:
        use = {"type": "tool_use", "id": answer.call_id, "name": answer.name, "input": decoded}
        self.body["messages"] += [
            {"role": "assistant", "content": [{"type": "text", "text": self.text}, use]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": answer.call_id, "content": result}]},
        ]


HEADERS = {"content-type": "application/json", "authorization": "Bearer none", "x-api-key": "none"}


def run(client: httpx.Client, conversation: Conversation) -> str:
    """One run on a blocking client; gives the answer."""
    url, over = conversation.script.url, False
    while not over:
        answer = Answer()
        if conversation.script.streamed:
            with client.stream("POST", url, content=conversation.encode(), headers=HEADERS) as response:
                for line in response.iter_lines():
                    answer.add(line)
        else:
            answer.take_whole(client.post(url, content=conversation.encode(), headers=HEADERS).content)
        over = conversation.take(answer)
    return conversation.text


async def run_async(client: httpx.AsyncClient, conversation: Conversation) -> str:
    """One run on an asynchronous client; gives the answer."""
    url, over = conversation.script.url, False
    while not over:
        answer = Answer()
        if conversation.script.streamed:
            async with client.stream("POST", url, content=conversation.encode(), headers=HEADERS) as response:
                async for line in response.aiter_lines():
                    answer.add(line)
        else:
            whole = await client.post(url, content=conversation.encode(), headers=HEADERS)
            answer.take_whole(whole.content)
        over = conversation.take(answer)
    return conversation.text
