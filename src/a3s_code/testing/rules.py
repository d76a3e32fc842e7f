"""What the rules for both wire formats share: values with a path, texts, names, schemas, images."""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 32 * 1024 * 1024
MOST_IMAGES = 100
MOST_IMAGE_LETTERS = 5 * 1024 * 1024
"""The size of an image in base64, for that is what is measured."""
MEDIA_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Facts:
    """What one message brings to the rules that hold between messages; `found` is wrong with it by itself."""

    role: str
    found: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    begins_with_thought: bool = False
    ends_in_blank: bool = False
    marks: int = 0
    images: int = 0


def text_faults(data: bytes) -> Iterator[str]:
    """What of a JSON text no provider takes, whatever it says."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        yield f"is not UTF-8 at byte {error.start}"
        return
    if b"\\u" not in data:
        return
    plain = data.replace(b"\\\\", b"")
    if b"\\u0000" in plain:
        yield "holds the character NUL"
    if _HALF.search(_PAIR.sub(b"", plain)):
        yield "holds half of a surrogate pair"


def unknown_fields(value: dict[str, Any], known: Collection[str], where: str) -> Iterator[str]:
    for name in value:
        if name not in known:
            yield f"{where}{name}: no such field"


def missing_fields(value: dict[str, Any], wanted: Collection[str], where: str) -> Iterator[str]:
    for name in wanted:
        if name not in value:
            yield f"{where}{name}: is missing"


def name_faults(name: Any, longest: int, where: str) -> Iterator[str]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"{where}: {name!r} holds other characters than a-z, A-Z, 0-9, _ and -"
    elif len(name) > longest:
        yield f"{where}: longer than {longest} characters"


def spoken(value: Any) -> bool:
    """Whether a value is text that says something."""
    return isinstance(value, str) and not (not value or value.isspace())


def schema_faults(schema: Any, where: str) -> Iterator[str]:
    """What is wrong with the schema of a tool's arguments."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        yield f'{where}: must be an object schema, {{"type": "object", ...}}'
        return
    properties = schema.get("properties", {})
    if not isinstance(properties, dict) or not all(isinstance(value, dict | bool) for value in properties.values()):
        yield f"{where}.properties: must be an object of schemas"
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        yield f"{where}.required: must be a list of names"
    for name in ("oneOf", "anyOf", "allOf"):
        if name in schema:
            yield f"{where}.{name}: not allowed at the top of a tool's schema"


def image_faults(media_type: Any, data: Any, where: str) -> Iterator[str]:
    if media_type not in MEDIA_TYPES:
        yield f"{where}: {media_type!r} is none of {', '.join(sorted(MEDIA_TYPES))}"
    if not isinstance(data, str) or not data:
        yield f"{where}: an image without data"
        return
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        yield f"{where}: data that is not base64"
        return
    if len(data) > MOST_IMAGE_LETTERS:
        yield f"{where}: an image larger than {MOST_IMAGE_LETTERS} bytes in base64"


def repeated(names: Iterable[Any]) -> list[str]:
    """Those that stand in `names` more than once."""
    return sorted(name for name, count in Counter(map(str, names)).items() if count > 1)
