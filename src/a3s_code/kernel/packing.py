"""Packing: facts as JSON text; long texts and bytes are taken out of it, and kept once, under their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, cast

from a3s_code.kernel.events import Event

BULK_CHARACTERS = 1024
"""A text of this length and more is kept as a blob."""

BLOB = "$blob"
"""The key of a reference. A mapping that has this key itself is wrapped, so that it is not taken for one."""

LOST = "[lost: the store has this text no more]"


def pack(value: Any, blobs: MutableMapping[str, bytes]) -> Any:
    """The value as plain JSON values; what is long goes to `blobs`, and a reference stands in its place."""
    if isinstance(value, str):
        return value if len(value) < BULK_CHARACTERS else {BLOB: _keep(_encode(value), blobs)}
    if value is None or isinstance(value, bool | int | float):
        return value
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


def references(value: Any) -> Iterator[str]:
    """The digests that a packed value refers to."""
    if isinstance(value, dict):
        if isinstance(digest := value.get(BLOB), str):
            yield digest
        else:
            for item in value.values():
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


def _keep(content: bytes, blobs: MutableMapping[str, bytes]) -> str:
    digest = hashlib.sha256(content).hexdigest()
    blobs[digest] = content
    return digest


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
