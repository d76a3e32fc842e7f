"""Packing: facts as JSON text; long texts and bytes are taken out of it, and kept once, under their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast

from a3s_code.kernel.events import Event

BULK_CHARACTERS = 1024
"""A text of this length and more is kept as a blob."""

BLOB = "$blob"
"""The key of a reference. A mapping that has this key itself is wrapped, so that it is not taken for one."""

LARGEST_BITS = 8_192
"""A larger number is kept as its text in hexadecimal: Python refuses to write it in decimal, and to read it."""

LOST = "[lost: the store does not have this any more]"


def pack(value: Any, blobs: MutableMapping[str, bytes]) -> Any:
    """The value as plain JSON values; what is long goes to `blobs`, and a reference stands in its place."""
    if isinstance(value, str):
        return value if len(value) < BULK_CHARACTERS else {BLOB: _keep(_encode(value), blobs)}
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= LARGEST_BITS else pack(hex(value), blobs)
    if isinstance(value, Event):
        value = value.to_dict()
    if isinstance(value, Mapping):
        packed = {str(key): pack(item, blobs) for key, item in value.items()}
        return {BLOB: None, "of": packed} if BLOB in packed else packed
    if isinstance(value, list | tuple):
        return [pack(item, blobs) for item in cast("list[Any]", value)]
    if isinstance(value, bytes):
        return {BLOB: _keep(value, blobs), "bytes": True}
    return pack(str(value), blobs)


def unpack(value: Any, blobs: Mapping[str, bytes]) -> Any:
    """The packed value as it was; a text whose blob is gone is LOST."""
    if isinstance(value, dict):
        if BLOB not in value:
            return {key: unpack(item, blobs) for key, item in value.items()}
        digest = value[BLOB]
        if digest is None:
            return {key: unpack(item, blobs) for key, item in value["of"].items()}
        content = blobs.get(digest)
        if value.get("bytes"):
            return content or b""
        return LOST if content is None else content.decode("utf-8", "surrogatepass")
    if isinstance(value, list):
        return [unpack(item, blobs) for item in value]
    return value


def holds_lost(value: Any) -> bool:
    """Whether a text in the value is LOST."""
    if isinstance(value, Mapping):
        return any(holds_lost(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(holds_lost(item) for item in value)
    return bool(value == LOST)


def references(value: Any) -> Iterator[str]:
    """The digests that a packed value refers to."""
    if isinstance(value, dict):
        if (digest := value.get(BLOB)) is not None:
            yield digest
        else:
            # In a wrapped mapping the key is its own, and no reference.
            for item in value["of"].values() if BLOB in value else value.values():
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def write(value: Any) -> bytes:
    """Packed values as JSON text."""
    return _encode(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def read(body: bytes) -> Any:
    """What `write` wrote; raises ValueError for anything else."""
    return json.loads(body.decode("utf-8", "surrogatepass"))


@dataclass(slots=True)
class References:
    """Which blobs the session refers to, and which of them only as artifacts, which may be dropped."""

    held: set[str] = field(default_factory=set[str])
    artifacts: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, fact: Mapping[str, Any]) -> list[str]:
        """Take in a packed fact; gives the digests that are needed no more."""
        if fact["k"] == "artifact":
            self.artifacts[fact["uri"]] = next(references(fact["text"]), "")
        elif fact["k"] == "dropped":
            digest = self.artifacts.pop(fact["uri"], "")
            if digest and digest not in self.held and digest not in self.artifacts.values():
                return [digest]
        else:
            self.held.update(references(fact))
        return []

    def __contains__(self, digest: str) -> bool:
        return digest in self.held or digest in self.artifacts.values()


def sealed_summary(summary: Mapping[str, Any]) -> bytes:
    """A summary as JSON text, with a hash over it, so that a damaged one is not believed."""
    body = write(summary)
    return hashlib.sha256(body).hexdigest().encode() + body


def read_summary(text: bytes) -> bytes | None:
    """The JSON text of a summary; None where it is not what was sealed."""
    seal_of, body = text[:64], text[64:]
    return body if hashlib.sha256(body).hexdigest().encode() == seal_of else None


def _keep(content: bytes, blobs: MutableMapping[str, bytes]) -> str:
    digest = hashlib.sha256(content).hexdigest()
    blobs[digest] = content
    return digest


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
