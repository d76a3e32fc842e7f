"""Validity: what enters a history can be sent in every wire format, whatever a model or a host gave.

Where nothing is to be changed the very same object comes back, for a message remembers its bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from a3s_code.kernel.messages import Image, Message, Observation, Part, Reasoning, Role, Text, ToolCall
from a3s_code.kernel.pairing import pair

LONGEST_ID = 40
LONGEST_NAME = 64
MAX_DEPTH = 64
LARGEST_BITS = 8_192
IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
LARGEST_IMAGE = 5 * 1024 * 1024 * 3 // 4
"""Bytes of an image, of which no more than 5 MiB are sent as base64."""
NO_IMAGE = "[an image was left out here, for no model takes it]"
NOTHING_EARLIER = "(The conversation begins here.)"

_PLACES: Mapping[Role, tuple[type[Part], ...]] = {
    "user": (Text, Image),
    "assistant": (Text, ToolCall, Reasoning),
    "tool": (Observation,),
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_NAME = re.compile(rf"[a-zA-Z0-9_-]{{1,{LONGEST_NAME}}}")
_NO_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_ID = re.compile(rf"[!-~]{{1,{LONGEST_ID}}}")
_NO_ID = re.compile(r"[^!-~]+")
_NINE = re.compile(r"[a-zA-Z0-9]{9}")
_ROOM_FOR_NUMBER = 10


def legible(text: str) -> str:
    """The text with NUL and each half of a surrogate pair as U+FFFD; no provider takes them."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = _SURROGATE.sub("\ufffd", text)
    return text.replace("\0", "\ufffd") if "\0" in text else text


def sendable(message: Message) -> Message:
    """The message with its text legible, the names of tools spelled as providers allow, the arguments of calls plain
    JSON, without parts that its role cannot have and images that no model takes, and with nothing to go back that only
    was thought at its end. Ids stay: see `distinct`."""
    places = _PLACES[message.role]
    parts = tuple([_sendable_part(part) for part in message.parts if isinstance(part, places)])
    if parts and isinstance(parts[-1], Text | Reasoning):
        parts = _ended_in_words(parts)
    if len(parts) == len(message.parts) and all(map(_is, parts, message.parts)):
        return message
    return Message(message.role, parts)


def distinct(message: Message, taken: set[str]) -> Message:
    """The message with ids of calls that no other call of the conversation has, however a wire format spells them.

    `taken` holds the spellings of all ids so far and grows by these. An id stays where it can; one that is missing,
    taken, over LONGEST_ID characters or not printable is made anew from what it was.
    """
    calls = message.calls
    if not calls:
        return message
    ids = [_claim(call.id, taken) for call in calls]
    if all(call.id == fresh for call, fresh in zip(calls, ids, strict=True)):
        return message
    return Message(message.role, _renamed(message.parts, ids))


def says_nothing(message: Message) -> bool:
    """Whether a model's message neither says nor calls anything, so that no provider takes it."""
    if message.role != "assistant":
        return False
    return not any(_speaks(part) for part in message.parts)


def mended(messages: Iterable[Message], taken: set[str] | None = None) -> list[Message]:
    """A history made valid: each message sendable, none empty, calls paired with their results, ids distinct, and a
    user's message first. A valid one comes back as the very same objects.

    `taken` is as for `distinct`; None stands for a conversation that begins here. Raises TypeError for what is no
    message.
    """
    taken = set() if taken is None else taken
    whole: list[Message] = []
    for message in pair([piece for given in messages for piece in _pieces(given)]):
        if message.role == "tool":
            whole.append(_readdressed(message, whole[-1].calls))
        else:
            whole.append(distinct(message, taken))
    if whole and whole[0].role == "assistant":
        whole.insert(0, Message.user(NOTHING_EARLIER))
    return whole


