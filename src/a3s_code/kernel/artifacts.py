"""Shortening: what of a long output the model sees, and a line that says how to read the rest."""

from __future__ import annotations

HEAD_SHARE = 0.6


def shorten(text: str, budget: int, uri: str) -> str:
    """Head and tail of `text` within `budget` bytes of UTF-8, with a line between them that counts what was left out.

    Cuts at line ends where one is near. `uri` is named as the place of the whole.
    """
    data = text.encode("utf-8", "replace")
    note_bytes = 160
    room = max(budget - note_bytes, 256)
    head = _to_line_end(data[: int(room * HEAD_SHARE)])
    tail = _from_line_start(data[len(data) - (room - len(head)) :])
    left_out = len(data) - len(head) - len(tail)
    note = f"\n[... {left_out:,} of {len(data):,} bytes left out; the whole output can be read at {uri} ...]\n"
    return head.decode("utf-8", "ignore").rstrip("\n") + note + tail.decode("utf-8", "ignore")


def _to_line_end(data: bytes) -> bytes:
    cut = data.rfind(b"\n", len(data) * 3 // 4)
    return data if cut < 0 else data[: cut + 1]


def _from_line_start(data: bytes) -> bytes:
    cut = data.find(b"\n", 0, len(data) // 4)
    return data if cut < 0 else data[cut + 1 :]
