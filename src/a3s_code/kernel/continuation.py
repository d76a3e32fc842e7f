"""Continuation: whether a reply is an answer, or whether the model is asked to go on."""

from __future__ import annotations

from a3s_code.errors import ModelProtocolError
from a3s_code.kernel.messages import Message, Reasoning, Reply, ToolCall
from a3s_code.kernel.notice import notice

MOST_ANNOUNCED = 80
"""A line of this many characters or more is an answer, even where it ends with a colon."""

EMPTY = "Your last reply was empty. Make the next call, or, if the work is done, say what came of it."
ONLY_REASONING = (
    "Your last reply held reasoning and no text. Make the next call, or, if the work is done, say what came of it."
)
ANNOUNCED = (
    "Your last reply ended with a colon and nothing came after it. Do what it announces, or, if the work is done, say"
    " what came of it."
)
_SHOWN = 200
_FINAL = frozenset({"pause", "content_filter", "context_overflow"})


class Continuation:
    """Watches the replies of one run for those that are no answer.

    A reply without calls is unfinished when it is empty (nothing but blanks), or is one line of under 80 characters
    that ends with a colon. The model is then asked to go on, at most `max_turns` times in a row; a reply with calls, or
    an answer, starts the count anew. After that a line with a colon is taken as the answer, as it is when the same line
    came twice in a row; an empty reply never is. A reply of reasoning alone counts as empty; it is asked for text once.

    A reply that its output limit cut is unfinished only when it is empty, for a text that is cut is a state the caller
    can see. A pause, a refusal of the provider and a history that is too long are not looked at.
    """

    def __init__(self, enabled: bool = True, max_turns: int = 3, max_parse_retries: int = 2) -> None:
        self._max_turns = max_turns if enabled else 0
        self._max_parse_retries = max_parse_retries
        self._asked = 0
        self._unfinished: str | None = None
        self._thought = False
        self._unparsed = 0

    def after(self, reply: Reply) -> Message | None:
        """The user message that asks the model to go on, or None where the reply stands as it is.

        Raises ModelProtocolError where no answer is to be had: the replies stay empty, or more than `max_parse_retries`
        in a row hold nothing but calls whose arguments are no JSON object. It has to be told of every reply; best when
        its calls have their results, so that the history it leaves is whole.
        """
        calls = reply.message.calls
        self._count_unparsed(reply, calls)
        if calls or reply.stop in _FINAL:
            self._begin()
            return None
        text = reply.message.text.strip()
        if not text:
            return self._after_silence(reply)
        if reply.stop == "length" or not _announces(text):
            self._begin()
            return None
        if self._asked >= self._max_turns or text == self._unfinished:
            self._begin()
            return None
        return self._ask(ANNOUNCED, text)

    def _after_silence(self, reply: Reply) -> Message:
        thought = any(isinstance(part, Reasoning) and part.text.strip() for part in reply.message.parts)
        if self._asked >= self._max_turns or (thought and self._thought):
            was = "only reasoning" if thought else "nothing"
            raise _no_answer(
                reply, f"the model gave no answer: its last reply held {was} and stopped as {reply.stop!r}"
            )
        self._thought = self._thought or thought
        return self._ask(ONLY_REASONING if thought else EMPTY, "")

    def _ask(self, question: str, text: str) -> Message:
        self._asked += 1
        self._unfinished = text
        return notice(question)

    def _begin(self) -> None:
        self._asked = 0
        self._unfinished = None
        self._thought = False

    def _count_unparsed(self, reply: Reply, calls: tuple[ToolCall, ...]) -> None:
        if not calls or any(call.malformed is None for call in calls):
            self._unparsed = 0
            return
        self._unparsed += 1
        if self._unparsed > self._max_parse_retries:
            call = calls[-1]
            written = call.malformed or ""
            shown = written if len(written) <= _SHOWN else written[: _SHOWN - 1] + "…"
            raise _no_answer(
                reply,
                f"the arguments of the calls in {self._unparsed} replies in a row were no JSON object;"
                f" the last, for {call.name}, were {shown!r}",
            )


def _announces(text: str) -> bool:
    return len(text) < MOST_ANNOUNCED and "\n" not in text and text.endswith((":", "\N{FULLWIDTH COLON}"))


def _no_answer(reply: Reply, message: str) -> ModelProtocolError:
    return ModelProtocolError(message, provider=reply.model.partition("/")[0], request_id=reply.request_id)