def flaw_of(message: Any) -> str | None:
    """What makes a host's object no message, for it is not type-checked; None where it is one."""
    if not isinstance(message, Message):
        return f"{type(message).__name__} is no message"
    if message.role not in _PLACES:
        return f"a message has the role {message.role!r}, not user, assistant or tool"
    parts: Any = message.parts
    if not isinstance(parts, tuple | list):
        return f"a message of the role {message.role} holds {type(parts).__name__} in place of its parts"
    for part in cast("Iterable[Any]", parts):
        match part:
            case Text(text=str()) | Image(media_type=str(), data=bytes()):
                continue
            case Reasoning(text=str(), model=str(), block=str() | None):
                continue
            case ToolCall(name=str(), arguments=arguments, malformed=str() | None) if isinstance(arguments, Mapping):
                continue
            case Observation(name=str(), output=str(), exit_code=int()) if are_images(part.images):
                continue
            case _:
                return f"a message of the role {message.role} holds {type(part).__name__} with a field of another type"
    return None


def are_images(images: Any) -> bool:
    """Whether a host's object is a tuple of images, each with its fields of their types."""
    return isinstance(images, tuple) and all(map(_is_image, cast("Sequence[Any]", images)))


def _is_image(given: Any) -> bool:
    match given:
        case Image(media_type=str(), data=bytes()):
            return True
        case _:
            return False


def _is(one: object, other: object) -> bool:
    return one is other


def _speaks(part: Part) -> bool:
    return isinstance(part, ToolCall) or (isinstance(part, Text) and bool(part.text.strip()))


