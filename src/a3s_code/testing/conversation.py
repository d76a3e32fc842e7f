"""A model that reads from the conversation which reply of its script is due, so that it goes on after a restart."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence

from a3s_code.errors import ModelError
from a3s_code.kernel.messages import Delta, Message, Reply
from a3s_code.kernel.ports import Prompt
from a3s_code.providers.scripted import ScriptedModel, ScriptItem, as_reply, written

Key = tuple[str, tuple[tuple[str, str], ...]]


class ConversationScript:
    """A ChatModel that answers with the reply of `replies` that follows the last one the conversation holds.

    It remembers nothing, so that another process goes on with the script where the one before was ended. Replies are
    those of a ScriptedModel, and best differ from each other; each has to leave a message, so none is empty. An
    exception among them is raised once in each process, before the reply that it precedes.
    """

    def __init__(self, replies: Iterable[ScriptItem], *, name: str = "scripted/model") -> None:
        self._name = name
        self._replies: list[ScriptItem] = []
        self._errors: dict[int, deque[Exception]] = {}
        for item in replies:
            if isinstance(item, Exception):
                self._errors.setdefault(len(self._replies), deque()).append(item)
            else:
                self._replies.append(item)
        self._keys = [None if callable(item) else _key(as_reply(item, None, 0, name).message) for item in self._replies]

    @property
    def name(self) -> str:
        return self._name

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta | Reply]:
        """As ChatModel.stream; raises ModelError when the script is told to its end."""
        due = self._due([message for message in prompt.messages if message.role == "assistant"])
        if errors := self._errors.get(due):
            raise errors.popleft()
        if due >= len(self._replies):
            raise ModelError(
                f"the script of {self._name} has no reply after its {len(self._replies)}",
                provider=self._name.partition("/")[0],
                hint="add a reply, or find out why the model is asked once more",
            )
        async for piece in ScriptedModel([self._replies[due]], name=self._name).stream(prompt):
            yield piece

    def _due(self, said: Sequence[Message]) -> int:
        """The place of the reply after the last that was said. Earlier ones may have been compacted away, and a request
        may have brought replies of others."""
        keys = [_key(message) for message in said]
        known = [key in self._keys for key in keys]
        for at in reversed(range(len(said))):
            if not known[at]:
                continue
            least = sum(known[: at + 1]) - 1
            places = [place for place, key in enumerate(self._keys) if key == keys[at]]
            return next((place for place in places if place >= least), places[-1]) + len(said) - at
        return len(said) if None in self._keys else 0


def _key(message: Message) -> Key:
    """What tells a reply from others; not the ids of its calls, which are made anew where they are taken."""
    return message.text, tuple((call.name, written(call)) for call in message.calls)