def _ended_in_words(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts, the reasoning after the last words or call for the reader only: no provider takes it back there."""
    end = len(parts)
    while end and not _speaks(parts[end - 1]):
        end -= 1
    if not any(isinstance(part, Reasoning) and part.block is not None for part in parts[end:]):
        return parts
    tail = [replace(part, block=None) if isinstance(part, Reasoning) else part for part in parts[end:]]
    return (*parts[:end], *tail)


def _sendable_part(part: Part) -> Part:
    match part:
        case Text(text):
            shown = legible(text)
            return part if shown is text else Text(shown)
        case ToolCall(call_id, name, arguments, malformed):
            spelled, plain = _spell_name(name), _plain(arguments, 0)
            written = None if malformed is None else legible(malformed)
            if spelled is name and plain is arguments and written is malformed:
                return part
            return ToolCall(call_id, spelled, plain, written)
        case Observation(name=name, output=output, images=images):
            if not all(map(_is_sendable_image, images)):
                output, images = f"{output}\n{NO_IMAGE}", tuple(filter(_is_sendable_image, images))
            spelled, shown = _spell_name(name), legible(output)
            if spelled is name and shown is part.output:
                return part
            return replace(part, name=spelled, output=shown, images=images)
        case Reasoning(text, block=block):
            shown = legible(text)
            block = None if block is not None and legible(block) is not block else block
            return part if shown is text and block is part.block else Reasoning(shown, part.model, block)
        case Image():
            return part if _is_sendable_image(part) else Text(NO_IMAGE)


def _is_sendable_image(image: Image) -> bool:
    return image.media_type in IMAGE_TYPES and 0 < len(image.data) <= LARGEST_IMAGE


def _spell_name(name: str) -> str:
    if _NAME.fullmatch(name):
        return name
    return _NO_NAME.sub("_", name[:LONGEST_NAME]) or "unnamed"


def _plain(value: Any, depth: int) -> Any:
    """A JSON value with its text legible; of what is no JSON, or nested deeper than MAX_DEPTH, the representation."""
    if isinstance(value, str):
        return legible(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= LARGEST_BITS else f"[a number of {value.bit_length():,} bits]"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        return _plain_mapping(value, depth + 1)
    if isinstance(value, list | tuple) and depth < MAX_DEPTH:
        given = cast("Sequence[Any]", value)
        items = [_plain(item, depth + 1) for item in given]
        return given if all(map(_is, items, given)) else items
    return legible(_represent(value))


def _plain_mapping(given: Mapping[Any, Any], depth: int) -> Mapping[str, Any]:
    pairs = [(_plain_key(key), _plain(item, depth)) for key, item in given.items()]
    unchanged = all(key is old and item is given[old] for (key, item), old in zip(pairs, given, strict=True))
    return given if unchanged else dict(pairs)


def _plain_key(key: Any) -> str:
    return legible(key if isinstance(key, str) else _represent(key))


def _represent(value: Any) -> str:
    try:
        return repr(value)
    except RecursionError:
        return "[nested too deep]"


def _claim(given: Any, taken: set[str]) -> str:
    """The id, or the nearest to it that is free."""
    wanted = given if isinstance(given, str) and given else "call"
    if not _ID.fullmatch(wanted):
        wanted = _NO_ID.sub("_", wanted[:LONGEST_ID])
    fresh, number = wanted, max(2, len(taken))
    while not taken.isdisjoint(spellings := _spellings(fresh)):
        fresh = f"{wanted[: LONGEST_ID - _ROOM_FOR_NUMBER]}-{number}"
        number += 1
    taken.update(spellings)
    return fresh


def _spellings(call_id: str) -> tuple[str, str]:
    """The id as it is where every printable character counts or only some do, and where nine characters have to do."""
    nine = call_id if _NINE.fullmatch(call_id) else hashlib.sha256(call_id.encode()).hexdigest()[:9]
    return _NO_NAME.sub("_", call_id), nine


def _renamed(parts: tuple[Part, ...], ids: Sequence[str]) -> tuple[Part, ...]:
    """The parts with these ids for their calls, and for the reasoning that goes back with a call and names it."""
    fresh = iter(ids)
    renamed: list[Part] = []
    for part in parts:
        if isinstance(part, ToolCall):
            call = replace(part, id=next(fresh))
            if renamed and isinstance(before := renamed[-1], Reasoning) and before.block is not None:
                renamed[-1] = _readdressed_block(before, part.id, call.id)
            part = call
        renamed.append(part)
    return tuple(renamed)


def _readdressed_block(reasoning: Reasoning, old: str, new: str) -> Reasoning:
    """The reasoning with the new id where its block is one that belongs to the call `old`: {"call": ID, ...}."""
    opening = f'{{"call":{json.dumps(old, ensure_ascii=False)},'
    block = reasoning.block or ""
    if not block.startswith(opening):
        return reasoning
    return replace(reasoning, block=f'{{"call":{json.dumps(new)},{block[len(opening) :]}')


def _pieces(message: Any) -> Iterator[Message]:
    """The message made sendable, unless nothing is left of it; results in a user's message apart from the rest."""
    if (flaw := flaw_of(message)) is not None:
        raise TypeError(flaw)
    results = tuple(part for part in message.parts if isinstance(part, Observation))
    if results and message.role == "user":
        yield sendable(Message("tool", results))
    kept = _without_broken_blocks(sendable(message))
    if kept.parts and not says_nothing(kept):
        yield kept


def _without_broken_blocks(message: Message) -> Message:
    """The message without the provider's blocks that are no JSON object; they would break the whole request."""
    if not any(isinstance(part, Reasoning) and part.block for part in message.parts):
        return message
    parts = tuple(
        replace(part, block=None) if isinstance(part, Reasoning) and not _is_object(part.block) else part
        for part in message.parts
    )
    return message if parts == message.parts else Message(message.role, parts)


def _is_object(block: str | None) -> bool:
    try:
        value = None if block is None else json.loads(block)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return block is None or isinstance(value, dict)


def _readdressed(message: Message, calls: Sequence[ToolCall]) -> Message:
    """The results under the ids of their calls, which stand in the same order."""
    results = cast("tuple[Observation, ...]", message.parts)
    if all(result.call_id == call.id for result, call in zip(results, calls, strict=True)):
        return message
    return Message("tool", tuple(replace(result, call_id=call.id) for result, call in zip(results, calls, strict=True)))
